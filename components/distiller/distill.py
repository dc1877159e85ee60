"""Trains a small student together with its teacher, and proves that it can take its place."""

import dataclasses
import functools
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import tf_keras

from tfx_shrink import lineage
from tfx_shrink.delivery import deliver, require_new
from tfx_shrink.distiller.job import Job, answer_shape, make_job
from tfx_shrink.distiller.objective import loss_taken
from tfx_shrink.distiller.quality import compare
from tfx_shrink.distiller.settings import AUTO, Settings
from tfx_shrink.distiller.signatures import rebuilt_signatures
from tfx_shrink.distiller.student import (
    Student,
    build_student,
    described,
    narrow,
    require_layers,
    require_logits,
    save_student,
)
from tfx_shrink.distiller.teaching import STUDENT, Places, teach_all
from tfx_shrink.errors import ParameterError, ProofError
from tfx_shrink.examples.features import transform_graph_in
from tfx_shrink.examples.sample import sample_rows
from tfx_shrink.measure.difference import OutputDifference
from tfx_shrink.measure.size import model_size, stripped_size
from tfx_shrink.proof.signatures import prove_signatures
from tfx_shrink.proof.source import Source
from tfx_shrink.saved_model.functions import load
from tfx_shrink.training.checkpoints import forget, work_key
from tfx_shrink.training.user_code import code_digest

# What user code may define; `distill` says what each does.
USER_FUNCTIONS = ("student_fn", "input_fn", "signatures_fn")
_PROOF_ROWS = 200
_QUALITY_ROWS = 5_000


@dataclasses.dataclass(frozen=True)
class Distilled:
    """What `distill` made.

    Attributes:
      student_parameters: How many weights the student has.
      teacher_parameters: How many weights the teacher's functions read; of a quantized one, its
        large weights.
      quality: Teacher, student and control on rows with a label that nobody trained on; empty
        where there were none.
      source: Digest and bytes of the teacher's directory.
      result: Digest and bytes of the result directory.
      source_gzip: Bytes of the teacher, without what only training needs, after gzip.
      result_gzip: Bytes of the result after gzip.
      difference: How far the outputs moved on real rows.
      facts: What else the compression record says.
    """

    student_parameters: int
    teacher_parameters: int
    quality: dict[str, Any]
    source: lineage.ModelState
    result: lineage.ModelState
    source_gzip: int
    result_gzip: int
    difference: OutputDifference
    facts: dict[str, Any]


