"""The Quantizer's parameters besides its scheme, checked as far as that goes without a model."""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tfx_shrink.errors import ParameterError
from tfx_shrink.measure.metrics import METRICS
from tfx_shrink.parameters import (
    require_above_0,
    require_at_least,
    require_counts,
    require_one_of,
)
from tfx_shrink.quantizer.schemes import AUTO, EDGE_RECIPE, SCHEMES, get_scheme

_DROP_TYPES = ("absolute", "relative")
_RECIPE_KEYS = ("regex", "operation", "algorithm_key")
DEFAULT_LADDER = ("int8", "dynamic_range", "float16", "float32")


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to quantize.

    Attributes:
      signature_name: The function to convert, or None for the first that converts.
      num_calibration_examples: How many rows set the ranges of activations.
      time_limit: Seconds that one conversion may take.
      max_output_difference: The largest difference of any output that is accepted, in the output's
        own unit, or None.
      encode_sparsity: Whether TFLite stores mostly-zero weights in its sparse format.
      allow_select_tf_ops: Whether operations without a TFLite counterpart stay TensorFlow's.
      engine_batch_sizes: Batch sizes that TensorRT engines are built for beforehand.
      edge_recipe: JSON, a list of ai-edge-quantizer's recipe entries, or None.
    """

    signature_name: str | None = None
    num_calibration_examples: int = 1000
    time_limit: float = 3600
    max_output_difference: float | None = None
    encode_sparsity: bool = False
    allow_select_tf_ops: bool = False
    engine_batch_sizes: Sequence[int] = (1,)
    edge_recipe: str | None = None

    def check(self, scheme: str) -> None:
        """Checks these parameters for a scheme.

        Raises:
          ParameterError: One is out of its range, or the scheme does not know it.
        """
        require_counts({"num_calibration_examples": self.num_calibration_examples})
        require_above_0({"time_limit": self.time_limit})
        require_at_least(0, {"max_output_difference": self.max_output_difference})
        if not self.engine_batch_sizes:
            raise ParameterError("`engine_batch_sizes` must name at least one. Received: [].")
        for size in self.engine_batch_sizes:
            require_counts({"engine_batch_sizes": size})
        if self.edge_recipe is not None:
            _require_recipe(self.edge_recipe)
        if scheme == AUTO:
            return
        if get_scheme(scheme).maker != "converter":
            for name in ("encode_sparsity", "allow_select_tf_ops"):
                if getattr(self, name):
                    raise ParameterError(
                        f"`{name}` belongs to TFLite's converter, and scheme={scheme!r} does not "
                        "use it. Leave it out."
                    )
            if self.signature_name is not None and get_scheme(scheme).maker in ("rewrite", "strip"):
                raise ParameterError(
                    f"scheme={scheme!r} keeps every signature. Leave `signature_name` out. "
                    f"Received: signature_name={self.signature_name!r}."
                )


@dataclasses.dataclass(frozen=True)
class Search:
    """What `scheme="auto"` looks for.

    Schemes are tried in the order of the ladder; the first whose metric lies at most `max_drop`
    below the source's is taken. The choice is made on rows of the examples that calibrate nothing,
    and reported on rows of `report_examples`, which no choice has seen.

    Attributes:
      label_key: The feature that holds the right answer.
      max_drop: By how much the metric may be worse than the source's.
      drop_type: `"absolute"`, or `"relative"`: a share of the source's metric.
      metric: `"accuracy"`, `"auc"` (binary) or `"mse"` (regression; lower is better).
      ladder: Schemes, smallest first, all of one container.
      output_name: The output that the metric looks at; None where the model has only one.
      num_examples: How many rows decide, and how many are reported on.
      max_trials: How many schemes may be tried.
      time_limit: Seconds after which no further scheme is tried.
    """

    label_key: str
    max_drop: float
    drop_type: str = "absolute"
    metric: str = "accuracy"
    ladder: Sequence[str] = DEFAULT_LADDER
    output_name: str | None = None
    num_examples: int = 1000
    max_trials: int = 8
    time_limit: float = 3600

    def __post_init__(self) -> None:
        """Checks the parameters.

        Raises:
          ParameterError: One is out of its range.
        """
        require_one_of("drop_type", self.drop_type, _DROP_TYPES)
        require_one_of("metric", self.metric, METRICS)
        if not self.label_key:
            raise ParameterError("`label_key` must name the feature that holds the label.")
        require_at_least(0, {"max_drop": self.max_drop})
        counts = ("num_examples", "max_trials")
        require_counts({name: getattr(self, name) for name in counts})
        require_above_0({"time_limit": self.time_limit})
        names = [] if isinstance(self.ladder, str) else self.ladder
        containers = {get_scheme(name).container for name in names}
        if len(containers) != 1:
            raise ParameterError(
                "`ladder` must be schemes of one container, all of "
                f"{[name for name in SCHEMES if SCHEMES[name].container == 'tflite']} or all of "
                f"{[name for name in SCHEMES if SCHEMES[name].container == 'saved_model']}. "
                f"Received: ladder={self.ladder!r}."
            )


def as_search(attributes: Mapping[str, Any] | None) -> Search | None:
    """Returns the search with these attributes, or None for None.

    Raises:
      ParameterError: One is unknown, out of its range, or missing.
    """
    if attributes is None:
        return None
    fields = [field.name for field in dataclasses.fields(Search)]
    unknown = sorted(set(attributes) - set(fields))
    missing = sorted({"label_key", "max_drop"} - set(attributes))
    if unknown or missing:
        raise ParameterError(
            f"`search` must hold `label_key`, `max_drop` and any of {fields[2:]}. Received: "
            f"search={dict(attributes)!r}."
        )
    return Search(**attributes)


def check_settings(scheme: str, settings: Settings, search: Search | None) -> None:
    """Checks that parameters are in their ranges and belong to the scheme.

    Args:
      scheme: A scheme's name, or `"auto"`.
      settings: The parameters.
      search: What `"auto"` looks for, or None.

    Raises:
      ParameterError: They do not.
    """
    for name in [scheme] if search is None else search.ladder:
        settings.check(name)
    if search is not None and scheme != AUTO:
        raise ParameterError(f"`search` belongs to scheme='auto'. Received: scheme={scheme!r}.")
    # Until a runtime parameter has its value, "auto" stands for it, without a search.
    if scheme != AUTO or search is not None:
        wanted = EDGE_RECIPE in ([scheme] if search is None else search.ladder)
        if wanted and settings.edge_recipe is None:
            raise ParameterError(
                f"scheme={EDGE_RECIPE!r} needs `edge_recipe`: JSON, a list of ai-edge-quantizer's "
                "recipe entries. Received: edge_recipe=None."
            )
        if settings.edge_recipe is not None and not wanted:
            raise ParameterError(
                f"`edge_recipe` belongs to scheme={EDGE_RECIPE!r}. Received: scheme={scheme!r}."
            )


def _require_recipe(recipe: str) -> None:
    try:
        entries = json.loads(recipe)
        for entry in entries:
            re.compile(entry["regex"])
        known = isinstance(entries, list) and all(
            isinstance(entry[name], str) for entry in entries for name in _RECIPE_KEYS
        )
    except (KeyError, TypeError, ValueError, re.error) as error:
        known, told = False, f" ({type(error).__name__}: {error})"
    else:
        told = ""
    if not known or not entries:
        raise ParameterError(
            "`edge_recipe` must be JSON: a list of at least one entry of an ai-edge-quantizer "
            f"recipe, each with {list(_RECIPE_KEYS)}{told}. Received: edge_recipe={recipe!r}."
        )
