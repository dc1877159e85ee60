"""Options that several commands have."""

from collections.abc import Callable
from typing import Any

import click


class Integers(click.ParamType):
    """A list such as `1,32`; gives a tuple of integers."""

    name = "integers"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """Reads the list; blanks around numbers do not matter."""
        try:
            return tuple(int(part) for part in value.split(","))
        except ValueError:
            return self.fail(f"must be integers such as 1,32. Received: {value!r}.", param, ctx)


def together(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Returns a decorator that adds options, the first of them first in the help."""

    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


rows_options = together(
    click.option("--examples", required=True, multiple=True, help="Glob of TFRecords; repeatable."),
    click.option("--transform-graph", help="Transform's output directory, for raw rows."),
    click.option("--schema", help="The rows' schema.pbtxt, for features that may be missing."),
)
