"""Write the reference pages and the JSON Schemas from the code: `make docs`. With --check, only name the stale files.

The Indonesian of settings, commands, options and errors, and the remedy of each error, are in generate.toml; all other
texts come from the code.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import click
from click.testing import CliRunner
from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from adapters import BUILTIN  # noqa: E402  the checkout's own modules, installed or not
from gateway.cli.context import EXIT_CONFIGURATION, EXIT_FOUND, EXIT_UNAVAILABLE, EXIT_USAGE  # noqa: E402
from gateway.domain import errors  # noqa: E402
from gateway.observe.metrics import Metrics  # noqa: E402
from gateway.ports.registry import Registry  # noqa: E402
from gateway.settings.files import ChannelFile, GatewayFile, RegionFile  # noqa: E402
from gateway.web.operator.metrics import QueueDepth  # noqa: E402
from run_gateway import main as program  # noqa: E402

TEXTS = tomllib.loads((ROOT / "docs" / "generate.toml").read_text("utf-8"))
MARK = "<!-- Made by docs/generate.py: change the code or docs/generate.toml, then `make docs`. -->\n\n"
# Exit code: its meaning in Bahasa Indonesia and in English.
EXITS = {
    0: (
        "berhasil; juga bila `serve`, `web`, atau `work` dihentikan dengan SIGTERM atau Ctrl-C",
        "success; also if `serve`, `web` or `work` is stopped with SIGTERM or Ctrl-C",
    ),
    EXIT_FOUND: ("perintah selesai, tetapi ada masalah yang ditemukan", "the command ended and has found a problem"),
    EXIT_USAGE: ("perintah atau opsinya salah tulis", "the command or its options are written wrongly"),
    EXIT_CONFIGURATION: (
        "setelan salah, tabel belum diperbarui dengan `migrate`, atau kunci lama hilang",
        "the configuration has faults, the tables are not migrated, or a key of stored values is missing",
    ),
    EXIT_UNAVAILABLE: (
        "basis data tidak menjawab, port sudah dipakai, atau gateway lain memakai berkas SQLite itu",
        "the database does not answer, a port is taken, or another gateway uses that SQLite file",
    ),
}
INDONESIAN = {
    "default": "bawaan",
    "meaning": "arti",
    "number": "angka",
    "option": "opsi",
    "required": "wajib",
    "setting": "setelan",
    "text": "teks",
    "true/false": "`true` atau `false`",
    "type": "jenis",
    "whole number": "bilangan bulat",
    "list of": "daftar",
    "table of": "tabel",
    "table": "tabel",
    "secret": "rahasia",
    "characters": "karakter",
    "or": "atau",
}


class Incomplete(Exception):
    """Report that generate.toml and the code do not name the same settings, errors, commands or options."""


def compare(what: str, found: Iterable[str], written: Iterable[str]) -> None:
    """Raise `Incomplete` if the code and generate.toml differ."""
    missing, extra = sorted(set(found) - set(written)), sorted(set(written) - set(found))
    if missing:
        raise Incomplete(f"docs/generate.toml [{what}] lacks {', '.join(missing)}")
    if extra:
        raise Incomplete(f"docs/generate.toml [{what}] has {', '.join(extra)}, which the code has not")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


class Language:
    """The words of one of the two sections of a page."""

    def __init__(self, words: Mapping[str, str]) -> None:
        self._words = words

    def __call__(self, word: str) -> str:
        """Return a word of the tables in this language; English without a translation."""
        return self._words.get(word, word)

    def head(self, *words: str) -> list[str]:
        """Return the head of a table."""
        return [self(word).capitalize() for word in words]


ID, EN = Language(INDONESIAN), Language({})


def page(name: str, indonesian: str, english: str) -> str:
    """Return a page of two whole sections, each with its introduction from generate.toml."""
    texts = TEXTS["pages"][name]
    sections = f"## Bahasa Indonesia\n\n{texts['id']}{indonesian}\n## English\n\n{texts['en']}{english}"
    return f"{MARK}# {texts['title']}\n\n{sections}"


# --- configuration ---------------------------------------------------------------------------------------------------


def kind_of(given: Mapping[str, Any], defs: Mapping[str, Any], word: Language = EN) -> str:
    """Return the values that a property of a JSON Schema may have, in words."""
    if "$ref" in given:
        return kind_of(defs[given["$ref"].rpartition("/")[2]], defs, word)
    if "anyOf" in given:
        kinds = [kind_of(choice, defs, word) for choice in given["anyOf"] if choice.get("type") != "null"]
        return f" {word('or')} ".join(dict.fromkeys(kinds))
    if "oneOf" in given:
        return word("secret")
    if "const" in given or "enum" in given:
        return " · ".join(f"`{value}`" for value in given.get("enum", [given.get("const")]))
    if given["type"] == "array":
        return f"{word('list of')} {kind_of(given['items'], defs, word)}"
    if given["type"] == "object":
        inner = given.get("additionalProperties")
        plain = not isinstance(inner, dict) or inner.get("type") == "object"
        return word("table") if plain else f"{word('table of')} {kind_of(inner, defs, word)}"
    name = {"string": "text", "number": "number", "integer": "whole number", "boolean": "true/false"}[given["type"]]
    return ", ".join([word(name), *limits_of(given, word)])


def limits_of(given: Mapping[str, Any], word: Language) -> Iterator[str]:
    """Yield the limits of a number or a text."""
    signs = {"exclusiveMinimum": "> ", "minimum": "≥ ", "maximum": "≤ ", "minLength": "≥ ", "maxLength": "≤ "}
    for name, sign in signs.items():
        if name in given:
            yield f"{sign}{given[name]}" + (f" {word('characters')}" if name.endswith("Length") else "")
    if "pattern" in given:
        yield f"`{given['pattern']}`"


def default_of(name: str, given: Mapping[str, Any], required: Sequence[str], word: Language) -> str:
    """Return a default as TOML has it."""
    if name in required:
        return f"**{word('required')}**"
    value = given.get("default")
    if value is None or value in ({}, [], ""):
        return "–"
    if isinstance(value, dict):
        return "<br>".join(f"`{key} = {inner!r}`".replace("'", '"') for key, inner in value.items())
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"


def settings_table(model: type[BaseModel], word: Language, indonesian: Mapping[str, str] | None = None) -> str:
    """Return one row for each setting of a model that is no table of its own.

    In Indonesian the meaning of an adapter's settings is on the adapter's page, so that column is left out here.
    """
    schema = model.model_json_schema()
    rows = []
    for name, given in schema["properties"].items():
        if section_of(model, name) is not None:
            continue
        kind = kind_of(given, schema.get("$defs", {}), word)
        row = [f"`{name}`", kind, default_of(name, given, schema.get("required", []), word)]
        if word is EN:
            row.append(given.get("description", ""))
        elif indonesian:
            row.append(indonesian[name])
        rows.append(row)
    columns = ["setting", "type", "default", "meaning"]
    return table(word.head(*columns if word is EN or indonesian else columns[:3]), rows)


def section_of(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """Return the model of a `[section]` or of `[[section]]`, and `None` for a plain value."""
    annotation = model.model_fields[name].annotation
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def sections(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return the tables of a file, by name."""
    return {name: found for name in model.model_fields if (found := section_of(model, name))}


