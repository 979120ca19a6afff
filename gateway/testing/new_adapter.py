"""Make the room of a new adapter: `python -m gateway.testing.new_adapter whatsapp.cloud`.

The room (the adapter's folder) is complete and works for an invented provider: adapter, settings, payloads, client,
simulator, page, sample and tests, which pass at once. CHANGE marks every place that the author has to change. No
existing file is changed.
"""

from __future__ import annotations

import hmac
import json
import re
import sys
from keyword import iskeyword
from pathlib import Path

from gateway.ports.wire import WebhookRequest
from gateway.testing import requestfile

TEMPLATES = Path(__file__).parent / "templates"
USAGE = """\
usage: python -m gateway.testing.new_adapter CHANNEL[.PROVIDER]
  whatsapp.cloud   one provider of a channel that may get others: adapters/whatsapp/cloud/
  twitter          a channel with one provider: adapters/twitter/
"""
# Where each template goes in the room; {stem} is the last word of the key.
FILES = {
    "init": "__init__.py",
    "adapter": "adapter.py",
    "settings": "settings.py",
    "payloads": "payloads.py",
    "client": "client.py",
    "readme": "README.md",
    "sample": "sample.toml",
    "simulator_init": "simulator/__init__.py",
    "simulator": "simulator/provider.py",
    "test_adapter": "tests/test_{stem}.py",
    "test_simulator": "tests/test_simulator.py",
}
_WORD = r"[a-z][a-z0-9_]*"
LINE_LENGTH = 120  # as in pyproject.toml
TEST_KEY = b"test-key-nobody-uses"  # the signature key in the templates' tests
_SENDER, _TEXT, _AT = "+6281200000999", "Jalan rusak di depan sekolah", "2026-01-02T03:04:05+00:00"


def write_adapter(key: str, root: Path) -> list[Path]:
    """Write the room of a new adapter below the project root and return the paths of its files.

    Raises `ValueError` if the key cannot be a package name, and `FileExistsError` if a file exists already; nothing is
    written then.
    """
    channel, stem = _names(key)
    room = root / "adapters" / Path(*key.split("."))
    words = words_of(key)
    texts = {room / place.format(stem=stem): filled(template, words) for template, place in FILES.items()}
    request = room / "tests" / "requests" / "first.http"
    texts[room / "tests" / "expected" / "first.json"] = _expected()
    _refuse_to_overwrite([*texts, request], root)
    package = root / "adapters" / channel / "__init__.py"
    if package not in texts:
        if package.with_name("adapter.py").exists():
            raise FileExistsError(
                f"adapters/{channel}/adapter.py exists already: that folder is the room of {channel!r}"
            )
        if not package.exists():
            texts[package] = filled("channel", words)
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    requestfile.write(request, _first_request(words["SHORT"]))
    return [*texts, request]


def words_of(key: str) -> dict[str, str]:
    """Return the values of the templates' placeholders, by name: `NAME` for `@NAME@`."""
    channel, stem = _names(key)
    provider = "" if stem == channel else stem
    title = channel.replace("_", " ").capitalize()
    return {
        "KEY": key,
        "CHANNEL": channel,
        "NAME": "".join(word.capitalize() for word in f"{provider}_{channel}".split("_")),
        "PATH": "adapters/" + key.replace(".", "/"),
        "SHORT": channel.replace("_", "-"),  # the channel's name in configuration and URL: without underscores
        "SLUG": re.sub(r"[._]", "-", key),
        "TITLE": f"{title} ({provider.replace('_', ' ')})" if provider else title,
    }


def filled(template: str, words: dict[str, str]) -> str:
    """Return a template with its placeholders filled in, and with its imports sorted."""
    text = (TEMPLATES / f"{template}.txt").read_text("utf-8")
    text = re.sub(r"@([A-Z]+)@", lambda match: words[match[1]], text)
    # The order depends on the key: adapters.common comes before adapters.whatsapp, but after adapters.arsip.
    imports = re.compile(r"(?:^from adapters\..*\n)+", re.MULTILINE)
    return imports.sub(lambda match: "".join(sorted(match[0].splitlines(keepends=True), key=_module_of)), text)


def lines_to_add(key: str) -> tuple[str, str]:
    """Return the entry of BUILTIN in adapters/__init__.py, and the extra in setup.cfg."""
    name, room = words_of(key)["NAME"], f"adapters.{key}"
    values = [f'"{room}.adapter:{name}"', '""', f'"{room}.simulator:Fake{name}"']
    entry = f'    "{key}": Spec({", ".join(values)}),'
    if len(entry) > LINE_LENGTH:
        entry = "\n".join([f'    "{key}": Spec(', *(f"        {value}," for value in values), "    ),"])
    return entry, f"{words_of(key)['SLUG']} ="


def _names(key: str) -> tuple[str, str]:
    """Return the channel and the last word of the key; raises `ValueError` if it is no key or a reserved word."""
    if not re.fullmatch(rf"{_WORD}(\.{_WORD})?", key):
        raise ValueError(
            f"{key!r} is not an adapter key: CHANNEL or CHANNEL.PROVIDER, small letters, like whatsapp.cloud"
        )
    channel, stem = key.split(".", maxsplit=1)[0], key.rsplit(".", maxsplit=1)[-1]
    if channel == "common" or iskeyword(channel) or iskeyword(stem):
        raise ValueError(f"{key!r} cannot be an adapter key: `common` and the words of Python are taken")
    return channel, stem


def _refuse_to_overwrite(paths: list[Path], root: Path) -> None:
    for path in paths:
        if path.exists():
            raise FileExistsError(f"{path.relative_to(root).as_posix()} exists already; nothing was written")


def _module_of(line: str) -> str:
    return line.split(" ")[1]


def _first_request(channel: str) -> WebhookRequest:
    message = {"id": "m1", "from": _SENDER, "to": "1708", "text": _TEXT, "received_at": _AT}
    body = json.dumps(message).encode()
    headers = {"content-type": "application/json", "x-signature": hmac.digest(TEST_KEY, body, "sha256").hex()}
    return WebhookRequest("POST", f"https://gateway.example/in/00/{channel}", headers, body)


def _expected() -> str:
    event = {
        "type": "CitizenMessage",
        "external_id": "m1",
        "sender": _SENDER,
        "recipient": "1708",
        "text": _TEXT,
        "sent_at": _AT.replace("+00:00", "Z"),
    }
    outcome = {"envelope": {"key": "m1", "sender": _SENDER}, "events": [event]}
    return json.dumps(outcome, indent=2) + "\n"


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit code."""
    if len(arguments) != 1:
        sys.stderr.write(USAGE)
        return 2
    key = arguments[0]
    try:
        written = write_adapter(key, Path.cwd())
    except (ValueError, FileExistsError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    for path in written:
        sys.stdout.write(f"wrote {path.relative_to(Path.cwd()).as_posix()}\n")
    entry, extra = lines_to_add(key)
    sys.stdout.write(
        f"\nAdd this entry to BUILTIN in adapters/__init__.py:\n{entry}\n"
        f"Only if it needs a package of its own, add an extra to [options.extras_require] in setup.cfg:\n{extra}\n"
        f"\nNext: .venv/bin/python -m pytest {words_of(key)['PATH']}, then docs/writing-an-adapter.md, step 2.\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
