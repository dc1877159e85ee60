"""Quantizes a SavedModel by any scheme and proves the result on real rows."""

import dataclasses
import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf

from tfx_shrink import lineage
from tfx_shrink.delivery import deliver, require_new
from tfx_shrink.errors import ParameterError, ProofError
from tfx_shrink.examples.features import transform_graph_in
from tfx_shrink.examples.files import list_files
from tfx_shrink.examples.sample import sample_rows
from tfx_shrink.measure.difference import OutputDifference
from tfx_shrink.model_files import EXTRA, RECORD
from tfx_shrink.proof.source import Source, make_source, rows_to_draw
from tfx_shrink.quantizer.edge import check_edge, check_recipe, make_edge
from tfx_shrink.quantizer.made import Made
from tfx_shrink.quantizer.schemes import AUTO, Scheme, get_scheme
from tfx_shrink.quantizer.search import search_scheme
from tfx_shrink.quantizer.settings import Search, Settings, check_settings
from tfx_shrink.quantizer.tensorrt import check_tensorrt, make_tensorrt
from tfx_shrink.quantizer.to_saved_model import make_rewritten, make_stripped
from tfx_shrink.quantizer.to_tflite import make_tflite
from tfx_shrink.saved_model.functions import load

_MAKERS: dict[str, Callable[[Source, Scheme, Settings, str], Made]] = {
    "converter": make_tflite,
    "edge": make_edge,
    "rewrite": make_rewritten,
    "strip": make_stripped,
    "tensorrt": make_tensorrt,
}


@dataclasses.dataclass(frozen=True)
class Quantized:
    """What `quantize` made.

    Attributes:
      scheme: The scheme; with `"auto"`, the one that was taken.
      source_signature: Which function of the source was converted; None where all signatures
        were kept.
      source: Digest and bytes of the source directory.
      result: Digest and bytes of the result directory.
      difference: How far the outputs moved on rows that were not used for calibration.
    """

    scheme: str
    source_signature: str | None
    source: lineage.ModelState
    result: lineage.ModelState
    difference: OutputDifference


