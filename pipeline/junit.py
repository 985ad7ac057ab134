"""The gates as JUnit XML, which CI systems show."""

import re
from pathlib import Path
from xml.etree import ElementTree

from pipeline.summary import Summary, write_whole

FILE = "gates.junit.xml"

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 has no place for


def write(summary: Summary, path: Path) -> None:
    """Writes the gates of a run, complete or not at all."""
    write_whole(path, render(summary))


def render(summary: Summary) -> str:
    """Returns a JUnit test suite with a test case for each comparison, whatever the verdict made of it.

    Args:
      summary: of the run.
    """
    counts = {
        "tests": len(summary.gates),
        "failures": len(summary.failed_gates),
        "errors": 0,
        "skipped": sum(gate.passed is None for gate in summary.gates),
        "time": summary.wall_seconds,
    }
    attributes = {name: str(value) for name, value in counts.items()}
    root = ElementTree.Element("testsuites", attributes)
    suite = ElementTree.SubElement(
        root, "testsuite", {"name": _text(f"gates of run {summary.run_id} on {summary.dataset}")} | attributes
    )
    for gate in summary.gates:
        name = {"classname": _text(gate.gate), "name": _text(f"{gate.metric} on {gate.slice}"), "time": "0"}
        case = ElementTree.SubElement(suite, "testcase", name)
        if gate.refused:
            failure = ElementTree.SubElement(case, "failure", {"type": "gate", "message": _text(gate.reason)})
            failure.text = _text(gate.reason)
        elif gate.passed is None:
            ElementTree.SubElement(case, "skipped", {"message": _text(gate.reason)})
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True).decode()


def _text(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
