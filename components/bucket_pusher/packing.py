"""Files as a store holds them that nobody but `tfx-shrink pull` reads: compressed by zstd."""

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

import zstandard

from tfx_shrink.bucket_pusher.content import Content, File, hash_file
from tfx_shrink.bucket_pusher.transfer import in_parallel
from tfx_shrink.errors import PublishError

# Higher levels find little more in weights, and take many times as long.
_LEVEL = 3
_PIECE = 1 << 20
# What a frame may ask of the memory of who restores it; level 3 asks for 2 MB.
_MAX_WINDOW = 8 << 20


@contextlib.contextmanager
def packed(content: Content, transport: str) -> Iterator[Content]:
    """Gives content as it is stored: itself, or compressed files in a temporary directory.

    Raises:
      PublishError: The temporary directory cannot be written.
    """
    if transport == "plain":
        yield content
        return
    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as directory:

        def pack(name: str) -> File:
            path = os.path.join(directory, *name.split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            compressor = zstandard.ZstdCompressor(level=_LEVEL)
            with open(content.path(name), "rb") as source, open(path, "wb") as target:
                compressor.copy_stream(source, target, size=content.files[name].bytes)
            return hash_file(path)

        names = list(content.files)
        try:
            stored = dict(zip(names, in_parallel(pack, names), strict=True))
        except (OSError, zstandard.ZstdError) as error:
            raise PublishError(
                f"Cannot compress {content.directory} into {directory}: {error}. The temporary "
                "directory must have room for the compressed files; TMPDIR names another one."
            ) from error
        yield dataclasses.replace(content, directory=directory, stored=stored)


def unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Restores a file piece by piece, in memory that does not grow with it.

    Raises:
      zstandard.ZstdError: The pieces are no such file.
    """
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    with decompressor.stream_reader(cast(BinaryIO, _Pieces(pieces))) as reader:
        while restored := reader.read(_PIECE):
            yield restored


class _Pieces:
    """What comes in pieces, read as a file."""

    def __init__(self, pieces: Iterable[bytes]):
        self._pieces, self._left = iter(pieces), memoryview(b"")

    def read(self, size: int) -> bytes:
        if not self._left:
            self._left = memoryview(next(self._pieces, b""))
        part, self._left = self._left[:size], self._left[size:]
        return bytes(part)
