"""The documentation is complete and current, and every file, command and setting that it names exists."""

import importlib.util
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import click
import pytest

from adapters import BUILTIN
from gateway.ports.registry import Registry
from gateway.settings.files import ChannelFile, GatewayFile, RegionFile
from gateway.spool.tables import Kind, State
from run_gateway import main as program

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "adapters/**/*.md")
    for path in ROOT.glob(pattern)
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
DECISIONS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
IN_TWO_LANGUAGES = [
    *(ROOT / "docs" / f"{name}.md" for name in ("admin-guide", "production", "commands", "configuration", "errors")),
    *(ROOT / "adapters" / key.replace(".", "/") / "README.md" for key in sorted(BUILTIN)),
]
# Made at run time, or by tools: named in the documents, absent from a fresh checkout.
MADE = ("var/", "dist/", "bench/out", ".venv")
# Invented on purpose: the example that a contributor is taken through.
EXAMPLES = re.compile(r"foo|pesan.nusantara|bandar-lampung|NAME|folder|first\.http|first\.json")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


@cache
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module


@cache
def commands() -> dict[str, click.Command]:
    return dict(generator().all_commands(program))


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield language and content of each fenced block."""
    for block in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield block[1], block[2]


def spans(text: str) -> list[str]:
    """Return all code of a page: inline spans, and the lines of fenced blocks."""
    lines = [line.strip() for _, content in blocks(text) for line in content.splitlines()]
    inline = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", inline)] + lines


# --- everything is documented ----------------------------------------------------------------------------------------


def test_generated_pages_are_current() -> None:
    try:
        stale = generator().stale()
    except generator().Incomplete as exc:
        pytest.fail(f"{exc}: add it there, then `make docs`")
    assert not stale, "the code has changed since the pages were made: make docs"


def settings_models() -> list[type]:
    registry = Registry(BUILTIN)
    sections = list(generator().sections(GatewayFile).values())
    return [GatewayFile, RegionFile, ChannelFile, *sections, *(registry.adapter(key).Settings for key in registry.keys)]


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    for model in settings_models():
        for name, field in model.model_fields.items():
            if generator().section_of(model, name):
                assert re.search(rf"[\[.]{name}\]", page), (
                    f"make docs: {model.__name__}.{name} is not in configuration.md"
                )
                continue
            assert f"| `{name}` |" in page, f"make docs: {model.__name__}.{name} is missing in configuration.md"
            assert field.description, f"give {model.__name__}.{name} a Field(description=...)"


def test_every_command_and_option_is_documented() -> None:
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    for name, command in commands().items():
        assert page.count(f"\n### `{name}`\n") == 2, f"make docs: {name} is missing in commands.md"
        assert command.help, f"give the command {name} a docstring"
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert option.help, f"give {option.opts} of {name} a help="
                assert f"`{option.opts[0]}" in page, f"make docs: {option.opts} of {name} is missing in commands.md"


def test_every_exit_code_is_documented() -> None:
    from gateway.cli import context

    codes = {value for name, value in vars(context).items() if name.startswith("EXIT_")}
    assert codes == set(generator().EXITS) - {0}, "name each exit code of gateway/cli/context.py in docs/generate.py"


def test_every_error_is_documented() -> None:
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    for error in generator().all_errors():
        assert f"| `{error.code}` |" in page, f"make docs: {error.code} is missing in errors.md"
        assert error.__doc__, f"give {error.__name__} a docstring"


def test_every_metric_is_documented() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    families = generator().metric_families()
    assert len(families) > 10
    for name, _, text, _ in families:
        assert f"| `{name}` |" in page, f"make docs: {name} is missing in metrics.md"
        assert text, f"give the metric {name} a text"


def test_every_row_state_and_kind_is_documented() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for word in [*State, *Kind]:
        assert re.search(rf"\b{word}\b", page), f"explain {word!r} in docs/architecture.md"


@pytest.mark.parametrize("key", sorted(BUILTIN))
def test_every_adapter_has_its_page(key: str) -> None:
    assert (ROOT / "adapters" / key.replace(".", "/") / "README.md").exists(), f"write the operator's page of {key}"


# --- every name in the pages exists ------------------------------------------------------------------------------------


def test_readme_begins_with_run_and_test() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    commands_of_make = [
        line for _, content in blocks(readme) for line in content.splitlines() if line.startswith("make")
    ]
    assert commands_of_make == ["make run", "make test"], "README shows these two commands, and no other, in its blocks"


def test_readme_is_in_indonesian_first() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert headings == ["Bahasa Indonesia", "English"]


def sections(page: Path) -> dict[str, str]:
    """Return the parts of a page by their heading of the second level."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))


