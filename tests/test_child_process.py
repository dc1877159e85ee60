import subprocess
import sys

import pytest

from tfx_shrink.child_process import how_it_ended, run_child


def test_the_peak_of_a_child_is_its_own_and_not_its_parents():
    small = run_child([sys.executable, "-S", "-c", "print('done')"])
    large = run_child([sys.executable, "-S", "-c", "x = bytearray(200 << 20); print('done')"])
    assert small.output == "done\n"
    assert small.peak_bytes < 100 << 20  # This process has TensorFlow loaded.
    assert large.peak_bytes > 200 << 20


def test_a_child_that_fails_says_why():
    with pytest.raises(subprocess.CalledProcessError) as failure:
        run_child([sys.executable, "-c", "raise SystemExit('no such thing')"])
    assert "no such thing" in failure.value.stderr


@pytest.mark.parametrize(
    ("code", "time_limit", "told"),
    [
        ("import os; os.kill(os.getpid(), 9)", 60, "It was killed by SIGKILL, most likely because"),
        ("import os; os.abort()", 60, "It was killed by SIGABRT."),
        ("import time; time.sleep(60)", 0.5, "It did not finish in 0.5 seconds. Give it a larger"),
        ("raise SystemExit('no such thing')", 60, "It ended with exit code 1:\nno such thing"),
    ],
)
def test_how_a_child_ended_is_told(code, time_limit, told):
    with pytest.raises(subprocess.SubprocessError) as failure:
        run_child([sys.executable, "-S", "-c", code], time_limit=time_limit)
    assert how_it_ended(failure.value, "It").startswith(told)
