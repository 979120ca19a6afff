"""Define the table `receive` of a channel with `adapter = "sms.http"`: the form of a citizen's message."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from adapters.sms.http.auth_settings import Name, Table
from adapters.sms.http.text import CHARSETS
from gateway.domain import texts as translated  # a setting is called `text`
from gateway.domain.texts import text

_OFFSET = r"^[+-][01]\d:[0-5]\d$"


def _known_charset(name: str) -> str:
    if name.lower() not in CHARSETS:
        raise ValueError(text("is not a known character set; there are: {listed}", listed=", ".join(sorted(CHARSETS))))
    return name.lower()


Charset = Annotated[str, AfterValidator(_known_charset)]


class Parts(Table):
    """`receive.parts`: for an aggregator that does not join long messages."""

    udh: Name | None = Field(default=None, description=translated.text("Name of the user data header."))
    udh_form: Literal["hex", "raw"] = Field(
        default="hex", description=translated.text("Form of the user data header: hex digits or bytes.")
    )
    reference: Name | None = Field(
        default=None, description=translated.text("Name of the reference that all parts of a message have.")
    )
    number: Name | None = Field(default=None, description=translated.text("Name of the part's number, from 1."))
    total: Name | None = Field(default=None, description=translated.text("Name of the number of parts."))

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        named = [self.reference, self.number, self.total]
        if (not any(named)) if self.udh else all(named):
            return self
        raise ValueError(text("name the udh, or all three of reference, number and total"))


class Answer(Table):
    """`receive.answer`: the answer that means "stored" to the aggregator."""

    status: int = Field(default=200, ge=200, le=299, description=translated.text("HTTP status."))
    body: str = Field(default="", description=translated.text('Body, such as "ACK/Jasmin".'))
    content_type: str = Field(
        default="text/plain; charset=utf-8", description=translated.text("Content type of the body.")
    )


class Receive(Table):
    """`receive`: the form of a citizen's message."""

    method: Literal["GET", "POST"] = Field(default="POST", description=translated.text("HTTP method."))
    body: Literal["form", "json"] = Field(default="form", description=translated.text("Form of a POST's body."))
    id: Name | None = Field(default=None, description=translated.text("Name of the aggregator's own message id."))
    sender: Name = Field(description=translated.text("Name of the citizen's number."))
    recipient: Name | None = Field(
        default=None, description=translated.text("Name of our number; left out: `sender` of the channel.")
    )
    text: Name = Field(description=translated.text("Name of the text."))
    hex: Name | None = Field(
        default=None, description=translated.text("Name of the text's bytes in hex; used if it is not empty.")
    )
    charset: Charset = Field(
        default="utf-8", description=translated.text("Character set of the text, if the call does not name one.")
    )
    charset_from: Name | None = Field(default=None, description=translated.text("Name of the character set's name."))
    coding_from: Name | None = Field(
        default=None, description=translated.text("Name of the SMS coding; looked up in `codings`.")
    )
    coding_raw: bool = Field(
        default=False, description=translated.text("Whether the coding is one raw byte, not digits.")
    )
    codings: dict[str, Charset] = Field(default_factory=dict, description=translated.text("Coding → character set."))
    sent_at: Name | None = Field(default=None, description=translated.text("Name of the time of sending."))
    time_format: str = Field(
        default="iso", description=translated.text("iso, unix, unix_ms, or a pattern such as %Y-%m-%d %H:%M:%S.")
    )
    utc_offset: str = Field(
        default="+07:00", pattern=_OFFSET, description=translated.text("Offset from UTC of times without an offset.")
    )
    same_within: float | None = Field(
        default=None,
        ge=1,
        le=86_400,
        description=translated.text("Without id and time: seconds in which equal texts are one message."),
    )
    parts: Parts | None = Field(default=None, description=translated.text("The form of the parts of long messages."))
    answer: Answer = Field(default=Answer(), description=translated.text('The answer that means "stored".'))

    @field_validator("time_format")
    @classmethod
    def _is_pattern(cls, pattern: str) -> str:
        if pattern in ("iso", "unix", "unix_ms"):
            return pattern
        written = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).strftime(pattern)
        try:
            read = datetime.strptime(written, pattern)  # noqa: DTZ007  only its date is read
        except ValueError:
            read = None
        if read is None or read.year != 2026:
            raise ValueError(text("must be iso, unix, unix_ms, or a pattern with a date, such as %Y-%m-%d %H:%M:%S"))
        return pattern

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not (self.id or self.sent_at or self.same_within):
            raise ValueError(
                text(
                    "a second delivery of a message looks like a second message: name its id or sent_at, "
                    "or set same_within: for so many seconds, equal texts of one sender are one message"
                )
            )
        if self.same_within and (self.id or self.sent_at):
            raise ValueError(text("same_within is only for messages without id and sent_at"))
        if bool(self.codings) != bool(self.coding_from):
            raise ValueError(text("coding_from and the table codings go together"))
        return self
