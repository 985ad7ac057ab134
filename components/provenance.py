"""What a run was made with: enough to make it again."""

import subprocess
from importlib.metadata import distributions
from pathlib import Path


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
