"""Which versions of a model the bucket wants to be served."""

import dataclasses
import re

from tensorflow_serving.config.model_server_config_pb2 import ModelConfig, ModelServerConfig

from tfx_shrink.bucket_pusher.books import Books
from tfx_shrink.bucket_pusher.content import sentinel_of
from tfx_shrink.bucket_pusher.models_config import named_versions
from tfx_shrink.bucket_pusher.settings import STABLE

_RECORD = re.compile(r"(0|[1-9][0-9]*)\.json")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What shall be served of one model.

    Attributes:
      versions: Every version that a server shall find. In mode `latest` only the first of them;
        the others are lower ones, for a directory that is still empty.
      pinned: Its entry of models.config, where that names versions; else None.
    """

    versions: tuple[int, ...]
    pinned: ModelConfig | None = None

    @property
    def published(self) -> int | None:
        """The version that requests without a version or label shall reach."""
        if self.pinned is not None:
            return stable_version(self.pinned)
        return self.versions[0] if self.versions else None


def wanted_versions(books: Books, config: ModelServerConfig, keep: int) -> Wanted:
    """Looks up what shall be served: what models.config names, elsewhere the highest version.

    Args:
      books: The model's bookkeeping.
      config: The bucket's models.config.
      keep: How many of the highest versions are candidates where nothing names any.

    Raises:
      PublishError: The bucket cannot be read.
    """
    for entry in config.model_config_list.config:
        if entry.name == books.model_name and named_versions(entry):
            return Wanted(tuple(sorted(named_versions(entry))), entry)
    return Wanted(tuple(_complete(books)[:keep]))


def stable_version(entry: ModelConfig) -> int:
    """Returns what a pinned model's label `stable` names, else its highest version."""
    return entry.version_labels.get(STABLE) or max(named_versions(entry))


def _complete(books: Books) -> list[int]:
    """Every version that a publisher completed, the highest first.

    That is one with a commit record. Where a publisher died just before it wrote that, the claim
    says the same; only those above the others are worth a request.
    """
    commits = _numbers(books, "commits")
    late = [number for number in _numbers(books, "claims") if number > max(commits, default=-1)]
    sealed = [number for number in late if _is_whole(books, number)]
    return sorted([*commits, *sealed], reverse=True)


def _numbers(books: Books, area: str) -> list[int]:
    names = map(_RECORD.fullmatch, books.store.children(f"{books.area}{area}/"))
    return [int(name[1]) for name in names if name]


def _is_whole(books: Books, number: int) -> bool:
    claim = books.claim(number)
    if claim is None or claim.state != "sealed":
        return False
    sentinel = sentinel_of(claim.record.get("files", ()))
    return sentinel in books.store.children(books.version(number))
