"""The terminal stays readable, and comes back whatever happens."""

import io
import logging
import os
import subprocess
import sys

import pytest

from tfx_shrink.pipelines.progress import quiet_run


def test_descriptors_and_loggers_come_back_after_an_error(tmp_path, capfd):
    handlers = logging.getLogger().handlers[:]

    def fail():
        with quiet_run(str(tmp_path / "logs" / "log")):
            os.write(1, b"from C++\n")
            raise RuntimeError("component failed")

    with pytest.raises(RuntimeError):
        fail()
    os.write(1, b"after\n")
    assert capfd.readouterr().out == "after\n"
    assert logging.getLogger().handlers == handlers
    log = (tmp_path / "logs" / "log").read_text()
    assert "from C++" in log
    assert "component failed" in log


def test_each_node_gets_a_line_with_what_became_of_it(tmp_path):
    stream = io.StringIO()
    with quiet_run(str(tmp_path / "log"), stream):
        logging.info("node Trainer is running.")
        logging.info("node Trainer is finished.")
        logging.info("Component Quantizer is running.")
        logging.info("A cached execution 7 is used.")
        logging.info("Component Quantizer is finished.")
        logging.info("node Pusher is running.")
        logging.info("Skipping execution for Pusher")
        logging.info("node Pusher is finished.")
        logging.warning("noise")
    assert stream.getvalue().splitlines() == [
        "  Trainer                    0.0 s",
        "  Quantizer                  0.0 s  from the cache",
        "  Pusher                     0.0 s  skipped by its condition",
    ]


def test_printing_of_child_processes_is_caught_too(tmp_path, capfd):
    with quiet_run(str(tmp_path / "log"), io.StringIO()):
        subprocess.run([sys.executable, "-c", "print('child')"], check=True)
    assert capfd.readouterr().out == ""
    assert "child" in (tmp_path / "log").read_text()
