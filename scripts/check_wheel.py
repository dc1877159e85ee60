"""Assert that a wheel holds the whole project under one name: check_wheel.py WHEEL SOURCE."""

import sys
from pathlib import Path
from zipfile import ZipFile

ROOTS = {
    "components": "tfx_shrink",
    "pipelines": "tfx_shrink/pipelines",
    "kubeflow": "tfx_shrink/kubeflow",
}
DATA = {".py", ".config", ".css", ".csv", ".html", ".ipynb", ".json", ".yaml"}


def expected(source: Path) -> set[str]:
    """Return the wheel path of every file of `source` that users need."""
    found = set()
    for folder, package in ROOTS.items():
        for path in (source / folder).rglob("*"):
            if path.suffix in DATA or path.name in {"py.typed", "Dockerfile"}:
                found.add(f"{package}/{path.relative_to(source / folder).as_posix()}")
    return found


def problems(wheel: Path, source: Path) -> list[str]:
    """Return one sentence for each thing that is wrong with the wheel."""
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    packed = {name for name in names if ".dist-info/" not in name}
    wanted = expected(source)
    missing = {"tfx_shrink/py.typed", "tfx_shrink/pipelines/__init__.py", *wanted} - packed
    strangers = packed - wanted
    return [
        *(f"missing: {name}" for name in sorted(missing)),
        *(f"should not be there: {name}" for name in sorted(strangers)),
    ]


def main() -> int:
    """Print the problems of the wheel; return the exit status."""
    found = problems(Path(sys.argv[1]), Path(sys.argv[2]))
    for line in found:
        print(f"{sys.argv[1]}: {line}", file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
