"""A CompressionReport with everything in it."""

from support import models, rows
from tfx_shrink.efficiency_validator.settings import Thresholds
from tfx_shrink.efficiency_validator.validate import validate
from tfx_shrink.quantizer.quantize import quantize

CHARTS = (
    *("bytes", "quality", "latency-1", "latency-32", "layers", "sparsity"),
    *("difference", "slices"),
)


def write(root):
    """A stage between, slices, what an Evaluator found, a threshold that is missed."""
    source = models.save_keras(root / "float")
    features = models.features(300, seed=5)
    path = rows.write(
        root / "rows",
        {
            "x": features["x"],
            "label": features["x"][:, : models.CLASSES].argmax(1),
            "<b>group</b>": ["even" if number % 2 else "odd" for number in range(300)],
        },
    )
    for scheme in ("strip", "int8"):
        quantize(source, str(root / scheme), scheme=scheme, examples=[path])
    validate(
        str(root / "int8"),
        source,
        str(root / "report"),
        between={"stripped": str(root / "strip")},
        examples=[path],
        thresholds=Thresholds(min_size_ratio=2, max_bytes=10),
        evaluation=[
            {"slice": "", "metric": "accuracy", "model": 0.9, "baseline": 0.91},
            {"slice": "a=1", "metric": "accuracy", "model": 0.8, "baseline": None},
        ],
        label_key="label",
        slice_keys=("<b>group</b>",),
        rounds=5,
    )
    return root / "report"
