"""Prunes a SavedModel and proves that the zeros are there."""

import dataclasses
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import apache_beam as beam

from tfx_shrink import lineage
from tfx_shrink.delivery import deliver, require_new
from tfx_shrink.errors import ProofError
from tfx_shrink.examples.features import transform_graph_in
from tfx_shrink.examples.sample import sample_rows
from tfx_shrink.measure.difference import OutputDifference
from tfx_shrink.measure.size import model_size, stripped_size
from tfx_shrink.proof.signatures import prove_signatures
from tfx_shrink.proof.source import Source
from tfx_shrink.pruner.channels import prune_channels
from tfx_shrink.pruner.job import Job
from tfx_shrink.pruner.patterns import CHANNEL
from tfx_shrink.pruner.settings import Settings
from tfx_shrink.pruner.weights import prune_weights
from tfx_shrink.saved_model.functions import load
from tfx_shrink.training.assignable import open_assignable
from tfx_shrink.training.checkpoints import forget, work_key
from tfx_shrink.training.user_code import code_digest

# What user code may define; `prune` says what each does.
USER_FUNCTIONS = ("input_fn", "compile_fn", "signatures_fn")
# Rows on which the result answers beside its source.
_PROOF_ROWS = 200


@dataclasses.dataclass(frozen=True)
class Pruned:
    """What `prune` made.

    Attributes:
      method: `"fine_tune"` or `"one_shot"`; with `"auto"`, the one that was taken.
      method_reason: Why.
      sparsity: Share of zeros in the pruned weights of the saved result; with `"channel"`, share of
        channels that went.
      by_weight: The same for every pruned weight, or layer, by name.
      skipped: Why other weights were not pruned, by name.
      source: Digest and bytes of the source directory.
      result: Digest and bytes of the result directory.
      source_gzip: Bytes of the source, without what only training needs, after gzip.
      result_gzip: Bytes of the result after gzip.
      difference: How far the outputs moved on real rows.
    """

    method: str
    method_reason: str
    sparsity: float
    by_weight: dict[str, float]
    skipped: dict[str, str]
    source: lineage.ModelState
    result: lineage.ModelState
    source_gzip: int
    result_gzip: int
    difference: OutputDifference


