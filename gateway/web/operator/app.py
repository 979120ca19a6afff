"""The Flask application behind the front door: health, metrics, the status page, and the operators' read-only API."""

from __future__ import annotations

import hmac
import re
from typing import Any

import msgspec
from flask import Flask, Response, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway import __version__
from gateway.bootstrap import Gateway
from gateway.domain.errors import GatewayError
from gateway.domain.tickets import check_ticket
from gateway.storage import migrate
from gateway.web.operator.metrics import QueueDepth
from gateway.web.operator.status_page import add_status_pages

_MOST = 200  # complaints in one answer


def create_app(gateway: Gateway) -> Flask:
    """Return the application over a wired gateway."""
    app = Flask(__name__)
    gateway.metrics.registry.register(QueueDepth(gateway))
    token = gateway.settings.gateway.api.token

    @app.after_request
    def _harden(response: Response) -> Response:
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
        return response

    @app.errorhandler(GatewayError)
    def _failed(error: GatewayError) -> Response:
        return _json({"error": error.code, "message": str(error.message)}, error.status)

    @app.get("/")
    def index() -> Response:
        pages = ["/status", "/status.json", "/health/live", "/health/ready", "/metrics", "/api/v1/complaints"]
        return _json({"name": "lapor-gateway", "version": __version__, "pages": pages})

    @app.get("/health/live")
    def live() -> Response:
        return _json({"status": "live"})

    @app.get("/health/ready")
    def ready() -> Response:
        problem = _unready(gateway)
        return _json(
            {"status": "ready"} if problem is None else {"status": "not ready", "why": problem}, 503 if problem else 200
        )

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(gateway.metrics.registry), content_type=CONTENT_TYPE_LATEST)

    add_status_pages(app, gateway)

    @app.get("/api/v1/complaints")
    def complaints() -> Response:
        _authorise(token)
        return _json({"complaints": gateway.central.newest(_limit(request.args.get("limit", "20")))})

    @app.get("/api/v1/complaints/<ticket>")
    def complaint(ticket: str) -> Response:
        _authorise(token)
        found = gateway.central.by_ticket(ticket) if check_ticket(ticket) else None
        return _json(found) if found else _json({"error": "unknown_ticket", "message": "no complaint has it"}, 404)

    return app


class _NotAllowed(GatewayError):
    code, status = "not_allowed", 401


class _BadLimit(GatewayError):
    code, status = "bad_limit", 400


def _limit(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,2}", text, re.ASCII) or int(text) > _MOST:
        raise _BadLimit(f"limit is a number from 1 to {_MOST}")
    return int(text)


def _authorise(token: Any) -> None:
    if token is None:
        raise _NotAllowed("the API is off; set [api] token in gateway.toml")
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
    if not hmac.compare_digest(given, token.reveal().encode()):
        raise _NotAllowed("send the header Authorization: Bearer <[api] token>")


def _unready(gateway: Gateway) -> str | None:
    """Return why messages cannot be accepted now, or `None`."""
    try:
        behind = migrate.pending(gateway.database, ["spool"])
    except GatewayError as exc:
        return exc.reason
    return f"tables of {', '.join(behind)} are not migrated; run: run_gateway.py migrate" if behind else None


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status=status, content_type="application/json")
