"""The teacher's signatures, which its student is to serve."""

import tf_keras

from tfx_shrink.distiller.job import Job
from tfx_shrink.distiller.student import Student
from tfx_shrink.proof.source import reads_serialized
from tfx_shrink.training.served_alike import require_served_alike
from tfx_shrink.training.signatures import SignatureBuilder


def rebuilt_signatures(job: Job, student: Student) -> tuple[SignatureBuilder, dict[str, str]]:
    """Tries what builds the teacher's signatures, on student and teacher, before anything costs.

    Args:
      job: The teacher and its rows.
      student: Not yet trained.

    Returns:
      What builds them, and why signatures could not be compared, by name.

    Raises:
      ParameterError: One that is to be dropped does not exist.
      ModelError: One cannot be rebuilt, or would answer otherwise.
      UntrainableError: The teacher's function answers the rows otherwise than `serving_default`.
    """
    builder = SignatureBuilder(
        job.source,
        job.transform_output,
        job.settings.label_key,
        job.settings.drop_signatures,
        job.functions.get("signatures_fn"),
    )
    builder.build(student.network)
    if reads_serialized(job.function):
        reason = "the teacher has no function over features"
        unproven = dict.fromkeys(builder.names(), reason)
    else:
        unproven = builder.prove(_teacher_network(job))
    if job.settings.signature_name is None and job.given is None:
        # Signatures that are dropped were compared with nothing.
        require_served_alike(
            job.source, job.function, f"name what is meant: signature_name={job.function.name!r}"
        )
    return builder, unproven


def _teacher_network(job: Job) -> tf_keras.Model:
    """The teacher as a Keras network; its own, or its function in one layer."""
    if job.keras is not None:
        return tf_keras.Model(job.keras.network.inputs, job.keras.network.outputs)
    inputs = {
        name: tf_keras.Input(batch_shape=spec.shape, dtype=spec.dtype, name=name)
        for name, spec in job.function.inputs.items()
    }
    output = next(iter(job.function.outputs))
    ask = tf_keras.layers.Lambda(lambda features: job.function.call(features)[output])
    return tf_keras.Model(inputs, ask(inputs))
