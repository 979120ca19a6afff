"""How the simulated Twilio fails: statuses, codes and messages as Twilio has them."""

from __future__ import annotations

from gateway.testing.simulators.server import SILENCE, Answer

# Failures that can be asked for by name: status, Twilio's code, message, headers.
ANSWERS: dict[str, tuple[int, int, str, dict[str, str]]] = {
    "throttle": (429, 20429, "Too Many Requests", {"Retry-After": "1"}),
    "server_error": (500, 20500, "Internal Server Error", {}),
    "unauthorized": (401, 20003, "Authenticate", {"WWW-Authenticate": 'Basic realm="Twilio API"'}),
    "timeout": (0, 0, "", {}),
    "drop_after_accept": (0, 0, "", {}),
}


def failure(how: str, status: int = 400) -> Answer:
    """Return the answer of a failure by name, or of `reject:CODE` with the given HTTP status."""
    if how.startswith("reject:"):
        code, message = int(how.removeprefix("reject:")), "The request was refused"
        headers: dict[str, str] = {}
    else:
        status, code, message, headers = ANSWERS[how]
    if not status:
        return Answer(0, wait=SILENCE if how == "timeout" else 0)
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    return Answer(status, {"code": code, "message": message, "more_info": more_info, "status": status}, headers)


NOT_FOUND = failure("reject:20404", 404)
