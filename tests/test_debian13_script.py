"""`make debian13` says in one line what it lacks, so that `.ci/run` can go on without it."""

import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
BASH = shutil.which("bash")
ROOT = "echo 0"
APT = "if [[ $1 == indextargets ]]; then echo http://mirror.example/debian/; else exit 100; fi"


@pytest.mark.parametrize(
    ("programs", "sentence"),
    [
        ({"id": "echo 1000"}, "needs root"),
        ({"id": ROOT}, "needs Debian's apt-get and debootstrap"),
        ({"id": ROOT, "apt-get": APT}, "the package debootstrap cannot be installed"),
        ({"id": ROOT, "apt-get": "exit 0", "debootstrap": "exit 0"}, "name no mirror of Debian"),
        ({"id": ROOT, "apt-get": APT, "debootstrap": "exit 1"}, "debootstrap failed"),
    ],
    ids=["no-root", "no-apt", "no-package", "no-mirror", "unreachable"],
)
def test_what_is_missing_is_said_in_one_line(tmp_path, programs, sentence):
    for folder in ("scripts", "bin"):
        (tmp_path / folder).mkdir()
    shutil.copy(PROJECT / "scripts" / "debian13.sh", tmp_path / "scripts")
    for name in ("head", "mkdir", "rm"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    for name, script in programs.items():
        path = tmp_path / "bin" / name
        path.write_text(f"#!{BASH}\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
    done = subprocess.run(
        [BASH, "scripts/debian13.sh"],
        cwd=tmp_path,
        env={"PATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("make test-tfx121: ")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
