"""The local directory that TensorFlow Serving loads from: only whole versions have a number."""

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator

from tfx_shrink.bucket_pusher.local_store import sync

_NUMBER = re.compile(r"0|[1-9][0-9]*")
_COMING, _GOING = ".coming-", ".going-"
_LOCK = ".tfx-shrink-pull.lock"


class Served:
    """One model's versions below a directory.

    TensorFlow Serving takes no name that begins with a dot for a version
    (tensorflow_serving/sources/storage_path/file_system_storage_path_source.cc).

    Args:
      directory: The directory of all models.
      model_name: The model.
    """

    def __init__(self, directory: str, model_name: str):
        self.path = os.path.join(directory, model_name)

    def versions(self) -> list[int]:
        """Returns the numbers of the versions that are there, ascending."""
        try:
            names = os.listdir(self.path)
        except FileNotFoundError:
            return []
        return sorted(int(name) for name in names if _NUMBER.fullmatch(name))

    def sweep(self) -> None:
        """Removes what a process that was killed left."""
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self.path):
                if name.startswith((_COMING, _GOING)):
                    shutil.rmtree(os.path.join(self.path, name))

    def new_directory(self, number: int) -> str:
        """Makes a directory that no server sees, for a version to arrive in."""
        path = self._named(f"{_COMING}{number}")
        os.makedirs(path)
        return path

    def place(self, number: int) -> None:
        """Shows a version that has arrived, all at once."""
        os.rename(self._named(f"{_COMING}{number}"), self._named(str(number)))
        sync(self.path)

    def discard(self, number: int) -> None:
        """Removes what arrived of a version that did not come to its end."""
        shutil.rmtree(self._named(f"{_COMING}{number}"), ignore_errors=True)

    def remove(self, number: int) -> None:
        """Removes a version; a server sees all of it, or nothing."""
        going = self._named(f"{_GOING}{number}")
        os.rename(self._named(str(number)), going)
        shutil.rmtree(going)

    def _named(self, name: str) -> str:
        return os.path.join(self.path, name)


@contextlib.contextmanager
def only_one(directory: str) -> Iterator[bool]:
    """Yields whether no other process is pulling into a directory, and keeps others out."""
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, _LOCK), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
