"""What a run is compared with, and what it leaves behind as served, when runs of different settings take turns."""

import json
from pathlib import Path

import pytest

from components.release import release_digest
from serving import version_dir
from tests.e2e.conftest import Workplace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # three runs of a minute or two, and three of seconds

# Badly trained, and blessed anyway: nothing here depends on how good a model is.
COMMON = ("--preset", "sample", "--set", "training.epochs=1", "--bless-anyway", "to take turns")
RATES = {"A": "0.003", "B": "0.05"}


def run(place: Workplace, name: str) -> tuple[str, dict]:
    """Runs the pipeline with the settings of that name; returns what the console showed, and the summary."""
    result = place.run(*COMMON, "--set", f"abstention_rate={RATES[name]}")
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout, place.summary()


def not_cached(summary: dict) -> list[str]:
    return [node["id"] for node in summary["nodes"] if not node["cached"]]


def digest(version: Path) -> str:
    return release_digest(version_dir.verify(version)["files"])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp("turns"))


def test_settings_that_take_turns_end_with_the_last_ones_served(place: Workplace) -> None:
    _, summary = run(place, "A")
    (first,) = place.versions()
    assert summary["baseline"] == {"version": None, "path": None, "reason": "no model is served yet", "metrics": {}}

    _, summary = run(place, "B")
    _, second = place.versions()
    assert summary["baseline"]["path"] == str(first)
    assert digest(first) != digest(second)

    _, summary = run(place, "A")
    *_, third = place.versions()
    assert len(place.versions()) == 3
    assert summary["baseline"]["path"] == str(second)
    assert digest(third) == digest(first)

    # It was compared with this release of A before, and so was blessed; but it is not what is served.
    console, summary = run(place, "B")
    *_, fourth = place.versions()
    assert len(place.versions()) == 4
    assert not_cached(summary) == ["Pusher"]
    assert digest(fourth) == digest(second)
    assert summary["pushed_to"] == str(fourth)
    assert "Nothing changed" not in console
    assert summary["baseline"]["path"] == str(third)
    before = {
        gate["gate"]: gate["baseline"]
        for gate in summary["gates"]
        if gate["slice"] == "overall" and gate["gate"].endswith("vs baseline")
    }
    assert summary["baseline"]["metrics"] == {file: before[f"{file} vs baseline"] for file in ("saved_model", "tflite")}

    console, summary = run(place, "B")
    assert not_cached(summary) == []
    assert len(place.versions()) == 4
    assert summary["pushed_to"] == str(fourth)
    assert "Nothing changed" in console
    assert not (place.root / "mnist_sample" / "ServedModel").exists()  # its own models are not copied


def test_what_another_pipeline_root_pushed_is_the_baseline(place: Workplace) -> None:
    *_, served = place.versions()
    accuracy = version_dir.read_manifest(served)["metrics"]["tflite"]["accuracy"]
    elsewhere = ("--pipeline-root", str(place.folder / "elsewhere"), "--serving-dir", str(place.serving))
    result = place.call("run", *elsewhere, *COMMON)
    assert result.returncode == 0, result.stdout + result.stderr
    reports = place.folder / "elsewhere" / "reports" / "latest"
    summary = json.loads((reports / "summary.json").read_text())
    assert summary["baseline"]["path"] == str(served)
    assert summary["baseline"]["metrics"]["tflite"] == accuracy
    assert f"version <code>{served}</code>" in (reports / "index.html").read_text()
