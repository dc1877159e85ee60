"""The schemes that Google's ai-edge-quantizer makes from a float32 TFLite file: the extra `[edge]`.

Its files are written for LiteRT, whose runtime is newer than TensorFlow's own: 2.16's has no kernel
for some of them, and computes others wrongly without a word (4-bit convolutions, blocks of
weights). A result is proven in both.
"""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfx_shrink.errors import ConversionError, ModelError, ParameterError, ProofError
from tfx_shrink.measure.difference import OutputDifference
from tfx_shrink.proof.source import Source
from tfx_shrink.quantizer.made import Made
from tfx_shrink.quantizer.schemes import EDGE_RECIPE, Scheme
from tfx_shrink.quantizer.settings import Settings
from tfx_shrink.quantizer.to_tflite import make_first
from tfx_shrink.saved_model.functions import ServedFunction
from tfx_shrink.tflite.contents import constant_bytes, layer_names
from tfx_shrink.tflite.convert import ConversionOptions, Converted, convert
from tfx_shrink.tflite.worker import CALIBRATION, PROOF, RESULT, run_worker, write_rows

_WORKER = "tfx_shrink.quantizer.edge_process"

# The file of the directory that parent and child share, besides those of `convert`.
FLOAT = "float.tflite"

_LISTED_NAMES = 20


def check_edge() -> None:
    """Checks that ai-edge-quantizer is installed.

    Raises:
      ModelError: It cannot be imported.
    """
    try:
        # The package reads numpy.typing without importing it, and numpy 1.26 does not either.
        import numpy.typing  # noqa: F401, I001
        import ai_edge_quantizer  # noqa: F401
    except ImportError as error:
        raise ModelError(
            f"The schemes int4 and edge_recipe need ai-edge-quantizer ({error}). "
            "Install it: pip install 'tfx-shrink[edge]'"
        ) from error


def check_recipe(recipe: str) -> None:
    """Checks that ai-edge-quantizer takes a recipe.

    Args:
      recipe: The parameter `edge_recipe`.

    Raises:
      ParameterError: It does not.
      ModelError: It is not installed.
    """
    _needs_calibration(json.loads(recipe))


def make_edge(source: Source, scheme: Scheme, settings: Settings, out_dir: str) -> Made:
    """Converts the first function that converts to float32 TFLite, and quantizes that file.

    Args:
      source: The model and its rows.
      scheme: `int4` or `edge_recipe`.
      settings: The Quantizer's parameters.
      out_dir: An existing directory.

    Returns:
      How far the outputs moved, and what to record.

    Raises:
      ModelError: ai-edge-quantizer is not installed or failed, or no function converts.
      ParameterError: ai-edge-quantizer does not take the recipe.
      ExamplesError: The rows lack what the functions read.
      ProofError: TensorFlow's TFLite runtime cannot run the result as LiteRT does, it holds NaN,
        or it lacks weights of a type that the scheme asks for.
    """
    check_edge()
    # A ladder of "auto" may hold both schemes.
    given = settings.edge_recipe if scheme.name == EDGE_RECIPE else None
    recipe = _int4_recipe() if given is None else json.loads(given)
    calibrated = _needs_calibration(recipe)

    def make(function: ServedFunction) -> Converted:
        proof = source.proof_rows(function)
        float_file = convert(
            source.model_dir,
            function.name,
            ConversionOptions(),
            calibration={},
            proof=proof,
            time_limit=settings.time_limit,
        )
        result = _quantize(
            float_file.content,
            recipe,
            source.model_dir,
            function.name,
            calibration=source.calibration_rows(function) if calibrated else {},
            proof=proof,
            time_limit=settings.time_limit,
        )
        _check_stored(scheme, recipe, result.content, float_file.content)
        return result

    return make_first(source, settings, out_dir, make, calibrated=calibrated)


def _int4_recipe() -> list[dict[str, Any]]:
    """The library's own `dynamic_wi4_afp32`, with 8 bits where TensorFlow 2.16 misreads 4."""
    from ai_edge_quantizer import recipe

    return [
        *recipe.dynamic_wi4c_afp32(operation_name="FULLY_CONNECTED"),
        *recipe.dynamic_wi8c_afp32(operation_name="CONV_2D"),
        *recipe.dynamic_wi8c_afp32(operation_name="DEPTHWISE_CONV_2D"),
    ]


def _needs_calibration(recipe: list[dict[str, Any]]) -> bool:
    check_edge()
    from ai_edge_quantizer.recipe_manager import RecipeManager

    manager = RecipeManager()
    try:
        manager.load_quantization_recipe(recipe)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ParameterError(
            "`edge_recipe` must be a recipe that ai-edge-quantizer takes. It says: "
            f"{type(error).__name__}: {error}. Received: edge_recipe={recipe!r}."
        ) from error
    return bool(manager.need_calibration())


def _quantize(
    content: bytes,
    recipe: Sequence[Mapping[str, Any]],
    model_dir: str,
    function_name: str,
    *,
    calibration: Mapping[str, np.ndarray],
    proof: Mapping[str, np.ndarray],
    time_limit: float,
) -> Converted:
    """Quantizes a float file in a child process, and runs the result beside the function there."""
    request = {"model_dir": model_dir, "function_name": function_name, "recipe": recipe}
    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as work:
        with open(os.path.join(work, FLOAT), "wb") as file:
            file.write(content)
        write_rows(work, CALIBRATION, calibration)
        write_rows(work, PROOF, proof)
        outcome = run_worker(
            _WORKER, work, request, time_limit=time_limit, called="ai-edge-quantizer"
        )
        if outcome.kind == "converted":
            with open(os.path.join(work, RESULT), "rb") as file:
                return Converted(file.read(), OutputDifference(**outcome.difference))
    if outcome.kind == "unproven":
        raise ProofError(outcome.message)
    raise ConversionError(outcome.message)


def _check_stored(
    scheme: Scheme, recipe: Sequence[Mapping[str, Any]], content: bytes, float_content: bytes
) -> None:
    stored = constant_bytes(content)
    wanted = _weight_types(recipe) if scheme.name == EDGE_RECIPE else [scheme.weights]
    missing = [name for name in wanted if not stored.get(name)]
    if not missing and stored != constant_bytes(float_content):
        return
    advice = "Only fully connected layers can have them. Use dynamic_range."
    if scheme.name == EDGE_RECIPE:
        names = layer_names(float_content)
        more = f" and {len(names) - _LISTED_NAMES} more" if len(names) > _LISTED_NAMES else ""
        advice = (
            "Leave out entries without effect, or correct `regex`, which is looked for in the "
            f"names of the layers' outputs: {names[:_LISTED_NAMES]}{more}."
        )
    raise ProofError(
        f"scheme={scheme.name!r} asks for {' and '.join(missing or ['other'])} weights, and "
        f"ai-edge-quantizer stored none: {stored}. {advice}"
    )


def _weight_types(recipe: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the types that the entries of a recipe ask for, as `constant_bytes` calls them."""
    configs = [(entry.get("op_config") or {}).get("weight_tensor_config") for entry in recipe]
    return sorted(
        {
            f"{config.get('dtype', 'INT').lower()}{config['num_bits']}"
            for entry, config in zip(recipe, configs, strict=True)
            if config and entry["algorithm_key"] != "no_quantize"
        }
    )
