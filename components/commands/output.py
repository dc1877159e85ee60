"""How commands print."""

import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def quietly(work: Callable[[], Any]) -> Any:
    """Runs `work` without the warnings that libraries log while a person waits for a table."""
    logging.disable(logging.WARNING)
    try:
        return work()
    finally:
        logging.disable(logging.NOTSET)


@contextlib.contextmanager
def quiet_import() -> Iterator[None]:
    """Drops what C++ code says while TensorFlow is imported: 2.21 heeds no level there."""
    sys.stderr.flush()
    saved = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def print_json(value: Any) -> None:
    """Prints a value as JSON."""
    json.dump(value, sys.stdout, indent=1, default=str)
    sys.stdout.write("\n")


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints columns, each as wide as its widest cell."""
    columns = [max(len(text) for text in column) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        line = "  ".join(text.ljust(width) for text, width in zip(row, columns, strict=True))
        click.echo(line.rstrip())


def print_difference(difference: Any) -> None:
    """Prints how far outputs moved: an `OutputDifference`."""
    click.echo(
        f"  output difference  max {difference.max:.3g}, p99 {difference.p99:.3g} "
        f"on {difference.rows} rows"
    )
