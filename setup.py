"""Package metadata; also what Beam ships to remote workers (`--setup_file`).

A base install brings `serving` alone; the extra `[pipeline]` adds what trains, judges and pushes, `[micro]` TFLite
Micro's interpreter. The requirements have their home in `requirements/*.in`.
"""

from pathlib import Path

from setuptools import find_packages, setup

_ROOT = Path(__file__).parent


def _requirements(name: str) -> list[str]:
    lines = (
        line.partition("#")[0].strip() for line in (_ROOT / "requirements" / f"{name}.in").read_text().splitlines()
    )
    return [line for line in lines if line and not line.startswith("-")]


setup(
    name="mnist-pipeline",
    version="0.1.0",
    description="From a TensorFlow dataset to a blessed, pushed SavedModel and full-integer TFLite file.",
    long_description=(_ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",  # `serving` runs on any later one; what the extra [pipeline] needs states its own bounds
    packages=find_packages(include=["pipeline*", "components*", "serving*"]),
    package_data={
        "pipeline": ["schemas/*.pbtxt", "templates/*.j2"],
        "components.quality_gate": ["templates/*.j2"],
        "serving": ["templates/*.in"],
    },
    install_requires=_requirements("serving"),
    extras_require={"pipeline": _requirements("pipeline"), "micro": _requirements("micro")},
    entry_points={"console_scripts": ["mnist-pipeline = pipeline.cli:main"]},
)
