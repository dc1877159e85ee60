"""A real Prometheus with the project's rules, every duration divided by one factor."""

import contextlib
import json
import os
import re
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

import yaml

from .manifests import TOOLS
from .prometheus_rules import RULES
from .waiting import free_port, wait_for

BINARY = TOOLS / "prometheus/usr/bin/prometheus"
_DURATION = re.compile(r"(?<=[\[ ])(\d+)([ms])(?![\w])")
_SECONDS = {"s": 1, "m": 60}


def quickened(text, factor):
    """Rules or queries whose durations, such as `for: 5m`, `[5m]` and `offset 10m`, are shorter."""

    def shorter(match):
        return f"{round(int(match[1]) * _SECONDS[match[2]] * 1000 / factor)}ms"

    return _DURATION.sub(shorter, text)


class Prometheus:
    """Prometheus in a directory, scraping what `targets` is told.

    Args:
      directory: Its configuration and data.
      factor: By what every duration is divided.
    """

    def __init__(self, directory, factor):
        self._directory, self._targets = Path(directory), {}
        rules = quickened((RULES.parent / "rules.yaml").read_text(), factor)
        (self._directory / "rules.yaml").write_text(rules)
        config = yaml.safe_load((RULES.parent / "prometheus.yaml").read_text())
        pause = f"{15000 // factor}ms"
        config["global"] = {
            "scrape_interval": pause,
            "scrape_timeout": pause,
            "evaluation_interval": pause,
        }
        for job in config["scrape_configs"]:
            # What Kubernetes's discovery does in a cluster, a file does here.
            del job["kubernetes_sd_configs"], job["relabel_configs"]
            job["file_sd_configs"] = [{"files": [f"{job['job_name']}.json"]}]
            self.set_targets(job["job_name"], {})
        (self._directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        self.url = f"http://127.0.0.1:{free_port()}"

    def __enter__(self):
        self._log = open(self._directory / "log", "w")
        command = [
            BINARY,
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            f"--web.listen-address={self.url.removeprefix('http://')}",
        ]
        self._process = subprocess.Popen(
            command, cwd=self._directory, stdout=self._log, stderr=subprocess.STDOUT
        )
        wait_for(self._ready, "Prometheus")
        return self

    def __exit__(self, *error):
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def set_targets(self, job, targets):
        """Makes a job's targets {address: its labels}."""
        found = [{"targets": [address], "labels": labels} for address, labels in targets.items()]
        path = self._directory / f"{job}.json"
        coming = path.with_suffix(".coming")
        coming.write_text(json.dumps(found))
        os.replace(coming, path)

    def query(self, query):
        """A query's series now."""
        return self._get("query", query=query)["result"]

    def history(self, query, seconds, step=1):
        """A query's series over the last seconds."""
        now = time.time()
        return self._get("query_range", query=query, start=now - seconds, end=now, step=step)[
            "result"
        ]

    def firing(self):
        """Names of the alerts that fire."""
        alerts = self._get("alerts")["alerts"]
        return {item["labels"]["alertname"] for item in alerts if item["state"] == "firing"}

    def _get(self, path, **parameters):
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]

    def _ready(self):
        assert self._process.poll() is None, (self._directory / "log").read_text()
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{self.url}/-/ready", timeout=5).close()
            return True
        return False
