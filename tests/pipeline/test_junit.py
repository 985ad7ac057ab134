"""A CI system shows every comparison, and which of them failed."""

import dataclasses
from pathlib import Path
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from components.gate import Gate
from pipeline import junit
from tests.pipeline.test_summary import gate, made

LOW = gate("tflite", "label=3", 0.97, 0.98)
NOT_RUN = Gate("TFLite Micro", "golden_mismatches", "overall", None, 0, None, None, "TFLite Micro was not run")
GATES = [gate("tflite", "overall", 0.995, 0.994), LOW, NOT_RUN]


def test_each_comparison_is_a_test_case_that_passed_failed_or_was_skipped(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "x" / junit.FILE
    junit.write(made(gates=GATES, blessed=False, pushed_to=None), path)

    assert [file.name for file in path.parent.iterdir()] == [junit.FILE]
    root = ElementTree.parse(path).getroot()  # noqa: S314
    (suite,) = root
    counts = {"tests": "3", "failures": "1", "errors": "0", "skipped": "1", "time": "99.6"}
    assert root.tag == "testsuites"
    assert dict(suite.attrib) == counts | {"name": "gates of run 20240101-000000-000000 on mnist"}
    cases = [(case.get("classname"), case.get("name"), [child.tag for child in case]) for case in suite]
    assert cases == [
        ("tflite", "accuracy on overall", []),
        ("tflite", "accuracy on label=3", ["failure"]),
        ("TFLite Micro", "golden_mismatches on overall", ["skipped"]),
    ]
    failure, skipped = suite.find("testcase/failure"), suite.find("testcase/skipped")
    assert failure is not None
    assert skipped is not None
    assert failure.get("message") == failure.text == LOW.reason
    assert skipped.get("message") == NOT_RUN.reason


def test_a_gate_that_was_overridden_still_failed() -> None:
    root = ElementTree.fromstring(junit.render(made(gates=GATES, bless_anyway="demo")))  # noqa: S314
    assert root.get("failures") == "1"


@given(st.text())
def test_any_reason_gives_xml_that_can_be_read(reason: str) -> None:
    odd = dataclasses.replace(LOW, reason=f"<{reason}\x00\x1b[1m>")
    root = ElementTree.fromstring(junit.render(made(gates=[odd])))  # noqa: S314
    message = root.findall("testsuite/testcase/failure")[0].get("message", "")
    assert message.startswith("<")
    assert message.endswith("\ufffd\ufffd[1m>")
