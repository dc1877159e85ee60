"""TFX's base of artifact types."""

from tfx.types.artifact import Artifact

__all__ = ["Artifact"]
