"""One line per component on the terminal, everything else in a log file."""

import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterator
from typing import TextIO

from absl import logging as absl_logging

from tfx_shrink.tfx_seam.runs import node_event

_NOTES = {"cached": "  from the cache", "skipped": "  skipped by its condition"}


@contextlib.contextmanager
def quiet_run(log_path: str, stream: TextIO | None = None) -> Iterator[None]:
    """Sends what is printed and logged to a file, and a line per finished component to a stream.

    Works on file descriptors, since TensorFlow's C++ code prints too.

    Args:
      log_path: The file to append to.
      stream: Where the lines go. Defaults to standard error.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os.makedirs(os.path.dirname(os.path.abspath(log_path)), exist_ok=True)
    saved = [os.dup(1), os.dup(2)]
    terminal = stream or os.fdopen(os.dup(2), "w", buffering=1)
    root_logger = logging.getLogger()
    level, verbosity = root_logger.level, absl_logging.get_verbosity()
    with open(log_path, "a", buffering=1) as log:
        file_handler = logging.StreamHandler(log)
        file_handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        lines = _NodeLines(terminal)
        handlers = [file_handler, lines]
        others = root_logger.handlers[:]
        root_logger.handlers[:] = handlers
        root_logger.setLevel(logging.INFO)
        absl_logging.set_verbosity(absl_logging.INFO)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            yield
        except Exception:
            logging.exception("The run failed.")
            lines.tell_failures()
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for target, descriptor in enumerate(saved, start=1):
                os.dup2(descriptor, target)
                os.close(descriptor)
            root_logger.handlers[:] = others
            root_logger.setLevel(level)
            absl_logging.set_verbosity(verbosity)


class _NodeLines(logging.Handler):
    """Prints a component's name and seconds when TFX says that it has finished."""

    def __init__(self, stream: TextIO):
        super().__init__(logging.INFO)
        self._stream = stream
        self._started: dict[str, float] = {}
        self._note = ""

    def tell_failures(self) -> None:
        """Prints the components that have not finished."""
        for node, started in self._started.items():
            seconds = time.monotonic() - started
            print(f"  {node:<24}{seconds:6.1f} s  failed", file=self._stream, flush=True)

    def emit(self, record: logging.LogRecord) -> None:
        event = node_event(record.getMessage())
        if event is None:
            return
        node, what = event
        if what == "running":
            self._started[node], self._note = time.monotonic(), ""
        elif what in _NOTES:
            self._note = _NOTES[what]
        elif node in self._started:
            seconds = time.monotonic() - self._started.pop(node)
            print(f"  {node:<24}{seconds:6.1f} s{self._note}", file=self._stream, flush=True)
