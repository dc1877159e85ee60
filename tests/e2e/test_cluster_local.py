"""The overlay `local` on a cluster: what is ready, how it runs, and what a policy keeps out."""

import time
import urllib.request

import pytest
from support import answering, cluster, cluster_serving
from support.cluster_serving import STABLE, STATUS
from support.waiting import wait_for

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1200),
    pytest.mark.usefixtures("a_cluster"),
]

MODELS = "/models"
WRITER = "writer"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """{number: a model that answers it}."""
    root = tmp_path_factory.mktemp("answering")
    for number in (1, 2):
        answering.save(root / str(number), number)
    return root


@pytest.fixture(scope="module")
def local(tmp_path_factory, models):
    """The overlay, applied while its volume is empty, and a pod that pushes."""
    with cluster.Namespace("local") as namespace, cluster_serving.host_volume(namespace):
        cluster_serving.apply_code(namespace)
        namespace.apply(
            cluster_serving.rendered(
                tmp_path_factory.mktemp("rendered"),
                namespace,
                "overlays/local",
                {"BUCKET": "file:///srv/models", "MODEL_NAME": "digits"},
            )
        )
        claim = {"persistentVolumeClaim": {"claimName": "tfserving-models"}}
        namespace.apply(
            [
                cluster.pod(
                    WRITER,
                    ["sleep", "infinity"],
                    volumes={"served": claim, "models": {"emptyDir": {}}},
                    mounts=[
                        {"name": "served", "mountPath": "/srv/models"},
                        {"name": "models", "mountPath": MODELS},
                    ],
                )
            ]
        )
        cluster_serving.start_client(namespace)
        namespace.wait_for_ready(f"app={WRITER}")
        namespace.copy_in(WRITER, models, MODELS)
        yield namespace


def push(namespace, number):
    command = ("push", f"{MODELS}/{number}", "/srv/models", "--model-name", "digits")
    namespace.exec(WRITER, "tfx-shrink", *command)


def test_pods_are_ready_when_a_version_answers_and_not_before(local):
    """An empty volume: every server runs, and none is asked."""

    def running():
        found = local.get("pods", selector=STABLE)
        return [pod for pod in found if pod["status"]["phase"] == "Running"]

    # One, and the HorizontalPodAutoscaler makes it two.
    wait_for(lambda: len(running()) == 2, lambda: local.describe(STABLE))
    time.sleep(15)
    assert local.ready(STABLE) == []
    assert all(pod["status"]["containerStatuses"][0]["restartCount"] == 0 for pod in running())
    push(local, 1)
    local.wait_for_ready(STABLE, 2)
    with cluster.Asked(local, "client", {"rest": "rest,tfserving:8501,latest"}, 60) as asked:
        asked.wait_for(rest=1)


def test_a_version_is_swapped_without_a_failed_request(local):
    targets = {"rest": "rest,tfserving:8501,latest", "grpc": "grpc,tfserving:8500,latest"}
    with cluster.Asked(local, "client", targets, 120) as asked:
        asked.wait_for(rest=1, grpc=1)
        push(local, 2)
        asked.wait_for(rest=2, grpc=2)
    assert asked.errors() == []


def test_nothing_runs_as_root_or_writes_to_its_root(local):
    local.wait_for_ready(STATUS)
    for name in (*local.pods(STABLE), *local.pods(STATUS)):
        assert local.exec(name, "id", "-u").stdout.strip() == "65532"
        written = local.exec(name, "sh", "-c", "touch /opt/x /x /srv/models/x", check=False)
        assert written.returncode != 0
        assert written.stderr.count("Read-only file system") == 3
        status = dict(
            line.split(":\t")
            for line in local.exec(name, "cat", "/proc/1/status").stdout.splitlines()
        )
        assert int(status["CapEff"], 16) == 0
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"


def test_the_exporter_tells_what_every_pod_serves(local):
    with local.forward("deployment/tfserving-status", 8503) as port:

        def page():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                return answer.read().decode()

        def served():
            return [
                line
                for line in page().splitlines()
                if line.startswith("tfserving_model_version_state{")
                and 'state="AVAILABLE"' in line
                and 'version="2"' in line
            ]

        wait_for(lambda: len(served()) == 2, lambda: page())
        assert 'tfserving_published_version{model_name="digits"} 2.0' in page()


def test_another_namespace_does_not_reach_the_pods(local):
    """Where the cluster has a policy engine, which a policy that refuses everything shows."""
    local.apply(
        [
            cluster.pod("walled", ["python", "-m", "http.server", "8080", "-d", "/tmp"]),
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"name": "walled"},
                "spec": {
                    "podSelector": {"matchLabels": {"app": "walled"}},
                    "policyTypes": ["Ingress"],
                },
            },
        ]
    )
    local.wait_for_ready("app=walled")

    def address(name):
        return local.get("pod", name)["status"]["podIP"]

    def reaches(namespace, pod, host, port):
        code = f"import socket; socket.create_connection(({host!r}, {port}), 5)"
        return namespace.exec(pod, "python", "-c", code, check=False).returncode == 0

    if reaches(local, "client", address("walled"), 8080):
        pytest.skip("NOT RUN: the cluster has no policy engine")
    server = local.ready(STABLE)[0]
    assert reaches(local, "client", address(server), 8500)
    with cluster.Namespace("outside") as outside:
        outside.apply([cluster.pod("client", ["sleep", "infinity"])])
        outside.wait_for_ready("app=client")
        for port in (8500, 8501):
            assert not reaches(outside, "client", address(server), port)
