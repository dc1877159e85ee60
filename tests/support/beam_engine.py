"""A Beam engine in processes of its own: a job service, and a pool of workers beside it."""

import contextlib
import os
import socket
import subprocess
import sys
import time

from .waiting import free_port

_BIN = os.path.dirname(sys.executable)


@contextlib.contextmanager
def portable_engine():
    """Yields the Beam options that hand a pass over to it."""
    jobs, pool = free_port(), free_port()
    service = ["apache_beam.runners.portability.local_job_service_main", f"--port={jobs}"]
    workers = ["apache_beam.runners.worker.worker_pool_main", f"--service_port={pool}"]
    with _running(service, jobs), _running(workers, pool):
        yield [
            "--runner=PortableRunner",
            f"--job_endpoint=localhost:{jobs}",
            # Workers import TensorFlow before they answer; Beam gives a job one minute.
            "--job_server_timeout=600",
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{pool}",
        ]


@contextlib.contextmanager
def _running(module, port):
    process = subprocess.Popen(
        [sys.executable, "-m", *module],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # The pool starts its workers as `python`.
        env={**os.environ, "PATH": os.pathsep.join([_BIN, os.environ["PATH"]])},
    )
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("localhost", port), 1):
                break
            assert process.poll() is None, f"{module[0]} ended"
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait()
