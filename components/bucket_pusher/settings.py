"""The parameters of a push, checked before anything is written."""

from collections.abc import Mapping
from typing import Any

from tfx_shrink.bucket_pusher.destination import Destination
from tfx_shrink.bucket_pusher.numbering import check_versioning
from tfx_shrink.errors import ParameterError
from tfx_shrink.parameters import require_at_least, require_one_of

MODES = ("latest", "pinned")
STABLE, CANARY = "stable", "canary"
LABELS = (STABLE, CANARY)
TRANSPORTS = ("plain", "zstd")
# TensorFlow Serving reads no more (servables/tensorflow/saved_model_warmup_util.h).
MAX_WARMUP_REQUESTS = 1000


def check_mode(mode: str, label: str) -> None:
    """Checks the parameters `mode` and `label`.

    Raises:
      ParameterError: One of them is none of its words.
    """
    require_one_of("mode", mode, MODES)
    require_one_of("label", label, LABELS)


def check_transport(transport: str, destination: Destination | None = None) -> None:
    """Checks the parameter `transport`.

    Args:
      transport: The parameter.
      destination: Where to. Defaults to None: not known yet.

    Raises:
      ParameterError: It is none of its words, or TensorFlow Serving itself reads the destination.
    """
    require_one_of("transport", transport, TRANSPORTS)
    if transport != "plain" and destination is not None and destination.read_by_serving:
        raise ParameterError(
            f"transport={transport!r} is for stores that are served through `tfx-shrink pull`. "
            f"TensorFlow Serving reads {destination.scheme} itself and would find files that it "
            "cannot load. Leave `transport` out, or push to s3:// or az://."
        )


def check_keep(keep: int) -> None:
    """Checks how many versions are to stay.

    Raises:
      ParameterError: Fewer than one.
    """
    if isinstance(keep, bool) or not isinstance(keep, int) or keep < 1:
        raise ParameterError(
            "`retention` (`keep`) must be at least 1: a server without a version unloads the "
            f"model. Received: {keep!r}."
        )


def check_settings(settings: Mapping[str, Any]) -> None:
    """Checks BucketPusher's parameters; those that are missing or None have their defaults.

    Raises:
      ParameterError: One of them is out of its range.
    """
    if settings.get("versioning") is not None:
        check_versioning(settings["versioning"])
    check_mode(settings.get("mode") or "latest", settings.get("label") or STABLE)
    check_transport(settings.get("transport") or "plain")
    if settings.get("retention") is not None:
        check_keep(settings["retention"])
    require_at_least(0, {"settle_seconds": settings.get("settle_seconds")})
    requests = settings.get("num_warmup_requests")
    if requests is not None and not 1 <= requests <= MAX_WARMUP_REQUESTS:
        raise ParameterError(
            f"`num_warmup_requests` must be from 1 to {MAX_WARMUP_REQUESTS}. "
            f"Received: num_warmup_requests={requests}."
        )
