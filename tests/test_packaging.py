import os
import re
import shutil
import subprocess
import sys
from importlib import metadata, resources
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from setuptools import Distribution

from tfx_shrink.version import __version__

PROJECT = Path(__file__).resolve().parents[1]
BASH = shutil.which("bash")
MAKE = shutil.which("make")
STAMP_INPUTS = [
    "requirements/py310.lock",
    "requirements/tfx121.lock",
    "setup.py",
    "pyproject.toml",
    "components/version.py",
]


@pytest.fixture(scope="module")
def distribution() -> Distribution:
    """What setup.py says, without building anything."""
    core = pytest.importorskip("distutils.core")
    before = Path.cwd()
    os.chdir(PROJECT)
    try:
        return core.run_setup("setup.py", stop_after="init")
    finally:
        os.chdir(before)


def read_requirements(name: str) -> dict[str, Requirement]:
    lines = (PROJECT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    found = [Requirement(line.split("#")[0]) for line in lines if re.match(r"\w", line)]
    return {requirement.name: requirement for requirement in found}


# The files of each stack, and the Pythons it is for.
STACKS = {
    "tfx116": ("py310.lock", "constraints.in", ["3.10"]),
    "tfx121": ("tfx121.lock", "tfx121-constraints.in", ["3.11", "3.12", "3.13"]),
}
EACH = pytest.mark.parametrize(
    ("lock", "constraints", "python"),
    [
        (lock, constraints, python)
        for lock, constraints, pythons in STACKS.values()
        for python in pythons
    ],
)


def environment(python: str) -> dict[str, str]:
    return {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}


def locked_versions(lock: str, python: str) -> dict[str, Version]:
    lines = (PROJECT / "requirements" / lock).read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if re.match(r"\w", line)]
    return {
        requirement.name: Version(str(requirement.specifier).removeprefix("=="))
        for requirement in found
        if requirement.marker is None or requirement.marker.evaluate(environment(python))
    }


def test_version_has_one_place():
    assert metadata.version("tfx-shrink") == __version__
    for name in ("setup.py", "pyproject.toml"):
        assert f'"{__version__}"' not in (PROJECT / name).read_text(encoding="utf-8")


def test_version_is_read_without_importing_the_package(distribution):
    assert distribution.get_version() == __version__


def test_the_command_is_installed():
    (command,) = (
        entry
        for entry in metadata.distribution("tfx-shrink").entry_points
        if entry.group == "console_scripts"
    )
    assert (command.name, command.value) == ("tfx-shrink", "tfx_shrink.cli:main")


def test_type_hints_are_announced():
    assert resources.files("tfx_shrink").joinpath("py.typed").is_file()


def test_everything_is_installed_under_one_name(distribution):
    assert {name.split(".")[0] for name in distribution.packages} == {"tfx_shrink"}


def test_every_package_of_the_three_folders_is_found(distribution):
    roots = {
        "components": "tfx_shrink",
        "pipelines": "tfx_shrink.pipelines",
        "kubeflow": "tfx_shrink.kubeflow",
    }
    expected = {
        ".".join([package, *init.parent.relative_to(PROJECT / folder).parts])
        for folder, package in roots.items()
        for init in (PROJECT / folder).rglob("__init__.py")
    }
    assert set(distribution.packages) == expected


@pytest.mark.parametrize("source", ["components", "pipelines", "kubeflow"])
def test_every_folder_with_code_is_a_package(source):
    for path in (PROJECT / source).rglob("*.py"):
        assert (path.parent / "__init__.py").is_file(), f"{path.parent} has no __init__.py"


@EACH
def test_the_lock_meets_what_setup_py_asks(distribution, lock, constraints, python):
    locked = locked_versions(lock, python)
    wanted = [*distribution.install_requires]
    for extra in distribution.extras_require.values():
        wanted.extend(extra)
    for requirement in map(Requirement, wanted):
        if requirement.marker is None or requirement.marker.evaluate(environment(python)):
            assert locked[requirement.name] in requirement.specifier, requirement


