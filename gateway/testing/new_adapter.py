"""Begin a new adapter: `python -m gateway.testing.new_adapter sms.foo`.

Writes the module, its page, its test, and one recorded request whose expected result is still missing: the first test
run fails and says what to fill in. Nothing that exists is touched.
"""

from __future__ import annotations

import hmac
import json
import re
import sys
from pathlib import Path

from gateway.ports.wire import WebhookRequest
from gateway.testing import requestfile

TEMPLATES = Path(__file__).parent / "templates"
USAGE = "usage: python -m gateway.testing.new_adapter FOLDER.MODULE   (for example: sms.foo)"

# What the template's test signs with; the first case must verify before anything is filled in.
TEST_KEY = b"test-key-nobody-uses"


def write_adapter(key: str, root: Path) -> list[Path]:
    """Write the files of a new adapter below the project root and return their paths.

    Raises `ValueError` for a key that is not `folder.module` and `FileExistsError` where a file is in the way.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*", key):
        raise ValueError(f"{key!r} is not an adapter key: folder.module, small letters, like sms.foo")
    channel, _, stem = key.partition(".")
    words = {
        "KEY": key,
        "CHANNEL": channel,
        "STEM": stem,
        "MODULE": f"adapters.{key}",
        "TITLE": f"{channel} · {stem}",
        "NAME": "".join(part.capitalize() for part in f"{stem}_{channel}".split("_")),
    }
    tests = root / "tests" / "adapters" / channel
    texts = {
        root / "adapters" / channel / f"{stem}.py": _filled("adapter", words),
        root / "adapters" / channel / f"{stem}.md": _filled("page", words),
        tests / f"test_{stem}.py": _filled("test", words),
        tests / stem / "expected" / "first.json": json.dumps({"TODO": "what requests/first.http should become"}) + "\n",
    }
    request = tests / stem / "requests" / "first.http"
    for path in (*texts, request):
        if path.exists():
            raise FileExistsError(f"{path.relative_to(root)} exists already")
    package = root / "adapters" / channel / "__init__.py"
    if not package.exists():
        texts[package] = f'"""Adapters of the {channel} channel: one module per provider."""\n'
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    requestfile.write(request, _first_request(channel))
    return [*texts, request]


def _filled(template: str, words: dict[str, str]) -> str:
    text = (TEMPLATES / f"{template}.txt").read_text("utf-8")
    return re.sub(r"@([A-Z]+)@", lambda found: words[found[1]], text)


def _first_request(channel: str) -> WebhookRequest:
    message = {"id": "m1", "from": "+6281200000999", "to": "1708", "text": "Jalan rusak di depan sekolah"}
    body = json.dumps(message).encode()
    headers = {"content-type": "application/json", "x-signature": hmac.digest(TEST_KEY, body, "sha256").hex()}
    return WebhookRequest("POST", f"https://gateway.example/hooks/00/{channel}", headers, body)


def main(arguments: list[str]) -> int:
    """Run the command line; returns the exit code."""
    if len(arguments) != 1:
        sys.stderr.write(f"{USAGE}\n")
        return 2
    try:
        written = write_adapter(arguments[0], Path.cwd())
    except (ValueError, FileExistsError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    for path in written:
        sys.stdout.write(f"wrote {path.relative_to(Path.cwd())}\n")
    sys.stdout.write("next: docs/writing-an-adapter.md, step 1\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