def configuration() -> str:
    """Return docs/configuration.md."""
    texts = TEXTS["settings"]
    models = {"gateway": GatewayFile, "region": RegionFile, "channel": ChannelFile, **sections(GatewayFile)}
    compare("settings", models, texts)
    for name, model in models.items():
        compare(f"settings.{name}", model.model_fields, texts[name])
    return page("configuration", "".join(all_settings(ID)), "".join(all_settings(EN)))


def all_settings(word: Language) -> Iterator[str]:
    """Yield the tables of all settings in one language."""
    texts = TEXTS["settings"]
    yield "### `gateway.toml`\n\n"
    yield settings_table(GatewayFile, word, texts["gateway"])
    for name, model in sections(GatewayFile).items():
        title = f"[[{name}]]" if "list" in str(GatewayFile.model_fields[name].annotation) else f"[{name}]"
        english = (model.__doc__ or "").partition(": ")[2]
        meaning = english[:1].upper() + english[1:] if word is EN else texts["gateway"][name]
        yield f"\n#### `{title}`\n\n{meaning}\n\n"
        yield settings_table(model, word, texts[name])
    yield "\n### `regions/<code>-<name>.toml`\n\n"
    yield settings_table(RegionFile, word, texts["region"])
    yield "\n`[[routes]]`: as above.\n" if word is EN else "\n`[[routes]]`: sama seperti di atas.\n"
    yield "\n#### `[channels.<name>]`\n\n"
    yield settings_table(ChannelFile, word, texts["channel"])
    yield from all_adapters(word)