each_page_in_two_languages = pytest.mark.parametrize("page", IN_TWO_LANGUAGES, ids=name_of)


@each_page_in_two_languages
def test_each_language_has_one_section_indonesian_first(page: Path) -> None:
    assert list(sections(page))[:2] == ["Bahasa Indonesia", "English"]


@each_page_in_two_languages
@pytest.mark.parametrize("piece", [r"^#+ ", r"^\|", r"^ *- ", r"^ *\d\. "], ids=["headings", "rows", "items", "steps"])
def test_both_languages_have_the_same_pieces(page: Path, piece: str) -> None:
    indonesian, english = (
        len(re.findall(piece, sections(page)[language], re.MULTILINE)) for language in ("Bahasa Indonesia", "English")
    )
    assert indonesian == english


def test_adapters_pages_have_the_same_headings() -> None:
    pages = [page for page in IN_TWO_LANGUAGES if page.name == "README.md"]
    headings = {tuple(re.findall(r"^##?#? (?!SMS)(.+)$", page.read_text("utf-8"), re.MULTILINE)) for page in pages}
    assert len(headings) == 1


@each_page
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for span in spans(page.read_text("utf-8")):
        if span.startswith("make "):
            words = re.split(r"\s+#|[;&|]", span)[0].split()[1:]
            named = {word for word in words if "=" not in word and re.fullmatch(r"[a-z-]+", word)}
            assert named <= targets, f"{name_of(page)}: `{span}`: the Makefile has no such target"


def slug(heading: str) -> str:
    """Return the anchor that GitHub makes of a heading."""
    letters = re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", ""))
    return letters.replace(" ", "-")


