"""Everything that is measured of one model."""

import dataclasses
import os
from typing import Any

from tfx_shrink import lineage
from tfx_shrink.efficiency_validator.opened import loadable_path
from tfx_shrink.errors import ModelError
from tfx_shrink.measure.difference import OutputDifference
from tfx_shrink.measure.loading import Loading, measure_loading
from tfx_shrink.measure.metrics import Quality
from tfx_shrink.measure.size import ModelSize, model_size, stripped_size
from tfx_shrink.measure.stored import overall_sparsity, stored_weights, tflite_path
from tfx_shrink.measure.stored_weight import StoredWeight
from tfx_shrink.measure.timing import Timing

BASELINE, MODEL = "baseline", "model"


@dataclasses.dataclass(frozen=True)
class Stage:
    """One model, as far as it could be measured.

    Attributes:
      name: What it is called: `"baseline"`, `"model"`, or a stage in between.
      container: `"SavedModel"` or `"TFLite"`.
      digest: Digest of its content, as in the compression record.
      size: Its bytes; of a SavedModel that is a baseline, without what only training needs.
      weights: What its files store, largest first.
      sparsity: Share of zeros in matrices, convolutions and tables.
      loading: What loading it costs; None where it could not be loaded.
      timings: Times by batch size.
      difference: From the baseline's outputs; None of the baseline.
      quality: The metric by slice, `""` for all rows.
    """

    name: str
    container: str
    digest: str
    size: ModelSize
    weights: list[StoredWeight]
    sparsity: float
    loading: Loading | None = None
    timings: dict[int, Timing] = dataclasses.field(default_factory=dict)
    difference: OutputDifference | None = None
    quality: dict[str, Quality] = dataclasses.field(default_factory=dict)

    def with_(self, **measured: Any) -> "Stage":
        """Returns the stage with more of it measured."""
        return dataclasses.replace(self, **measured)


def weigh(name: str, model_dir: str, *, strip: bool = False) -> Stage:
    """Measures what a model's files tell, without running it.

    Args:
      name: What to call it.
      model_dir: Its directory.
      strip: Whether what only training needs does not count. Defaults to False.

    Raises:
      ModelError: There is no model.
    """
    is_tflite = tflite_path(model_dir) is not None
    try:
        weights = stored_weights(model_dir)
        size = stripped_size(model_dir) if strip and not is_tflite else model_size(model_dir)
    except ModelError:
        raise
    except Exception as error:  # TensorFlow's loaders raise of many types.
        raise ModelError(f"{model_dir} cannot be read: {error}") from error
    return Stage(
        name=name,
        container="TFLite" if is_tflite else "SavedModel",
        digest=lineage.model_state(model_dir).digest,
        size=size,
        weights=weights,
        sparsity=overall_sparsity(weights),
    )


def load_alone(model_dir: str, work_dir: str, time_limit: float) -> Loading:
    """Loads a model in a process of its own.

    Raises:
      ModelError: It does not load, or ends the process.
    """
    os.makedirs(work_dir)
    return measure_loading(loadable_path(model_dir, work_dir), time_limit=time_limit)
