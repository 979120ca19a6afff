"""Serve the status page, its help page, and the status as JSON, in the client's language."""

from __future__ import annotations

from functools import partial

from flask import Flask, Response, render_template

from gateway import __version__
from gateway.bootstrap import Gateway
from gateway.i18n import localize
from gateway.i18n.moments import format_moment, format_number
from gateway.operations.status import STATE_NAMES, report
from gateway.operations.status_json import as_json
from gateway.web.api.answers import client_language, json_answer
from gateway.web.operator.help import SECTIONS


def add_status_pages(app: Flask, gateway: Gateway) -> None:
    """Add /status, /status/help and /status.json to the application."""

    @app.get("/status")
    def status_page() -> str:
        return _page("status.html", report=report(gateway), state_names=STATE_NAMES)

    @app.get("/status/help")
    def status_help() -> str:
        return _page("help.html", sections=SECTIONS)

    @app.get("/status.json")
    def status_json() -> Response:
        return json_answer(as_json(report(gateway), client_language()))


def _page(template: str, **values: object) -> str:
    language = client_language()
    return render_template(
        template,
        language=language.value,
        version=__version__,
        t=partial(localize, language=language),
        number=partial(format_number, language=language),
        moment=partial(format_moment, language=language),
        **values,
    )
