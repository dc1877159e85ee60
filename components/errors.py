"""What can go wrong, by whose word it can be mended."""


class ShrinkError(ValueError):
    """Base of every error that tfx-shrink raises on purpose; its text says what to do."""


class ParameterError(ShrinkError):
    """A parameter is out of its range, or two of them contradict each other."""


class ModelError(ShrinkError):
    """A model cannot be handled: it is missing, of the wrong kind, or an operation blocks it."""


class ExamplesError(ShrinkError):
    """The rows are missing, empty, or lack what the model reads."""


class ConversionError(ModelError):
    """A converter failed, was killed or ran out of time."""


class ProofError(ModelError):
    """A converted model does not run, holds NaN, or is not what was asked for."""


class TrainingError(ShrinkError):
    """Training cannot start or did not succeed; nothing of it was kept."""


class UntrainableError(TrainingError):
    """A model, or its label, does not allow training at all."""


class PublishError(ShrinkError):
    """A model could not be written where it was asked for; no server can see any of it."""


class PullError(ShrinkError):
    """A version could not be fetched or is not awaited any longer; what is served stays."""


class DamagedError(PullError):
    """What lies in the bucket is not what was published there."""


class NotServedError(ShrinkError):
    """A server does not serve a version: it cannot load it, or has not done so in time."""


class RunError(ShrinkError):
    """A run could not be started, or a component or a user's function of it failed."""


class PrometheusError(ShrinkError):
    """Prometheus does not answer, or not with what was asked for."""
