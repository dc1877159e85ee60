"""The precisions that the Quantizer knows.

| scheme          | weights           | activations | inputs, outputs | profits             |
|-----------------|-------------------|-------------|-----------------|---------------------|
| `float32`       | float32           | float32     | as the model's  | the TFLite baseline |
| `dynamic_range` | int8 (>= 1,024)   | float32 (1) | as the model's  | CPUs, small batches |
| `float16`       | float16           | float32 (2) | as the model's  | GPUs, download size |
| `int8`          | int8, per channel | int8        | as the model's  | CPUs, DSPs, TPUs    |

(1) quantized for each call, inside the kernels. (2) weights are widened when the file is loaded.
"""

import dataclasses

from tfx_shrink.errors import ParameterError


@dataclasses.dataclass(frozen=True)
class Scheme:
    """What to ask of TensorFlow's TFLite converter, and what the result must hold.

    Attributes:
      name: The scheme's name.
      optimize: Whether the converter may quantize.
      calibrated: Whether activations are quantized too, by ranges seen on calibration rows.
      weight_type: TFLite type in which large weights must be stored afterwards.
    """

    name: str
    optimize: bool
    calibrated: bool
    weight_type: str


SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme("float32", optimize=False, calibrated=False, weight_type="float32"),
        Scheme("dynamic_range", optimize=True, calibrated=False, weight_type="int8"),
        Scheme("float16", optimize=True, calibrated=False, weight_type="float16"),
        Scheme("int8", optimize=True, calibrated=True, weight_type="int8"),
    )
}


def get_scheme(name: str) -> Scheme:
    """Returns the scheme called `name`.

    Raises:
      ParameterError: There is no such scheme.
    """
    if name not in SCHEMES:
        raise ParameterError(f"`scheme` must be one of {list(SCHEMES)}. Received: scheme={name!r}.")
    return SCHEMES[name]


def check_parameters(scheme: str, num_calibration_examples: int, time_limit: float) -> None:
    """Checks the Quantizer's parameters, as far as that goes without a model.

    Raises:
      ParameterError: One of them is out of its range.
    """
    get_scheme(scheme)
    if num_calibration_examples < 1:
        raise ParameterError(
            "`num_calibration_examples` must be at least 1. "
            f"Received: num_calibration_examples={num_calibration_examples}."
        )
    if time_limit <= 0:
        raise ParameterError(
            f"`time_limit` must be a positive number of seconds. Received: time_limit={time_limit}."
        )
