"""`make setup` chooses a stack: what it says, and which lock it takes."""

import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
BASH = shutil.which("bash")
TOOLS = ["bash", "env", "find", "head", "ln", "mkdir", "rm", "sort", "touch"]
DEBIAN_12 = {"getconf": "echo glibc 2.36"}
UBUNTU_24_04 = {"getconf": "echo glibc 2.39"}


def python(version: str, headers: bool = True) -> str:
    """A script that answers what setup.sh asks of a Python."""
    return f"""case $2 in
      *realpath*) echo /usr/bin/python{version} ;;
      *stat*) {"exit 0" if headers else "exit 1"} ;;
      *) echo {version} ;;
    esac"""


@pytest.fixture
def run_setup(tmp_path):
    """Runs scripts/setup.sh where these programs, given as shell scripts, are all there is."""

    def run(programs: dict[str, str], stack: str = "") -> tuple[subprocess.CompletedProcess, str]:
        asked = tmp_path / "asked_of_uv"
        bin_dir = tmp_path / "bin"
        for folder in (bin_dir, tmp_path / "scripts"):
            folder.mkdir()
        for name in ("setup.sh", "uv.sh"):
            shutil.copy(PROJECT / "scripts" / name, tmp_path / "scripts")
        for name in TOOLS:
            (bin_dir / name).symlink_to(shutil.which(name))
        scripts = {"c++": "exit 0", "uv": f'echo "$@" >> {asked}', **programs}
        for name, script in scripts.items():
            path = bin_dir / name
            # Where setup.sh takes the path that a Python names, that is this script again.
            path.write_text(
                f"#!{BASH}\n{script}\n".replace("/usr/bin", str(bin_dir)), encoding="utf-8"
            )
            path.chmod(0o755)
        done = subprocess.run(
            [BASH, "scripts/setup.sh"],
            cwd=tmp_path,
            env={"PATH": str(bin_dir), "STACK": stack},
            capture_output=True,
            text=True,
            check=False,
        )
        return done, asked.read_text(encoding="utf-8") if asked.exists() else ""

    return run


def test_ubuntu_24_04_gets_the_newer_stack_and_is_told_why(run_setup):
    done, asked = run_setup({**UBUNTU_24_04, "python3.12": python("3.12")})
    assert done.stdout == "TFX 1.21 on Python 3.12: glibc 2.39 and python3.12 allow it.\n"
    assert "-r requirements/tfx121.lock" in asked


@pytest.mark.parametrize(
    ("programs", "reason"),
    [
        ({**DEBIAN_12, "python3.11": python("3.11")}, "needs glibc 2.39 or newer, and this"),
        ({**UBUNTU_24_04, "python3.12": "exit 127"}, "Python 3.11, 3.12 or 3.13, and none"),
    ],
    ids=["old-glibc", "no-python"],
)
def test_elsewhere_the_older_stack_is_taken_and_the_reason_named(run_setup, programs, reason):
    done, asked = run_setup(programs)
    assert done.stdout.startswith("TFX 1.16 on Python 3.10: TFX 1.21 needs ")
    assert reason in done.stdout
    assert "-r requirements/py310.lock" in asked


def test_stack_overrides_what_the_machine_allows(run_setup):
    done, asked = run_setup({**UBUNTU_24_04, "python3.12": python("3.12")}, stack="tfx116")
    assert done.stdout == "TFX 1.16 on Python 3.10: STACK asks for it.\n"
    assert "-r requirements/py310.lock" in asked


@pytest.mark.parametrize(
    ("programs", "stack", "sentence"),
    [
        (DEBIAN_12, "tfx121", "TFX 1.21 needs glibc 2.39 or newer, and this machine has 2.36"),
        (UBUNTU_24_04, "tfx121", "TFX 1.21 needs Python 3.11, 3.12 or 3.13"),
        (UBUNTU_24_04, "tfx117", "STACK must be tfx116 or tfx121. Received: STACK=tfx117."),
        (
            {**UBUNTU_24_04, "python3.12": python("3.12", headers=False)},
            "",
            "install python3.12-dev, or take STACK=tfx116",
        ),
    ],
    ids=["old-glibc", "no-python", "unknown", "no-headers"],
)
def test_what_cannot_be_set_up_is_said_in_one_sentence(run_setup, programs, stack, sentence):
    done, asked = run_setup(programs, stack=stack)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert asked == ""
