"""The report of a real run: whole, true to its sources, and fit to be read by anyone."""

import json
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import tensorflow_model_analysis as tfma

from serving import version_dir
from tests.e2e.conftest import Workplace

pytestmark = pytest.mark.timeout(900)  # the first test waits for the sample run

LARGEST = 3_000_000


class Page(HTMLParser):
    """What a page holds: its numbers, its tags with their attributes, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.numbers: list[float] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._skipped = 0
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "data":
            self.numbers.append(float(str(dict(attrs)["value"])))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.tags if found == tag]


def numbers(value: Any) -> set[float]:
    """Every number in a JSON value, the lengths of its lists among them."""
    if isinstance(value, dict):
        return {number for item in value.values() for number in numbers(item)}
    if isinstance(value, list):
        return {float(len(value))} | {number for item in value for number in numbers(item)}
    return {float(value)} if isinstance(value, int | float) else set()


@pytest.fixture(scope="module")
def folder(workplace: Workplace) -> Path:
    return workplace.root / "reports" / "latest"


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page(folder / "index.html")


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def artifact(workplace: Workplace, node: str, output: str) -> Path:
    """The only artifact of a step's output."""
    (found,) = (workplace.root / "mnist_sample" / node / output).iterdir()
    return found


def test_every_number_of_the_page_is_one_that_the_run_measured(workplace: Workplace, page: Page, folder: Path) -> None:
    known = numbers(read(folder / "summary.json"))
    known |= numbers(read(artifact(workplace, "RunReport", "report") / "report.json"))
    known |= numbers(read(artifact(workplace, "QualityGate", "blessing") / "manifest.json"))
    assert len(page.numbers) > 300
    assert set(page.numbers) <= known


def test_what_the_page_says_of_slices_is_what_tfma_found(workplace: Workplace) -> None:
    result = tfma.load_eval_result(str(artifact(workplace, "TFLiteEvaluator", "evaluation")))
    found = {
        ", ".join(f"{feature}={value}" for feature, value in key): metrics[""][""]["accuracy"]["doubleValue"]
        for key, metrics in result.slicing_metrics
        if key
    }
    content = read(artifact(workplace, "RunReport", "report") / "report.json")
    shown = {score["name"]: score["accuracy"] for score in content["slices"]["TFLite"]}
    assert shown == found
    assert {"label=3", "ink_quartile=0", "stroke_width=3", "crossings=1"} <= shown.keys()
    accuracies = [score["accuracy"] for score in content["slices"]["TFLite"]]
    assert accuracies == sorted(accuracies)


def test_the_confusion_matrix_adds_up_to_the_accuracy_of_the_summary(workplace: Workplace) -> None:
    confusion = read(artifact(workplace, "RunReport", "report") / "report.json")["confusion"]
    right = sum(row[index] for index, row in enumerate(confusion))
    summary = workplace.summary()
    assert right / sum(map(sum, confusion)) == summary["metrics"]["tflite"]["accuracy"]


def test_the_page_is_one_file_that_needs_no_network(page: Page, folder: Path) -> None:
    assert (folder / "index.html").stat().st_size < LARGEST
    assert not page.all("script")
    assert not page.all("link")
    assert not page.all("iframe")
    sources = [attributes.get("src") or "" for _, attributes in page.tags if attributes.get("src")]
    sources += [attributes.get("xlink:href") or "" for tag, attributes in page.tags if tag == "image"]
    assert sources
    assert all(source.startswith("data:") for source in sources)
    assert "@import" not in (folder / "index.html").read_text()


def test_what_the_page_links_to_lies_beside_it(page: Page, folder: Path) -> None:
    ids = {attributes["id"] for _, attributes in page.tags if attributes.get("id")}
    targets = [str(attributes["href"]) for attributes in page.all("a")]
    assert targets
    for target in targets:
        assert target[1:] in ids if target.startswith("#") else (folder / target).is_file(), target


def test_every_picture_says_in_words_what_it_shows(page: Page) -> None:
    pictures = page.all("svg")
    assert len(pictures) >= 12
    assert all(picture["role"] == "img" for picture in pictures)
    assert page.text.count("Confusion matrix of") == 1
    assert page.text.count("training images as the network sees them, 3 of them made up and of no class: ") == 1


def test_the_page_of_a_run_is_found_and_made_anew_if_it_is_gone(workplace: Workplace, folder: Path) -> None:
    result = workplace.call("report", "--pipeline-root", str(workplace.root))
    assert result.returncode == 0, result.stderr
    path = Path(result.stdout.strip())
    assert path.samefile(folder / "index.html")
    before = path.read_text()
    path.unlink()
    again = workplace.call("report", path.parent.name, "--pipeline-root", str(workplace.root))
    assert again.returncode == 0, again.stderr
    assert path.read_text() == before


def test_a_run_that_is_not_there_is_named_with_those_that_are(workplace: Workplace, folder: Path) -> None:
    result = workplace.call("report", "20000101", "--pipeline-root", str(workplace.root))
    assert result.returncode == 2
    assert "No run '20000101'" in result.stderr
    assert folder.resolve().name in result.stderr


def test_a_run_compared_with_itself_differs_in_nothing(workplace: Workplace) -> None:
    result = workplace.call("compare", "latest", "latest", "--json", "--pipeline-root", str(workplace.root))
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["flips"], found["broken"], found["mended"], found["settings"]) == ([], 0, 0, [])
    accuracy = next(item for item in found["metrics"] if item["name"] == "tflite accuracy")
    assert accuracy["first"] == accuracy["second"] == workplace.summary()["metrics"]["tflite"]["accuracy"]


def test_the_model_card_comes_with_the_pushed_version(workplace: Workplace, folder: Path) -> None:
    version = workplace.versions()[-1]
    card = (version / "model_card.md").read_text()
    assert card == (folder / "model_card.md").read_text()
    version_dir.verify(version)
    accuracy = workplace.summary()["metrics"]["tflite"]["accuracy"]
    assert f"| {100 * accuracy:.2f} % |" in card
    assert workplace.summary()["tflite"]["arena_bytes"] is not None
    assert f"an arena of {workplace.summary()['tflite']['arena_bytes']:,} bytes" in card


BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(BROWSER is None, reason="not run: Chromium is not on the PATH")
VIEWS = [(1200, "light"), (390, "dark")]  # each width and each scheme


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_a_browser_shows_the_page_on_any_screen_to_anyone(folder: Path, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        asked, complaints = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.goto((folder / "index.html").resolve().as_uri())
        assert [url for url in asked if not url.startswith("data:")] == [(folder / "index.html").resolve().as_uri()]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("h1").count() == 1
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
        for details in page.locator("details").all():
            details.evaluate("element => { element.open = true }")
        violations = Axe().run(page)
        browser.close()
    assert complaints == []
    assert violations.violations_count == 0, violations.generate_report()


@pytest.mark.slow
@needs_browser
def test_the_page_prints_on_paper(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.pdf"
    subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--print-to-pdf={target}",
            (folder / "index.html").resolve().as_uri(),
        ],
        capture_output=True,
        check=True,
        timeout=120,
    )
    assert target.read_bytes().startswith(b"%PDF")