def all_adapters(word: Language) -> Iterator[str]:
    """Yield the settings of each adapter with a link to its page."""
    registry = Registry(BUILTIN)
    for key in registry.keys:
        link = f"[{key}](../adapters/{key.replace('.', '/')}/README.md)"
        guide = f"How to set it up: {link}." if word is EN else f"Cara memasang dan arti tiap setelan: {link}."
        yield f"\n#### Adapter `{key}`\n\n{guide}\n\n"
        yield from adapter_tables(registry.adapter(key).Settings, "channels.<name>", word)


def adapter_tables(model: type[BaseModel], place: str, word: Language) -> Iterator[str]:
    """Yield the settings of an adapter, and then those of each table in them."""
    yield settings_table(model, word)
    for name, inner in sections(model).items():
        field = model.model_fields[name]
        need = f" **{word('required')}**" if field.is_required() else ""
        meaning = f"{field.description}\n\n" if word is EN else ""
        yield f"\n##### `[{place}.{name}]`{need}\n\n{meaning}"
        yield from adapter_tables(inner, f"{place}.{name}", word)


# --- errors, metrics, commands -----------------------------------------------------------------------------------------


def all_errors() -> list[type[errors.GatewayError]]:
    """Return the closed list, without its bases."""
    known = [found for found in vars(errors).values() if isinstance(found, type)]
    listed = [found for found in known if issubclass(found, errors.GatewayError)]
    return [found for found in listed if found.code != errors.GatewayError.code]


def error_page() -> str:
    """Return docs/errors.md."""
    compare("errors", [error.code for error in all_errors()], TEXTS["errors"])
    indonesian = table(["Kode", "HTTP", "Action", "Blame", "Arti", "Yang perlu dilakukan"], error_rows(ID))
    english = table(["Code", "HTTP", "Action", "Blame", "Meaning", "What to do"], error_rows(EN))
    return page("errors", indonesian, english)


def error_rows(word: Language) -> Iterator[list[str]]:
    """Yield a row for each error in one language."""
    for error in all_errors():
        status = str(error.status) if error.action is errors.Action.REFUSE else "–"
        texts = TEXTS["errors"][error.code]
        meaning = (error.__doc__ or "").strip() if word is EN else texts["meaning"]
        remedy = texts["en"] if word is EN else texts["id"]
        yield [f"`{error.code}`", status, f"`{error.action}`", f"`{error.blame}`", meaning, remedy]


def metric_families() -> list[tuple[str, str, str, Sequence[str]]]:
    """Return the name as scraped, type, documentation and labels of each metric of the gateway."""
    found = []
    for metric in vars(Metrics()).values():
        if hasattr(metric, "describe"):
            for family in metric.describe():
                labels = getattr(metric, "_labelnames", ())
                name = f"{family.name}_total" if family.type == "counter" else family.name
                found.append((name, family.type, family.documentation, labels))
    gauges: Any = QueueDepth(None)  # type: ignore[arg-type]  naming its families asks nobody
    return found + [
        (one.name, one.type, one.documentation, getattr(one, "_labelnames", ())) for one in gauges.describe()
    ]


def metrics_page() -> str:
    """Return docs/metrics.md."""
    rows = [
        [f"`{name}`", kind, ", ".join(f"`{label}`" for label in labels) or "–", text]
        for name, kind, text, labels in metric_families()
    ]
    return MARK + TEXTS["pages"]["metrics"] + table(["Metric", "Type", "Labels", "Meaning"], rows)


