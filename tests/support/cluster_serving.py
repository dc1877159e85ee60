"""The serving manifests on a cluster, the model of TensorFlow Serving in the server's place.

Of the rendered manifests these things alone differ: images, the server's command and where its
code lies, how much CPU and memory is asked for (a test cluster is small), and, with `QUICK`, how
often servers and pullers look.
"""

import contextlib
import os
import subprocess
import sys
import time

import yaml

from support.cluster import IMAGE, kubectl, pod
from support.manifests import PROJECT, SERVING, TOOLS, render_own
from support.waiting import wait_for

SUPPORT = PROJECT / "tests/support"
CODE = "serving-model"
STABLE = "app.kubernetes.io/name=tfserving,track=stable"
CANARY = "app.kubernetes.io/name=tfserving,track=canary"
STATUS = "app.kubernetes.io/name=tfserving-status"
BUCKET = "s3://models/prod"
QUICK = {
    "--file_system_poll_wait_seconds=10": "--file_system_poll_wait_seconds=2",
    "--model_config_file_poll_wait_seconds=30": "--model_config_file_poll_wait_seconds=2",
}
KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_ALLOW_HTTP": "true",
}
_S3_PORT = 9000
# Of moto's packages, what S3 does not need.
_NOT_FOR_S3 = ("cfnlint", "docker", "mpmath", "networkx", "sympy", "__pycache__")


def code_files():
    """{key: path below /packages} of the ConfigMap that holds the tests' code."""
    files = {"support--__init__.py": "support/__init__.py"}
    for path in sorted((SUPPORT / "serving_model").glob("*.py")):
        files[f"serving_model--{path.name}"] = f"support/serving_model/{path.name}"
    files["constant_requests.py"] = "constant_requests.py"
    return files


def apply_code(namespace):
    """Makes the ConfigMap with the model of TensorFlow Serving and the client."""
    data = {}
    for key, path in code_files().items():
        source = PROJECT / "tests" / path if "/" in path else SUPPORT / path
        data[key] = source.read_text()
    namespace.apply(
        [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CODE}, "data": data}]
    )


def rendered(directory, namespace, overlay, settings, components=(), quick=True):
    """The documents of an overlay for a namespace, as a user's own folder renders them."""
    name, _, tag = IMAGE.rpartition(":")
    images = [
        {"name": image, "newName": name, "newTag": tag}
        for image in ("tfx-shrink", "tensorflow/serving")
    ]
    literals = [f"{key}={value}" for key, value in settings.items()]
    text = render_own(
        directory,
        overlay,
        ["model-name", *components],
        namespace=namespace.name,
        images=images,
        configMapGenerator=[
            {"name": "tfserving-settings", "behavior": "merge", "literals": literals}
        ],
    )
    documents = list(yaml.safe_load_all(text))
    for document in documents:
        if document["kind"] == "Deployment":
            _stand_in(document["spec"]["template"]["spec"], quick)
    return documents


def canary_on(directory, overlay):
    """A copy of the canary's overlay that stands on another than gcs, relative to SERVING."""
    text = (SERVING / "overlays/canary/kustomization.yaml").read_text()
    assert "- ../gcs\n" in text
    made = directory / "canary"
    made.mkdir()
    base = os.path.relpath(SERVING / "overlays" / overlay, os.path.realpath(made))
    (made / "kustomization.yaml").write_text(text.replace("- ../gcs\n", f"- {base}\n"))
    return os.path.relpath(os.path.realpath(made), SERVING)


def _stand_in(spec, quick):
    for container in [*spec.get("initContainers", ()), *spec["containers"]]:
        container["resources"]["requests"] = {"cpu": "20m", "memory": "128Mi"}
        if quick and container["command"] == ["tfx-shrink"] and "pull" in container["args"]:
            container["args"] += ["--poll-seconds", "2"]
            if "--settle-seconds" in container["args"]:
                container["args"][container["args"].index("--settle-seconds") + 1] = "6"
        if container["command"] == ["/usr/bin/tensorflow_model_server"]:
            container["command"] = ["python", "-m", "support.serving_model.command_line"]
            container["env"].append({"name": "PYTHONPATH", "value": "/packages"})
            container["volumeMounts"].append({"name": "code", "mountPath": "/packages"})
            if quick:
                container["args"] = [QUICK.get(text, text) for text in container["args"]]
            items = [{"key": key, "path": path} for key, path in code_files().items()]
            spec["volumes"].append({"name": "code", "configMap": {"name": CODE, "items": items}})


