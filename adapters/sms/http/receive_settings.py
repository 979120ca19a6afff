"""Define the table `receive` of a channel with `adapter = "sms.http"`: the form of a citizen's message."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from adapters.sms.http.auth_settings import Name, Table
from adapters.sms.http.text import CHARSETS
from gateway.domain import texts  # not the function: in `Receive` the name `text` is a setting

_OFFSET = r"^[+-][01]\d:[0-5]\d$"


def _known_charset(name: str) -> str:
    if name.lower() not in CHARSETS:
        raise ValueError(
            texts.text("is not a known character set; there are: {listed}", listed=", ".join(sorted(CHARSETS)))
        )
    return name.lower()


Charset = Annotated[str, AfterValidator(_known_charset)]


class Parts(Table):
    """`receive.parts`: for an aggregator that does not join long messages."""

    udh: Name | None = Field(default=None, description=texts.text("Field with the user data header (UDH)."))
    udh_form: Literal["hex", "raw"] = Field(
        default="hex", description=texts.text("Form of the user data header: hex digits (hex) or bytes (raw).")
    )
    reference: Name | None = Field(
        default=None, description=texts.text("Field with the reference that all parts of a message have.")
    )
    number: Name | None = Field(default=None, description=texts.text("Field with the part's number, from 1."))
    total: Name | None = Field(default=None, description=texts.text("Field with the number of parts."))

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        named = [self.reference, self.number, self.total]
        if (not any(named)) if self.udh else all(named):
            return self
        raise ValueError(texts.text("name the udh, or all three of reference, number and total"))


class Answer(Table):
    """`receive.answer`: the answer that means "stored" to the aggregator."""

    status: int = Field(default=200, ge=200, le=299, description=texts.text("HTTP status of the answer."))
    body: str = Field(default="", description=texts.text('Body of the answer, such as "ACK/Jasmin".'))
    content_type: str = Field(
        default="text/plain; charset=utf-8", description=texts.text("Content type of the answer's body.")
    )


class Receive(Table):
    """`receive`: the form of a citizen's message."""

    method: Literal["GET", "POST"] = Field(
        default="POST", description=texts.text("HTTP method of the aggregator's calls.")
    )
    body: Literal["form", "json"] = Field(default="form", description=texts.text("Form of a POST's body."))
    id: Name | None = Field(default=None, description=texts.text("Field with the aggregator's own message id."))
    sender: Name = Field(description=texts.text("Field with the citizen's number."))
    recipient: Name | None = Field(
        default=None, description=texts.text("Field with our number; without it, `sender` of the channel is used.")
    )
    text: Name = Field(description=texts.text("Field with the text."))
    hex: Name | None = Field(
        default=None, description=texts.text("Field with the text's bytes in hex; used if it is not empty.")
    )
    charset: Charset = Field(
        default="utf-8", description=texts.text("Character set of the text, if the call does not name one.")
    )
    charset_from: Name | None = Field(default=None, description=texts.text("Field with the name of the character set."))
    coding_from: Name | None = Field(
        default=None,
        description=texts.text("Field with the data coding of the SMS; `codings` gives its character set."),
    )
    coding_raw: bool = Field(
        default=False, description=texts.text("Whether the data coding is one raw byte, not digits.")
    )
    codings: dict[str, Charset] = Field(default_factory=dict, description=texts.text("Data coding → character set."))
    sent_at: Name | None = Field(default=None, description=texts.text("Field with the time of sending."))
    time_format: str = Field(
        default="iso",
        description=texts.text("Form of the time: iso, unix, unix_ms, or a pattern such as %Y-%m-%d %H:%M:%S."),
    )
    utc_offset: str = Field(
        default="+07:00", pattern=_OFFSET, description=texts.text("Offset from UTC of times without an offset.")
    )
    same_within: float | None = Field(
        default=None,
        ge=1,
        le=86_400,
        description=texts.text(
            "Only without id and sent_at: seconds in which equal texts of one sender count as one message."
        ),
    )
    parts: Parts | None = Field(default=None, description=texts.text("The form of the parts of long messages."))
    answer: Answer = Field(default=Answer(), description=texts.text('The answer that means "stored".'))

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
            raise ValueError(
                texts.text("must be iso, unix, unix_ms, or a pattern with a date, such as %Y-%m-%d %H:%M:%S")
            )
        return pattern

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not (self.id or self.sent_at or self.same_within):
            raise ValueError(
                texts.text(
                    "a second delivery of a message looks like a second message: name its id or sent_at, "
                    "or set same_within: for so many seconds, equal texts of one sender are one message"
                )
            )
        if self.same_within and (self.id or self.sent_at):
            raise ValueError(texts.text("same_within is only for messages without id and sent_at"))
        if bool(self.codings) != bool(self.coding_from):
            raise ValueError(texts.text("coding_from and the table codings go together"))
        return self
