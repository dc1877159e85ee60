"""How artifacts show themselves in `InteractiveContext.show`."""

import html
import os
from typing import Any

from tfx.dsl.io import fileio
from tfx.orchestration.experimental.interactive import visualizations


def register_html(artifact_type: type, file_name: str) -> None:
    """Has notebooks show an HTML file of an artifact.

    Args:
      artifact_type: The artifact's type.
      file_name: The file's name below the artifact's URI.
    """

    class Visualization(visualizations.ArtifactVisualization):
        """Shows the page in a frame, where its style meets no other."""

        ARTIFACT_TYPE = artifact_type

        def display(self, artifact: Any) -> None:
            from IPython.display import HTML, display

            with fileio.open(os.path.join(artifact.uri, file_name), "r") as file:
                page = html.escape(file.read(), quote=True)
            frame = f'<iframe srcdoc="{page}" width="100%" height="900" frameborder="0"></iframe>'
            display(HTML(frame))

    visualizations.get_registry().register(Visualization)
