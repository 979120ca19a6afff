"""Writes the reference pages and the JSON Schemas from the code: `make docs`. With --check it only tells what is stale.

The Indonesian of settings and commands is that of the catalogue (gateway/i18n). The remedies of errors and the pages'
introductions stand in generate.toml.
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
EXITS = {
    0: "baik; `serve`, `web`, dan `work` yang dihentikan dengan SIGTERM atau Ctrl-C / well; also after SIGTERM or Ctrl-C",
    EXIT_FOUND: "perintah jalan, tetapi ada yang tidak baik / the command worked, and something is not well",
    EXIT_USAGE: "salah tulis / wrong usage",
    EXIT_CONFIGURATION: "konfigurasi salah, tabel belum dimigrasi, atau kunci lama hilang / "
    "faulty configuration, tables not migrated, or a key of stored values is missing",
    EXIT_UNAVAILABLE: "basis data tidak menjawab, port sudah dipakai, atau gateway lain memakai berkas SQLite itu / "
    "the database is away, a port is taken, or another gateway runs on that SQLite file",
}


class Incomplete(Exception):
    """generate.toml and the code do not name the same things."""


def compare(what: str, found: Iterable[str], written: Iterable[str]) -> None:
    """Raise `Incomplete` where the code and generate.toml differ."""
    missing, extra = sorted(set(found) - set(written)), sorted(set(written) - set(found))
    if missing:
        raise Incomplete(f"docs/generate.toml [{what}] lacks {', '.join(missing)}")
    if extra:
        raise Incomplete(f"docs/generate.toml [{what}] has {', '.join(extra)}, which the code has not")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def both_languages(english: str) -> str:
    """Return a text of the catalogue in both languages."""
    return both(localize(english, Language.INDONESIAN), english)


def both(indonesian: str, english: str) -> str:
    """Return a text in both languages."""
    return indonesian if indonesian == english else f"{indonesian} *{english[:1].upper()}{english[1:]}*"


# --- configuration ---------------------------------------------------------------------------------------------------


def kind_of(given: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    """Say in words what a property of a JSON Schema may hold."""
    if "$ref" in given:
        return kind_of(defs[given["$ref"].rpartition("/")[2]], defs)
    if "anyOf" in given:
        kinds = [kind_of(one, defs) for one in given["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "oneOf" in given:
        return "secret"
    if "const" in given or "enum" in given:
        return " · ".join(f"`{value}`" for value in given.get("enum", [given.get("const")]))
    if given["type"] == "array":
        return f"list of {kind_of(given['items'], defs)}"
    if given["type"] == "object":
        inner = given.get("additionalProperties")
        plain = not isinstance(inner, dict) or inner.get("type") == "object"
        return "table" if plain else f"table of {kind_of(inner, defs)}"
    name = {"string": "text", "number": "number", "integer": "whole number", "boolean": "true/false"}[given["type"]]
    return ", ".join([name, *limits_of(given)])


def limits_of(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the limits of a number or a text."""
    signs = {"exclusiveMinimum": "> ", "minimum": "≥ ", "maximum": "≤ ", "minLength": "≥ ", "maxLength": "≤ "}
    for name, sign in signs.items():
        if name in given:
            yield f"{sign}{given[name]}" + (" characters" if name.endswith("Length") else "")
    if "pattern" in given:
        yield f"`{given['pattern']}`"


def default_of(name: str, given: Mapping[str, Any], required: Sequence[str]) -> str:
    """Return a default as TOML has it."""
    if name in required:
        return "**wajib / required**"
    value = given.get("default")
    if value is None or value in ({}, [], ""):
        return "–"
    if isinstance(value, dict):
        return "<br>".join(f"`{key} = {inner!r}`".replace("'", '"') for key, inner in value.items())
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"


def settings_table(model: type[BaseModel]) -> str:
    """Return one row for each setting of a model that is no table of its own."""
    schema = model.model_json_schema()
    rows = []
    for name, given in schema["properties"].items():
        if section_of(model, name) is not None:
            continue
        meaning = both_languages(given.get("description", ""))
        default = default_of(name, given, schema.get("required", []))
        rows.append([f"`{name}`", kind_of(given, schema.get("$defs", {})), default, meaning])
    return table(["Setelan / setting", "Jenis / type", "Bawaan / default", "Arti / meaning"], rows)


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
    tables = sections(GatewayFile)
    parts = [MARK, TEXTS["pages"]["configuration"], "## `gateway.toml`\n\n"]
    parts += [settings_table(GatewayFile)]
    for name, model in tables.items():
        title = f"[[{name}]]" if "list" in str(GatewayFile.model_fields[name].annotation) else f"[{name}]"
        meaning = both_languages(GatewayFile.model_fields[name].description or "")
        parts += [f"\n### `{title}`\n\n{meaning}\n\n", settings_table(model)]
    parts += ["\n## `regions/<code>-<name>.toml`\n\n", settings_table(RegionFile)]
    parts += ["\n`[[routes]]`: sama seperti di atas / as above.\n"]
    parts += ["\n### `[channels.<name>]`\n\n", settings_table(ChannelFile)]
    registry = Registry(BUILTIN)
    for key in registry.keys:
        page = "/".join(["..", "adapters", *key.split("."), "README.md"])
        parts += [f"\n### Adapter `{key}`\n\nPanduan memasangnya / how to set it up: [{key}]({page}).\n\n"]
        parts += list(adapter_tables(registry.adapter(key).Settings, "channels.<name>"))
    return "".join(parts)


