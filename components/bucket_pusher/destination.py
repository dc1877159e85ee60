"""Where a model goes: the root of a bucket, and the model's name below it."""

import dataclasses
import os
import re

from tfx_shrink.errors import ParameterError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_FILE = "file://"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclasses.dataclass(frozen=True)
class Destination:
    """A checked destination.

    Attributes:
      url: The root as it was given, without needless slashes at its end.
      path: The root as an absolute local path.
      model_name: The model's name: versions are `<root>/<model_name>/<N>/`.
    """

    url: str
    path: str
    model_name: str

    def version_url(self, version: int) -> str:
        """Returns where a version lies, written as the root was given."""
        separator = "" if self.url.endswith("/") else "/"
        return f"{self.url}{separator}{self.model_name}/{version}"


def parse_destination(push_destination: str, model_name: str) -> Destination:
    """Checks a destination.

    Args:
      push_destination: A local path or a `file://` URL.
      model_name: What TensorFlow Serving calls the model: letters, digits, `.`, `_` and `-`.

    Returns:
      The destination, with the path made absolute.

    Raises:
      ParameterError: The URL's scheme is unknown, or the name is not one path segment.
    """
    scheme = _SCHEME.match(push_destination)
    if not push_destination or (scheme and scheme.group(0).lower() != _FILE):
        raise ParameterError(
            "`push_destination` must be a local path or a URL that begins with one of "
            f"[{_FILE!r}]. Received: push_destination={push_destination!r}."
        )
    path = push_destination[len(_FILE) :] if scheme else push_destination
    if scheme and not path.startswith("/"):
        raise ParameterError(
            "A file:// URL names an absolute path, with three slashes. "
            f"Received: push_destination={push_destination!r}."
        )
    if not _NAME.fullmatch(model_name):
        raise ParameterError(
            "`model_name` must be one path segment of letters, digits, '.', '_' and '-' that "
            f"begins with a letter or digit. Received: model_name={model_name!r}."
        )
    url = push_destination.removesuffix(path) + (path.rstrip("/") or "/")
    return Destination(url, os.path.abspath(path), model_name)
