"""Make the responses of the Flask application: JSON, and errors in the client's language."""

from __future__ import annotations

import msgspec
from flask import Response, request

from gateway.domain.errors import GatewayError
from gateway.i18n import Language, localize


def json_answer(content: object, status: int = 200) -> Response:
    """Return a response with the content as JSON; raises `TypeError` for a type that msgspec cannot encode."""
    return Response(msgspec.json.encode(content), status=status, content_type="application/json")


def error_answer(error: GatewayError) -> Response:
    """Return an error as JSON: its code, and its message in the language of the client."""
    return json_answer({"error": error.code, "message": localize(error.message, client_language())}, error.status)


def client_language() -> Language:
    """Return the language of `?lang=`, else English if the client prefers it, else Indonesian."""
    chosen = request.args.get("lang")
    if chosen in set(Language):
        return Language(chosen)
    best = request.accept_languages.best_match([language.value for language in Language], Language.INDONESIAN.value)
    return Language(best)
