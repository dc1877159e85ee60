"""Where a model goes: the root of a bucket, and the model's name below it."""

import dataclasses
import os
import re

from tfx_shrink.errors import ParameterError

SCHEMES = ("file://", "gs://", "s3://", "az://", "memory://")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_FILE = "file://"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# What S3, GCS and Azure all refuse is refused here, before a request can fail in their words.
_SHORTEST, _LONGEST = 3, 63


@dataclasses.dataclass(frozen=True)
class Destination:
    """A checked destination.

    Attributes:
      url: The root as it was given, without needless slashes at its end.
      path: The root: an absolute local path, or the keys' prefix inside the bucket.
      model_name: The model's name: versions are `<root>/<model_name>/<N>/`.
      scheme: `file://`, `gs://`, `s3://`, `az://` or `memory://`.
      bucket: The bucket's or container's name; empty for `file://`.
    """

    url: str
    path: str
    model_name: str
    scheme: str = _FILE
    bucket: str = ""

    def version_url(self, version: int) -> str:
        """Returns where a version lies, written as the root was given."""
        separator = "" if self.url.endswith("/") else "/"
        return f"{self.url}{separator}{self.model_name}/{version}"

    @property
    def read_by_serving(self) -> bool:
        """Whether TensorFlow Serving lists and reads it itself."""
        return self.scheme in (_FILE, "gs://")

    @property
    def served_path(self) -> str:
        """The directory that TensorFlow Serving is told to load versions from."""
        if self.scheme == _FILE:
            return os.path.join(self.path, self.model_name)
        return f"{self.url}/{self.model_name}"


def parse_destination(push_destination: str, model_name: str) -> Destination:
    """Checks a destination.

    Args:
      push_destination: A local path, or a URL: `file://`, `gs://bucket/prefix`, `s3://…`,
        `az://container/prefix` or `memory://…`.
      model_name: What TensorFlow Serving calls the model: letters, digits, `.`, `_` and `-`.

    Returns:
      The destination, with a local path made absolute.

    Raises:
      ParameterError: The URL's scheme is unknown, its bucket has no possible name, it holds a
        user or a query, or the name is not one path segment.
    """
    match = _SCHEME.match(push_destination)
    scheme = match.group(0).lower() if match else _FILE
    if not push_destination or scheme not in SCHEMES:
        raise ParameterError(
            "`push_destination` must be a local path or a URL that begins with one of "
            f"{list(SCHEMES)}. Received: push_destination={push_destination!r}."
        )
    if not _NAME.fullmatch(model_name):
        raise ParameterError(
            "`model_name` must be one path segment of letters, digits, '.', '_' and '-' that "
            f"begins with a letter or digit. Received: model_name={model_name!r}."
        )
    rest = push_destination[len(scheme) :] if match else push_destination
    if scheme != _FILE:
        return _in_bucket(scheme, rest, model_name)
    if match and not rest.startswith("/"):
        raise ParameterError(
            "A file:// URL names an absolute path, with three slashes. "
            f"Received: push_destination={push_destination!r}."
        )
    url = push_destination.removesuffix(rest) + (rest.rstrip("/") or "/")
    return Destination(url, os.path.abspath(rest), model_name)


def _in_bucket(scheme: str, rest: str, model_name: str) -> Destination:
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.rstrip("/")
    if set("@?#") & set(rest):
        # It may hold a key, so it is not repeated.
        raise ParameterError(
            f"`push_destination` must be {scheme}<bucket>/<prefix>, without a user, a query or a "
            "fragment: credentials come from the environment. Received something else."
        )
    if scheme != "memory://" and not _SHORTEST <= len(bucket) <= _LONGEST:
        word = "container" if scheme == "az://" else "bucket"
        raise ParameterError(
            f"A {word}'s name has {_SHORTEST} to {_LONGEST} characters. Received: "
            f"{bucket!r} in push_destination={scheme + rest!r}. Give the name of a {word} that "
            "exists."
        )
    if {"", ".", ".."} & set(prefix.split("/")) and prefix:
        raise ParameterError(
            "`push_destination` must not hold empty, '.' or '..' segments. "
            f"Received: push_destination={scheme + rest!r}."
        )
    url = f"{scheme}{bucket}/{prefix}".rstrip("/")
    return Destination(url, prefix, model_name, scheme, bucket)
