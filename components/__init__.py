"""TFX components that shrink a trained TensorFlow model, prove it and deliver it.

The public names are imported on first use, so that `import tfx_shrink` stays cheap.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tfx_shrink.version import __version__

if TYPE_CHECKING:
    from tfx_shrink.artifacts import CompressionReport
    from tfx_shrink.bucket_pusher.component import BucketPusher
    from tfx_shrink.distiller.component import Distiller
    from tfx_shrink.efficiency_validator.component import EfficiencyValidator
    from tfx_shrink.pruner.component import Pruner
    from tfx_shrink.quantizer.component import Quantizer

__all__ = [
    "BucketPusher",
    "CompressionReport",
    "Distiller",
    "EfficiencyValidator",
    "Pruner",
    "Quantizer",
    "__version__",
]

_HOMES = {
    "BucketPusher": "tfx_shrink.bucket_pusher.component",
    "CompressionReport": "tfx_shrink.artifacts",
    "Distiller": "tfx_shrink.distiller.component",
    "EfficiencyValidator": "tfx_shrink.efficiency_validator.component",
    "Pruner": "tfx_shrink.pruner.component",
    "Quantizer": "tfx_shrink.quantizer.component",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tfx_shrink' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
