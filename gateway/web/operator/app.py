"""The Flask application, to which the front door passes all paths but /in/: operators' pages and the read-only API."""

from __future__ import annotations

from flask import Flask, Response

from gateway import __version__
from gateway.bootstrap import Gateway
from gateway.domain.errors import GatewayError
from gateway.domain.texts import text
from gateway.web.api.answers import error_answer, json_answer
from gateway.web.api.complaints import add_api
from gateway.web.operator.health import add_health
from gateway.web.operator.status_page import add_status_pages

_PAGES = ["/status", "/status/help", "/status.json", "/health/live", "/health/ready", "/metrics", "/api/v1/complaints"]


class _UnknownPage(GatewayError):
    code, status = "unknown_page", 404


def create_app(gateway: Gateway) -> Flask:
    """Return the Flask application for a gateway."""
    app = Flask(__name__)

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
        return response

    @app.errorhandler(GatewayError)
    def failed(error: GatewayError) -> Response:
        return error_answer(error)

    @app.errorhandler(404)
    def unknown(_error: Exception) -> Response:
        return error_answer(_UnknownPage(text("there is no such page; see / for the list")))

    @app.get("/")
    def index() -> Response:
        return json_answer({"name": "lapor-gateway", "version": __version__, "pages": _PAGES})

    add_health(app, gateway)
    add_status_pages(app, gateway)
    add_api(app, gateway)
    return app
