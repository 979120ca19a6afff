"""Request files: whole HTTP requests, kept byte for byte in an adapter's `tests/requests/*.http`.

A file holds the bytes of the request: request line with the public URL, headers, blank line, body. Lines of the
head end with CR LF (RFC 9112, section 2.1). Signatures cover exact bytes, so no editor and not git may change them: keep
`*.http -text` in `.gitattributes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.domain.errors import Malformed
from gateway.ports.wire import WebhookRequest


def read(path: Path) -> WebhookRequest:
    """Read one request file; raises `Malformed` naming the file."""
    try:
        return WebhookRequest.load(path.read_bytes())
    except Malformed as exc:
        raise Malformed(f"{path.name}: {exc.message}") from exc


def write(path: Path, request: WebhookRequest) -> None:
    """Write a request in the form that `read` reads; make its folder if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(request.dump())


def read_all(folder: Path) -> Iterator[tuple[str, WebhookRequest]]:
    """Yield stem and request of every `.http` file in the folder, sorted by name."""
    for path in sorted(folder.glob("*.http")):
        yield path.stem, read(path)
