"""The server under the flags of the binary: main.cc.

python -m support.serving_model.command_line --port=8500 --rest_api_port=8501 --model_config_file=F

Like the binary it does not handle SIGTERM, which the first process of a container then never sees.
"""

import dataclasses
import re
import signal
import sys

from support.serving_model import Flags, ModelServer

# What this model leaves out.
IGNORED = {"enable_batching", "batching_parameters_file", "num_unload_threads"}


def parse(arguments):
    """(Flags, the other arguments of ModelServer); exits where the binary would."""
    given = dict(argument.removeprefix("--").split("=", 1) for argument in arguments)
    flags, others = {}, {"host": "0.0.0.0"}
    kinds = {field.name: field.type for field in dataclasses.fields(Flags)}
    monitoring = given.pop("monitoring_config_file", None)
    flags["prometheus"] = monitoring is not None and _exports(monitoring)
    others["grpc_port"] = int(given.pop("port", 8500))
    others["rest_port"] = int(given.pop("rest_api_port", 0))
    flags["rest_api"] = others["rest_port"] != 0
    others["grpc_options"] = [
        (name, int(value))
        for name, _, value in (
            pair.partition("=") for pair in given.pop("grpc_channel_arguments", "").split(",")
        )
        if name
    ]
    for name, text in given.items():
        if name in kinds:
            flags[name] = text == "true" if kinds[name] is bool else kinds[name](text)
        elif name not in IGNORED:
            sys.exit(f"unknown argument: --{name}={text}")
    return Flags(**flags), others


def _exports(path):
    # No package has monitoring_config.proto.
    with open(path) as file:
        return re.search(r"^ *enable: *true\b", file.read(), re.MULTILINE) is not None


def main():
    flags, others = parse(sys.argv[1:])
    with ModelServer(flags, None, **others):
        while True:
            signal.pause()


if __name__ == "__main__":
    main()
