"""An object store on disk: like a bucket, it holds files and no empty directories."""

import os
import shutil

from tfx_shrink.errors import RunError
from tfx_shrink.kubeflow.uris import is_remote, local_path


class ObjectStore:
    """Stands for the cluster's object stores; `minio://b/x` is the file `<directory>/minio/b/x`."""

    def __init__(self, directory: str):
        self._directory = directory

    def path(self, uri: str) -> str:
        """Returns where an object or a folder of objects lies.

        Raises:
          RunError: KFP has no store for this scheme.
        """
        if not is_remote(uri):
            raise RunError(f"{uri}: unsupported storage scheme, no provider scheme found.")
        return local_path(uri, self._directory)

    def upload(self, source: str, uri: str) -> int:
        """Copies a file, or the files below a directory; returns how many."""
        if os.path.isfile(source):
            os.makedirs(os.path.dirname(self.path(uri)), exist_ok=True)
            shutil.copyfile(source, self.path(uri))
            return 1
        files = 0
        for folder, _, names in os.walk(source):
            for name in names:
                path = os.path.join(folder, name)
                files += self.upload(path, f"{uri}/{os.path.relpath(path, source)}")
        return files

    def download(self, uri: str, target: str) -> None:
        """Copies an object, or all objects below a folder; nothing is no error."""
        source = self.path(uri)
        if os.path.isfile(source):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(source, target)
        elif os.path.isdir(source):
            shutil.copytree(source, target, dirs_exist_ok=True)
