"""Serve the health checks for load balancers and systemd, and the metrics for Prometheus."""

from __future__ import annotations

from flask import Flask, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.bootstrap import Gateway
from gateway.domain.errors import GatewayError
from gateway.domain.texts import text
from gateway.i18n import localize
from gateway.storage import migrate
from gateway.web.api.answers import client_language, json_answer
from gateway.web.operator.metrics import QueueDepth


def add_health(app: Flask, gateway: Gateway) -> None:
    """Add /health/live, /health/ready and /metrics to the application."""
    gateway.metrics.registry.register(QueueDepth(gateway))

    @app.get("/health/live")
    def live() -> Response:
        return json_answer({"status": "live"})

    @app.get("/health/ready")
    def ready() -> Response:
        problem = _unready(gateway)
        if problem is None:
            return json_answer({"status": "ready"})
        return json_answer({"status": "not ready", "why": localize(problem, client_language())}, 503)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(gateway.metrics.registry), content_type=CONTENT_TYPE_LATEST)


def _unready(gateway: Gateway) -> str | None:
    """Return the reason why messages cannot be accepted now, or `None` if they can."""
    try:
        old = migrate.pending(gateway.database, ["spool"])
    except GatewayError as exc:
        return exc.reason
    if old:
        return text("the {part} tables are missing or old; run: run_gateway.py migrate", part="spool")
    return None
