"""A URI is never taken for a path of this machine."""

from pathlib import Path

import pytest

from serving.paths import refusal_of_uri


@pytest.mark.parametrize(
    "uri",
    [
        "gs://bucket/models",
        "s3://bucket",
        "S3a://b/x",
        "hdfs://host:8020/x",
        "https://example.com/a.tflite",
        "file://x/y",
    ],
)
def test_a_uri_is_refused_as_text_and_as_what_pathlib_makes_of_it(uri: str) -> None:
    assert ":/" in str(Path(uri))
    assert "://" not in str(Path(uri))
    for given in (uri, Path(uri)):
        refusal = refusal_of_uri(given)
        assert refusal is not None
        assert f"got the URI {uri}. Remote storage is not supported" in refusal


def test_a_file_uri_is_refused_too() -> None:
    assert "got the URI file:///models." in str(refusal_of_uri("file:///models"))


@pytest.mark.parametrize(
    "text",
    [
        "models",
        "/models",
        "./gs",
        "~/models",
        "a:b",
        "run 12:30/models",
        "/mnt/gs:/bucket",
        "C:/models",
        "gs:bucket",
        ".",
    ],
)
def test_a_path_is_a_path(text: str) -> None:
    assert refusal_of_uri(text) is None
    assert refusal_of_uri(Path(text)) is None
