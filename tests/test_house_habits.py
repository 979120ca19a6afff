"""The habits of a project that others run: a way to report a weakness, a version with its changelog, CI."""

import re
from importlib.metadata import version
from pathlib import Path

from packaging.specifiers import SpecifierSet

import gateway

ROOT = Path(__file__).parents[1]


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_security_page_is_in_indonesian_first() -> None:
    headings = re.findall(r"^## (.+)$", text_of("SECURITY.md"), re.MULTILINE)
    assert headings == ["Bahasa Indonesia", "English"]


def test_security_page_says_the_same_in_both_languages() -> None:
    _, indonesian, english = re.split(r"^## .+$", text_of("SECURITY.md"), flags=re.MULTILINE)
    assert len(re.findall(r"^### ", indonesian, re.MULTILINE)) == len(re.findall(r"^### ", english, re.MULTILINE))
    assert len(re.findall(r"^- ", indonesian, re.MULTILINE)) == len(re.findall(r"^- ", english, re.MULTILINE))


def test_security_page_supports_this_version() -> None:
    minor = gateway.__version__.rpartition(".")[0]
    assert text_of("SECURITY.md").count(f": {minor}.\n") == 2


def test_this_version_has_its_changelog() -> None:
    released = re.findall(r"^## \[(\d[\d.]+)\] - \d{4}-\d\d-\d\d", text_of("CHANGELOG.md"), re.MULTILINE)
    assert released[0] == gateway.__version__


def test_readme_names_this_version() -> None:
    assert f"Version {gateway.__version__}," in text_of("README.md")


def test_the_workflow_runs_what_contributors_run() -> None:
    steps = re.findall(r"^ +- run: (.+)$", text_of(".github/workflows/ci.yml"), re.MULTILINE)
    assert steps[-1] == ".ci/run"
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o100


def test_the_workflow_runs_on_the_system_that_we_promise() -> None:
    assert "container: debian:12\n" in text_of(".github/workflows/ci.yml")


def test_one_minor_version_of_the_http_server_is_allowed() -> None:
    """The front door overrides methods that uvicorn does not promise to keep."""
    specifier = uvicorn_specifier()
    minors = {minor for minor in range(100) if specifier.contains(f"0.{minor}.0")}
    assert len(minors) == 1


def test_the_installed_http_server_is_the_allowed_one() -> None:
    assert uvicorn_specifier().contains(version("uvicorn"))


def uvicorn_specifier() -> SpecifierSet:
    (line,) = re.findall(r"^    uvicorn(\S+)$", text_of("setup.cfg"), re.MULTILINE)
    return SpecifierSet(line)
