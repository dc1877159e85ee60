"""What reports say of the machine, and what a child process is measured to take."""

import subprocess
import sys

import pytest

from tfx_shrink.measure.child import run_child
from tfx_shrink.measure.machine import describe_machine


def test_the_machine_is_told_in_two_lines():
    machine = describe_machine()
    assert machine.cores >= 1
    assert machine.memory_bytes > 2**28
    first, second = str(machine).splitlines()
    assert first.startswith(machine.cpu)
    assert f"{machine.cores} cores" in first
    assert f"tensorflow {machine.versions['tensorflow']}" in second


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
