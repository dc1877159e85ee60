"""The precisions that the Quantizer knows.

TFLite: one function over dense features, for devices and for TensorFlow Serving's TFLite mode.

| scheme          | weights           | activations | inputs, outputs | profits, or what it costs  |
|-----------------|-------------------|-------------|-----------------|----------------------------|
| `float32`       | float32           | float32     | as the model's  | the TFLite baseline        |
| `dynamic_range` | int8 (>= 1,024)   | float32 (1) | as the model's  | CPUs, at small batches     |
| `float16`       | float16           | float32 (2) | as the model's  | GPUs, download size        |
| `int8`          | int8, per channel | int8        | as the model's  | CPUs, DSPs                 |
| `int8_io`       | int8, per channel | int8        | int8 (3)        | Edge TPU, microcontrollers |
| `int16x8`       | int8, per channel | int16       | as the model's  | DSPs; CPUs 2-20x slower    |
| `int4`          | int4 (4)          | float32 (1) | as the model's  | download; needs `[edge]`   |
| `edge_recipe`   | as the recipe     | the same    | as the recipe   | mixtures; needs `[edge]`   |

SavedModel: every signature, with its tables and assets, for TensorFlow Serving as it is. All but
TensorRT's save disk, transfer and loading, and compute in float32 as before.

| scheme            | weights           | activations | profits, and what it costs            |
|-------------------|-------------------|-------------|---------------------------------------|
| `strip`           | float32           | float32     | the honest baseline: no optimizer     |
| `weight_int8`     | int8, per channel | float32     | a quarter of the weights' bytes       |
| `weight_bfloat16` | bfloat16          | float32     | half of them; keeps float32's range   |
| `weight_float16`  | float16           | float32     | half of them; more digits             |
| `tensorrt_fp16`   | float16           | float16     | NVIDIA GPUs only; one signature       |
| `tensorrt_int8`   | int8              | int8        | NVIDIA GPUs only; one signature       |

`auto` tries a ladder of these, smallest first, and takes the first whose quality holds.

(1) quantized for each call, inside the kernels. (2) weights are widened when the file is loaded.
(3) int64 inputs, such as categories, stay int64. (4) fully connected layers; convolutions
are int8, since TensorFlow 2.16 computes 4-bit ones wrongly.
"""

import dataclasses

from tfx_shrink.errors import ParameterError


@dataclasses.dataclass(frozen=True)
class Scheme:
    """What a scheme makes.

    Attributes:
      name: The scheme's name.
      container: `"tflite"` or `"saved_model"`.
      maker: Which technique makes it: `"converter"`, `"edge"`, `"rewrite"`, `"strip"` or
        `"tensorrt"`.
      weights: Type in which large weights are stored, or `"recipe"`: a recipe says it.
      activations: Type in which it computes, or `"recipe"`.
      integer_io: Whether float inputs and outputs become integers too.
    """

    name: str
    container: str
    maker: str
    weights: str
    activations: str = "float32"
    integer_io: bool = False

    @property
    def calibrated(self) -> bool:
        """Whether ranges of activations are taken from rows; a recipe says it for itself."""
        return self.activations in ("int8", "int16")


AUTO = "auto"
EDGE_RECIPE = "edge_recipe"

SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme("float32", "tflite", "converter", "float32"),
        Scheme("dynamic_range", "tflite", "converter", "int8"),
        Scheme("float16", "tflite", "converter", "float16"),
        Scheme("int8", "tflite", "converter", "int8", "int8"),
        Scheme("int8_io", "tflite", "converter", "int8", "int8", integer_io=True),
        Scheme("int16x8", "tflite", "converter", "int8", "int16"),
        Scheme("int4", "tflite", "edge", "int4"),
        Scheme(EDGE_RECIPE, "tflite", "edge", "recipe", "recipe"),
        Scheme("strip", "saved_model", "strip", "float32"),
        Scheme("weight_int8", "saved_model", "rewrite", "int8"),
        Scheme("weight_bfloat16", "saved_model", "rewrite", "bfloat16"),
        Scheme("weight_float16", "saved_model", "rewrite", "float16"),
        Scheme("tensorrt_fp16", "saved_model", "tensorrt", "float16", "float16"),
        Scheme("tensorrt_int8", "saved_model", "tensorrt", "int8", "int8"),
    )
}


def get_scheme(name: str) -> Scheme:
    """Returns the scheme called `name`.

    Raises:
      ParameterError: There is no such scheme.
    """
    if name not in SCHEMES:
        raise ParameterError(
            f"`scheme` must be one of {[*SCHEMES, AUTO]}. Received: scheme={name!r}."
        )
    return SCHEMES[name]
