"""What a run was made with: enough to make it again."""

import platform
import re
import subprocess
from importlib.metadata import distributions
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")


def package_versions() -> dict[str, str]:
    """Returns the version of every installed Python package, by name."""
    return dict(sorted((item.metadata["Name"], item.version) for item in distributions() if item.metadata["Name"]))


def git_revision() -> str | None:
    """Returns the commit of the code with `-dirty` behind it if files differ from it; None outside a git checkout."""
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def machine() -> str:
    """Returns what the latency on one thread of this machine depends on: the CPU's model, however many cores it has."""
    try:
        model = re.search(r"^model name\s*: (.+)$", _CPU_INFO.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        model = None
    # Outside of Linux on x86 there may be no more than the architecture.
    return model[1] if model else platform.processor() or platform.machine()
