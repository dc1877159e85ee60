"""Commands as documentation writes them, parsed by the command line and not run."""

import re
import shlex

from tfx_shrink.cli import main


def command_lines(code):
    """Words of each command; optional parts are given, of alternatives the first."""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        words = [word.strip("[]").split("|")[0] for word in words]
        if words := [word for word in words if word not in ("", "…")]:
            while re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words and words[0] not in ("export", "cd"):
                yield words


def parse(arguments):
    """Parses what follows `tfx-shrink`; click raises what it does not take."""
    context = main.make_context("tfx-shrink", list(arguments))
    name, command, rest = main.resolve_command(context, [*context.protected_args, *context.args])
    command.make_context(name, rest, parent=context)
