"""The model of TensorFlow Serving follows the rules of the real one."""

import os
import shutil
import time

import grpc
import pytest
from support import answering
from support.server_questions import FAST, add, answered, channel, flags, get, states, wait_until
from support.serving_model import Flags, ModelServer, ServingError
from support.serving_model.source import version_number
from tensorflow_serving.apis import (
    model_management_pb2,
    model_service_pb2_grpc,
)

AVAILABLE = ("AVAILABLE", None)


@pytest.mark.parametrize(
    ("child", "number"),
    [
        ("7", 7),
        ("00007", 7),
        (" +7 ", 7),
        ("-3", -3),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("tmp-7", None),
        (".7", None),
        ("7.0", None),
        ("_tfx", None),
        ("", None),
        ("\N{ARABIC-INDIC DIGIT SEVEN}", None),
    ],
)
def test_a_version_is_what_simple_atoi_takes(child, number):
    assert version_number(child) == number


def test_the_highest_number_is_served_and_the_old_one_unloaded_after_it(numbers, base):
    with ModelServer(flags(base)) as server:
        assert answering.ask_rest(server) == 1
        add(numbers, base, 2)
        wait_until(lambda: states(server) == {1: "END", 2: "AVAILABLE"})
        assert answering.ask_rest(server) == 2
        shutil.rmtree(base / "2")
        wait_until(lambda: states(server) == {1: "AVAILABLE", 2: "END"})
        assert answering.ask_rest(server) == 1


def test_a_base_path_that_is_gone_changes_nothing_and_an_empty_one_unloads_everything(
    numbers, base
):
    with ModelServer(flags(base)) as server:
        os.rename(base, base.with_name("away"))
        wait_until(lambda: server.log)
        assert "Could not find base path" in str(server.log[-1])
        assert answering.ask_rest(server) == 1
        base.mkdir()
        wait_until(lambda: states(server) == {1: "END"})
        assert get(server, "/v1/models/digits/metadata")[0] == 404


def test_a_start_waits_for_a_base_path_and_fails_for_a_version_that_does_not_load(base, tmp_path):
    with pytest.raises(TimeoutError):
        ModelServer(flags(tmp_path / "missing"), timeout=0.2)
    (base / "2").mkdir()
    with pytest.raises(ServingError, match="did not become available"):
        ModelServer(flags(base, max_num_load_retries=0))


def test_a_version_that_failed_is_never_tried_again_and_a_higher_one_takes_over(numbers, base):
    with ModelServer(flags(base, max_num_load_retries=2, num_load_threads=1)) as server:
        (base / "2").mkdir()
        wait_until(lambda: states(server).get(2) == "END")
        _, error = server.core.manager.states("digits")[2]
        assert error.code == "NOT_FOUND"
        assert answering.ask_rest(server) == 1  # AvailabilityPreserving
        attempts = f'load_attempt_count{{model_path="{base}/2",status="fail"}} 3\n'
        assert attempts in server.metrics.page()
        shutil.copytree(numbers[2], base / "2", dirs_exist_ok=True)
        time.sleep(0.3)
        assert states(server) == {1: "AVAILABLE", 2: "END"}
        # Not even when it was away: 1 is still loaded, so that no request that names it is heard.
        os.rename(base / "2", base / "away")
        time.sleep(0.1)
        os.rename(base / "away", base / "2")
        time.sleep(0.3)
        assert states(server) == {1: "AVAILABLE", 2: "END"}
        add(numbers, base, 3)
        wait_until(lambda: states(server) == {1: "END", 2: "END", 3: "AVAILABLE"})


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_without_a_second_load_thread_one_broken_version_holds_up_every_model(
    threads, numbers, tmp_path
):
    for name in ("a", "b"):
        shutil.copytree(numbers[1], tmp_path / name / "1")
    config = tmp_path / "models.config"
    config.write_text(entries(tmp_path, a="", b=""))
    options = {**FAST, "load_retry_interval_micros": 300_000, "num_load_threads": threads}
    with ModelServer(Flags(model_config_file=str(config), **options)) as server:
        (tmp_path / "a" / "2").mkdir()
        wait_until(lambda: states(server, "a").get(2) == "LOADING")
        add(numbers, tmp_path / "b", 2)
        wait_until(lambda: states(server, "b").get(2) == "AVAILABLE")
        still_trying = states(server, "a")[2] == "LOADING"
        assert still_trying == (threads == 2)


