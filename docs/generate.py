"""Write the reference pages and the JSON Schemas from the code: `make docs`. With --check, only name the stale files.

The Indonesian of settings, commands and options is in the catalogue (gateway/i18n). The Indonesian of errors, their remedies
and the pages' introductions are in generate.toml; all other texts come from the code.
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
from gateway.i18n import Language, localize  # noqa: E402
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
ID, EN = Language.INDONESIAN, Language.ENGLISH
INDONESIAN = {
    "code": "kode",
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


def word_in(word: str, language: Language) -> str:
    """Return a word of the tables in a language; English without a translation."""
    return INDONESIAN.get(word, word) if language is ID else word


def head_in(language: Language, *words: str) -> list[str]:
    """Return the head of a table in a language."""
    return [word_in(word, language).capitalize() for word in words]


def sentence_in(english: str, language: Language) -> str:
    """Return a text of the catalogue in a language, as a sentence."""
    text = localize(english, language)
    return text[:1].upper() + text[1:]


def page(name: str, indonesian: str, english: str) -> str:
    """Return a page of two whole sections, each with its introduction from generate.toml."""
    texts = TEXTS["pages"][name]
    sections = f"## Bahasa Indonesia\n\n{texts['id']}{indonesian}\n## English\n\n{texts['en']}{english}"
    return f"{MARK}# {texts['title']}\n\n{sections}"


# --- configuration ---------------------------------------------------------------------------------------------------


def kind_of(given: Mapping[str, Any], defs: Mapping[str, Any], language: Language = EN) -> str:
    """Return the values that a property of a JSON Schema may have, in words."""
    if "$ref" in given:
        return kind_of(defs[given["$ref"].rpartition("/")[2]], defs, language)
    if "anyOf" in given:
        kinds = [kind_of(choice, defs, language) for choice in given["anyOf"] if choice.get("type") != "null"]
        return f" {word_in('or', language)} ".join(dict.fromkeys(kinds))
    if "oneOf" in given:
        return word_in("secret", language)
    if "const" in given or "enum" in given:
        return " · ".join(f"`{value}`" for value in given.get("enum", [given.get("const")]))
    if given["type"] == "array":
        return f"{word_in('list of', language)} {kind_of(given['items'], defs, language)}"
    if given["type"] == "object":
        inner = given.get("additionalProperties")
        plain = not isinstance(inner, dict) or inner.get("type") == "object"
        return (
            word_in("table", language) if plain else f"{word_in('table of', language)} {kind_of(inner, defs, language)}"
        )
    name = {"string": "text", "number": "number", "integer": "whole number", "boolean": "true/false"}[given["type"]]
    return ", ".join([word_in(name, language), *limits_of(given, language)])


def limits_of(given: Mapping[str, Any], language: Language) -> Iterator[str]:
    """Yield the limits of a number or a text."""
    signs = {"exclusiveMinimum": "> ", "minimum": "≥ ", "maximum": "≤ ", "minLength": "≥ ", "maxLength": "≤ "}
    for name, sign in signs.items():
        if name in given:
            yield f"{sign}{given[name]}" + (f" {word_in('characters', language)}" if name.endswith("Length") else "")
    if "pattern" in given:
        yield f"`{given['pattern']}`"


def default_of(name: str, given: Mapping[str, Any], required: Sequence[str], language: Language) -> str:
    """Return a default as TOML has it."""
    if name in required:
        return f"**{word_in('required', language)}**"
    value = given.get("default")
    if value is None or value in ({}, [], ""):
        return "–"
    if isinstance(value, dict):
        return "<br>".join(f"`{key} = {inner!r}`".replace("'", '"') for key, inner in value.items())
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"


def settings_table(model: type[BaseModel], language: Language) -> str:
    """Return one row for each setting of a model that is no table of its own."""
    schema = model.model_json_schema()
    rows = []
    for name, given in schema["properties"].items():
        if section_of(model, name) is not None:
            continue
        kind = kind_of(given, schema.get("$defs", {}), language)
        default = default_of(name, given, schema.get("required", []), language)
        rows.append([f"`{name}`", kind, default, sentence_in(given.get("description", ""), language)])
    return table(head_in(language, "setting", "type", "default", "meaning"), rows)


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
    return page("configuration", "".join(all_settings(ID)), "".join(all_settings(EN)))


def all_settings(language: Language) -> Iterator[str]:
    """Yield the tables of all settings in one language."""
    yield "### `gateway.toml`\n\n"
    yield settings_table(GatewayFile, language)
    for name, model in sections(GatewayFile).items():
        title = f"[[{name}]]" if "list" in str(GatewayFile.model_fields[name].annotation) else f"[{name}]"
        yield f"\n#### `{title}`\n\n{sentence_in(GatewayFile.model_fields[name].description or '', language)}\n\n"
        yield settings_table(model, language)
    yield "\n### `regions/<code>-<name>.toml`\n\n"
    yield settings_table(RegionFile, language)
    yield "\n`[[routes]]`: as above.\n" if language is EN else "\n`[[routes]]`: sama seperti di atas.\n"
    yield "\n#### `[channels.<name>]`\n\n"
    yield settings_table(ChannelFile, language)
    yield from all_adapters(language)


def all_adapters(language: Language) -> Iterator[str]:
    """Yield the settings of each adapter with a link to its page."""
    registry = Registry(BUILTIN)
    for key in registry.keys:
        link = f"[{key}](../adapters/{key.replace('.', '/')}/README.md)"
        guide = f"How to set it up: {link}." if language is EN else f"Cara memasang: {link}."
        yield f"\n#### Adapter `{key}`\n\n{guide}\n\n"
        yield from adapter_tables(registry.adapter(key).Settings, "channels.<name>", language)


def adapter_tables(model: type[BaseModel], place: str, language: Language) -> Iterator[str]:
    """Yield the settings of an adapter, and then those of each table in them."""
    yield settings_table(model, language)
    for name, inner in sections(model).items():
        field = model.model_fields[name]
        need = f" **{word_in('required', language)}**" if field.is_required() else ""
        yield f"\n##### `[{place}.{name}]`{need}\n\n{sentence_in(field.description or '', language)}\n\n"
        yield from adapter_tables(inner, f"{place}.{name}", language)


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


def error_rows(language: Language) -> Iterator[list[str]]:
    """Yield a row for each error in one language."""
    for error in all_errors():
        status = str(error.status) if error.action is errors.Action.REFUSE else "–"
        texts = TEXTS["errors"][error.code]
        meaning = (error.__doc__ or "").strip() if language is EN else texts["meaning"]
        remedy = texts["en"] if language is EN else texts["id"]
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


def options_of(command: click.Command, language: Language) -> list[list[str]]:
    """Return a row for each option that is shown, in one language."""
    context = context_of(command)
    rows = []
    for option in command.params:
        if not isinstance(option, click.Option) or option.hidden:
            continue
        value = "" if option.is_flag else f" {option.make_metavar(context)}"
        default = f"`{option.default}`" if option.show_default else "–"
        rows.append([f"`{', '.join(option.opts)}{value}`", default, sentence_in(option.help or "", language)])
    return rows


def commands_page() -> str:
    """Return docs/commands.md."""
    return page("commands", "".join(command_parts(ID)), "".join(command_parts(EN)))


def command_parts(language: Language) -> Iterator[str]:
    """Yield the options of the program, its exit codes and its commands, in one language."""
    head = head_in(language, "option", "default", "meaning")
    yield table(head, options_of(program, language))
    yield "\n### Exit codes\n\n" if language is EN else "\n### Kode keluar\n\n"
    exits = [[str(code), english if language is EN else indonesian] for code, (indonesian, english) in EXITS.items()]
    yield table(head_in(language, "code", "meaning"), exits)
    for name, command in all_commands(program):
        pieces = " ".join(command.collect_usage_pieces(context_of(command)))
        yield f"\n### `{name}`\n\n{localize(command.help or '', language)}\n\n"
        yield f"```\nrun_gateway.py {name} {pieces}\n```\n"
        if rows := options_of(command, language):
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
