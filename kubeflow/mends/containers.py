"""Components that are containers of their own."""

import re
from typing import Any

_URI = re.compile(r"(\{\{\$\.(?:inputs|outputs)\.artifacts\['[^']+'\]\.)uri\}\}")


def give_containers_local_paths(spec: dict[str, Any]) -> None:
    """A container sees `minio://` URIs that it cannot open; its launcher has local copies."""
    for executor in spec["deploymentSpec"]["executors"].values():
        container = executor.get("container", {})
        for part in ("command", "args"):
            if part in container:
                container[part] = [_URI.sub(r"\1path}}", text) for text in container[part]]
