"""The child process of `measure_loading`: `python -m … PATH`; prints one line of JSON."""

import json
import resource
import sys
import time

from tfx_shrink.child_process import PEAK_UNIT
from tfx_shrink.measure.runtime import load_served


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * PEAK_UNIT


def main() -> None:
    """Loads the model of the command line."""
    before, started = _peak(), time.perf_counter()
    model = load_served(sys.argv[1], threads=1)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "peak_bytes": _peak() - before}))
    del model


if __name__ == "__main__":
    main()
