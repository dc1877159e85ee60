"""What a scheme's maker returns."""

import dataclasses
from typing import Any

from tfx_shrink.measure.difference import OutputDifference


@dataclasses.dataclass(frozen=True)
class Made:
    """A quantized model that ran on real rows beside its source.

    Attributes:
      difference: How far its outputs lie from the source's.
      facts: What to write into the compression record; JSON values.
    """

    difference: OutputDifference
    facts: dict[str, Any]
