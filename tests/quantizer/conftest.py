import pytest


@pytest.fixture
def conversions(monkeypatch):
    """Puts a converter in place that always succeeds; the list of what it was asked for."""
    from support.tflite import file_of, linear

    from tfx_shrink.measure.difference import OutputDifference
    from tfx_shrink.quantizer import to_tflite
    from tfx_shrink.tflite.convert import Converted

    content = file_of(*linear(units=8))
    asked = []

    def convert(model_dir, function_name, options, *, calibration, proof, time_limit):
        asked.append({"name": function_name, "calibration": calibration, "proof": proof})
        asked[-1]["time_limit"] = time_limit
        return Converted(content, OutputDifference(0.0, 0.0, len(next(iter(proof.values())))))

    monkeypatch.setattr(to_tflite, "convert", convert)
    return asked
