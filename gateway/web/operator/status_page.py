"""The status page, its help page and the status as JSON, each in one language."""

from __future__ import annotations

from functools import partial

import msgspec
from flask import Flask, Response, render_template, request

from gateway import __version__
from gateway.bootstrap import Gateway
from gateway.i18n import Language, localize
from gateway.i18n.moments import format_moment, format_number
from gateway.operations.status import report
from gateway.operations.status_json import as_json
from gateway.web.operator.help import SECTIONS


def add_status_pages(app: Flask, gateway: Gateway) -> None:
    """Add /status, /status/help and /status.json to the application."""

    @app.get("/status")
    def status_page() -> str:
        return _page("status.html", report=report(gateway))

    @app.get("/status/help")
    def status_help() -> str:
        return _page("help.html", sections=SECTIONS)

    @app.get("/status.json")
    def status_json() -> Response:
        content = msgspec.json.encode(as_json(report(gateway), _language()))
        return Response(content, content_type="application/json")


def _language() -> Language:
    """Return the language that the client asks for: `?lang=`, else English if the browser prefers it, else Indonesian."""
    asked = request.args.get("lang")
    if asked in set(Language):
        return Language(asked)
    best = request.accept_languages.best_match([language.value for language in Language], Language.INDONESIAN.value)
    return Language(best)


def _page(template: str, **values: object) -> str:
    language = _language()
    return render_template(
        template,
        language=language.value,
        version=__version__,
        t=partial(localize, language=language),
        number=partial(format_number, language=language),
        moment=partial(format_moment, language=language),
        **values,
    )
