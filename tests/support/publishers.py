"""Publishes from processes of their own, which may be killed; run as a script it is their parent.

TensorFlow is imported once, by the parent: its children are forks, so a dozen of them cost little.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time


@contextlib.contextmanager
def forks():
    """Yields `publish(models, root, name, kill_after)`, which returns exit codes.

    Every child publishes one of the models. With `kill_after`, they get SIGKILL after that many
    seconds.
    """
    parent = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def publish(models, root, name, kill_after=None):
        print(json.dumps([models, root, name, kill_after]), file=parent.stdin, flush=True)
        return json.loads(parent.stdout.readline())

    with parent:
        yield publish
        parent.stdin.close()


def _serve():
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from tfx_shrink.bucket_pusher.destination import parse_destination
    from tfx_shrink.bucket_pusher.publish import publish

    for line in sys.stdin:
        models, root, name, kill_after = json.loads(line)
        children = []
        for model in models:
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    publish(model, parse_destination(root, name))
                    code = 0
                finally:
                    os._exit(code)
            children.append(child)
        if kill_after is not None:
            time.sleep(kill_after)
            for child in children:
                os.kill(child, signal.SIGKILL)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(codes), flush=True)


if __name__ == "__main__":
    _serve()
