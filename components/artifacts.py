"""Artifact types of tfx-shrink."""

from tfx_shrink.report import HTML
from tfx_shrink.tfx_seam.notebooks import register_html
from tfx_shrink.tfx_seam.types import Artifact


class CompressionReport(Artifact):
    """What compressing a model saved and cost: `report.html` to look at, `report.json` to read."""

    # Kubeflow imports the class by this name, so it has one dot, and no PROPERTIES.
    TYPE_NAME = "tfx_shrink.CompressionReport"


register_html(CompressionReport, HTML)
