"""Where KFP's launcher puts local copies of what lies in an object store.

Source: backend/src/v2/component/launcher_v2.go, `LocalPathForURI`.
"""

import os

_FOLDERS = {"gs://": "gcs", "s3://": "s3", "minio://": "minio"}

# KFP's own, where nothing else is said.
DEFAULT_PIPELINE_ROOT = "minio://mlpipeline/v2/artifacts"
SCHEMES = tuple(_FOLDERS)
FOLDERS = tuple(_FOLDERS.values())


def is_remote(uri: str) -> bool:
    """Tells whether KFP's launcher copies this URI from and to an object store."""
    return uri.startswith(SCHEMES)


def local_path(uri: str, pod_root: str = "/") -> str:
    """Returns the launcher's local copy of a URI; any other string as it is.

    Args:
      uri: Such as `minio://mlpipeline/v2/artifacts/x`.
      pod_root: What stands for the pod's root directory. Defaults to `/`.
    """
    for scheme, folder in _FOLDERS.items():
        if uri.startswith(scheme):
            return os.path.join(pod_root, folder, uri.removeprefix(scheme))
    return uri


def remote_uri(path: str, pod_root: str = "/") -> str:
    """Returns the URI of a local copy; any other string as it is. The reverse of `local_path`."""
    for scheme, folder in _FOLDERS.items():
        copies = os.path.join(pod_root, folder, "")
        if path.startswith(copies):
            return scheme + path.removeprefix(copies)
    return path
