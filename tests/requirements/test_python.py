"""Which Python `make` takes, on machines that have other ones than this."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "requirements" / "python.sh"


class Machine:
    """A PATH that holds nothing but stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.has("uname", "echo Linux x86_64")
        self.glibc("2.41")

    def has(self, name: str, script: str) -> None:
        file = self.folder / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def glibc(self, version: str) -> None:
        self.has("getconf", f"echo glibc {version}")

    def python(self, name: str, version: str, venv: bool = True) -> None:
        """Adds an interpreter, which answers the three questions that the script asks of one."""
        answers = {"version_info": f"echo {version}", "executable": 'echo "$0"', "venv": "true" if venv else "false"}
        cases = " ".join(f"*{word}*) {answer} ;;" for word, answer in answers.items())
        self.has(name, f'case "$2" in {cases} esac')

    def broken(self, name: str) -> None:
        """Adds an interpreter that does not run, such as a shim of pyenv."""
        self.has(name, "exit 127")

    def choose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", SCRIPT, *arguments],
            env={"PATH": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )

    def chosen(self, *arguments: str) -> list[str]:
        """The names of what the script prints the paths of: the interpreter, and the one that holds uv."""
        result = self.choose(*arguments)
        assert result.returncode == 0, result.stderr
        assert result.stderr == ""
        paths = [Path(line) for line in result.stdout.splitlines()]
        assert {path.parent for path in paths} == {self.folder}
        return [path.name for path in paths]

    def error(self, *arguments: str) -> str:
        result = self.choose(*arguments)
        assert (result.returncode, result.stdout) == (1, "")
        return result.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_newest_that_suits_is_taken(machine: Machine) -> None:
    for version in ("3.10", "3.11", "3.13", "3.14"):
        machine.python(f"python{version}", version)
    machine.python("python3", "3.11")
    assert machine.chosen() == ["python3.13", "python3.13"]


def test_a_plain_python3_is_taken_if_it_suits(machine: Machine) -> None:
    machine.python("python3", "3.12")
    assert machine.chosen() == ["python3", "python3"]


def test_one_that_does_not_run_is_passed_over(machine: Machine) -> None:
    machine.broken("python3.13")
    machine.python("python3.11", "3.11")
    assert machine.chosen() == ["python3.11", "python3.11"]


def test_newer_ones_need_a_newer_glibc(machine: Machine) -> None:
    machine.glibc("2.36")
    machine.python("python3.13", "3.13")
    machine.python("python3.11", "3.11")
    assert machine.chosen() == ["python3.11", "python3.11"]


def test_a_named_one_is_taken(machine: Machine) -> None:
    machine.python("python3.13", "3.13")
    machine.python("my own", "3.11")
    assert machine.chosen("my own") == ["my own", "my own"]


@pytest.mark.parametrize(
    ("version", "glibc", "reason"),
    [
        ("3.10", "2.41", "is Python 3.10; expected one of 3.13 3.12 3.11"),
        ("3.14", "2.41", "is Python 3.14; expected one of 3.13 3.12 3.11"),
        ("3.12", "2.36", "needs glibc 2.39 or later"),
    ],
)
def test_a_named_one_that_does_not_suit_is_refused(machine: Machine, version: str, glibc: str, reason: str) -> None:
    machine.glibc(glibc)
    machine.python("mine", version)
    machine.python("python3.11", "3.11")
    assert reason in machine.error("mine")


def test_a_named_one_that_is_not_there_is_refused(machine: Machine) -> None:
    assert "cannot run PYTHON=nope" in machine.error("nope")


@pytest.mark.parametrize(("glibc", "version"), [("2.41", "3.13"), ("2.36", "3.11")])
def test_where_none_suits_uv_is_told_to_fetch_one(machine: Machine, glibc: str, version: str) -> None:
    machine.glibc(glibc)
    machine.python("python3", "3.14")
    result = machine.choose()
    assert (result.returncode, result.stdout.splitlines()) == (0, [version, str(machine.folder / "python3")])
    assert f"uv fetches Python {version}" in result.stderr


def test_another_python_holds_uv_if_the_chosen_one_has_no_venv(machine: Machine) -> None:
    machine.python("python3.13", "3.13", venv=False)
    machine.python("python3", "3.9")
    assert machine.chosen() == ["python3.13", "python3"]


def test_without_any_venv_module_it_says_what_to_install(machine: Machine) -> None:
    machine.python("python3", "3.11", venv=False)
    assert "apt install python3-venv" in machine.error()


def test_without_any_python_it_says_what_to_install(machine: Machine) -> None:
    assert "apt install python3 python3-venv" in machine.error()


@pytest.mark.parametrize("answer", ["echo glibc 2.27", "exit 1"])  # an old one; another C library
def test_a_system_that_is_too_old_is_named(machine: Machine, answer: str) -> None:
    machine.has("getconf", answer)
    machine.python("python3", "3.11")
    assert "needs glibc 2.28 or later" in machine.error()


def test_another_kind_of_machine_is_named(machine: Machine) -> None:
    machine.has("uname", "echo Darwin arm64")
    assert "this is Darwin arm64" in machine.error()


def test_this_very_interpreter_suits_here() -> None:
    result = subprocess.run(["/bin/sh", SCRIPT, sys.executable], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[0] == sys.executable
