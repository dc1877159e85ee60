"""The overlay `s3` and its canary on a cluster, under constant requests.

The bucket is moto's, in a pod; the server is the model of TensorFlow Serving; everything else is
what the manifests say.
"""

import json
import time

import pytest
from support import answering, bucket, cluster, cluster_prometheus, cluster_serving
from support.cluster_serving import BUCKET, CANARY, STABLE, STATUS, push, tfx_shrink
from support.waiting import wait_for

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1800),
    pytest.mark.usefixtures("a_cluster"),
]

TARGETS = {
    "rest": "rest,tfserving:8501,stable",
    "grpc": "grpc,tfserving:8500,stable",
    "pods": "pods,tfserving-pods:8500,stable",
}
EVERYWHERE = {**TARGETS, "canary": "rest,tfserving-canary:8501,canary"}
LOAD_SECONDS = 120
# Until every node has heard that a killed pod is gone.
HEARD_SECONDS = 15


class Stage:
    """What the tests share."""

    def __init__(self, namespace, monitoring, client, environment, models, files):
        self.namespace, self.monitoring, self.client = namespace, monitoring, client
        self.environment, self.models, self.files = environment, models, files

    def asked(self, seconds, targets=TARGETS):
        return cluster.Asked(self.namespace, self.client, targets, seconds)

    def push(self, number, *options):
        push(self.models / str(number), self.environment, *options)

    def run(self, command, *options):
        tfx_shrink(command, BUCKET, "--model-name", "digits", *options, env=self.environment)


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    models = tmp_path_factory.mktemp("answering")
    for number in (1, 2, 3, 4):
        answering.save(models / str(number), number)
    with (
        cluster.Namespace("s3") as namespace,
        cluster.Namespace("monitoring") as monitoring,
        cluster_serving.s3(namespace) as environment,
    ):
        push(models / "1", environment)
        push(models / "2", environment, "--label", "canary")
        cluster_serving.apply_code(namespace)
        settings = {"BUCKET": BUCKET, "MODEL_NAME": "digits", "AWS_REGION": "us-east-1"}
        made = cluster_serving.rendered(
            tmp_path_factory.mktemp("stable"),
            namespace,
            "overlays/s3",
            settings,
            ["plain-prometheus"],
        )
        files = cluster_prometheus.scrape_configuration(made, namespace.name, monitoring.name)
        namespace.apply(made)
        directory = tmp_path_factory.mktemp("canary")
        overlay = cluster_serving.canary_on(directory, "s3")
        namespace.apply(cluster_serving.rendered(directory, namespace, overlay, settings))
        client = cluster_serving.start_client(namespace)
        namespace.wait_for_ready(STABLE, 2)
        namespace.wait_for_ready(CANARY, 1)
        yield Stage(namespace, monitoring, client, environment, models, files)


def figures(title, asked):
    """Prints what clients were answered."""
    print(f"\n{title}")
    for name, told in asked.told.items():
        count, failed = sum(told["answers"].values()), len(told["errors"])
        print(
            f"  {name:<7} {count:>6} answered {json.dumps(told['answers'])}, {failed} failed, "
            f"p50 {told['p50_ms']} ms, p99 {told['p99_ms']} ms"
        )


def test_pods_are_of_no_root_and_write_to_their_volumes_alone(stage):
    for name in stage.namespace.pods(STABLE):
        for container in ("tfserving", "pull"):
            assert stage.namespace.exec(name, "id", "-u", container=container).stdout == "65532\n"
            written = stage.namespace.exec(
                name, "sh", "-c", "touch /x", container=container, check=False
            )
            assert "Read-only file system" in written.stderr
        written = stage.namespace.exec(
            name, "touch", "/models/x", container="tfserving", check=False
        )
        assert "Read-only file system" in written.stderr


