"""A model's digest names its content, and its record keeps every step."""

import os
import shutil

import pytest

from tfx_shrink.errors import ModelError
from tfx_shrink.lineage import append, file_digests, model_state, read, require_order


def write(directory, **files):
    for name, content in files.items():
        path = os.path.join(directory, *name.split("__"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
    return str(directory)


def saved_model(directory):
    return write(directory, saved_model=b"graph", variables__data=b"\0" * 100)


def test_equal_content_has_an_equal_digest_wherever_it_lies(tmp_path):
    first, second = saved_model(tmp_path / "a"), saved_model(tmp_path / "deep" / "b")
    assert model_state(first) == model_state(second)
    assert model_state(first).bytes == 105


def test_every_byte_and_every_name_changes_the_digest(tmp_path):
    states = [
        model_state(write(tmp_path / str(number), **files))
        for number, files in enumerate(
            [
                {"a": b"1", "b": b"2"},
                {"a": b"2", "b": b"1"},
                {"a": b"1", "c": b"2"},
                {"a": b"1", "sub__b": b"2"},
                {"a": b"1", "b": b"3"},
                {"a": b"1"},
            ]
        )
    ]
    assert len({state.digest for state in states}) == len(states)


def test_records_change_neither_digest_nor_size(tmp_path):
    model = saved_model(tmp_path)
    before = model_state(model)
    write(model, **{"assets.extra__compression.json": b"{}", "assets.extra__deep__more": b"0"})
    assert model_state(model) == before
    assert len(file_digests(model)) == 4
    assert len(file_digests(model, skip_extra=True)) == 2


def test_only_the_outermost_assets_extra_is_left_out(tmp_path):
    model = write(tmp_path, a=b"1", **{"sub__assets.extra__weights": b"22"})
    assert model_state(model).bytes == 3


def test_tflite_file_under_two_names_counts_once(tmp_path):
    write(tmp_path, **{"tflite": b"x" * 50, "model.tflite": b"x" * 50})
    assert model_state(str(tmp_path)).bytes == 50
    os.remove(tmp_path / "tflite")
    assert model_state(str(tmp_path)).bytes == 50


def test_trainers_own_model_has_no_steps(tmp_path):
    assert read(saved_model(tmp_path)) == []


def test_steps_are_added_behind_the_earlier_ones(tmp_path):
    trained, pruned, quantized = (str(tmp_path / name) for name in ("trained", "pruned", "int8"))
    saved_model(trained)
    saved_model(pruned)
    write(quantized, tflite=b"small")
    first = append(trained, pruned, "prune", {"sparsity": 0.8}, {"rows": 3})
    second = append(pruned, quantized, "quantize", {"scheme": "int8"}, {})
    assert read(pruned) == [first]
    assert read(quantized) == [first, second]
    assert read(trained) == []


def test_step_tells_both_states_parameters_facts_and_versions(tmp_path):
    source, result = saved_model(tmp_path / "a"), write(tmp_path / "b", tflite=b"small")
    step = append(source, result, "quantize", {"scheme": "int8"}, {"calibration_rows": 7})
    assert step["technique"] == "quantize"
    assert step["parameters"] == {"scheme": "int8"}
    assert step["calibration_rows"] == 7
    for key, directory in (("source", source), ("result", result)):
        state = model_state(directory)
        assert step[key] == {"digest": state.digest, "bytes": state.bytes}
    assert {"tfx-shrink", "tensorflow", "tfx"} <= step["versions"].keys()


def test_record_travels_with_the_model(tmp_path):
    source, result = saved_model(tmp_path / "a"), write(tmp_path / "b", tflite=b"small")
    step = append(source, result, "quantize", {}, {})
    shutil.copytree(result, tmp_path / "bucket" / "1")
    shutil.rmtree(result)
    assert read(str(tmp_path / "bucket" / "1")) == [step]


def test_weights_quantized_after_a_strip_are_refused_too(tmp_path):
    trained, stripped, int8 = (
        saved_model(tmp_path / name) for name in ("trained", "stripped", "int8")
    )
    append(trained, stripped, "quantize", {"scheme": "strip"}, {})
    require_order(stripped, "prune")
    append(stripped, int8, "quantize", {"scheme": "weight_int8"}, {})
    with pytest.raises(ModelError, match="scheme='weight_int8'"):
        require_order(int8, "prune")


def test_a_quantized_teacher_may_be_asked_and_its_student_pruned(tmp_path):
    trained, int8, student, again = (
        saved_model(tmp_path / name) for name in ("trained", "int8", "student", "again")
    )
    append(trained, int8, "quantize", {"scheme": "weight_int8"}, {})
    require_order(int8, "distill")
    append(int8, student, "distill", {}, {})
    require_order(student, "prune")
    append(student, again, "quantize", {"scheme": "weight_int8"}, {})
    with pytest.raises(ModelError, match="needs float weights"):
        require_order(again, "prune")
