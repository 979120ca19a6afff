"""List the failures of the simulated Twilio, with Twilio's statuses, codes and messages."""

from __future__ import annotations

from gateway.simulation.server import Answer


def failure(
    status: int, code: int, message: str = "The request was refused", headers: dict[str, str] | None = None
) -> Answer:
    """Return an error answer with a code from Twilio's list."""
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    return Answer(status, {"code": code, "message": message, "more_info": more_info, "status": status}, headers or {})


FAILURES = {
    "throttle": failure(429, 20429, "Too Many Requests", {"Retry-After": "1"}),
    "server_error": failure(500, 20500, "Internal Server Error"),
    "unauthorized": failure(401, 20003, "Authenticate", {"WWW-Authenticate": 'Basic realm="Twilio API"'}),
}
NOT_FOUND = failure(404, 20404)