def entries(root, **policies):
    configs = "\n".join(
        f'config {{ name: "{name}" base_path: "{root}/{name}" model_platform: "tensorflow" '
        f"{policy} }}"
        for name, policy in policies.items()
    )
    return f"model_config_list {{ {configs} }}"


def specific(*versions, **labels):
    named = " ".join(f"versions: {version}" for version in versions)
    points = " ".join(
        f'version_labels {{ key: "{label}" value: {version} }}' for label, version in labels.items()
    )
    return f"model_version_policy {{ specific {{ {named} }} }} {points}"


def rewrite(config, text):
    beside = config.with_name("new")
    beside.write_text(text)
    os.replace(beside, config)


def test_a_label_to_a_version_that_is_not_loaded_refuses_the_whole_file(numbers, base, tmp_path):
    add(numbers, base, 2)
    config = tmp_path / "models.config"
    config.write_text(entries(tmp_path, digits=specific(1)))
    with ModelServer(Flags(model_config_file=str(config), **FAST)) as server:
        rewrite(config, entries(tmp_path, digits=specific(1, stable=1)))
        wait_until(lambda: answered(server, "/labels/stable") == 1)
        rewrite(config, entries(tmp_path, digits=specific(1, 2, stable=2)))
        wait_until(lambda: server.log)
        time.sleep(0.3)
        assert "not currently available" in str(server.log[-1])
        assert states(server) == {1: "AVAILABLE"}  # 2 is not even loaded: it never ends by itself
        rewrite(config, entries(tmp_path, digits=specific(1, 2, stable=1)))
        wait_until(lambda: states(server).get(2) == "AVAILABLE")
        rewrite(config, entries(tmp_path, digits=specific(1, 2, stable=2)))
        wait_until(lambda: answered(server, "/labels/stable") == 2)


def test_a_start_with_labels_needs_the_flag_which_lets_no_label_move_too_early(
    numbers, base, tmp_path
):
    config = tmp_path / "models.config"
    config.write_text(entries(tmp_path, digits=specific(1, stable=1)))
    options = {"model_config_file": str(config), **FAST}
    with pytest.raises(ServingError, match="not currently available"):
        ModelServer(Flags(**options))
    options["allow_version_labels_for_unavailable_models"] = True
    with ModelServer(Flags(**options)) as server:
        assert answered(server, "/labels/stable") == 1
        assert answered(server, "/labels/canary") == 400
        add(numbers, base, 2)
        rewrite(config, entries(tmp_path, digits=specific(1, 2, stable=1, canary=2)))
        wait_until(lambda: answered(server, "/labels/canary") == 2)
        add(numbers, base, 3)
        rewrite(config, entries(tmp_path, digits=specific(1, 2, 3, stable=1, canary=3)))
        wait_until(lambda: server.log)
        assert answered(server, "/labels/canary") == 2


def test_a_reload_by_grpc_says_what_was_wrong_in_its_answer(base):
    with ModelServer(flags(base)) as server, channel(server) as connection:
        stub = model_service_pb2_grpc.ModelServiceStub(connection)
        request = model_management_pb2.ReloadConfigRequest()
        entry = request.config.model_config_list.config.add(
            name="digits", base_path=str(base), model_platform="tensorflow"
        )
        entry.version_labels["stable"] = 9
        status = stub.HandleReloadConfigRequest(request).status
        assert status.error_code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
        entry.version_labels["stable"] = 1
        assert stub.HandleReloadConfigRequest(request).status.error_code == 0
        assert answered(server, "/labels/stable") == 1
