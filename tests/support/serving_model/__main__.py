"""A server in a process of its own: python -m support.serving_model '{"model_name": "digits", …}'.

Prints its ports as JSON and ends when its standard input is closed.
"""

import json
import sys

from support.serving_model import Flags, ModelServer


def main():
    with ModelServer(Flags(**json.loads(sys.argv[1]))) as server:
        ports = {"grpc_port": server.grpc_port, "rest_port": server.rest_port}
        print(json.dumps(ports), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
