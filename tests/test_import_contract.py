"""Imports point one way: technique <- executor <- component <- pipelines <- kubeflow, cli."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
ROOTS = {
    "components": "tfx_shrink",
    "pipelines": "tfx_shrink.pipelines",
    "kubeflow": "tfx_shrink.kubeflow",
}
TECHNIQUE_ROOMS = {
    "examples",
    "measure",
    "proof",
    "puller",
    "report",
    "saved_model",
    "serving",
    "tflite",
    "training",
}
TECHNIQUE_FILES = {
    "lineage.py",
    "model_files.py",
    "prune.py",
    "publish.py",
    "quantize.py",
    "schemes.py",
}


def imports_of(path: Path, package: str) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) for every import in a file, also those inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join(parts[: len(parts) - node.level + 1])
                module = f"{base}.{module}" if module else base
            yield node.lineno, module
            # `from tfx_shrink import pipelines` names a module only together with the alias.
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"


def is_technique(project: Path, folder: str, path: Path) -> bool:
    """Tell whether a file below components/ is a technique: plain functions, no TFX.

    In a component's room that is every file but the room's two TFX files.
    """
    if folder != "components":
        return False
    if path.name in TECHNIQUE_FILES or path.parts[0] in TECHNIQUE_ROOMS:
        return True
    room = project / "components" / path.parts[0]
    return (room / "component.py").is_file() and path.name not in {
        "__init__.py",
        "component.py",
        "executor.py",
    }


def forbidden_for(project: Path, folder: str, path: Path) -> dict[str, str]:
    """Return what a file (relative to its folder) may not import, with the reason."""
    rules = {}
    if folder == "components" and path.as_posix() != "cli.py":
        rules["tfx_shrink.pipelines"] = "components know nothing of pipelines"
        rules["tfx_shrink.kubeflow"] = "components know nothing of Kubeflow"
    if folder in {"components", "pipelines"} and path.as_posix() != "cli.py":
        rules["tfx_shrink.cli"] = "the command line is the outermost layer"
    if folder == "pipelines":
        rules["tfx_shrink.kubeflow"] = "pipelines know nothing of Kubeflow"
    if is_technique(project, folder, path):
        rules["tfx"] = "a technique runs without TFX"
        rules["*.executor"] = "an executor calls the technique, never the reverse"
    if is_technique(project, folder, path) or path.name == "executor.py":
        rules["*.component"] = "a component names its executor, never the reverse"
    return rules


def matches(name: str, pattern: str) -> bool:
    """Tell whether a dotted name is the module `pattern`, or lies inside it."""
    if pattern.startswith("*."):
        return name.startswith("tfx_shrink.") and pattern[2:] in name.split(".")
    return name == pattern or name.startswith(f"{pattern}.")


def violations(project: Path) -> list[str]:
    """Return one sentence for each import in `project` that points the wrong way."""
    found = {}
    for folder, package in ROOTS.items():
        for path in sorted((project / folder).rglob("*.py")):
            relative = path.relative_to(project / folder)
            own_package = ".".join([package, *relative.parent.parts])
            rules = forbidden_for(project, folder, relative)
            for line, name in imports_of(path, own_package):
                for pattern, reason in rules.items():
                    if matches(name, pattern):
                        place = f"{folder}/{relative.as_posix()}:{line}"
                        found.setdefault((place, pattern), f"{place} imports {name}: {reason}")
    return list(found.values())


def plant(project: Path, path: str, source: str) -> None:
    """Write a file into a project."""
    (project / path).parent.mkdir(parents=True, exist_ok=True)
    (project / path).write_text(source, encoding="utf-8")


def test_imports_point_one_way():
    assert violations(PROJECT) == []


@pytest.mark.parametrize("folder", ROOTS)
def test_every_folder_is_looked_at(folder):
    assert list((PROJECT / folder).rglob("*.py"))


@pytest.mark.parametrize(
    ("path", "source", "imported"),
    [
        ("components/quantizer/quantize.py", "import tfx", "tfx"),
        ("components/quantizer/schemes.py", "from tfx import v1", "tfx"),
        ("components/bucket_pusher/publish.py", "def f():\n    import tfx.types", "tfx.types"),
        ("components/tflite/run.py", "from tfx.types import Artifact", "tfx.types"),
        ("components/lineage.py", "from tfx.dsl.io import fileio", "tfx.dsl.io"),
        (
            "components/quantizer/quantize.py",
            "from . import component",
            "tfx_shrink.quantizer.component",
        ),
        (
            "components/measure/size.py",
            "from tfx_shrink.quantizer.executor import Executor",
            "tfx_shrink.quantizer.executor",
        ),
        (
            "components/quantizer/executor.py",
            "from .component import Quantizer",
            "tfx_shrink.quantizer.component",
        ),
        (
            "components/quantizer/component.py",
            "from tfx_shrink import pipelines",
            "tfx_shrink.pipelines",
        ),
        ("components/lineage.py", "from .kubeflow import runner", "tfx_shrink.kubeflow"),
        ("components/lineage.py", "import tfx_shrink.cli", "tfx_shrink.cli"),
        (
            "pipelines/compression.py",
            "import tfx_shrink.kubeflow.runner",
            "tfx_shrink.kubeflow.runner",
        ),
        ("pipelines/digits/pipeline.py", "from ... import cli", "tfx_shrink.cli"),
    ],
)
def test_an_import_the_wrong_way_is_found(tmp_path, path, source, imported):
    plant(tmp_path, path, source)
    (sentence,) = violations(tmp_path)
    assert sentence.startswith(f"{path}:")
    assert f" imports {imported}: " in sentence


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("components/cli.py", "from tfx_shrink import kubeflow, pipelines"),
        ("components/quantizer/component.py", "from tfx_shrink.quantizer import executor"),
        (
            "components/quantizer/executor.py",
            "from tfx.types import Artifact\nfrom . import quantize",
        ),
        ("components/quantizer/quantize.py", "import tensorflow, tfx_bsl, tensorflow_transform"),
        ("components/examples/read.py", "import apache_beam\nfrom tfx_bsl.public import tfxio"),
        ("pipelines/compression.py", "from tfx_shrink import Quantizer\nfrom tfx import v1"),
        ("kubeflow/runner.py", "from tfx_shrink.pipelines import compression"),
    ],
)
def test_an_import_the_right_way_is_left_alone(tmp_path, path, source):
    plant(tmp_path, path, source)
    assert violations(tmp_path) == []
