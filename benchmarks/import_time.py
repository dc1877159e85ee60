"""Measures what importing the components adds to importing TFX.

Every figure comes from a fresh interpreter, and the three kinds take turns, so that a machine that
slows down slows them alike. TFX is measured twice: how far its two medians lie apart is what this
machine cannot tell from nothing. Exits with 1 if the median time that is added is above 2 % of the
median import of TFX.

    .venv/bin/python benchmarks/import_time.py
"""

import os
import statistics
import subprocess
import sys

ROUNDS = 7
LIMIT = 0.02
_FIRST = "import time; a = time.perf_counter(); import tfx.v1; b = time.perf_counter(); "
_ALONE = _FIRST + "print(b - a, 0)"
_WITH_OURS = _FIRST + (
    "from tfx_shrink import BucketPusher, Quantizer; print(b - a, time.perf_counter() - b)"
)


def measure(code: str) -> tuple[float, float]:
    """Returns the seconds for TFX, and for the components after it, in a new interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    tfx, added = done.stdout.splitlines()[-1].split()
    return float(tfx), float(added)


def spread(seconds: list[float]) -> str:
    """Returns the median, and the range that was seen."""
    return f"{statistics.median(seconds):8.3f}   {min(seconds):8.3f} to {max(seconds):8.3f}"


def main() -> None:
    """Measures, prints the table and checks the limit."""
    measure(_WITH_OURS)  # Fills the disk cache.
    first, again, added = [], [], []
    for _ in range(ROUNDS):
        first.append(measure(_ALONE)[0])
        again.append(measure(_ALONE)[0])
        added.append(measure(_WITH_OURS)[1])
    tfx = statistics.median(first)
    share = statistics.median(added) / tfx
    floor = abs(statistics.median(again) - tfx) / tfx
    print(f"seconds, {ROUNDS} fresh interpreters each     median        range")
    print(f"import tfx.v1                        {spread(first)}")
    print(f"import tfx.v1, again                 {spread(again)}")
    print(f"  + from tfx_shrink import …         {spread(added)}")
    print(f"added share {share:.2%}, noise floor {floor:.2%}, limit {LIMIT:.0%}")
    if share > LIMIT:
        sys.exit(f"The components add {share:.2%} to the import of tfx.v1; {LIMIT:.0%} is allowed.")


if __name__ == "__main__":
    main()