@EACH
def test_the_lock_meets_the_constraints(lock, constraints, python):
    locked = locked_versions(lock, python)
    for name, requirement in read_requirements(constraints).items():
        assert locked[name] in requirement.specifier, requirement
    assert set(read_requirements("py310.in")) <= set(locked)


def test_setup_py_allows_the_pythons_of_the_locks_and_no_other(distribution):
    allowed = SpecifierSet(distribution.python_requires)
    locked = [python for _, _, pythons in STACKS.values() for python in pythons]
    assert [f"3.{minor}" for minor in range(30) if f"3.{minor}" in allowed] == locked


@pytest.mark.parametrize("lock", [lock for lock, _, _ in STACKS.values()])
def test_the_lock_names_no_package_index(lock):
    text = (PROJECT / "requirements" / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A checkout that `make setup` has just been run in, as make sees it."""
    for name in [*STAMP_INPUTS, "Makefile"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name)
        os.utime(tmp_path / name, (1_000, 1_000))
    (tmp_path / ".venv").mkdir()
    stamp = tmp_path / ".venv" / ".setup-done"
    stamp.touch()
    os.utime(stamp, (2_000, 2_000))
    return tmp_path


def setup_is_needed(checkout: Path) -> bool:
    # -q runs nothing; its status tells whether there is anything to run.
    environment = {name: value for name, value in os.environ.items() if name != "STACK"}
    done = subprocess.run([MAKE, "-q", "setup"], cwd=checkout, env=environment, check=False)
    return done.returncode == 1


@pytest.mark.skipif(MAKE is None, reason="needs make")
def test_second_setup_does_nothing(checkout):
    assert not setup_is_needed(checkout)


@pytest.mark.skipif(MAKE is None, reason="needs make")
@pytest.mark.parametrize("changed", STAMP_INPUTS)
def test_setup_follows_a_change_of(checkout, changed):
    os.utime(checkout / changed, (3_000, 3_000))
    assert setup_is_needed(checkout)


def run_uv_script(tmp_path: Path, **programs: str) -> subprocess.CompletedProcess:
    """Run scripts/uv.sh with nothing in PATH but these programs, given as shell scripts."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "bin").mkdir()
    shutil.copy(PROJECT / "scripts" / "uv.sh", tmp_path / "scripts")
    for name, script in programs.items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!{BASH}\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
    return subprocess.run(
        [BASH, "scripts/uv.sh"],
        cwd=tmp_path,
        env={"PATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "programs",
    [
        {},
        {"python3": "exit 127"},
        {"python3": "exit 127", "uv": "exit 127"},
        {"python3": "[[ $1 == --version ]] || { echo No module named ensurepip >&2; exit 1; }"},
    ],
    ids=["missing", "broken", "uv-broken-too", "without-venv"],
)
def test_unusable_python3_gets_one_sentence(tmp_path, programs):
    done = run_uv_script(tmp_path, **programs)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "install the package" in done.stderr
    assert "python3-venv" in done.stderr


def test_a_uv_that_works_is_taken_from_path(tmp_path):
    done = run_uv_script(tmp_path, uv="exit 0")
    assert done.stdout == f"{tmp_path}/bin/uv\n"


def test_wheel_checker_names_what_is_missing_and_what_is_not_ours(tmp_path):
    source = tmp_path / "source"
    for folder in ("components", "pipelines", "kubeflow"):
        (source / folder).mkdir(parents=True)
        (source / folder / "__init__.py").touch()
    with ZipFile(tmp_path / "bad.whl", "w") as wheel:
        for name in ("tfx_shrink/__init__.py", "tfx_shrink/pipelines/__init__.py"):
            wheel.writestr(name, "")
        wheel.writestr("tests/__init__.py", "")
    done = subprocess.run(
        [sys.executable, PROJECT / "scripts/check_wheel.py", tmp_path / "bad.whl", source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "missing: tfx_shrink/py.typed" in done.stderr
    assert "missing: tfx_shrink/kubeflow/__init__.py" in done.stderr
    assert "should not be there: tests/__init__.py" in done.stderr
