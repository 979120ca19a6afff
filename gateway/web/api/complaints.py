"""Serve GET /api/v1/complaints: the newest complaints, or one by its ticket, always without the reporter."""

from __future__ import annotations

import hmac
import re

from flask import Flask, Response, request

from gateway.bootstrap import Gateway
from gateway.domain.errors import GatewayError
from gateway.domain.texts import text
from gateway.domain.tickets import check_ticket
from gateway.ports import Secret
from gateway.web.api.answers import json_answer

_MAX_LIMIT = 200  # complaints in one answer


class _NotAllowed(GatewayError):
    code, status = "not_allowed", 401


class _BadLimit(GatewayError):
    code, status = "bad_limit", 400


class _UnknownTicket(GatewayError):
    code, status = "unknown_ticket", 404


def add_api(app: Flask, gateway: Gateway) -> None:
    """Add the paths of the API to the application. A wrong token or parameter is answered with 401, 400 or 404."""
    token = gateway.settings.gateway.api.token

    @app.get("/api/v1/complaints")
    def complaints() -> Response:
        _authorise(token)
        return json_answer({"complaints": gateway.central.newest(_limit(request.args.get("limit", "20")))})

    @app.get("/api/v1/complaints/<ticket>")
    def complaint(ticket: str) -> Response:
        _authorise(token)
        shown = gateway.central.by_ticket(ticket) if check_ticket(ticket) else None
        if shown is None:
            raise _UnknownTicket(text("no complaint has this ticket number"))
        return json_answer(shown)


def _limit(digits: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,2}", digits, re.ASCII) or int(digits) > _MAX_LIMIT:
        raise _BadLimit(text("limit is a number from 1 to {most}", most=_MAX_LIMIT))
    return int(digits)


def _authorise(token: Secret | None) -> None:
    """Raise `_NotAllowed` unless the request has the token."""
    if token is None:
        raise _NotAllowed(text("the API is off; set [api] token in gateway.toml"))
    credentials = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
    if not hmac.compare_digest(credentials, token.reveal().encode()):
        raise _NotAllowed(text("send the header Authorization: Bearer, with the [api] token"))
