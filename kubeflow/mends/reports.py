"""Reports that Kubeflow's user interface shows."""

from typing import Any

from tfx_shrink.artifacts import CompressionReport
from tfx_shrink.kubeflow.entrypoint_flags import HTML_OUTPUT, HTML_TYPE

_REPORT = f"title: {CompressionReport.TYPE_NAME}\n"


def show_reports(spec: dict[str, Any]) -> None:
    """The user interface shows artifacts of the type system.HTML alone, each one a file.

    (frontend/src/components/viewers/MetricsVisualizations.tsx)
    """
    for component in spec["components"].values():
        outputs = component.get("outputDefinitions", {}).get("artifacts", {})
        reports = [
            name
            for name, output in outputs.items()
            if output["artifactType"].get("instanceSchema", "").startswith(_REPORT)
        ]
        for name in reports:
            outputs[f"{name}{HTML_OUTPUT}"] = {"artifactType": dict(HTML_TYPE)}