def all_commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command with its full name, in the order of the command line."""
    for name, command in group.commands.items():
        yield f"{prefix}{name}", command
        if isinstance(command, click.Group):
            yield from all_commands(command, f"{prefix}{name} ")


def context_of(command: click.Command) -> click.Context:
    """Return a context as the command line gives it: a command remembers the help option that it is first asked with."""
    if command is program:
        return click.Context(program, **program.context_settings)
    return click.Context(command, parent=context_of(program))


def options_of(name: str, command: click.Command, word: Language = EN) -> list[list[str]]:
    """Return a row for each option that is shown, in one language."""
    context = context_of(command)
    rows = []
    for option in command.params:
        if not isinstance(option, click.Option) or option.hidden:
            continue
        value = "" if option.is_flag else f" {option.make_metavar(context)}"
        default = f"`{option.default}`" if option.show_default else "–"
        key = f"{name} {option.opts[0]}".strip()
        meaning = option.help or "" if word is EN else TEXTS["options"][key]
        rows.append([f"`{', '.join(option.opts)}{value}`", default, meaning])
    return rows


def all_options() -> Iterator[str]:
    """Yield the key in generate.toml of each option that is shown."""
    for name, command in [("", program), *all_commands(program)]:
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                yield f"{name} {option.opts[0]}".strip()


def commands_page() -> str:
    """Return docs/commands.md."""
    compare("commands", dict(all_commands(program)), TEXTS["commands"])
    compare("options", list(all_options()), TEXTS["options"])
    return page("commands", "".join(command_parts(ID)), "".join(command_parts(EN)))


def command_parts(word: Language) -> Iterator[str]:
    """Yield the options of the program, its exit codes and its commands, in one language."""
    head = word.head("option", "default", "meaning")
    yield table(head, options_of("", program, word))
    yield "\n### Exit codes\n\n" if word is EN else "\n### Kode keluar\n\n"
    exits = [[str(code), english if word is EN else indonesian] for code, (indonesian, english) in EXITS.items()]
    yield table(["Code", "Meaning"] if word is EN else ["Kode", "Arti"], exits)
    for name, command in all_commands(program):
        pieces = " ".join(command.collect_usage_pieces(context_of(command)))
        english = "\n\n".join(" ".join(p.split()) for p in (command.help or "").strip().split("\n\n"))
        yield f"\n### `{name}`\n\n{english if word is EN else TEXTS['commands'][name]}\n\n"
        yield f"```\nrun_gateway.py {name} {pieces}\n```\n"
        if rows := options_of(name, command, word):
            yield "\n"
            yield table(head, rows)


# --- all of it -------------------------------------------------------------------------------------------------------


def schemas() -> Iterator[tuple[Path, str]]:
    """Yield the path and the text of each JSON Schema, as `check --schema` writes them."""
    with tempfile.TemporaryDirectory() as folder:
        done = CliRunner().invoke(program, ["check", "--schema", folder], catch_exceptions=False)
        if done.exit_code:
            raise Incomplete(f"check --schema ended with {done.exit_code}: {done.output}")
        for path in sorted(Path(folder).iterdir()):
            yield ROOT / "config" / "schema" / path.name, path.read_text("utf-8")


def pages() -> dict[Path, str]:
    """Return the text of each generated file, by path."""
    docs = ROOT / "docs"
    return {
        docs / "configuration.md": configuration(),
        docs / "errors.md": error_page(),
        docs / "metrics.md": metrics_page(),
        docs / "commands.md": commands_page(),
        **dict(schemas()),
    }


def stale() -> list[str]:
    """Return the files that are missing or differ from the code."""
    found = [(path, path.read_text("utf-8") if path.exists() else None, text) for path, text in pages().items()]
    return [path.relative_to(ROOT).as_posix() for path, old, new in found if old != new]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the stale files, or with --check only name them; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true", help="change nothing; end with 1 if a file is stale")
    check = parser.parse_args(arguments).check
    try:
        made = pages()
        old = stale()
    except Incomplete as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    for name in old:
        sys.stderr.write(f"{name} is stale: make docs\n" if check else f"wrote {name}\n")
        if not check:
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_text(made[ROOT / name], "utf-8")
    return 1 if check and old else 0


if __name__ == "__main__":
    sys.exit(main())
