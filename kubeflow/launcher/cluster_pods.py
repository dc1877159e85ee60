"""Pods of a Kubernetes cluster, driven by kubectl."""

import io
import json
import os
import random
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Mapping
from typing import Any

from tfx_shrink.errors import RunError
from tfx_shrink.kubeflow.launcher.pods import Pod, Pods, run_logged
from tfx_shrink.kubeflow.uris import FOLDERS

_START_SECONDS = 300
# A range that no system account is in, as clusters that give out user ids do.
_USER_IDS = range(100_000, 1_000_000)
_DAY = "86400"


class ClusterPods(Pods):
    """Runs each task as a pod: a random user id, read-only root, no right that can be dropped.

    The pod waits while the task's inputs are copied in, runs the task, and is deleted when its
    outputs are copied out. Claims and Secrets are the namespace's own.

    Args:
      root: The run's directory.
      namespace: Where pods are made, on the cluster that KUBECONFIG names.
      image: Takes the place of the compiled images; None keeps them. It must be on the nodes, or
        where they can pull it.
    """

    def __init__(self, root: str, namespace: str, image: str | None):
        super().__init__(root)
        if not shutil.which("kubectl"):
            raise RunError(
                "kubectl was not found. Install it, or run the tasks without --namespace."
            )
        self._namespace, self._image = namespace, image

    def pod_root(self, directory: str) -> str:  # noqa: D102
        return "/"

    def run(self, pod: Pod, image: str, command: list[str], platform: Mapping[str, Any]) -> int:  # noqa: D102
        image = self._image or image
        name = f"{pod.name}-{uuid.uuid4().hex[:8]}"
        try:
            self._start(name, image, pod, platform)
            self._copy_in(name, pod)
            code = run_logged(self._kubectl("exec", name, "--", *command), pod, None)
            if code == 0:
                self._copy_out(name, pod)
            return code
        finally:
            self._ask("delete", "pod", name, "--ignore-not-found", "--wait=false")

    def _kubectl(self, *arguments: str) -> list[str]:
        return ["kubectl", "--namespace", self._namespace, *arguments]

    def _ask(self, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self._kubectl(*arguments), input=data, capture_output=True, check=False
        )

    def _tell(self, pod: Pod, *arguments: str, data: bytes = b"") -> bytes:
        done = self._ask(*arguments, data=data)
        if done.returncode:
            raise RunError(
                f"Task {pod.name}: kubectl {arguments[0]} failed in namespace {self._namespace}: "
                f"{done.stderr.decode(errors='replace').strip()}"
            )
        return done.stdout

    def _start(self, name: str, image: str, pod: Pod, platform: Mapping[str, Any]) -> None:
        manifest = json.dumps(_manifest(name, image, platform)).encode()
        self._tell(pod, "apply", "--filename", "-", data=manifest)
        ready = self._ask(
            "wait", f"pod/{name}", "--for=condition=Ready", f"--timeout={_START_SECONDS}s"
        )
        if ready.returncode:
            path = "{range .status.containerStatuses[*]}{.state.waiting.message}{end}"
            reason = self._ask("get", "pod", name, "--output", f"jsonpath={path}").stdout.decode()
            raise RunError(
                f"Task {pod.name}: the image {image} cannot be started on the cluster. Load it "
                f"onto the nodes, or give another with --image. {reason or ready.stderr.decode()}"
            )

    def _copy_in(self, name: str, pod: Pod) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for folder in FOLDERS:
                # Not the folder itself, which the pod has, and which is not its user's.
                for child in os.listdir(os.path.join(pod.directory, folder)):
                    path = os.path.join(folder, child)
                    tar.add(os.path.join(pod.directory, path), path)
        extract = ("tar", "--extract", "--directory", "/", "--no-same-owner", "--touch")
        self._tell(pod, "exec", "--stdin", name, "--", *extract, data=packed.getvalue())

    def _copy_out(self, name: str, pod: Pod) -> None:
        create = ("tar", "--create", "--directory", "/", *FOLDERS)
        packed = self._tell(pod, "exec", name, "--", *create)
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            for member in tar:
                parts = member.name.split("/")
                if (
                    parts[0] in FOLDERS
                    and ".." not in parts
                    and (member.isfile() or member.isdir())
                ):
                    tar.extract(member, pod.directory, set_attrs=False, filter="data")


def _manifest(name: str, image: str, platform: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a pod that waits to be told what to run."""
    folders = {folder: f"/{folder}" for folder in FOLDERS}
    # A claim may be called as a folder is, or have a name that no volume can have.
    claims = {f"claim-{number}": mount for number, mount in enumerate(platform.get("pvcMount", []))}
    mounts = [
        *folders.items(),
        ("tmp", "/tmp"),
        *((name, mount["mountPath"]) for name, mount in claims.items()),
    ]
    variables = [
        {
            "name": key["envVar"],
            "valueFrom": {"secretKeyRef": {"name": secret["secretName"], "key": key["secretKey"]}},
        }
        for secret in platform.get("secretAsEnv", [])
        for key in secret["keyToEnv"]
    ]
    user = random.choice(_USER_IDS)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "tfx-shrink-run"}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": user,
                "runAsGroup": user,
                "fsGroup": user,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "main",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sleep", _DAY],
                    "env": [{"name": "HOME", "value": "/tmp"}, *variables],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": key, "mountPath": path} for key, path in mounts],
                }
            ],
            "volumes": [
                *({"name": key, "emptyDir": {}} for key in (*folders, "tmp")),
                *(
                    {"name": name, "persistentVolumeClaim": {"claimName": mount["constant"]}}
                    for name, mount in claims.items()
                ),
            ],
        },
    }