def adapter_tables(model: type[BaseModel], place: str) -> Iterator[str]:
    """Yield the settings of an adapter, and then those of each table in them."""
    yield settings_table(model)
    for name, inner in sections(model).items():
        field = model.model_fields[name]
        need = " **wajib / required**" if field.is_required() else ""
        yield f"\n#### `[{place}.{name}]`{need}\n\n{both_languages(field.description or '')}\n\n"
        yield from adapter_tables(inner, f"{place}.{name}")


# --- errors, metrics, commands -----------------------------------------------------------------------------------------


def all_errors() -> list[type[errors.GatewayError]]:
    """Return the closed list, without its bases."""
    known = [found for found in vars(errors).values() if isinstance(found, type)]
    listed = [found for found in known if issubclass(found, errors.GatewayError)]
    return [found for found in listed if found.code != errors.GatewayError.code]


def error_page() -> str:
    """Return docs/errors.md."""
    texts, listed = TEXTS["errors"], all_errors()
    compare("errors", [found.code for found in listed], texts)
    rows = []
    for found in listed:
        status = str(found.status) if found.action is errors.Action.REFUSE else "–"
        todo = texts[found.code]
        cells = [f"`{found.code}`", status, f"`{found.action}`", f"`{found.blame}`", (found.__doc__ or "").strip()]
        rows.append([*cells, both(todo["id"], todo["en"])])
    head = ["Kode / code", "HTTP", "Action", "Blame", "Meaning", "Yang dilakukan / what to do"]
    return MARK + TEXTS["pages"]["errors"] + table(head, rows)


def metric_families() -> list[tuple[str, str, str, Sequence[str]]]:
    """Return name as scraped, type, documentation and labels of every metric of ours."""
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


def options_of(command: click.Command) -> list[list[str]]:
    """Return a row for each option that is shown."""
    context = context_of(command)
    rows = []
    for option in command.params:
        if not isinstance(option, click.Option) or option.hidden:
            continue
        value = "" if option.is_flag else f" {option.make_metavar(context)}"
        default = f"`{option.default}`" if option.show_default else "–"
        rows.append([f"`{', '.join(option.opts)}{value}`", default, both_languages(option.help or "")])
    return rows


def commands_page() -> str:
    """Return docs/commands.md."""
    listed = dict(all_commands(program))
    head = ["Opsi / option", "Bawaan / default", "Arti / meaning"]
    exits = table(["Kode / code", "Arti / meaning"], [[str(code), text] for code, text in EXITS.items()])
    parts = [MARK, TEXTS["pages"]["commands"], table(head, options_of(program))]
    parts += ["\n## Kode keluar / exit codes\n\n", exits]
    for name, command in listed.items():
        pieces = " ".join(command.collect_usage_pieces(context_of(command)))
        english = command.help or ""
        parts += [f"\n## `{name}`\n\n{localize(english, Language.INDONESIAN)}\n\n{english}\n\n"]
        parts += [f"```\nrun_gateway.py {name} {pieces}\n```\n"]
        if rows := options_of(command):
            parts += ["\n", table(head, rows)]
    return "".join(parts)


# --- all of it -------------------------------------------------------------------------------------------------------


def schemas() -> Iterator[tuple[Path, str]]:
    """Yield what `check --schema` writes."""
    with tempfile.TemporaryDirectory() as folder:
        done = CliRunner().invoke(program, ["check", "--schema", folder], catch_exceptions=False)
        if done.exit_code:
            raise Incomplete(f"check --schema ended with {done.exit_code}: {done.output}")
        for path in sorted(Path(folder).iterdir()):
            yield ROOT / "config" / "schema" / path.name, path.read_text("utf-8")


def pages() -> dict[Path, str]:
    """Return everything generated, by path."""
    docs = ROOT / "docs"
    return {
        docs / "configuration.md": configuration(),
        docs / "errors.md": error_page(),
        docs / "metrics.md": metrics_page(),
        docs / "commands.md": commands_page(),
        **dict(schemas()),
    }


def stale() -> list[str]:
    """Return the files that are missing or not what the code says now."""
    found = [(path, path.read_text("utf-8") if path.exists() else None, text) for path, text in pages().items()]
    return [path.relative_to(ROOT).as_posix() for path, old, new in found if old != new]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write what is stale, or with --check only name it; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true", help="change nothing; end with 1 where a file is stale")
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
