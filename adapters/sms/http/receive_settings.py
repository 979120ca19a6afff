"""The table `receive` of a channel with `adapter = "sms.http"`: how a citizen's message comes in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from adapters.sms.http.auth_settings import Name, Table
from adapters.sms.http.text import CHARSETS
from gateway.domain import texts as translated  # a setting is called `text`

_OFFSET = r"^[+-][01]\d:[0-5]\d$"


def _known_charset(name: str) -> str:
    if name.lower() not in CHARSETS:
        raise ValueError(f"is no character set we know; there are: {', '.join(sorted(CHARSETS))}")
    return name.lower()


Charset = Annotated[str, AfterValidator(_known_charset)]


class Parts(Table):
    """`receive.parts`: for an aggregator that does not join long messages."""

    udh: Name | None = Field(default=None, description=translated.text("Name of the user data header."))
    udh_form: Literal["hex", "raw"] = Field(
        default="hex", description=translated.text("Whether it comes as hex digits or as bytes.")
    )
    reference: Name | None = Field(
        default=None, description=translated.text("Name of the reference number that all parts share.")
    )
    number: Name | None = Field(default=None, description=translated.text("Name of the part's number, from 1."))
    total: Name | None = Field(default=None, description=translated.text("Name of the number of parts."))

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        named = [self.reference, self.number, self.total]
        if (not any(named)) if self.udh else all(named):
            return self
        raise ValueError("name the udh, or all three of reference, number and total")


class Answer(Table):
    """`receive.answer`: what the aggregator takes for "stored"."""

    status: int = Field(default=200, ge=200, le=299, description=translated.text("HTTP status."))
    body: str = Field(default="", description=translated.text('Body, such as "ACK/Jasmin".'))
    content_type: str = Field(
        default="text/plain; charset=utf-8", description=translated.text("Content type of the body.")
    )


class Receive(Table):
    """`receive`: how a citizen's message comes in."""

    method: Literal["GET", "POST"] = Field(default="POST", description=translated.text("HTTP method."))
    body: Literal["form", "json"] = Field(default="form", description=translated.text("Form of a POST's body."))
    id: Name | None = Field(default=None, description=translated.text("Name of the aggregator's own message id."))
    sender: Name = Field(description=translated.text("Name of the citizen's number."))
    recipient: Name | None = Field(
        default=None, description=translated.text("Name of our number; without it, `sender` of the channel.")
    )
    text: Name = Field(description=translated.text("Name of the text."))
    hex: Name | None = Field(
        default=None, description=translated.text("Name of the text's bytes in hex; used if it is not empty.")
    )
    charset: Charset = Field(
        default="utf-8",
        description=translated.text("Character set of the text, unless charset_from or coding_from gives another."),
    )
    charset_from: Name | None = Field(
        default=None, description=translated.text("Name of the parameter with the character set.")
    )
    coding_from: Name | None = Field(
        default=None, description=translated.text("Name of the SMS coding; looked up in `codings`.")
    )
    coding_raw: bool = Field(
        default=False, description=translated.text("Whether the coding is one raw byte instead of digits.")
    )
    codings: dict[str, Charset] = Field(default_factory=dict, description=translated.text("Coding → character set."))
    sent_at: Name | None = Field(default=None, description=translated.text("Name of the time at which it was sent."))
    time_format: str = Field(
        default="iso", description=translated.text("iso, unix, unix_ms, or a pattern such as %Y-%m-%d %H:%M:%S.")
    )
    utc_offset: str = Field(
        default="+07:00", pattern=_OFFSET, description=translated.text("UTC offset of times that have none.")
    )
    same_within: float | None = Field(
        default=None,
        ge=1,
        le=86_400,
        description=translated.text("Without id and time: seconds in which equal texts are one message."),
    )
    parts: Parts | None = Field(
        default=None, description=translated.text("How the parts of a long message are marked.")
    )
    answer: Answer = Field(default=Answer(), description=translated.text("The answer after a message was stored."))

    @field_validator("time_format")
    @classmethod
    def _is_pattern(cls, text: str) -> str:
        if text in ("iso", "unix", "unix_ms"):
            return text
        written = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).strftime(text)
        try:
            read = datetime.strptime(written, text)  # noqa: DTZ007  only its date is looked at
        except ValueError:
            read = None
        if read is None or read.year != 2026:
            raise ValueError("must be iso, unix, unix_ms, or a pattern with a date, as %Y-%m-%d %H:%M:%S")
        return text

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not (self.id or self.sent_at or self.same_within):
            raise ValueError(
                "nothing tells a second delivery of a message from a second message: name its id or sent_at, "
                "or say with same_within for how many seconds equal texts of one sender are one message"
            )
        if self.same_within and (self.id or self.sent_at):
            raise ValueError("same_within is only for messages without id and sent_at")
        if bool(self.codings) != bool(self.coding_from):
            raise ValueError("coding_from and the table codings go together")
        return self
