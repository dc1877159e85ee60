"""What `tfx-shrink inspect` tells of a model."""

import pytest
from support import models

from tfx_shrink import inspection
from tfx_shrink.errors import ModelError
from tfx_shrink.inspection import format_inspection, inspect_model
from tfx_shrink.lineage import model_state
from tfx_shrink.saved_model.strip import strip

WEIGHTS = 4 * ((models.WIDTH + 1) * 128 + 129 * 64 + 65 * models.CLASSES)


@pytest.fixture
def no_trials(monkeypatch):
    """Trial conversions, three seconds each, that find nothing."""
    monkeypatch.setattr(inspection, "conversion_blockers", lambda *args, **kwargs: [])


@pytest.mark.usefixtures("no_trials")
def test_weights_and_optimizer_slots_are_told_apart(saved):
    found = inspect_model(saved("keras"))
    assert found.container == "SavedModel"
    assert found.bytes == model_state(saved("keras")).bytes
    assert found.weight_bytes == {"float32": WEIGHTS}
    # Adam keeps two numbers for each weight, the step and the learning rate.
    assert 2 * WEIGHTS <= found.training_bytes < 2 * WEIGHTS + 100
    assert found.steps == []


@pytest.mark.usefixtures("no_trials")
@pytest.mark.parametrize("kind", ["keras", "public", "keras3"])
def test_stripped_model_holds_nothing_for_training(saved, kind, tmp_path):
    strip(saved(kind), str(tmp_path))
    assert inspect_model(str(tmp_path)).training_bytes == 0


@pytest.fixture(scope="module")
def with_table(saved):
    return inspect_model(saved("with_table"))


def test_each_function_is_told_with_what_blocks_it(with_table):
    blockers = {function.name: function.blockers for function in with_table.functions}
    assert blockers == {
        "serving_default": ["LookupTableFindV2", "ParseExampleV2", "input examples: string"],
        "dense": [],
    }


def test_inputs_and_outputs_are_told_with_type_and_shape(with_table):
    dense = with_table.functions[1]
    assert dense.inputs == {"x": f"float32[?,{models.WIDTH}]"}
    assert dense.outputs == {"scores": f"float32[?,{models.CLASSES}]"}


def test_text_tells_the_same(with_table, saved):
    lines = format_inspection(with_table).splitlines()
    size = model_state(saved("with_table")).bytes
    assert lines[0] == f"{saved('with_table')}: SavedModel, {size:,} bytes"
    assert "  float32 weights: 240 bytes" in lines
    assert "  used in training only: 0 bytes" in lines
    serving, dense = lines.index("serving_default"), lines.index("dense")
    blocked = "  blocked by: LookupTableFindV2, ParseExampleV2, input examples: string"
    assert serving < lines.index(blocked) < dense < lines.index("  converts to TFLite")
    assert lines[dense + 1 : dense + 3] == [
        f"  in  x: float32[?,{models.WIDTH}]",
        f"  out scores: float32[?,{models.CLASSES}]",
    ]


def test_operation_that_only_a_trial_finds_is_told(saved):
    functions = {item.name: item for item in inspect_model(saved("category_encoding")).functions}
    assert functions["__call__"].blockers == ["DenseBincount"]


def test_tflite_directory_is_told_with_its_record(quantized):
    directory, done = quantized("int8")
    found = inspect_model(directory)
    assert (found.container, found.bytes) == ("TFLite", done.result.bytes)
    assert [function.name for function in found.functions] == ["serving_default"]
    assert found.functions[0].inputs == {"x": f"float32[?,{models.WIDTH}]"}
    assert found.functions[0].blockers == []
    assert sorted(found.weight_bytes) == ["int32", "int8"]
    assert found.training_bytes == 0
    (step,) = found.steps
    assert step["parameters"]["scheme"] == "int8"

    text = format_inspection(found)
    assert text.startswith(f"{directory}: TFLite, {done.result.bytes:,} bytes\n")
    assert "made by: quantize" in text
    assert "used in training only" not in text
    assert "converts to TFLite" not in text


def test_directory_without_a_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="holds no SavedModel"):
        inspect_model(str(tmp_path))
