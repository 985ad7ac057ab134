#!/bin/sh
# Chooses the Python of the locked environment: `python.sh [INTERPRETER]` prints what `uv venv --python` takes, on two
# lines: the interpreter of the environment, and one whose venv module can hold uv itself.
#
# The newest suitable interpreter on the PATH, or the one given. Where there is none, a version for uv to fetch, with a
# line on standard error that says so. Exits with 1, and a line that says what to install, if nothing will do.
set -eu

NEWEST="3.13 3.12 3.11"
# ml-metadata, TFDV and tfx-bsl: their wheels for Python 3.12 and later ask for glibc 2.39, the older ones for 2.28.
GLIBC_OF_NEWER=39
GLIBC_OF_OLDER=28

fail() {
  echo "Error: $*" >&2
  exit 1
}

# Prints where an interpreter is: uv would take a name for a wish and search for itself.
path_of() {
  "$1" -c 'import sys; print(sys.executable)'
}

# Prints an interpreter's version, as in "3.11"; nothing if it does not run (as pyenv's shims may not).
version_of() {
  "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null || true
}

can_hold_uv() {
  "$1" -c 'import ensurepip, venv' 2> /dev/null
}

system=$(uname -s -m)
[ "$system" = "Linux x86_64" ] || fail "TFX's companions have wheels for Linux on x86-64 only, and this is $system." \
  "Use such a machine or a container of Debian or Ubuntu; the base install (pip install .) runs here."
glibc=$(getconf GNU_LIBC_VERSION 2> /dev/null || true)
minor=${glibc#glibc 2.}
too_old="the pipeline needs glibc 2.$GLIBC_OF_OLDER or later (Debian 12, Ubuntu 24.04), and this system has ${glibc:-none}."
case "$minor" in
  "" | *[!0-9]*) fail "$too_old" ;;
esac
[ "$minor" -ge "$GLIBC_OF_OLDER" ] || fail "$too_old"

suits() {
  case "$1" in
    3.11) true ;;
    3.12 | 3.13) [ "$minor" -ge "$GLIBC_OF_NEWER" ] ;;
    *) false ;;
  esac
}

chosen=
if [ -n "${1:-}" ]; then
  version=$(version_of "$1")
  [ -n "$version" ] || fail "cannot run PYTHON=$1. Expected a Python of ${NEWEST}."
  suits "$version" || case "$version" in
    3.12 | 3.13) fail "Python $version needs glibc 2.$GLIBC_OF_NEWER or later (Debian 13, Ubuntu 24.04), and this" \
      "system has $glibc. Use Python 3.11 here, or leave PYTHON out." ;;
    *) fail "PYTHON=$1 is Python $version; expected one of ${NEWEST}. Leave PYTHON out to have one chosen." ;;
  esac
  chosen=$1
else
  for candidate in python3.13 python3.12 python3.11 python3 python; do
    if suits "$(version_of "$candidate")"; then
      chosen=$candidate
      break
    fi
  done
fi

holder=
for candidate in "$chosen" python3 python3.14 python3.13 python3.12 python3.11 python; do
  if can_hold_uv "$candidate"; then
    holder=$candidate
    break
  fi
done
if [ -z "$holder" ]; then
  any=$(version_of "${chosen:-python3}")
  [ -n "$any" ] || fail "no Python found. Install Python 3.11 or later with its venv module (Debian, Ubuntu:" \
    "apt install python3 python3-venv)."
  fail "Python $any has no venv module. Install it (Debian, Ubuntu: apt install python3-venv)."
fi

if [ -n "$chosen" ]; then
  chosen=$(path_of "$chosen")
else
  chosen=3.11
  [ "$minor" -lt "$GLIBC_OF_NEWER" ] || chosen=3.13
  echo "No suitable Python on the PATH (one of $NEWEST that fits $glibc): uv fetches Python $chosen. Where it cannot, install one of them." >&2
fi
echo "$chosen"
path_of "$holder"
