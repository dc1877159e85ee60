"""Pods, and those of one machine: as containers of podman or docker, or as plain processes."""

import abc
import dataclasses
import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from typing import Any

from tfx_shrink.errors import RunError
from tfx_shrink.kubeflow.entrypoint_flags import POD_ROOT_VARIABLE
from tfx_shrink.kubeflow.uris import FOLDERS, local_path

_ENGINES = ("podman", "docker")
_LAST_LINES = 15


@dataclasses.dataclass(frozen=True)
class Pod:
    """The disk of one task, gone when it has succeeded.

    Attributes:
      name: The task's name.
      directory: Holds what the task sees as `/gcs`, `/s3` and `/minio`.
      pod_root: Where the task sees that directory.
      log: The file that takes what it prints.
    """

    name: str
    directory: str
    pod_root: str
    log: str

    def host_path(self, uri: str) -> str:
        """Returns where the local copy of a URI lies."""
        return local_path(uri, self.directory)

    def host_file(self, path: str) -> str:
        """Returns where a path of the pod lies."""
        return os.path.join(self.directory, os.path.relpath(path, self.pod_root))

    def last_lines(self) -> str:
        """Returns the end of the log."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return "".join(deque(file, _LAST_LINES)).rstrip()


class Pods(abc.ABC):
    """Runs what a container spec says and gives its real exit code."""

    def __init__(self, root: str):
        self._root = root

    @abc.abstractmethod
    def pod_root(self, directory: str) -> str:
        """Returns where a task sees its pod's directory."""

    @abc.abstractmethod
    def run(self, pod: Pod, image: str, command: list[str], platform: Mapping[str, Any]) -> int:
        """Runs a command to its end.

        Args:
          pod: Its directory, log and name.
          image: The container's image.
          command: The program and its arguments.
          platform: What the platform spec says of the task: volumes, secrets, the like.

        Returns:
          Its exit code.

        Raises:
          RunError: It cannot be started.
        """

    def prepare(self, name: str) -> Pod:
        """Makes an empty pod for a task."""
        directory = os.path.join(self._root, "pods", name)
        shutil.rmtree(directory, ignore_errors=True)
        for folder in FOLDERS:
            os.makedirs(os.path.join(directory, folder))
        logs = os.path.join(self._root, "logs")
        os.makedirs(logs, exist_ok=True)
        return Pod(name, directory, self.pod_root(directory), os.path.join(logs, f"{name}.log"))


class ProcessPods(Pods):
    """Runs tasks as processes of this Python environment; images and volumes are left aside."""

    def pod_root(self, directory: str) -> str:  # noqa: D102
        return directory

    def run(self, pod: Pod, image: str, command: list[str], platform: Mapping[str, Any]) -> int:  # noqa: D102
        environment = {
            **os.environ,
            POD_ROOT_VARIABLE: pod.pod_root,
            # The image's `python`, and whatever else is installed there.
            "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")]),
        }
        return run_logged(command, pod, environment)


class ContainerPods(Pods):
    """Runs tasks in containers: no network of their own, read-only root, a claim is a directory.

    Args:
      root: The run's directory.
      image: Takes the place of the compiled images; None keeps them.
    """

    def __init__(self, root: str, image: str | None):
        super().__init__(root)
        self._image = image
        found = [engine for engine in _ENGINES if shutil.which(engine)]
        if not found:
            raise RunError(
                f"None of {', '.join(_ENGINES)} was found. Install one, or run the tasks as "
                "processes of this machine: --subprocess."
            )
        self._engine = found[0]

    def pod_root(self, directory: str) -> str:  # noqa: D102
        return "/"

    def run(self, pod: Pod, image: str, command: list[str], platform: Mapping[str, Any]) -> int:  # noqa: D102
        image = self._image or image
        arguments = [
            *(self._engine, "run", "--rm", "--network", "host", "--read-only"),
            *("--tmpfs", "/tmp:exec", "--env", "HOME=/tmp"),
            *("--user", f"{os.getuid()}:{os.getgid()}"),
        ]
        for folder in FOLDERS:
            arguments += ["--volume", f"{os.path.join(pod.directory, folder)}:/{folder}"]
        for mount in platform.get("pvcMount", []):
            claim = os.path.join(self._root, "volumes", mount["constant"])
            os.makedirs(claim, exist_ok=True)
            arguments += ["--volume", f"{claim}:{mount['mountPath']}"]
        for secret in platform.get("secretAsEnv", []):
            for key in secret["keyToEnv"]:
                # By name alone: the value comes from this process's environment, not from argv.
                arguments += ["--env", key["envVar"]]
        code = run_logged([*arguments, "--entrypoint", command[0], image, *command[1:]], pod, None)
        # Podman's and docker's own errors; a task's code 125 looks the same.
        if code in (125, 126, 127):
            raise RunError(
                f"Task {pod.name}: the image {image} cannot be started by {self._engine}. Build it "
                f"with `make image`, or give another with --image. Its last lines:\n"
                f"{pod.last_lines()}"
            )
        return code


def run_logged(command: list[str], pod: Pod, environment: dict[str, str] | None) -> int:
    """Runs a command with its output in the pod's log; returns its exit code."""
    with open(pod.log, "wb") as log:
        try:
            return subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                check=False,
            ).returncode
        except OSError as error:
            raise RunError(f"Task {pod.name}: {command[0]} cannot be started: {error}") from error
