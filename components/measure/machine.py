"""What a figure was measured on."""

import dataclasses
import os
import platform
from collections.abc import Mapping

from tfx_shrink.lineage import package_versions

# What decides how fast small integers are multiplied.
_INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm")
_PACKAGES = ("tfx-shrink", "tensorflow", "tf-keras", "tfx", "ai-edge-litert", "numpy")


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine; `str` of it is two lines for a report.

    Attributes:
      cpu: The processor's model name.
      instructions: Which of the instruction sets that matter here it has.
      cores: How many cores this process may use.
      memory_bytes: Main memory.
      system: The operating system.
      versions: Installed versions of Python and of the packages that do the work.
    """

    cpu: str
    instructions: tuple[str, ...]
    cores: int
    memory_bytes: int
    system: str
    versions: Mapping[str, str]

    def __str__(self) -> str:
        sets = f" ({', '.join(self.instructions)})" if self.instructions else ""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return (
            f"{self.cpu}{sets}, {self.cores} cores, {self.memory_bytes / 2**30:.0f} GiB, "
            f"{self.system}\n{versions}"
        )


def describe_machine() -> Machine:
    """Describes the machine that this process runs on."""
    cpu, flags = _cpu()
    return Machine(
        cpu=cpu,
        instructions=tuple(name for name in _INSTRUCTIONS if name in flags),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else _cores(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=f"{platform.system()} {platform.machine()}",
        versions={"Python": platform.python_version(), **package_versions(_PACKAGES)},
    )


def _cores() -> int:
    return os.cpu_count() or 1


def _cpu() -> tuple[str, set[str]]:
    """The model name, and the names of all instruction sets where the system tells."""
    facts: dict[str, str] = {}
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            for line in file:
                name, _, value = line.partition(":")
                facts.setdefault(name.strip(), value.strip())
    flags = facts.get("flags", facts.get("Features", ""))
    return facts.get("model name") or platform.processor() or "unknown CPU", set(flags.split())