def prune(
    model_dir: str,
    out_dir: str,
    *,
    examples: Sequence[str],
    transform_graph: str | None = None,
    schema: str | None = None,
    user_functions: Mapping[str, Callable[..., Any]] | None = None,
    work_dir: str | None = None,
    log_dir: str | None = None,
    make_pipeline: Callable[[], beam.Pipeline] = beam.Pipeline,
    temp_dir: str | None = None,
    **parameters: Any,
) -> Pruned:
    """Sets weights that inference does not need to zero, in training or at once.

    `out_dir` is written only after the zeros were counted in the saved result and every signature
    ran beside its source on real rows; on a local disk it appears whole, on others the file that
    makes it a model is written last. Signatures keep their names; a model that Keras loads can be
    loaded by Keras again. The result carries the compression record.

    Zeros save bytes where the model is compressed, in an archive or on the wire, and after
    `quantize`; no file shrinks by itself, but with `pattern="channel"`, where whole channels go.

    Example:
      ```python
      from tfx_shrink.pruner.prune import prune

      done = prune(
          "model",
          "model_pruned",
          examples=["Split-train/*"],
          target_sparsity=0.8,
          label_key="label",
      )
      print(done.sparsity, done.result_gzip / done.source_gzip)
      ```

    Args:
      model_dir: The SavedModel's directory, the one that holds `saved_model.pb`.
      out_dir: Directory to make. It must not exist or be empty.
      examples: Glob patterns of TFRecord files of tf.Examples, raw or transformed.
      transform_graph: Transform's output directory, for raw rows. Defaults to None.
      schema: The examples' schema, a text proto file, for features of open length or that may be
        missing. Defaults to None.
      user_functions: What the defaults cannot know, by name. `input_fn(files, tf_transform_output,
        batch_size)` returns one pass of `(features by name, label)` batches; `compile_fn(model)`
        compiles the network; `signatures_fn(model, tf_transform_output)` returns the signatures of
        a model that lost channels. `tf_transform_output` is None without a transform graph.
        Defaults to none.
      work_dir: Where training keeps its last epoch, so that a killed run goes on from there. What
        this run kept is removed on success. Defaults to None: a killed run begins again.
      log_dir: TensorBoard's directory. Defaults to None.
      make_pipeline: Makes the Beam pipeline that draws the rows. Defaults to the direct runner.
      temp_dir: A directory that the pipeline's workers can write to. Defaults to a local one.
      **parameters: Attributes of `settings.Settings`, such as `target_sparsity`, `pattern` and
        `label_key`, each with its default there.

    Returns:
      Sparsity, sizes, and how far the outputs moved.

    Raises:
      ParameterError: A parameter is out of its range, a glob matches no layer, or `out_dir` is not
        empty or lies inside `model_dir`.
      PublishError: `out_dir` cannot be written.
      ModelError: There is no SavedModel, it was quantized, or it has nothing that can be pruned.
      ExamplesError: There are no rows, or they lack what the model reads, or the label.
      UntrainableError: It was to be trained and cannot be.
      TrainingError: The loss is not finite.
      ProofError: The result misses the sparsity, does not run, or holds NaN.
    """
    settings = Settings(**parameters)
    functions = dict(user_functions or {})
    settings.check(has_input_fn="input_fn" in functions)
    require_new(out_dir, outside=[model_dir])
    loaded = load(model_dir)
    lineage.require_order(model_dir, "prune")
    if transform_graph is not None:
        transform_graph_in(transform_graph)
    sample = sample_rows(
        examples, _PROOF_ROWS, settings.seed, make_pipeline=make_pipeline, temp_dir=temp_dir
    )
    source = Source(model_dir, loaded, sample, 0, transform_graph, schema)
    job = Job(
        opened=open_assignable(model_dir),
        source=source,
        settings=settings,
        examples=examples,
        functions=functions,
        checkpoint_dir=_checkpoint_dir(work_dir, source, examples, settings, functions),
        log_dir=log_dir,
    )
    made = (prune_channels if settings.pattern == CHANNEL else prune_weights)(job)
    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as work:
        result_dir = os.path.join(work, "model")
        made.save(result_dir)
        try:
            sparsity = made.prove(result_dir)
            proof = prove_signatures(source, result_dir, made.signatures)
        except ProofError:
            forget(job.checkpoint_dir)  # What was trained would fail again.
            raise
        source_size, result_size = stripped_size(model_dir), model_size(result_dir)
        step = lineage.append(
            model_dir,
            result_dir,
            "prune",
            dataclasses.asdict(settings),
            {
                "container": "saved_model",
                "sparsity": dataclasses.asdict(sparsity),
                "output_difference": dataclasses.asdict(proof.difference),
                "signatures_not_run": proof.not_run,
                "source_gzip_bytes": source_size.gzip,
                "result_gzip_bytes": result_size.gzip,
                **made.facts,
            },
        )
        deliver(result_dir, out_dir)
    forget(job.checkpoint_dir)
    return Pruned(
        method=made.facts["method"],
        method_reason=made.facts["method_reason"],
        sparsity=sparsity.overall,
        by_weight=sparsity.by_weight,
        skipped=made.facts["skipped"],
        source=lineage.ModelState(**step["source"]),
        result=lineage.ModelState(**step["result"]),
        source_gzip=source_size.gzip,
        result_gzip=result_size.gzip,
        difference=proof.difference,
    )


def _checkpoint_dir(
    work_dir: str | None,
    source: Source,
    examples: Sequence[str],
    settings: Settings,
    functions: Mapping[str, Callable[..., Any]],
) -> str | None:
    if work_dir is None:
        return None
    parameters = {**dataclasses.asdict(settings), "user_code": code_digest(functions)}
    key = work_key(
        source.model_dir,
        examples,
        parameters,
        transform_graph=source.transform_graph,
        schema=source.schema,
    )
    return os.path.join(work_dir, key)
