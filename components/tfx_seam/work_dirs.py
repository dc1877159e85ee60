"""Where a component keeps what must survive a crash of its execution."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tfx.dsl.io import fileio

_log = logging.getLogger(__name__)


@contextmanager
def kept_work(exec_properties: Mapping[str, Any], model: Any) -> Iterator[str]:
    """Gives the directory of `work_dir`; by default one that the same node's next execution finds.

    The default one is removed on success if nothing is left in it.

    Args:
      exec_properties: With `work_dir`, optional.
      model: The execution's output artifact.
    """
    given = exec_properties.get("work_dir") or None
    if given is not None:
        yield given
        return
    # TFX gives every execution a directory of its own, two below the node's.
    directory = os.path.join(os.path.dirname(os.path.dirname(model.uri)), ".work")
    _log.info("No `work_dir` was given. What a killed run goes on from is kept in %s.", directory)
    yield directory
    if fileio.exists(directory) and not fileio.listdir(directory):
        fileio.rmtree(directory)
