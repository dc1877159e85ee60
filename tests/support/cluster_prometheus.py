"""Prometheus in a pod, finding the others by Kubernetes's own service discovery."""

import contextlib
import json
import mmap
import os
import shutil
import urllib.parse
import urllib.request

from support.cluster import pod

_PORT = 9090


def binary():
    """A Prometheus that knows Kubernetes, or None: Debian's package does not."""
    found = os.environ.get("PROMETHEUS") or shutil.which("prometheus")
    if not found:
        return None
    with open(found, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as code:
        return found if code.find(b"prometheus/discovery/kubernetes.") >= 0 else None


def scrape_configuration(documents, serving, monitoring):
    """Documents of `plain-prometheus` for two namespaces, and the files that it tells to use."""
    files = {}
    for document in documents:
        name = document["metadata"]["name"]
        if document["kind"] == "ConfigMap" and name == "tfserving-prometheus":
            given = "names: [serving]"
            assert given in document["data"]["prometheus.yml"]
            files = dict(document["data"])
            files["prometheus.yml"] = files["prometheus.yml"].replace(given, f"names: [{serving}]")
        elif document["kind"] == "RoleBinding":
            document["subjects"][0]["namespace"] = monitoring
        elif document["kind"] == "NetworkPolicy":
            for rule in document["spec"]["ingress"]:
                for peer in rule["from"]:
                    if "namespaceSelector" in peer:
                        labels = {"kubernetes.io/metadata.name": monitoring}
                        peer["namespaceSelector"]["matchLabels"] = labels
    return files


@contextlib.contextmanager
def running(namespace, files):
    """Starts Prometheus under the service account that may find pods; yields a query's function."""
    namespace.apply(
        [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "prometheus"}},
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "prometheus"},
                "data": files,
            },
        ]
    )
    script = (
        "until [ -x /program/prometheus ]; do sleep 0.2; done; "
        "exec /program/prometheus --config.file=/etc/prometheus/prometheus.yml "
        "--storage.tsdb.path=/tmp/data"
    )
    made = pod(
        "prometheus",
        ["sh", "-c", script],
        config_maps={"/etc/prometheus": ("prometheus", {name: name for name in files})},
        volumes={"program": {"emptyDir": {}}},
        mounts=[{"name": "program", "mountPath": "/program"}],
        serviceAccountName="prometheus",
    )
    made["spec"]["containers"][0]["readinessProbe"] = {
        "httpGet": {"path": "/-/ready", "port": _PORT}
    }
    namespace.apply([made])
    namespace.kubectl(
        *("wait", "pod/prometheus", "--for=jsonpath={.status.phase}=Running", "--timeout=120s")
    )
    with open(binary(), "rb") as file:
        script = "cat >/program/coming && chmod +x /program/coming"
        namespace.exec("prometheus", "sh", "-c", script, text=file.read())
    namespace.exec("prometheus", "mv", "/program/coming", "/program/prometheus")
    namespace.wait_for_ready("app=prometheus")
    with namespace.forward("pod/prometheus", _PORT) as port:

        def query(text):
            url = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': text})}"
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]["result"]

        yield query
