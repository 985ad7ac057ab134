"""A pipeline root belongs to one run of this program at a time, and nothing foreign is touched."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.errors import UserError
from pipeline import workspace

MARKER = ".pipeline_root.json"


def refusal(root: Path) -> str:
    with pytest.raises(UserError) as caught, workspace.occupied(root):
        pytest.fail("the root was given away")
    return str(caught.value)


def test_a_new_root_is_made_and_marked(tmp_path: Path) -> None:
    root = tmp_path / "a" / "b"
    with workspace.occupied(root):
        assert json.loads((root / MARKER).read_text()) == {"format": 1}


def test_a_root_may_be_used_again_and_keeps_what_is_in_it(tmp_path: Path) -> None:
    with workspace.occupied(tmp_path):
        (tmp_path / "metadata.sqlite").write_text("db")
    with workspace.occupied(tmp_path):
        assert (tmp_path / "metadata.sqlite").read_text() == "db"


def test_hidden_files_such_as_gitignore_do_not_make_a_directory_foreign(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*")
    with workspace.occupied(tmp_path):
        pass


def test_a_foreign_directory_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("words")
    assert "is not a pipeline root" in refusal(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


UNREADABLE = [b'{"format"', b"", b"[]", b"{}", b"\xff\xfe"]


@pytest.mark.parametrize(
    ("marker", "told"),
    [
        (b'{"format": 2}', "expected format 1 in .pipeline_root.json, got 2"),
        *((marker, f"has an unreadable marker {MARKER}. Delete that file if") for marker in UNREADABLE),
    ],
)
def test_a_root_of_another_version_is_refused_and_left_as_it_is(tmp_path: Path, marker: bytes, told: str) -> None:
    (tmp_path / MARKER).write_bytes(marker)
    (tmp_path / "metadata.sqlite").write_text("db")
    assert told in refusal(tmp_path)
    assert (tmp_path / MARKER).read_bytes() == marker


def test_an_empty_root_of_another_version_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text('{"format": 2}')
    assert "got 2" in refusal(tmp_path)


@pytest.mark.parametrize("marker", UNREADABLE)
def test_an_unreadable_marker_in_an_otherwise_empty_root_is_replaced(tmp_path: Path, marker: bytes) -> None:
    (tmp_path / MARKER).write_bytes(marker)
    with workspace.occupied(tmp_path):
        assert json.loads((tmp_path / MARKER).read_text()) == {"format": 1}


def test_a_full_disk_leaves_no_marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(path: Path, text: str) -> None:
        path.touch()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full_disk:
        full_disk.setattr(Path, "write_text", cut_off)
        assert "No space left on device" in refusal(tmp_path)
    assert not (tmp_path / MARKER).exists()
    with workspace.occupied(tmp_path):
        assert (tmp_path / MARKER).exists()


def test_looking_at_a_root_makes_nothing(tmp_path: Path) -> None:
    assert not workspace.is_marked(tmp_path / "nowhere")
    assert not workspace.is_marked(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def other_process(tmp_path: Path) -> Iterator[subprocess.Popen]:
    """Another process that holds the root until it is told to end, or is killed."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom pipeline import workspace\n"
        "with workspace.occupied(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "root")],
        cwd=Path(workspace.__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_root_in_use_is_refused_and_a_killed_run_does_not_keep_it(
    tmp_path: Path, other_process: subprocess.Popen
) -> None:
    assert "Another run is using" in refusal(tmp_path / "root")
    other_process.kill()
    other_process.wait()
    with workspace.occupied(tmp_path / "root"):
        pass


def test_an_error_inside_goes_through_and_gives_the_root_back(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="inside"), workspace.occupied(tmp_path):
        raise OSError("inside")
    with workspace.occupied(tmp_path):
        pass


@pytest.mark.parametrize("place", ["file", "file/root"])
def test_a_root_that_cannot_be_made_is_told(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    assert "Expected a directory that can be written to" in refusal(tmp_path / place)


@pytest.mark.parametrize("place", ["", "new", "new/below"])
def test_a_serving_directory_that_is_or_can_be_made_is_fine(tmp_path: Path, place: str) -> None:
    workspace.check_writable(tmp_path / place)
    assert list(tmp_path.iterdir()) == []


def test_a_serving_directory_under_a_file_is_told_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Cannot push to .*models.*got .*file, which is a file.*--serving-dir"):
        workspace.check_writable(tmp_path / "file" / "models")


def test_a_serving_directory_without_the_right_to_write_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace.os, "access", lambda path, mode: False)  # root may do everything
    with pytest.raises(UserError, match="which cannot be"):
        workspace.check_writable(tmp_path / "models")


def test_latest_points_to_the_last_run_and_moves_with_it(tmp_path: Path) -> None:
    for run in ("one", "two"):
        workspace.report_dir(tmp_path, run).mkdir(parents=True)
        (workspace.report_dir(tmp_path, run) / "summary.json").write_text(run)
        workspace.point_latest(tmp_path, run)
        assert (tmp_path / "reports" / "latest" / "summary.json").read_text() == run
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == ["latest", "one", "two"]


def test_reports_may_be_moved_with_their_latest(tmp_path: Path) -> None:
    workspace.report_dir(tmp_path / "here", "one").mkdir(parents=True)
    workspace.point_latest(tmp_path / "here", "one")
    (tmp_path / "here").rename(tmp_path / "there")
    assert (tmp_path / "there" / "reports" / "latest").is_dir()
