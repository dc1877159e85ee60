"""The standard pipeline: every stage a parameter."""

import pytest
import tensorflow_model_analysis as tfma
from tfx import v1 as tfx

from tfx_shrink.errors import ParameterError
from tfx_shrink.pipelines.compression import create_pipeline

TRAINER = {
    "run_fn": "somewhere.run_fn",
    "train_args": tfx.proto.TrainArgs(num_steps=1),
    "eval_args": tfx.proto.EvalArgs(num_steps=1),
}


def nodes(**stages):
    pipeline = create_pipeline(
        "p",
        "/nowhere",
        example_gen=tfx.components.CsvExampleGen(input_base="/nowhere"),
        trainer=TRAINER,
        **stages,
    )
    return {component.id: component for component in pipeline.components}


ALL = {
    "transform": {"preprocessing_fn": "somewhere.preprocessing_fn"},
    "quantizer": {"scheme": "int8"},
    "evaluator": {"eval_config": tfma.EvalConfig()},
    "efficiency_validator": {"min_size_ratio": 2.0},
    "pusher": {"push_destination": "file:///bucket", "model_name": "m"},
}
FLOAT = {**ALL, "quantizer": None, "efficiency_validator": None}


def test_all_stages_are_wired_in_order():
    found = nodes(**ALL)
    assert list(found) == [
        "CsvExampleGen",
        "StatisticsGen",
        "SchemaGen",
        "ExampleValidator",
        "Transform",
        "Trainer",
        "Quantizer",
        "Evaluator",
        "EfficiencyValidator",
        "BucketPusher",
    ]
    quantized = found["Quantizer"].outputs["model"]
    trained = found["Trainer"].outputs["model"]
    assert found["Evaluator"].inputs["model"] is quantized
    assert found["Evaluator"].inputs["baseline_model"] is trained
    assert found["BucketPusher"].inputs["model"] is quantized
    assert found["BucketPusher"].inputs["model_blessing"] is found["Evaluator"].outputs["blessing"]
    validator = found["EfficiencyValidator"]
    assert validator.inputs["model"] is quantized
    assert validator.inputs["baseline_model"] is trained
    assert validator.inputs["evaluation"] is found["Evaluator"].outputs["evaluation"]
    assert found["BucketPusher"].inputs["infra_blessing"] is validator.outputs["blessing"]


def test_the_validator_sees_the_stages_between_but_not_the_last_one_twice():
    student = {"module_path": "somewhere.student", "label_key": "label"}
    found = nodes(**ALL, distiller=student, pruner={"target_sparsity": 0.8, "label_key": "label"})
    inputs = found["EfficiencyValidator"].inputs
    assert inputs["distilled_model"] is found["Distiller"].outputs["model"]
    assert inputs["pruned_model"] is found["Pruner"].outputs["model"]
    found = nodes(**{**ALL, "quantizer": None}, distiller=student)
    assert "distilled_model" not in found["EfficiencyValidator"].inputs


def test_a_pruner_stands_before_the_quantizer_and_the_float_model_stays_the_baseline():
    found = nodes(**ALL, pruner={"target_sparsity": 0.8, "label_key": "label"})
    assert [name for name in found if name in ("Trainer", "Pruner", "Quantizer", "Evaluator")] == [
        "Trainer",
        "Pruner",
        "Quantizer",
        "Evaluator",
    ]
    pruned = found["Pruner"].outputs["model"]
    assert found["Pruner"].inputs["base_model"] is found["Trainer"].outputs["model"]
    assert found["Pruner"].inputs["examples"] is found["CsvExampleGen"].outputs["examples"]
    assert {"transform_graph", "schema"} <= found["Pruner"].inputs.keys()
    assert found["Quantizer"].inputs["base_model"] is pruned
    assert found["Evaluator"].inputs["baseline_model"] is found["Trainer"].outputs["model"]


def test_a_distiller_learns_from_the_trainer_and_the_next_technique_from_it():
    found = nodes(
        **ALL,
        distiller={"module_path": "somewhere.student", "label_key": "label"},
        pruner={"target_sparsity": 0.8, "label_key": "label"},
    )
    trained = found["Trainer"].outputs["model"]
    assert list(found).index("Distiller") < list(found).index("Pruner")
    assert found["Distiller"].inputs["teacher_model"] is trained
    assert {"examples", "transform_graph", "schema"} <= found["Distiller"].inputs.keys()
    assert found["Pruner"].inputs["base_model"] is found["Distiller"].outputs["model"]
    assert found["Evaluator"].inputs["baseline_model"] is trained


def test_pruning_alone_is_judged_against_the_float_model():
    found = nodes(**{**ALL, "quantizer": None}, pruner={"target_sparsity": 0.8})
    assert found["Evaluator"].inputs["model"] is found["Pruner"].outputs["model"]
    assert found["BucketPusher"].inputs["model"] is found["Pruner"].outputs["model"]


def test_stages_can_be_left_out():
    assert list(nodes(example_validator=None)) == [
        "CsvExampleGen",
        "StatisticsGen",
        "SchemaGen",
        "Trainer",
    ]


def test_without_compression_the_float_model_is_judged_and_pushed():
    found = nodes(**FLOAT)
    trained = found["Trainer"].outputs["model"]
    assert found["Evaluator"].inputs["model"] is trained
    assert "baseline_model" not in found["Evaluator"].inputs
    assert found["BucketPusher"].inputs["model"] is trained


def test_float_gate_without_compression_judges_once_and_blesses_the_push():
    found = nodes(**FLOAT, evaluate_float=True)
    assert "Evaluator" not in found
    blessing = found["FloatEvaluator"].outputs["blessing"]
    assert found["BucketPusher"].inputs["model_blessing"] is blessing


def test_bad_stages_are_refused_when_the_pipeline_is_made():
    with pytest.raises(ParameterError, match="`scheme` must be one of"):
        nodes(**{**ALL, "quantizer": {"scheme": "int7"}})
    with pytest.raises(ParameterError, match="`target_sparsity` must lie"):
        nodes(**ALL, pruner={"target_sparsity": 80})
    with pytest.raises(ParameterError, match="There is no student"):
        nodes(**ALL, distiller={"label_key": "label"})
    with pytest.raises(ParameterError, match="No threshold is given"):
        nodes(**{**ALL, "efficiency_validator": {}})
    with pytest.raises(ParameterError, match="Received: no distiller, pruner or quantizer"):
        nodes(**{**ALL, "quantizer": None})
    with pytest.raises(ValueError, match="`evaluate_float=True` needs"):
        nodes(evaluate_float=True)
