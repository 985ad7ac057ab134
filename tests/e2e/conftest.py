"""Running the command line as a user does: another process, its own directories."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Nobody listens on the discard port: every connection fails at once, as without a network.
NO_NETWORK = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}


@dataclass(frozen=True)
class Workplace:
    """Directories of a user, and the command line in them."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def serving(self) -> Path:
        return self.folder / "serving"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "pipeline", *arguments]

    def environment(self, **extra: str) -> dict[str, str]:
        own = {"TFDS_DATA_DIR": str(self.folder / "tfds"), "COLUMNS": "200"}
        kept = {key: value for key, value in os.environ.items() if key != "MNIST_MANUAL_DIR"}
        return kept | own | extra

    def call(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment(**extra),
            capture_output=True,
            text=True,
            check=False,
            timeout=1500,
        )

    def run(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Runs the pipeline in this workplace's directories."""
        return self.call(
            "run", "--pipeline-root", str(self.root), "--serving-dir", str(self.serving), *arguments, **extra
        )

    def summary(self) -> dict[str, Any]:
        return json.loads((self.root / "reports" / "latest" / "summary.json").read_text())

    def versions(self, model: str = "mnist_sample") -> list[Path]:
        """The pushed versions, oldest first; anything else in the directory is an error."""
        folder = self.serving / model
        assert all(path.name.isdecimal() for path in folder.glob("*")), list(folder.iterdir())
        assert not list(folder.glob(".*")), list(folder.iterdir())
        return sorted(folder.glob("*"), key=lambda path: int(path.name))


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A directory in which the sample preset ran once."""
    place = Workplace(tmp_path_factory.mktemp("e2e"))
    first = place.run("--preset", "sample")
    assert first.returncode == 0, first.stdout + first.stderr
    (place.folder / "first.txt").write_text(first.stdout + first.stderr)
    return place