def distill(
    teacher_dir: str,
    out_dir: str,
    *,
    student: Callable[[], tf_keras.Model] | str,
    examples: Sequence[str],
    eval_examples: Sequence[str] | None = None,
    transform_graph: str | None = None,
    schema: str | None = None,
    user_functions: Mapping[str, Callable[..., Any]] | None = None,
    work_dir: str | None = None,
    log_dir: str | None = None,
    make_pipeline: Callable[[], beam.Pipeline] = beam.Pipeline,
    temp_dir: str | None = None,
    **parameters: Any,
) -> Distilled:
    """Trains a student to answer as its teacher does, and saves it in the teacher's place.

    The student has the teacher's signatures, with the same names of inputs and outputs, built anew
    from the transform graph; `out_dir` is written only after every one of them ran beside the
    teacher's on real rows. Keras loads the result, which carries the compression record. How good
    it is, its record says where `eval_examples` hold labels; judge it by an Evaluator.

    The teacher sees every row once: a Beam pass writes its answers beside the rows, and goes on
    where it was killed. So the cost of the teacher does not grow with the epochs.

    Example:
      ```python
      import tf_keras
      from tfx_shrink.distiller.distill import distill


      def student():
          image = tf_keras.Input((8, 8, 1), name="image")
          x = tf_keras.layers.Conv2D(16, 3, activation="relu")(image)
          return tf_keras.Model(image, tf_keras.layers.Dense(10)(tf_keras.layers.Flatten()(x)))


      done = distill(
          "teacher",
          "student",
          student=student,
          examples=["Split-train/*"],
          transform_graph="transform_graph",
          label_key="label",
      )
      print(done.teacher_parameters / done.student_parameters)
      ```

    Args:
      teacher_dir: The teacher's SavedModel directory, of any origin.
      out_dir: Directory to make. It must not exist or be empty.
      student: Builds an uncompiled Functional or Sequential tf_keras model whose inputs are named
        as (some of) the transformed features and whose output has the shape of the teacher's; or
        `"auto"`: the teacher with hidden layers of `width` times their channels.
      examples: Glob patterns of TFRecord files of tf.Examples, raw or transformed. Rows without a
        label are learned from by their soft targets.
      eval_examples: Rows that nobody trains on, for `patience`, `control` and the record's quality.
        Defaults to None.
      transform_graph: Transform's output directory, for raw rows and raw-Example signatures.
        Defaults to None.
      schema: The examples' schema, a text proto file, for features of open length or that may be
        missing. Defaults to None.
      user_functions: What the defaults cannot know, by name. `input_fn(files, tf_transform_output,
        batch_size)` returns one pass of `(features by name, label)` batches, which may differ from
        epoch to epoch and need `teacher_pass="in_step"`; `signatures_fn(model,
        tf_transform_output)` returns signatures that cannot be rebuilt. Defaults to none.
      work_dir: Where soft targets and the last epoch are kept, on a file system that every Beam
        worker reaches; what this run kept is removed on success. Defaults to None: a temporary
        local directory, and a killed run begins again.
      log_dir: TensorBoard's directory. Defaults to None.
      make_pipeline: Makes the Beam pipelines. Defaults to the direct runner.
      temp_dir: A directory that the pipeline's workers can write to. Defaults to a local one.
      **parameters: Attributes of `settings.Settings`, such as `temperature`, `alpha` and
        `label_key`, each with its default there.

    Returns:
      Parameters, sizes, quality, and how far the outputs moved.

    Raises:
      ParameterError: A parameter is out of its range, the student gives another shape than the
        teacher, a layer of a feature pair does not exist, or `out_dir` is not empty.
      PublishError: `out_dir` cannot be written.
      ModelError: There is no SavedModel, it cannot be asked, or a signature cannot be rebuilt.
      ExamplesError: There are no rows, or they lack what teacher or student read, or the label.
      UntrainableError: The teacher's function answers the rows otherwise than its
        `serving_default`, and `signature_name` does not ask for it.
      TrainingError: The loss is not finite.
      ProofError: The result does not run, or holds NaN.
    """
    settings = Settings(**parameters)
    functions = dict(user_functions or {})
    settings.check(
        auto=student == AUTO, has_input_fn="input_fn" in functions, evaluates=bool(eval_examples)
    )
    if isinstance(student, str) and student != AUTO:
        raise ParameterError(
            f"`student` must be a function or {AUTO!r}. Received: student={student!r}."
        )
    require_new(out_dir, outside=[teacher_dir])
    loaded = load(teacher_dir)
    if transform_graph is not None:
        transform_graph_in(transform_graph)
    draw = functools.partial(
        sample_rows, seed=settings.seed, make_pipeline=make_pipeline, temp_dir=temp_dir
    )
    source = Source(teacher_dir, loaded, draw(examples, _PROOF_ROWS), 0, transform_graph, schema)
    job = make_job(source, settings, examples, functions)

    def build() -> Student:
        make = functools.partial(narrow, job, settings.width or 1.0) if student == AUTO else student
        return build_student(make, job.kind, answer_shape(job), settings.seed)  # type: ignore[arg-type]

    first = build()
    require_layers(first, (settings.feature_pairs or {}).values())
    require_logits(first, job.kind, job.rows_for(first.inputs))
    builder, unproven = rebuilt_signatures(job, first)
    code: dict[str, Any] = functions if student == AUTO else {**functions, "student_fn": student}
    patterns = [*examples, *(eval_examples or [])]
    kept_in = _work_dirs(job, work_dir, code_digest(code) + described(first), patterns)
    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as work:
        places = Places(
            soft_targets=kept_in["soft_targets"] or os.path.join(work, "soft_targets"),
            checkpoints=kept_in["checkpoints"],
            logs=log_dir,
        )
        students, trained = teach_all(job, build, eval_examples, places, make_pipeline)
        quality = (
            compare(job, draw(eval_examples, _QUALITY_ROWS), students) if eval_examples else {}
        )
        result_dir = os.path.join(work, "model")
        save_student(job, students[STUDENT], builder, result_dir)
        try:
            proof = prove_signatures(job.source, result_dir, builder.names())
        except ProofError:
            forget(kept_in["checkpoints"])  # What was trained would fail again.
            raise
        sizes = {"source": stripped_size(teacher_dir), "result": model_size(result_dir)}
        parameters_of = {
            "student": students[STUDENT].network.count_params(),
            "teacher": job.teacher_parameters,
        }
        facts = {
            "container": "saved_model",
            "saved_as": "keras",
            "teacher_function": job.function.name,
            "output": dataclasses.asdict(job.kind),
            "loss_taken": loss_taken(job),
            "parameters_of": parameters_of,
            "student_is_larger": parameters_of["student"] > parameters_of["teacher"],
            "training": trained,
            "quality": quality,
            "dropped_signatures": list(settings.drop_signatures),
            "signatures_not_compared": unproven,
            "signatures_not_run": proof.not_run,
            "output_difference": dataclasses.asdict(proof.difference),
            "source_gzip_bytes": sizes["source"].gzip,
            "result_gzip_bytes": sizes["result"].gzip,
        }
        step = lineage.append(
            teacher_dir, result_dir, "distill", dataclasses.asdict(settings), facts
        )
        deliver(result_dir, out_dir)
    for directory in kept_in.values():
        forget(directory)
    return Distilled(
        student_parameters=parameters_of["student"],
        teacher_parameters=parameters_of["teacher"],
        quality=quality,
        source=lineage.ModelState(**step["source"]),
        result=lineage.ModelState(**step["result"]),
        source_gzip=sizes["source"].gzip,
        result_gzip=sizes["result"].gzip,
        difference=proof.difference,
        facts=facts,
    )


def _work_dirs(
    job: Job, work_dir: str | None, student: str, patterns: Sequence[str]
) -> dict[str, str | None]:
    """Names what must survive a crash by all that it depends on."""
    if work_dir is None:
        return {"soft_targets": None, "checkpoints": None}
    answers = {
        "examples": list(job.examples),  # Of all the patterns, those that are trained on.
        "function": job.teacher.function,
        "layers": job.teacher.layers,
        "kind": dataclasses.asdict(job.kind),
        "label_key": job.settings.label_key,
    }
    training = {
        **dataclasses.asdict(job.settings),
        "examples": list(job.examples),
        "student": student,
    }
    key = functools.partial(
        work_key,
        job.source.model_dir,
        patterns,
        transform_graph=job.source.transform_graph,
        schema=job.source.schema,
    )
    return {
        # Another student, or the same one trained otherwise, has the same answers to learn.
        "soft_targets": os.path.join(work_dir, key(answers)),
        "checkpoints": os.path.join(work_dir, key(training)),
    }
