"""Every code block of README and docs/ runs: Python as it stands, commands as far as their words.

A command is parsed by the command line itself and not run: its servers and buckets are made up.
"""

import importlib
import re
import sys
from pathlib import Path

import pytest
import tensorflow_model_analysis as tfma
from support import models, pipelines, rows
from support.command_lines import command_lines, parse
from tfx import v1 as tfx

from tfx_shrink import BucketPusher, lineage

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [
    PROJECT / "README.md",
    *sorted((PROJECT / "docs").glob("*.md")),
    PROJECT / "kubeflow" / "README.md",
    PROJECT / "kubeflow" / "serving" / "README.md",
]
LANGUAGES = {"python", "sh", "text", "", "yaml", "json", "ini"}
# Programs of others.
FOREIGN = {
    *("tensorflow_model_server", "ctr", "kubectl", "kind", "docker", "podman", "curl", "pip"),
    *("mkdir", "python"),
}

_BLOCK = re.compile(r"^```(?P<language>\w*)(?P<info>[^\n]*)\n(?P<code>.*?)^```$", re.M | re.S)


def blocks(page, language):
    return [found for found in _BLOCK.finditer(page.read_text()) if found["language"] == language]


@pytest.fixture
def stock():
    """The names that examples take for granted: components of the standard pipeline."""
    components = pipelines.stock_components("/data", "digits")
    example_gen, _, schema_gen, transform, trainer = components
    evaluator = tfx.components.Evaluator(
        model=trainer.outputs["model"], examples=example_gen.outputs["examples"]
    )
    kinds = tfx.types.standard_artifacts
    outputs = {
        name: type(name, (), {"outputs": {key: tfx.dsl.Channel(type=kind)}})
        for name, key, kind in (
            ("quantizer", "model", kinds.Model),
            ("distiller", "model", kinds.Model),
            ("pruner", "model", kinds.Model),
            ("validator", "blessing", kinds.InfraBlessing),
        )
    }
    pusher = BucketPusher(
        model=trainer.outputs["model"], push_destination="s3://models", model_name="digits"
    )
    components += [evaluator, pusher]
    return {
        "__name__": "example",
        "tfx": tfx,
        "tfma": tfma,
        "Evaluator": tfx.components.Evaluator,
        "eval_config": tfma.EvalConfig(),
        "example_gen": example_gen,
        "schema_gen": schema_gen,
        "transform": transform,
        "trainer": trainer,
        "evaluator": evaluator,
        **outputs,
        "pipeline": tfx.dsl.Pipeline("digits", "gs://bucket/root", components=components),
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_python_runs(page, stock, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for found in blocks(page, "python"):
        if title := re.search(r'title="([^"]+)"', found["info"]):
            (tmp_path / title[1]).write_text(found["code"])
            continue  # A module: the test that uses it imports it.
        line = page.read_text()[: found.start()].count("\n") + 1
        exec(compile("\n" * line + found["code"], str(page), "exec"), stock)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_commands_are_what_the_command_line_takes(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rendered.yaml").touch()
    for found in blocks(page, "sh"):
        for words in command_lines(found["code"]):
            check(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_block_is_of_a_kind_that_is_looked_at(page):
    found = {found["language"] for found in _BLOCK.finditer(page.read_text())}
    assert found <= LANGUAGES


def check(words):
    program, *rest = words
    if program == "tfx-shrink":
        parse(rest)
    elif program == "make":
        targets = re.findall(r"^([a-z0-9-]+):", (PROJECT / "Makefile").read_text(), re.M)
        for word in rest:
            assert "=" in word or word in targets, words
    else:
        assert program in FOREIGN, words
        for word in rest:
            if word.startswith("kubeflow/"):
                assert (PROJECT / word).exists(), words


def test_the_technique_of_the_docs_rounds_proves_and_records(tmp_path, monkeypatch):
    (found,) = blocks(PROJECT / "docs" / "adding_a_technique.md", "python")
    assert len(found["code"].splitlines()) < 60
    (tmp_path / "rounding.py").write_text(found["code"])
    monkeypatch.syspath_prepend(str(tmp_path))
    rounding = importlib.import_module("rounding")
    source = models.save_keras(tmp_path / "model")
    path = rows.write(tmp_path / "rows", models.features(64))
    moved = rounding.round_weights(source, str(tmp_path / "rounded"), examples=[path])
    assert 0 < moved.max < 0.5
    (step,) = lineage.read(str(tmp_path / "rounded"))
    assert step["technique"] == "round"
    component = rounding.Rounder(
        base_model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        examples=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Examples),
    )
    assert component.outputs["model"].type is tfx.types.standard_artifacts.Model
    del sys.modules["rounding"]
