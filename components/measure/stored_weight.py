"""One tensor of numbers in a model's files."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class StoredWeight:
    """One tensor of numbers in a model's files.

    Attributes:
      name: The variable's or the tensor's name.
      dtype: The type that is stored, such as `"int8"`.
      bytes: Its bytes in the file, without the file's own overhead.
      elements: How many numbers it stands for.
      zeros: How many of them are zero.
      rank: How many dimensions it has.
    """

    name: str
    dtype: str
    bytes: int
    elements: int
    zeros: int
    rank: int

    @property
    def sparsity(self) -> float:
        """Share of zeros."""
        return self.zeros / self.elements if self.elements else 0.0
