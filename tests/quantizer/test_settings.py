"""Parameters are refused before anything costs time."""

import pytest

from tfx_shrink.errors import ParameterError
from tfx_shrink.quantizer.settings import Search, Settings, check_settings


@pytest.mark.parametrize(
    ("scheme", "parameters", "message"),
    [
        ("int7", {}, r"`scheme` must be one of .*'auto'.*Received: scheme='int7'"),
        ("int8", {"num_calibration_examples": 0}, "must be at least 1"),
        ("int8", {"time_limit": -1}, "must be above 0"),
        ("int8", {"max_output_difference": -0.1}, "must be at least 0"),
        ("weight_int8", {"encode_sparsity": True}, "belongs to TFLite's converter"),
        ("strip", {"allow_select_tf_ops": True}, "belongs to TFLite's converter"),
        ("weight_int8", {"signature_name": "dense"}, "keeps every signature"),
        ("tensorrt_fp16", {"engine_batch_sizes": [1, 0]}, "must be at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(scheme, parameters, message):
    with pytest.raises(ParameterError, match=message):
        check_settings(scheme, Settings(**parameters), None)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"label_key": ""}, "`label_key` must name"),
        ({"max_drop": -0.1}, "`max_drop` must be at least 0"),
        ({"drop_type": "about"}, r"`drop_type` must be one of \['absolute', 'relative'\]"),
        ({"metric": "f1"}, r"`metric` must be one of \['accuracy', 'auc', 'mse'\]"),
        ({"ladder": ("int8", "weight_int8")}, "schemes of one container"),
        ({"ladder": ()}, "schemes of one container"),
        ({"ladder": ("int7",)}, "`scheme` must be one of"),
        ({"max_trials": 0}, "must be at least 1"),
    ],
)
def test_a_search_out_of_range_is_refused(parameters, message):
    with pytest.raises(ParameterError, match=message):
        Search(**{"label_key": "label", "max_drop": 0.01, **parameters})


def test_a_search_belongs_to_auto():
    with pytest.raises(ParameterError, match="belongs to scheme='auto'"):
        check_settings("int8", Settings(), Search("label", 0.01))