@cache
def anchors(page: Path) -> set[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = {slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    return headings | set(re.findall(r'id="(.+?)"', text))


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{name_of(page)} links to {target}, which does not exist"
        if anchor:
            assert anchor in anchors(linked), f"{name_of(page)} links to {target}: no such heading there"


@each_page
def test_named_files_exist(page: Path) -> None:
    tops = {path.name for path in ROOT.iterdir()}
    for span in spans(page.read_text("utf-8")):
        for word in re.findall(r"(?<![\w/.<>-])[\w.][\w./*<>-]*", span):
            if not ("/" in word and word.split("/")[0] in tops and word.split("/")[0]) or "<" in word:
                continue
            if word.startswith(MADE) or EXAMPLES.search(word):
                continue
            exists = (ROOT / word).exists() if "*" not in word else any(ROOT.glob(word.rstrip("/")))
            assert exists, f"{name_of(page)} names {word}, which does not exist"


@each_page
def test_named_modules_exist(page: Path) -> None:
    for span in spans(page.read_text("utf-8")):
        for name in re.findall(r"(?<![\w./-])(?:gateway|adapters)(?:\.[a-z_0-9]+)+", span):
            if EXAMPLES.search(name) or name.endswith((".toml", ".schema", ".db", ".sqlite")):
                continue
            assert importlib.util.find_spec(name.rpartition(".")[0]), (
                f"{name_of(page)} names {name}, which does not exist"
            )
            parent = importlib.import_module(name.rpartition(".")[0])
            attribute = name.rpartition(".")[2]
            known = hasattr(parent, attribute) or (hasattr(parent, "__path__") and importlib.util.find_spec(name))
            assert known, f"{name_of(page)} names {name}, which does not exist"


@each_page
def test_named_commands_and_options_exist(page: Path) -> None:
    known = commands()
    for span in spans(page.read_text("utf-8")):
        if re.match(r"\S+  ", span):
            continue  # a line of a map: name, then what it is
        words = span.split("#")[0].split()
        if words and words[0].endswith("python"):
            words = words[1:]
        program_named = bool(words) and words[0].removeprefix("./").rpartition("/")[2] in (
            "run_gateway.py",
            "lapor-gateway",
        )
        words = words[1:] if program_named else words
        while words[:1] and words[0].startswith("--"):
            words = words[2:]  # an option of the program and its value
        two = " ".join(words[:2])
        name = two if two in known else words[0] if words and words[0] in known else None
        if program_named and words and re.fullmatch(r"[a-z-]+", words[0]):
            assert name, f"{name_of(page)}: `{span}`: there is no such command"
        if name and (program_named or any(word.startswith("--") for word in words)):
            options = {opt for option in known[name].params for opt in option.opts} | {"--help"}
            used = {word.rstrip(".,;:") for word in words if word.startswith("--")}
            assert used <= options, f"{name_of(page)}: `{span}`: {name} has no {sorted(used - options)}"


@each_page
def test_named_metrics_exist(page: Path) -> None:
    exact = {name for name, *_ in generator().metric_families()}
    exact |= {name + end for name in exact for end in ("_bucket", "_sum", "_count")}
    for name in re.findall(r"\blapor_[a-z_]+\b", page.read_text("utf-8")):
        assert name in exact or name.startswith("lapor_gateway"), f"{name_of(page)} names {name}: no such metric"


@each_page
def test_named_settings_exist(page: Path) -> None:
    sections = generator().sections(GatewayFile)
    for span in spans(page.read_text("utf-8")):
        match = re.fullmatch(r"\[+([a-z]+)\]+(?: ([a-z_]+))?", span)
        if match and match[1] != "channels":
            assert match[1] in sections, f"{name_of(page)}: `{span}`: gateway.toml has no such section"
            if match[2]:
                assert match[2] in sections[match[1]].model_fields, f"{name_of(page)}: `{span}`: no such setting"


@each_page
def test_examples_of_configuration_are_sound(page: Path) -> None:
    models = {**GatewayFile.model_fields, **RegionFile.model_fields}
    sections = generator().sections(GatewayFile)
    for language, content in blocks(page.read_text("utf-8")):
        if language == "json":
            json.loads(content)
        if language != "toml":
            continue
        for name, value in tomllib.loads(content.replace("\n   ", "\n")).items():
            if name in models:
                rows = value if isinstance(value, list) else [value]
                for row in rows:
                    if name in sections:
                        assert set(row) <= set(sections[name].model_fields), (
                            f"{name_of(page)}: [{name}] has no such key"
                        )
            else:  # a line shown out of its section
                known = {field for model in settings_models() for field in model.model_fields}
                assert name in known, f"{name_of(page)}: the example sets {name}, which is no setting"


# --- decisions, and the way to each page -------------------------------------------------------------------------------


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_decisions_have_their_parts(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text.startswith(f"# {page.name[:4]}: "), "a decision begins with its number and its title"
    parts = dict(re.findall(r"^## ([^\n]+)\n\n(.+?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert list(parts) == ["Status", "Context", "Decision", "Consequences"], "these four parts, in this order"
    assert all(part.strip() for part in parts.values())


def test_decisions_are_numbered_and_listed() -> None:
    assert [page.name[:4] for page in DECISIONS] == [f"{number:04}" for number in range(1, len(DECISIONS) + 1)]
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (ROOT / "docs" / "adr" / "README.md").read_text("utf-8"))
    assert listed == [page.name for page in DECISIONS], "list every decision in docs/adr/README.md"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        links = re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8"))
        waiting += [(page.parent / link).resolve() for link in links if not re.match(r"\w+:", link)]
    assert not {name_of(page) for page in PAGES} - {name_of(page) for page in reached}, "link to it from somewhere"


def test_changelog_has_a_place_for_what_is_new() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(r"^## \[Unreleased\]", text, re.MULTILINE)
    entries = re.findall(r"^- (.*)$", text, re.MULTILINE)
    assert entries
    assert all(re.match(r"\*\*[^*]+:\*\* ", entry) for entry in entries), "begin an entry with its **channel or area:**"
