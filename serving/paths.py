"""Telling paths of this machine from addresses of other places."""

import re
from pathlib import Path

# One slash is what pathlib leaves of two. A single letter is a drive, not a scheme.
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}")


def refusal_of_uri(path: Path | str) -> str | None:
    """Returns why a path is refused if it is a URI (`gs://`, `s3://`, `file://`, ...); None if it is a path.

    As a path, a URI would name a directory below the working directory, and what is written there would seem to be
    where it was sent.
    """
    found = _URI.match(str(path))
    if found is None:
        return None
    uri = f"{found[1]}://{str(path)[found.end() :]}"
    return (
        f"expected a path on this machine, got the URI {uri}. Remote storage is not supported: use a local path, or "
        "mount the storage and name the mount point."
    )
