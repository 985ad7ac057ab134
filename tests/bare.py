"""`make test-bare`: the README's commands as a newcomer types them, on bare Debian systems.

A bare system is what debootstrap makes: Debian's essential packages, Python with its venv module, make and git. There
is no compiler, no other library and no browser, so that a missing install step fails here and not at a user's. The
clone holds what is committed. Takes the standard library alone, since it runs before any environment is built.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
NOT_RUN = 77  # the exit code by which automake's test driver knows a test that could not run
_TIMED_OUT = 124  # the exit code of `timeout`

_PACKAGES = ("ca-certificates", "git", "make", "python3", "python3-venv")
_SUITES = {"12": "bookworm", "13": "trixie"}
_HOME = Path("home/newcomer")
_USER = 1000
# How this machine reaches a package registry, if that takes more than a network.
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
_PASSED_ON = ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", *_PROXIES)
_SOURCE = "storage.googleapis.com"  # of MNIST; it does not answer inside, wherever this runs
_ORIGINALS = "MNIST_MANUAL_DIR"
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
# Mounts are this process's own and go with it, whatever becomes of it.
_ENTER = """
set -e
root=$1; user=$2; shift 2
mount --make-rprivate /
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/dev/shm"
exec chroot --userspec="$user" "$root" env -i "$@"
"""


# What a device developer does: the base install answers the pushed version's golden images, away from the clone.
_INSTALL = """
set -e
python3 -m venv ~/base
~/base/bin/python -m pip install --quiet .
version=$(echo "$PWD"/pipeline_root/serving_models/mnist_sample/*)
cd ~
base/bin/python -m serving inspect "$version"
base/bin/python - "$version" << END
import sys
import numpy
from serving import ImageClassifier
with numpy.load(sys.argv[1] + "/golden.npz") as golden:
    images, expected = golden["images"], golden["tflite_output"]
classifier = ImageClassifier(sys.argv[1])
answers = classifier.classify(images).labels
assert answers == [classifier.labels[index] for index in expected.argmax(axis=1)], answers
print(f"{len(answers)} golden images get the answers that were pushed with them")
END
"""


class CheckError(Exception):
    """A bare system did not do what the README promises."""


@dataclass(frozen=True)
class Root:
    """A bare system below a folder of this machine."""

    folder: Path

    @property
    def project(self) -> Path:
        """The newcomer's clone."""
        return self.folder / _HOME / "project"

    def call(self, *command: str, user: int = 0, folder: str = "/", **environment: str) -> subprocess.Popen[str]:
        """Starts a command inside, with an environment of its own; its standard error comes with its output."""
        variables = {
            "HOME": f"/{_HOME}" if user else "/root",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "SSL_CERT_FILE": _CERTIFICATES,
            "PIP_CERT": _CERTIFICATES,
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            **{name: f"{os.environ.get(name, '')},{_SOURCE}".strip(",") for name in ("NO_PROXY", "no_proxy")},
            **environment,
        }
        inside = [f"{name}={value}" for name, value in variables.items()]
        inside += ["sh", "-c", 'cd "$0" && exec "$@"', folder, *command]
        enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _ENTER, "sh"]
        return subprocess.Popen(
            [*enter, str(self.folder), f"{user}:{user}", *inside],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def install(self, *packages: str) -> None:
        """Installs Debian's packages."""
        for arguments in (("update", "-qq"), ("install", "-qq", "--no-install-recommends", *packages)):
            process = self.call("apt-get", *arguments, DEBIAN_FRONTEND="noninteractive")
            output, _ = process.communicate()
            if process.returncode:
                raise CheckError(f"apt-get {' '.join(arguments)} failed:\n{output}")


@dataclass(frozen=True)
class Target:
    """What is typed on a bare system.

    Attributes:
      command: with its arguments.
      seconds: after which it is ended.
      check: takes the bare system and what the command printed; raises CheckError.
      packages: what the command needs beyond a bare system, as its own help says.
      user: who types it.
    """

    command: tuple[str, ...]
    seconds: int
    check: Callable[[Root, str], None]
    packages: tuple[str, ...] = ()
    user: int = _USER


def check_run(root: Root, output: str) -> None:
    """The embedded sample went through every gate to a pushed version."""
    if "embedded sample" not in output:
        raise CheckError("There is no notice that the run goes on with the embedded sample.")
    report = root.project / "pipeline_root/reports/latest"
    lacking = [name for name in ("summary.json", "index.html", "gates.junit.xml") if not (report / name).is_file()]
    if lacking:
        raise CheckError(f"The run left no {', '.join(lacking)}.")
    summary = json.loads((report / "summary.json").read_text(encoding="utf-8"))
    if summary["dataset"] != "mnist_sample" or not summary["blessed"]:
        raise CheckError(f"Expected a blessed run on mnist_sample, got {summary['dataset']}, {summary['blessed']=}.")
    if not_run := [f"{gate['gate']}: {gate['reason']}" for gate in summary["gates"] if gate["passed"] is None]:
        raise CheckError("Gates that were not run: " + "; ".join(not_run))
    version = root.folder / str(summary["pushed_to"]).lstrip("/")
    wanted = ("saved_model.pb", "model.tflite", "labels.txt", "manifest.json", "golden.npz", "model_card.md")
    if lacking := [name for name in wanted if not (version / name).is_file()]:
        raise CheckError(f"The pushed version {version} lacks {', '.join(lacking)}.")
    accuracy = summary["metrics"]["tflite"]["accuracy"]
    print(f"pushed {summary['pushed_to']}, TFLite accuracy {accuracy:.2%} on mnist_sample", flush=True)


def check_tests(least: int) -> Callable[[Root, str], None]:
    """Returns a check that so many tests passed, and that none was skipped but for want of the original files."""

    def check(root: Root, output: str) -> None:
        del root
        skipped = re.findall(r"^SKIPPED .*$", output, re.MULTILINE)
        if originals() is None:
            skipped = [line for line in skipped if _ORIGINALS not in line]
        if skipped:
            raise CheckError("Tests were skipped:\n" + "\n".join(skipped))
        passed = re.findall(r"^=+ (\d+) passed.* in [\d.]+s.*$", output, re.MULTILINE)
        if sum(map(int, passed)) < least:
            raise CheckError(f"Expected at least {least} tests to pass, got {', '.join(passed) or 'none'}.")

    return check


def check_nothing(root: Root, output: str) -> None:
    """The exit code says it all."""
    del root, output


TARGETS = {
    "lint": Target(("make", "lint"), 900, check_nothing),
    "run": Target(("make", "run"), 1800, check_run),
    "install": Target(("sh", "-c", _INSTALL), 600, check_nothing),
    "test": Target(("make", "test"), 1800, check_tests(1000)),
    # A test mounts a small disk, which takes root.
    "test-slow": Target(("make", "test-slow"), 4500, check_tests(20), packages=("chromium", "g++"), user=0),
}


def originals() -> Path | None:
    """Returns the directory with MNIST's original files; None if this machine has none."""
    return Path(os.environ[_ORIGINALS]) if os.environ.get(_ORIGINALS) else None


def missing() -> str | None:
    """Returns what this machine lacks to build a bare system; None if nothing."""
    if os.geteuid() != 0:
        return "it needs root"
    if lacking := [tool for tool in ("debootstrap", "unshare", "git") if shutil.which(tool) is None]:
        return f"it needs {', '.join(lacking)} (Debian, Ubuntu: apt install debootstrap util-linux git)"
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False).returncode:
        return "root may not mount here, as in an unprivileged container"
    return None


@contextmanager
def bare(release: str) -> Iterator[Root]:
    """Builds a bare Debian system with a newcomer's clone of this repository, and removes it in the end."""
    # Not /tmp, which may be in memory and must not hold devices.
    parent = os.environ.get("TMPDIR", "/var/tmp")  # noqa: S108
    folder = Path(tempfile.mkdtemp(prefix=f"bare-debian{release}-", dir=parent))
    folder.chmod(0o755)
    root = Root(folder)
    try:
        command = [
            "debootstrap",
            "--variant=minbase",
            f"--include={','.join(_PACKAGES)}",
            _SUITES[release],
            str(folder),
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise CheckError(f"debootstrap failed:\n{result.stdout[-2000:]}{result.stderr}")
        certificates = os.environ.get("SSL_CERT_FILE", _CERTIFICATES)
        for source, target in (("/etc/resolv.conf", "/etc/resolv.conf"), (certificates, _CERTIFICATES)):
            if Path(source).is_file():
                shutil.copyfile(source, folder / target.lstrip("/"))
        (folder / "etc/hosts").write_text(f"127.0.0.1 localhost {_SOURCE}\n")
        (folder / _HOME).mkdir()
        subprocess.run(["git", "clone", "--quiet", REPOSITORY, root.project], check=True)
        for path in (folder / _HOME, *(folder / _HOME).rglob("*")):
            os.chown(path, _USER, _USER, follow_symlinks=False)
        yield root
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            print(f"Could not remove {folder}: remove it by hand.", file=sys.stderr)


def execute(root: Root, target: Target) -> None:
    """Has a target's command run inside, showing what it prints, and checks what came of it.

    Raises:
      CheckError: the command failed, or did not do what it promises.
    """
    variables = {}
    if target.packages:
        root.install(*target.packages)
        # `make test` and `make run` are those of a newcomer, who has no original files.
        if files := originals():
            shutil.copytree(files, root.folder / "mnist", dirs_exist_ok=True)
            variables[_ORIGINALS] = "/mnist"
    limited = ("timeout", "--kill-after=10", str(target.seconds), *target.command)
    process = root.call(*limited, user=target.user, folder=f"/{_HOME}/project", **variables)
    output = ""
    try:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            output += line
    except BaseException:
        process.kill()  # and all that runs inside with it
        raise
    finally:
        process.wait()
    if process.returncode == _TIMED_OUT:
        raise CheckError(f"It was ended after {target.seconds} s.")
    if process.returncode:
        raise CheckError(f"It ended with exit code {process.returncode}.")
    target.check(root, output)


def disk_usage(root: Root) -> str:
    """Returns what the clone takes, its environment included."""
    output = subprocess.run(["du", "-sh", root.project], capture_output=True, text=True, check=True).stdout
    return output.split()[0]


def main() -> int:
    """Runs targets on each bare system."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.bare", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--debian", choices=_SUITES, nargs="+", default=list(_SUITES), help="releases")
    parser.add_argument(
        "--targets", choices=TARGETS, nargs="+", default=["run", "install", "test"], help="what to type there"
    )
    options = parser.parse_args()
    if reason := missing():
        print(f"not run: {reason}", file=sys.stderr)
        return NOT_RUN
    for release in options.debian:
        name = "the system itself"
        try:
            with bare(release) as root:
                version, _ = root.call("python3", "--version").communicate()
                print(f"== bare Debian {release}, {version.strip()}", flush=True)
                for name in options.targets:
                    started = time.monotonic()
                    print(f"+ {name}", flush=True)
                    execute(root, TARGETS[name])
                    print(f"= {name}: {time.monotonic() - started:.0f} s", flush=True)
                print(f"== Debian {release} is fine; the clone takes {disk_usage(root)}", flush=True)
        except CheckError as error:
            print(f"FAILED: {name} on Debian {release}. {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
