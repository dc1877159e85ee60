"""How commands print."""

import json
import logging
import sys
from collections.abc import Callable
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


def print_json(value: Any) -> None:
    """Prints a value as JSON."""
    json.dump(value, sys.stdout, indent=1, default=str)
    sys.stdout.write("\n")