def quantize(
    model_dir: str,
    out_dir: str,
    *,
    scheme: str,
    examples: Sequence[str],
    transform_graph: str | None = None,
    schema: str | None = None,
    seed: int = 0,
    search: Search | None = None,
    report_examples: Sequence[str] | None = None,
    make_pipeline: Callable[[], beam.Pipeline] = beam.Pipeline,
    temp_dir: str | None = None,
    **parameters: Any,
) -> Quantized:
    """Stores a SavedModel in fewer bits, after the result has run on real rows.

    `out_dir` is written only after the result has run, beside its source, on rows that were not
    used for calibration; on a local disk it appears whole, on others the file that makes it a model
    is written last. A TFLite scheme writes one file under two names, `tflite` for TFMA and
    `model.tflite` for TensorFlow Serving; a SavedModel scheme writes a SavedModel with all
    signatures. Both carry the compression record.

    Example:
      ```python
      from tfx_shrink.quantizer.quantize import quantize

      done = quantize("model", "model_int8", scheme="int8", examples=["Split-train/*"])
      print(done.result.bytes / done.source.bytes, done.difference.max)
      ```

    Args:
      model_dir: The SavedModel's directory, the one that holds `saved_model.pb`.
      out_dir: Directory to make. It must not exist or be empty.
      scheme: One of `schemes.SCHEMES`, or `"auto"`.
      examples: Glob patterns of TFRecord files of tf.Examples. Raw rows suit every model, with
        `transform_graph` where it reads transformed features; transformed rows suit only what
        reads those.
      transform_graph: Transform's output directory. Defaults to None.
      schema: The examples' schema, a text proto file, for features of open length or that may be
        missing. Defaults to None.
      seed: Chooses the rows. Defaults to 0.
      search: What `"auto"` looks for. Defaults to None; `"auto"` needs it.
      report_examples: Glob patterns of other rows, of another split, on which `"auto"` reports what
        it has chosen. Defaults to None; `"auto"` needs it.
      make_pipeline: Makes the Beam pipeline that draws the rows. Defaults to the direct runner.
      temp_dir: A directory that the pipeline's workers can write to. Defaults to a local one.
      **parameters: Attributes of `settings.Settings`, such as `num_calibration_examples`,
        `signature_name` and `max_output_difference`, each with its default there.

    Returns:
      Sizes, what was converted and how far its outputs moved.

    Raises:
      ParameterError: A parameter is out of its range, or `out_dir` is not empty or lies inside
        `model_dir`.
      PublishError: `out_dir` cannot be written.
      ModelError: There is no SavedModel, no function of it converts, the machine lacks what the
        scheme needs, or `"auto"` found nothing good enough.
      ExamplesError: There are no rows, or they lack what the model reads.
      ProofError: The result does not run, holds NaN, moved by more than `max_output_difference`, or
        is not what was asked for.
    """
    settings = Settings(**parameters)
    _check(scheme, settings, search, report_examples)
    require_new(out_dir, outside=[model_dir])
    loaded = load(model_dir)
    if transform_graph is not None:
        transform_graph_in(transform_graph)

    def draw(patterns: Sequence[str], num_rows: int) -> Any:
        return sample_rows(patterns, num_rows, seed, make_pipeline=make_pipeline, temp_dir=temp_dir)

    wanted = rows_to_draw(settings.num_calibration_examples)
    if search is not None:
        wanted = max(wanted, settings.num_calibration_examples + search.num_examples)
        _require_apart(examples, report_examples or [])
    source = make_source(
        model_dir,
        loaded,
        draw(examples, wanted),
        settings.num_calibration_examples,
        transform_graph=transform_graph,
        schema=schema,
    )

    def make(chosen: Scheme, directory: str) -> Made:
        made = _MAKERS[chosen.maker](source, chosen, settings, directory)
        _check_difference(made.difference, settings)
        return made

    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as work:
        if search is not None:
            report_rows = draw(report_examples or [], search.num_examples).rows
            found = search_scheme(source, search, report_rows, make, work)
            chosen, made, result_dir = found.scheme, found.made, found.model_dir
        else:
            chosen, result_dir = get_scheme(scheme), os.path.join(work, "model")
            os.makedirs(result_dir)
            made = make(chosen, result_dir)
        facts = {
            "container": chosen.container,
            "output_difference": dataclasses.asdict(made.difference),
            **made.facts,
        }
        asked = {"scheme": chosen.name, "seed": seed, **dataclasses.asdict(settings)}
        if chosen.container == "saved_model":
            _copy_extra(model_dir, result_dir)
        step = lineage.append(model_dir, result_dir, "quantize", asked, facts)
        deliver(result_dir, out_dir)
    return Quantized(
        scheme=chosen.name,
        source_signature=made.facts["source_signature"],
        source=lineage.ModelState(**step["source"]),
        result=lineage.ModelState(**step["result"]),
        difference=made.difference,
    )


def _check(
    scheme: str,
    settings: Settings,
    search: Search | None,
    report_examples: Sequence[str] | None,
) -> None:
    check_settings(scheme, settings, search)
    if scheme == AUTO and (search is None or not report_examples):
        raise ParameterError(
            "scheme='auto' needs a label (`label_key`), a limit (`max_drop`) and rows of another "
            f"split (`report_examples`). Received: search={search}, "
            f"report_examples={list(report_examples or [])}."
        )
    names = search.ladder if search is not None else [scheme]
    if any(get_scheme(name).maker == "tensorrt" for name in names):
        check_tensorrt()
    if any(get_scheme(name).maker == "edge" for name in names):
        check_edge()
        if settings.edge_recipe is not None:
            check_recipe(settings.edge_recipe)


def _check_difference(difference: OutputDifference, settings: Settings) -> None:
    limit = settings.max_output_difference
    if limit is not None and difference.max > limit:
        raise ProofError(
            f"The outputs moved by {difference.max:.4g} on {difference.rows} rows, more than "
            f"max_output_difference={limit:.4g}. Calibrate on more rows, or use a scheme with more "
            "bits."
        )


def _require_apart(examples: Sequence[str], report_examples: Sequence[str]) -> None:
    common = sorted(set(list_files(examples)) & set(list_files(report_examples)))
    if common:
        raise ParameterError(
            "`report_examples` must be rows that no decision has seen; these files are also among "
            f"`examples`: {common}."
        )


def _copy_extra(model_dir: str, result_dir: str) -> None:
    """Keeps what belongs to signatures that are kept, such as warm-up requests."""
    extra = os.path.join(model_dir, EXTRA)
    if not tf.io.gfile.isdir(extra):
        return
    for path in lineage.file_digests(extra):
        if path == os.path.basename(RECORD):
            continue
        target = os.path.join(result_dir, EXTRA, path)
        tf.io.gfile.makedirs(os.path.dirname(target))
        tf.io.gfile.copy(os.path.join(extra, path), target)
