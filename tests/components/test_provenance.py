"""What a run was made with."""

from pathlib import Path

import pytest

from components import provenance


def test_a_machine_is_its_cpu_however_many_cores_may_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: Fast CPU @ 3 GHz\n\nprocessor\t: 1\nmodel name\t: Fast CPU @ 3 GHz\n"
    )
    monkeypatch.setattr(provenance, "_CPU_INFO", tmp_path / "cpuinfo")
    assert provenance.machine() == "Fast CPU @ 3 GHz"


@pytest.mark.parametrize("content", [None, "processor\t: 0\nBogoMIPS\t: 50.00\n"])
def test_where_the_system_does_not_name_the_cpu_it_is_the_architecture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    if content:
        (tmp_path / "cpuinfo").write_text(content)
    monkeypatch.setattr(provenance, "_CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert provenance.machine() == "aarch64"
