"""The alerts and records that the project ships, and the tool that judges them."""

import subprocess

import yaml

from .manifests import SERVING, TOOLS

RULES = SERVING / "components" / "plain-prometheus" / "rules.yaml"
PROMTOOL = TOOLS / "prometheus/usr/bin/promtool"


def promtool(*arguments, cwd=None):
    done = subprocess.run(
        [PROMTOOL, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules(kind):
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule[kind]: rule for group in groups for rule in group["rules"] if kind in rule}
