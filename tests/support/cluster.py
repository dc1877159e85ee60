"""A namespace of the Kubernetes cluster that KUBECONFIG names, driven by kubectl."""

import contextlib
import functools
import io
import json
import os
import re
import subprocess
import tarfile
import threading
import uuid

import yaml

from support.manifests import KUBECTL
from support.waiting import wait_for

IMAGE = os.environ.get("IMAGE", "")
# What the Pod Security Standard `restricted` asks for, and a root that nobody can write to.
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


@functools.cache
def why_not():
    """Why no test can run on a cluster here, or nothing."""
    if not os.environ.get("KUBECONFIG"):
        return "KUBECONFIG names no cluster"
    if not IMAGE:
        return "IMAGE names no image"
    done = subprocess.run(
        [KUBECTL, "version", "--request-timeout=10s"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return f"the cluster does not answer: {done.stderr.strip().splitlines()[-1]}"
    return ""


def kubectl(*arguments, text=None, check=True, timeout=300):
    """Runs kubectl and returns what it says, and how it ended."""
    done = subprocess.run(
        [KUBECTL, *map(str, arguments)],
        input=text,
        capture_output=True,
        text=not isinstance(text, bytes),
        check=False,
        timeout=timeout,
    )
    if check:
        assert done.returncode == 0, f"kubectl {' '.join(map(str, arguments))}: {done.stderr}"
    return done


class Namespace:
    """A namespace of its own, gone when the context ends.

    Args:
      purpose: Part of its name.
      level: The Pod Security Standard that the API server enforces.
    """

    def __init__(self, purpose, level="restricted"):
        self.name = f"tfx-shrink-{purpose}-{uuid.uuid4().hex[:6]}"
        self._level = level

    def __enter__(self):
        kubectl("create", "namespace", self.name)
        label = f"pod-security.kubernetes.io/enforce={self._level}"
        kubectl("label", "namespace", self.name, label)
        return self

    def __exit__(self, *error):
        kubectl("delete", "namespace", self.name, "--wait=false")

    def kubectl(self, *arguments, **options):
        return kubectl("--namespace", self.name, *arguments, **options)

    def apply(self, documents):
        """Applies documents, or the text of some."""
        text = documents if isinstance(documents, str) else yaml.safe_dump_all(documents)
        return self.kubectl("apply", "-f", "-", text=text)

    def get(self, kind, name=None, selector=None):
        """An object, or the list of those that a selector chooses."""
        where = [name] if name else ["--selector", selector] if selector else []
        found = json.loads(self.kubectl("get", kind, *where, "-o", "json").stdout)
        return found if name else found["items"]

    def pods(self, selector):
        """The names of the pods that are not being deleted."""
        return [
            pod["metadata"]["name"]
            for pod in self.get("pods", selector=selector)
            if "deletionTimestamp" not in pod["metadata"]
        ]

    def ready(self, selector):
        """The names of the pods that are ready."""

        def is_ready(pod):
            conditions = pod["status"].get("conditions", ())
            return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

        return [
            pod["metadata"]["name"]
            for pod in self.get("pods", selector=selector)
            if is_ready(pod) and "deletionTimestamp" not in pod["metadata"]
        ]

    def wait_for_ready(self, selector, count=1, seconds=300):
        wait_for(
            lambda: len(self.ready(selector)) == count == len(self.pods(selector)),
            lambda: f"{count} pods of {selector} are ready\n{self.describe(selector)}",
            seconds,
        )
        return self.ready(selector)

    def describe(self, selector):
        """What a person would look at when pods do not come up."""
        pods = self.kubectl("get", "pods", "-o", "wide", check=False).stdout
        logs = self.kubectl(
            *("logs", "--selector", selector, "--all-containers", "--tail=20"), check=False
        )
        events = self.kubectl("get", "events", "--sort-by=.lastTimestamp", check=False).stdout
        return "\n".join([pods, logs.stdout, *events.splitlines()[-15:]])

    def exec(self, pod, *command, container=None, text=None, check=True, timeout=300):
        """Runs a command in a pod."""
        where = ["--container", container] if container else []
        return self.kubectl(
            *("exec", "-i", pod, *where, "--", *command), text=text, check=check, timeout=timeout
        )

    def copy_in(self, pod, source, target, leave_out=()):
        """Copies a directory's content to a directory of a pod."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", dereference=True) as tar:
            # Not the directory itself, which may be another user's.
            for child in sorted(set(os.listdir(source)) - set(leave_out)):
                tar.add(
                    os.path.join(source, child),
                    child,
                    filter=lambda item: (
                        None if set(item.name.split("/")) & set(leave_out) else item
                    ),
                )
        script = 'mkdir -p "$0" && tar --extract --no-same-owner --directory "$0"'
        self.exec(pod, "sh", "-c", script, target, text=packed.getvalue())

    @contextlib.contextmanager
    def forward(self, target, port):
        """A local port that leads to a port of a pod or Service."""
        process = subprocess.Popen(
            [KUBECTL, "--namespace", self.name, "port-forward", target, f":{port}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield int(re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())[1])
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


def pod(name, command, *, labels=None, config_maps=None, volumes=None, mounts=(), **spec):
    """A pod of our image that meets the Pod Security Standard `restricted`.

    Args:
      name: Its name.
      command: What it runs.
      labels: Its labels; `app` is its name.
      config_maps: {path: (name, {key: file})} of what lies where.
      volumes: More volumes, {name: source}.
      mounts: Their mounts.
      spec: More fields of its spec.
    """
    all_mounts = [{"name": "tmp", "mountPath": "/tmp"}, *mounts]
    all_volumes = [{"name": "tmp", "emptyDir": {}}]
    for number, (path, (config, files)) in enumerate((config_maps or {}).items()):
        all_mounts.append({"name": f"files-{number}", "mountPath": path})
        items = [{"key": key, "path": file} for key, file in files.items()]
        all_volumes.append(
            {"name": f"files-{number}", "configMap": {"name": config, "items": items}}
        )
    all_volumes += [{"name": key, **source} for key, source in (volumes or {}).items()]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name, **(labels or {})}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 54321,
                "fsGroup": 54321,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "main",
                    "image": IMAGE,
                    "imagePullPolicy": "IfNotPresent",
                    "command": command,
                    "env": [{"name": "PYTHONPATH", "value": "/packages"}],
                    "securityContext": RESTRICTED,
                    "volumeMounts": all_mounts,
                }
            ],
            "volumes": all_volumes,
            **spec,
        },
    }


class Asked:
    """What `constant_requests.py` says in a pod, as it runs."""

    def __init__(self, namespace, client, targets, seconds):
        command = ["python", "/packages/constant_requests.py", str(seconds)]
        command += [f"{name}={what}" for name, what in targets.items()]
        self._process = subprocess.Popen(
            [KUBECTL, "--namespace", namespace.name, "exec", "-i", client, "--", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.told = {}
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._process.stdin.close()
        self._thread.join()
        self._process.wait()
        self._process.stdout.close()
        self._process.stderr.close()

    def last(self, name):
        """A target's last answer."""
        return self.told.get(name, {}).get("last")

    def wait_for(self, **answers):
        """Waits until every named target's last answer is this."""
        wait_for(
            lambda: all(self.last(name.replace("_", "-")) == of for name, of in answers.items()),
            lambda: f"answers {answers}, but: {self.told} {self._ended()}",
        )

    def errors(self):
        """[seconds since 1970, how long it took, target, text] of every request that failed."""
        return [
            [when, took, name, text]
            for name, told in self.told.items()
            for when, took, text in told["errors"]
        ]

    def _read(self):
        for line in self._process.stdout:
            self.told = json.loads(line)

    def _ended(self):
        return self._process.stderr.read() if self._process.poll() is not None else ""