def test_releases_and_a_killed_pod_under_load(stage):
    """Publish, canary, promote, roll back; then a pod is killed: only its own requests may fail."""
    started = time.monotonic()
    with stage.asked(900, EVERYWHERE) as asked:
        asked.wait_for(rest=1, grpc=1, pods=1, canary=2)
        stage.push(3)
        asked.wait_for(rest=3, grpc=3, pods=3)
        stage.push(4, "--label", "canary")
        asked.wait_for(canary=4)
        stage.run("promote")
        asked.wait_for(rest=4, grpc=4, pods=4)
        stage.run("rollback", "--settle-seconds", "0")
        asked.wait_for(rest=3, grpc=3, pods=3)
        assert asked.errors() == []
        killed = stage.namespace.pods(STABLE)[0]
        at = time.time()
        stage.namespace.kubectl("delete", "pod", killed, "--grace-period=0", "--force")
        stage.namespace.wait_for_ready(STABLE, 2)
        time.sleep(max(HEARD_SECONDS, LOAD_SECONDS - (time.monotonic() - started)))
    lasted = time.monotonic() - started
    figures(f"{lasted:.0f} s through publish, canary, promote, roll-back and a pod kill:", asked)
    late = [error for error in asked.errors() if not at - 1 < error[0] < at + HEARD_SECONDS]
    assert late == []
    assert all(told["answers"] for told in asked.told.values())


def test_a_rolling_update_and_a_deleted_pod_fail_no_request(stage):
    with stage.asked(900) as asked:
        wait_for(lambda: all(asked.last(name) for name in TARGETS), lambda: f"{asked.told}")
        before = stage.namespace.pods(STABLE)
        stage.namespace.kubectl("rollout", "restart", "deployment/tfserving")
        stage.namespace.kubectl("rollout", "status", "deployment/tfserving", "--timeout=5m")
        cluster_serving.gone(stage.namespace, before)
        deleted = stage.namespace.wait_for_ready(STABLE, 2)[0]
        stage.namespace.kubectl("delete", "pod", deleted)
        stage.namespace.wait_for_ready(STABLE, 2)
    figures("A rolling update and a deleted pod, drained:", asked)
    assert asked.errors() == []


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_ready(stage, tmp_path):
    with stage.asked(300) as asked:
        wait_for(lambda: all(asked.last(name) for name in TARGETS), lambda: f"{asked.told}")
        served = {name: asked.last(name) for name in TARGETS}
        push(bucket.write_model(str(tmp_path / "broken")), stage.environment, "--label", "canary")
        time.sleep(20)
        assert {name: asked.last(name) for name in TARGETS} == served
    assert asked.errors() == []
    assert len(stage.namespace.ready(STABLE)) == 2


def test_prometheus_finds_every_pod_by_itself(stage):
    """With the scrape configuration and the rights of `plain-prometheus`."""
    if not cluster_prometheus.binary():
        pytest.skip("NOT RUN: PROMETHEUS names no Prometheus with Kubernetes discovery")
    namespace = stage.namespace
    stable, canary = namespace.pods(STABLE), namespace.pods(CANARY)
    wanted = {
        *(("tfserving", name, "stable") for name in stable),
        *(("tfserving", name, "canary") for name in canary),
        *(("tfserving-pull", name, "stable") for name in stable),
        *(("tfserving-pull", name, "canary") for name in canary),
        *(
            ("tfserving-status", name, "stable")
            for name in namespace.pods(STATUS + ",track=stable")
        ),
        *(
            ("tfserving-status", name, "canary")
            for name in namespace.pods(STATUS + ",track=canary")
        ),
    }
    with (
        cluster_prometheus.running(stage.monitoring, stage.files) as query,
        stage.asked(300) as asked,
    ):

        def found():
            return {
                (one["metric"]["job"], one["metric"]["pod"], one["metric"]["track"])
                for one in query(f'up{{namespace="{namespace.name}"}} == 1')
            }

        wait_for(lambda: found() == wanted, lambda: f"{wanted}, not {found()}")
        asked.wait_for(rest=3)
        wait_for(
            lambda: query("model:tfserving_requests:rate5m > 0"), "the rules say how many requests"
        )
