"""The API server of the cluster that KUBECONFIG names takes every manifest, strictly."""

import contextlib
import functools

import pytest
import yaml
from support import cluster
from support.manifests import CRDS, PROJECT, SERVING, render_own
from support.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("a_cluster")]

OVERLAYS = sorted(path.name for path in (SERVING / "overlays").iterdir())
COMPONENTS = ("prometheus-operator", "plain-prometheus", "grafana-dashboard")


@pytest.fixture(scope="module")
def namespace():
    """A namespace, and the custom kinds that the cluster does not have already."""
    with contextlib.ExitStack() as stack:
        for path in sorted(CRDS.glob("*.yaml")):
            name = yaml.safe_load(path.read_text())["metadata"]["name"]
            if cluster.kubectl("get", "crd", name, check=False).returncode:
                cluster.kubectl("create", "--validate=strict", "-f", path)
                stack.callback(cluster.kubectl, "delete", "crd", name)
                wait_for(functools.partial(is_served, name), f"{name} is served", 60)
        yield stack.enter_context(cluster.Namespace("manifests"))


def is_served(name):
    return cluster.kubectl("get", name, check=False).returncode == 0


def dry_run(namespace, text):
    """How the API server answers documents that it does not keep."""
    return namespace.kubectl(
        *("apply", "--dry-run=server", "--validate=strict", "-f", "-"), text=text, check=False
    )


@pytest.mark.parametrize("name", OVERLAYS)
def test_overlay_with_every_component_is_taken(name, namespace, tmp_path):
    components = () if name == "kserve" else COMPONENTS
    text = render_own(tmp_path, f"overlays/{name}", components)
    done = dry_run(namespace, text)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert len(done.stdout.splitlines()) == len(list(yaml.safe_load_all(text)))


def test_flink_session_cluster_is_taken(namespace):
    done = dry_run(namespace, (PROJECT / "kubeflow/flink/session-cluster.yaml").read_text())
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("s3", "failureThreshold", "failureTreshold"),
        ("gcs", "podMetricsEndpoints", "podMetricEndpoints"),
        ("kserve", "canaryTrafficPercent", "canaryPercent"),
    ],
)
def test_a_wrong_field_is_refused(name, right, wrong, namespace, tmp_path):
    components = () if name == "kserve" else COMPONENTS
    text = render_own(tmp_path, f"overlays/{name}", components)
    assert right in text
    done = dry_run(namespace, text.replace(right, wrong))
    assert done.returncode != 0
    assert wrong in done.stderr
