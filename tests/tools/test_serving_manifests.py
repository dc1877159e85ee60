"""The manifests under kubeflow/serving, as kubectl renders them."""

import re
import subprocess

import pytest
import yaml
from support.manifests import (
    SERVING,
    TOOLS,
    VALIDATE,
    custom_problems,
    custom_schemas,
    render,
    render_own,
)

from tfx_shrink.errors import ParameterError
from tfx_shrink.serving.config_text import parse_batching
from tfx_shrink.serving.exported import check_manifests

pytestmark = pytest.mark.tools
OVERLAYS = sorted(path.name for path in (SERVING / "overlays").iterdir())
COMPONENTS = ("prometheus-operator", "plain-prometheus", "grafana-dashboard")
# Kinds that Kubernetes has, in whatever form a version knows them.
CUSTOM_GROUPS = ("monitoring.coreos.com", "serving.kserve.io")
# In model_servers/main.cc of 2.16.
FLAGS = {
    "allow_version_labels_for_unavailable_models",
    "batching_parameters_file",
    "enable_batching",
    "enable_model_warmup",
    "file_system_poll_wait_seconds",
    "grpc_channel_arguments",
    "load_retry_interval_micros",
    "max_num_load_retries",
    "model_config_file",
    "model_config_file_poll_wait_seconds",
    "monitoring_config_file",
    "num_load_threads",
    "num_unload_threads",
    "port",
    "prefer_tflite_model",
    "rest_api_port",
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """{overlay: its documents}, each with every component that it can have."""
    found = {}
    for name in OVERLAYS:
        directory = tmp_path_factory.mktemp(name)
        components = () if name == "kserve" else COMPONENTS
        text = render_own(directory, f"overlays/{name}", components)
        found[name] = list(yaml.safe_load_all(text))
    return found


@pytest.fixture(scope="module")
def kubernetes_versions():
    """The oldest and the newest that kubernetes-validate knows."""
    code = "from kubernetes_validate.utils import all_versions; print(*all_versions())"
    python = TOOLS / "kubernetes-validate/bin/python"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    versions = done.stdout.split()
    return versions[0], versions[-1]


@pytest.fixture(scope="module")
def schemas():
    return custom_schemas()


def is_custom(document):
    return document["apiVersion"].partition("/")[0] in CUSTOM_GROUPS


def validate(documents, path, version):
    """kubernetes-validate's complaints, or nothing."""
    path.write_text(yaml.safe_dump_all(documents))
    command = [VALIDATE, "--strict", "--kubernetes-version", version, path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def workloads(documents):
    return [item for item in documents if item["kind"] == "Deployment"]


def pod_of(deployment):
    return deployment["spec"]["template"]["spec"]


def containers_of(deployment):
    pod = pod_of(deployment)
    return [*pod.get("initContainers", ()), *pod["containers"]]


def server_of(documents):
    """The container of TensorFlow Serving."""
    (found,) = (
        container
        for item in documents
        for container in (
            item["spec"]["predictor"]["containers"]
            if item["kind"] == "InferenceService"
            else containers_of(item)
            if item["kind"] == "Deployment"
            else ()
        )
        if container["command"] == ["/usr/bin/tensorflow_model_server"]
    )
    return found


@pytest.mark.parametrize("name", OVERLAYS)
def test_overlay_is_valid_for_the_oldest_and_the_newest_kubernetes(
    name, rendered, kubernetes_versions, tmp_path
):
    known = [item for item in rendered[name] if not is_custom(item)]
    assert known
    for version in kubernetes_versions:
        assert validate(known, tmp_path / "rendered.yaml", version) == "", version


def test_a_wrong_field_of_any_kind_is_found(rendered, kubernetes_versions, tmp_path):
    seen = set()
    for document in rendered["local"]:
        if is_custom(document) or document["kind"] in seen:
            continue
        seen.add(document["kind"])
        wrong = {**document, "wrongField": 1}
        for version in kubernetes_versions:
            assert "wrongField" in validate([wrong], tmp_path / "wrong.yaml", version), document
    assert {"Deployment", "Service", "HorizontalPodAutoscaler", "NetworkPolicy"} <= seen


def test_a_wrong_field_deep_inside_is_found(rendered, kubernetes_versions, tmp_path):
    (deployment,) = (
        item
        for item in rendered["s3"]
        if item["metadata"]["name"] == "tfserving" and item["kind"] == "Deployment"
    )
    text = yaml.safe_dump(deployment).replace("failureThreshold", "failureTreshold")
    (wrong,) = yaml.safe_load_all(text)
    for version in kubernetes_versions:
        assert "failureTreshold" in validate([wrong], tmp_path / "wrong.yaml", version)


@pytest.mark.parametrize("name", OVERLAYS)
def test_custom_kinds_follow_their_own_schemas(name, rendered, schemas):
    custom = [item for item in rendered[name] if is_custom(item)]
    kinds = {"InferenceService"} if name == "kserve" else {"PodMonitor", "PrometheusRule"}
    assert {item["kind"] for item in custom} == kinds
    for document in custom:
        assert custom_problems(document, schemas) == []


def test_a_wrong_field_of_a_custom_kind_is_found(rendered, schemas):
    wrong_fields = {
        "PodMonitor": ("relabelings", "relabeling"),
        "PrometheusRule": ("alert:", "alarm:"),
        "InferenceService": ("canaryTrafficPercent", "canaryPercent"),
    }
    for document in [*rendered["gcs"], *rendered["kserve"]]:
        if is_custom(document):
            right, wrong = wrong_fields.pop(document["kind"])
            text = yaml.safe_dump(document).replace(right, wrong)
            assert text != yaml.safe_dump(document)
            assert custom_problems(yaml.safe_load(text), schemas) != []
    assert wrong_fields == {}


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_image_has_a_fixed_tag(name, rendered):
    images = re.findall(r"image: (\S+)", yaml.safe_dump_all(rendered[name]))
    assert images
    for image in images:
        assert re.fullmatch(r"(tensorflow/serving:2\.16\.1(-gpu)?|tfx-shrink:\d+\.\d+\.\d+)", image)


@pytest.mark.parametrize("name", [name for name in OVERLAYS if name != "kserve"])
def test_nothing_runs_as_root_or_writes_to_its_image(name, rendered):
    for deployment in workloads(rendered[name]):
        pod = pod_of(deployment)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in containers_of(deployment):
            limits = container["securityContext"]
            assert limits["readOnlyRootFilesystem"] is True
            assert limits["allowPrivilegeEscalation"] is False
            assert limits["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_config_map_that_is_used_is_there(name, rendered):
    there = {item["metadata"]["name"] for item in rendered[name] if item["kind"] == "ConfigMap"}
    used = set()

    def look(value):
        if isinstance(value, dict):
            for key in ("configMap", "configMapRef", "configMapKeyRef"):
                if isinstance(value.get(key), dict):
                    used.add(value[key]["name"])
            value = list(value.values())
        if isinstance(value, list):
            for inner in value:
                look(inner)

    look(rendered[name])
    assert used
    assert used <= there


@pytest.mark.parametrize("name", [name for name in OVERLAYS if name != "kserve"])
def test_selectors_and_named_ports_meet_pods(name, rendered):
    documents = rendered[name]
    pods = [item["spec"]["template"] for item in workloads(documents)]

    def chosen(selector):
        labels = selector.get("matchLabels", selector)
        found = [pod for pod in pods if labels.items() <= pod["metadata"]["labels"].items()]
        assert found, selector
        return found

    def ports(pod):
        return {
            port["name"] for item in pod["spec"]["containers"] for port in item.get("ports", ())
        }

    for item in documents:
        spec = item.get("spec", {})
        if item["kind"] in ("PodDisruptionBudget", "Deployment"):
            assert len(chosen(spec["selector"])) == 1
        elif item["kind"] == "Service":
            (pod,) = chosen(spec["selector"])
            assert {port["targetPort"] for port in spec["ports"]} <= ports(pod)
        elif item["kind"] == "NetworkPolicy":
            assert len(chosen(spec["podSelector"])) == len(pods)
        elif item["kind"] == "PodMonitor":
            everywhere = set().union(*map(ports, chosen(spec["selector"])))
            asked = {endpoint["port"] for endpoint in spec["podMetricsEndpoints"]}
            # Only where a bucket is pulled there is a puller.
            assert asked - everywhere <= {"pull"}
        elif item["kind"] == "HorizontalPodAutoscaler":
            names = {found["metadata"]["name"] for found in workloads(documents)}
            assert spec["scaleTargetRef"]["name"] in names


@pytest.mark.parametrize("name", OVERLAYS)
def test_tensorflow_serving_knows_every_flag(name, rendered):
    arguments = server_of(rendered[name])["args"]
    given = {argument.removeprefix("--").partition("=")[0] for argument in arguments}
    assert given <= FLAGS


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_server_exports_metrics(name, rendered):
    assert len(check_manifests(yaml.safe_dump_all(rendered[name]))) == 1


@pytest.mark.parametrize("flag", ["rest_api_port", "monitoring_config_file"])
def test_manifests_that_would_export_nothing_are_refused(flag, rendered):
    documents = yaml.safe_load_all(yaml.safe_dump_all(rendered["s3"]))
    documents = list(documents)
    server = server_of(documents)
    server["args"] = [text for text in server["args"] if flag not in text]
    with pytest.raises(ParameterError, match=f"Deployment/tfserving: .*{flag}"):
        check_manifests(yaml.safe_dump_all(documents))


@pytest.mark.parametrize("name", [name for name in OVERLAYS if name != "kserve"])
def test_batching_is_configured_as_tensorflow_serving_reads_it(name, rendered):
    (text,) = (
        item["data"]["batching.config"]
        for item in rendered[name]
        if "batching.config" in item.get("data", {})
    )
    assert parse_batching(text).max_batch_size.value > 0


@pytest.mark.parametrize("name", [name for name in OVERLAYS if name != "kserve"])
def test_a_grpc_channel_is_asked_to_leave_before_its_pod_is_killed(name, rendered):
    """TensorFlow Serving ends no channel by itself, and one that is cut loses its requests."""
    (text,) = (
        text
        for text in server_of(rendered[name])["args"]
        if text.startswith("--grpc_channel_arguments=")
    )
    (age,) = re.findall(r"grpc\.max_connection_age_ms=(\d+)", text)
    for deployment in workloads(rendered[name]):
        if deployment["metadata"]["name"] in ("tfserving", "tfserving-canary"):
            # gRPC stretches an age by up to a tenth.
            assert int(age) * 1.1 < 1000 * pod_of(deployment)["terminationGracePeriodSeconds"]


def test_probes_ask_for_the_model_of_the_settings(tmp_path):
    settings = {
        "name": "tfserving-settings",
        "behavior": "merge",
        "literals": ["MODEL_NAME=taxi", "BUCKET=s3://bucket/x"],
    }
    text = render_own(tmp_path, "overlays/s3", ["model-name"], configMapGenerator=[settings])
    server = server_of(yaml.safe_load_all(text))
    for probe in ("startupProbe", "readinessProbe"):
        assert server[probe]["httpGet"]["path"] == "/v1/models/taxi/metadata"
    assert "digits" not in text.replace('name: "digits"', "").replace("/srv/models/digits", "")


def test_a_pod_of_the_canary_is_behind_no_other_service(rendered):
    services = [item for item in rendered["gcs"] if item["kind"] == "Service"]
    for deployment in workloads(rendered["canary"]):
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        for service in services:
            assert not service["spec"]["selector"].items() <= labels.items()
    names = {(item["kind"], item["metadata"]["name"]) for item in rendered["canary"]}
    ours = {
        (item["kind"], item["metadata"]["name"])
        for item in yaml.safe_load_all(render(SERVING / "overlays/gcs"))
    }
    rendered_alone = {
        (item["kind"], item["metadata"]["name"])
        for item in yaml.safe_load_all(render(SERVING / "overlays/canary"))
    }
    assert names >= rendered_alone
    assert not ours & rendered_alone


def test_a_version_of_kserve_is_a_revision(tmp_path):
    """Another models.config is another ConfigMap, so the InferenceService changes as well."""
    before = server_config_of_kserve(render(SERVING / "overlays/kserve"))
    config = (SERVING / "overlays/kserve/models.config").read_text()
    (tmp_path / "models.config").write_text(config.replace("versions: 1", "versions: 2"))
    change = {"name": "digits-serving", "behavior": "merge", "files": ["models.config"]}
    after = server_config_of_kserve(
        render_own(tmp_path, "overlays/kserve", configMapGenerator=[change], configurations=[])
    )
    assert before != after


def server_config_of_kserve(text):
    (service,) = (item for item in yaml.safe_load_all(text) if item["kind"] == "InferenceService")
    return service["spec"]["predictor"]["volumes"][0]["configMap"]["name"]
