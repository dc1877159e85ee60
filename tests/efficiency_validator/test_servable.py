"""What TensorFlow Serving would load is the model that was judged."""

import os
import shutil

import pytest
import tensorflow as tf
from support import models

from tfx_shrink.efficiency_validator.servable import serving_problems
from tfx_shrink.tflite.flatbuffer import read_model, write_model
from tfx_shrink.tflite.signature_defs import add_signature_defs


@pytest.fixture
def problems(trained):
    return lambda model_dir: serving_problems(model_dir, trained.float)


@pytest.fixture
def served(trained, tmp_path):
    shutil.copytree(trained.int8, tmp_path / "served")
    return tmp_path / "served"


def write(directory, content):
    for name in ("tflite", "model.tflite"):
        (directory / name).write_bytes(content)


def test_what_the_quantizer_writes_is_served(problems, trained):
    assert problems(trained.int8) == []
    assert problems(trained.quantized("weight_int8")) == []


def test_a_name_that_no_server_knows_is_a_problem(problems, served):
    os.remove(served / "model.tflite")
    (problem,) = problems(str(served))
    assert "The TFLite file is called tflite; TensorFlow Serving loads model.tflite only" in problem


def test_a_saved_model_beside_it_is_a_problem(problems, served, trained):
    shutil.copy(os.path.join(trained.float, "saved_model.pb"), served)
    (problem,) = problems(str(served))
    assert "--prefer_tflite_model" in problem


def test_two_files_that_differ_are_a_problem(problems, served, trained):
    shutil.copy(os.path.join(trained.quantized("float16"), "tflite"), served / "tflite")
    (problem,) = problems(str(served))
    assert problem == (
        "The files ['model.tflite', 'tflite'] differ; what was judged is not what is served. "
        "Keep one."
    )


def test_a_file_without_serving_metadata_is_a_problem(problems, served, trained):
    converter = tf.lite.TFLiteConverter.from_saved_model(trained.float)
    write(served, converter.convert())
    (problem,) = problems(str(served))
    assert "lists the signatures [], not 'serving_default'" in problem


def test_metadata_of_another_signature_is_a_problem(problems, served, trained):
    converter = tf.lite.TFLiteConverter.from_saved_model(trained.float)
    write(served, add_signature_defs(converter.convert(), ["other"]))
    (problem,) = problems(str(served))
    assert "lists the signatures ['other']" in problem


def test_operations_that_a_server_lacks_are_a_problem(problems, served, tmp_path):
    source = models.save_functions(
        tmp_path / "source",
        serving_default=(
            lambda x: {"y": tf.linalg.inv(x)},
            {"x": models.spec([None, 4, 4])},
        ),
    )
    converter = tf.lite.TFLiteConverter.from_saved_model(source)
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        tf.lite.OpsSet.SELECT_TF_OPS,
    ]
    write(served, add_signature_defs(converter.convert(), ["serving_default"]))
    (problem,) = problems(str(served))
    assert "TensorFlow's own operations ['MatrixInverse']" in problem


def test_a_damaged_file_is_a_problem(problems, served):
    write(served, b"TFL3 and no more")
    (problem,) = problems(str(served))
    assert problem.startswith("The TFLite file cannot be read")


def test_metadata_that_swaps_two_outputs_is_a_problem(problems, served, tmp_path):
    source = models.save_functions(
        tmp_path / "two",
        serving_default=(lambda x: {"a": x + 1, "b": x * 2}, {"x": models.spec()}),
    )
    content = add_signature_defs(
        tf.lite.TFLiteConverter.from_saved_model(source).convert(), ["serving_default"]
    )
    write(served, content)
    assert problems(str(served)) == []
    model = read_model(content)
    (own,) = model.signatureDefs
    one, other = own.outputs
    one.tensorIndex, other.tensorIndex = other.tensorIndex, one.tensorIndex
    write(served, write_model(model))
    (problem,) = problems(str(served))
    assert "of the metadata is not the file's own" in problem


def test_a_model_without_signatures_is_a_problem(problems, tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "none"))
    (problem,) = problems(str(tmp_path / "none"))
    assert "has no signature" in problem


def test_a_signature_that_was_lost_is_a_problem(problems, tmp_path):
    lost = models.save_functions(
        tmp_path / "lost", other=(lambda x: {"probabilities": x}, {"x": models.spec()})
    )
    (problem,) = problems(lost)
    assert "The baseline's signatures ['serving_default'] are missing" in problem


def test_an_empty_directory_is_a_problem(problems, tmp_path):
    (problem,) = problems(str(tmp_path))
    assert problem.startswith("There is neither saved_model.pb nor model.tflite in")