def start_client(namespace):
    """A pod from which requests are sent; returns its name."""
    files = {"constant_requests.py": "constant_requests.py"}
    namespace.apply(
        [pod("client", ["sleep", "infinity"], config_maps={"/packages": (CODE, files)})]
    )
    namespace.wait_for_ready("app=client")
    return "client"


@contextlib.contextmanager
def s3(namespace, secret_key="test"):
    """An S3 emulator (moto) in a pod; yields the environment of a client of this machine.

    Pods reach it as http://s3:9000; its Secret is `bucket-credentials`.
    """
    keys = {**KEYS, "AWS_SECRET_ACCESS_KEY": secret_key}
    (packages,) = (TOOLS / "moto/lib").glob("python3.*/site-packages")
    script = (
        "until [ -f /packages/complete ]; do sleep 0.2; done; "
        f"exec python -m moto.server --host 0.0.0.0 --port {_S3_PORT}"
    )
    made = pod(
        "s3",
        ["sh", "-c", script],
        volumes={"packages": {"emptyDir": {}}},
        mounts=[{"name": "packages", "mountPath": "/packages"}],
    )
    made["spec"]["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": _S3_PORT}}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s3"},
        "spec": {"selector": {"app": "s3"}, "ports": [{"port": _S3_PORT}]},
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "bucket-credentials"},
        "stringData": {**keys, "AWS_ENDPOINT_URL": f"http://s3:{_S3_PORT}"},
    }
    namespace.apply([made, service, secret])
    namespace.kubectl("wait", "pod/s3", "--for=jsonpath={.status.phase}=Running", "--timeout=120s")
    namespace.copy_in("s3", packages, "/packages", _NOT_FOR_S3)
    namespace.exec("s3", "touch", "/packages/complete")
    namespace.wait_for_ready("app=s3")
    make = (
        "import boto3; boto3.client('s3', endpoint_url='http://127.0.0.1:9000', "
        "aws_access_key_id='test', aws_secret_access_key='test', region_name='us-east-1')"
        ".create_bucket(Bucket='models')"
    )
    namespace.exec("s3", "python", "-c", make)
    with namespace.forward("service/s3", _S3_PORT) as port:
        yield {**os.environ, **keys, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}


def tfx_shrink(*arguments, env=None):
    """Runs the command line of this environment; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "tfx_shrink.cli", *map(str, arguments)],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"tfx-shrink {arguments}: {done.stderr}"
    return done.stdout


def push(model, env, *options):
    """Publishes a model in the bucket."""
    tfx_shrink(
        *("push", model, BUCKET, "--model-name", "digits", "--mode", "pinned"),
        *("--settle-seconds", "0", *options),
        env=env,
    )
    return time.time()


@contextlib.contextmanager
def host_volume(namespace):
    """A volume on the cluster's one node for the claim `tfserving-models`.

    A pod that may do so makes the directory, and removes its content afterwards.
    """
    path = f"/var/tmp/{namespace.name}"
    keeper = pod(
        "keeper",
        ["sleep", "infinity"],
        volumes={"host": {"hostPath": {"path": path, "type": "DirectoryOrCreate"}}},
        mounts=[{"name": "host", "mountPath": "/host"}],
    )
    keeper["metadata"]["namespace"] = "default"
    keeper["metadata"]["name"] = name = f"keeper-{namespace.name}"
    keeper["spec"]["securityContext"] = {"runAsUser": 0}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": namespace.name},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "capacity": {"storage": "5Gi"},
            "hostPath": {"path": path},
            "storageClassName": "",
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": namespace.name, "name": "tfserving-models"},
        },
    }
    kubectl("apply", "-f", "-", text=yaml.safe_dump_all([keeper, volume]))
    try:
        kubectl("-n", "default", "wait", f"pod/{name}", "--for=condition=Ready", "--timeout=120s")
        kubectl("-n", "default", "exec", name, "--", "chmod", "0777", "/host")
        yield
    finally:
        kubectl("-n", "default", "exec", name, "--", "sh", "-c", "rm -rf /host/*", check=False)
        kubectl("-n", "default", "delete", "pod", name, "--wait=false")
        kubectl("delete", "persistentvolume", namespace.name, "--wait=false")


def gone(namespace, names, seconds=180):
    """Waits until pods are gone, not only going."""

    def left():
        there = namespace.kubectl("get", "pods", "-o", "name").stdout.split()
        return {f"pod/{name}" for name in names} & set(there)

    wait_for(lambda: not left(), lambda: f"{left()} are gone", seconds)
