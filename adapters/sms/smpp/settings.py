"""Define the settings of a channel with `adapter = "sms.smpp"`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from gateway.domain.texts import text
from gateway.ports import ChannelSettings, Secret

LONGEST_PASSWORD = 8  # characters; SMPP 3.4, section 5.2.2

DefaultAlphabet = Literal["gsm7", "latin1", "ascii", "utf8"]  # of `alphabets.ALPHABETS`
AlphabetName = Literal[
    "gsm7", "latin1", "ascii", "utf8", "ucs2", "cyrillic", "hebrew", "shift-jis", "iso2022-jp", "euc-kr"
]
LongMessages = Literal["udh16", "udh8", "sar", "payload"]
ReceiptIds = Literal["same", "hex-then-decimal", "decimal-then-hex"]


class SmppSettings(ChannelSettings):
    """The keys of `[channels.<name>]` in a region file."""

    host: str = Field(min_length=1, description=text("Host name or address of the operator's SMSC."))
    port: int = Field(default=2775, ge=1, le=65535, description=text("Port of the SMSC."))
    tls: bool = Field(default=False, description=text("Encrypt with TLS; without it, use the operator's VPN."))
    tls_ca: str | None = Field(
        default=None, description=text("PEM file with the operator's own certificate authority.")
    )
    system_id: str = Field(pattern=r"^[!-~]{1,15}$", description=text("Name of our account at the operator."))
    password: Secret = Field(description=text("Password of the account; SMPP allows at most 8 characters."))
    system_type: str = Field(
        default="", pattern=r"^[ -~]{0,12}$", description=text("System type, if the operator requires one.")
    )
    address_range: str = Field(
        default="",
        pattern=r"^[ -~]{0,40}$",
        description=text("Numbers that this channel serves, if the operator requires them."),
    )
    bind_mode: Literal["transceiver", "separate"] = Field(
        default="transceiver",
        description=text("One session for both directions (transceiver), or one for each (separate)."),
    )
    binds: int = Field(
        default=1, ge=1, le=16, description=text("Number of simultaneous sessions, if the account allows several.")
    )
    sender: str = Field(
        pattern=r"^(\+[1-9][0-9]{6,14}|[0-9]{3,15}|[A-Za-z][A-Za-z0-9 ]{1,10})$",
        description=text("Our number, such as 1708 or +62..."),
    )
    sender_ton: int = Field(default=0, ge=0, le=255, description=text("Type of number (TON) of `sender`."))
    sender_npi: int = Field(default=0, ge=0, le=255, description=text("Numbering plan (NPI) of `sender`."))
    recipient_ton: int = Field(
        default=1, ge=0, le=255, description=text("Type of number (TON) of recipients; 1: with country code.")
    )
    recipient_npi: int = Field(default=1, ge=0, le=255, description=text("Numbering plan (NPI) of recipients."))
    service_type: str = Field(
        default="", pattern=r"^[ -~]{0,5}$", description=text("Service type of replies, if the operator requires one.")
    )
    default_alphabet: DefaultAlphabet = Field(
        default="gsm7", description=text("Alphabet of data_coding 0 at this operator.")
    )
    codings: dict[int, AlphabetName] = Field(
        default_factory=dict,
        description=text("Alphabets of other values of data_coding, if this operator differs from the standard."),
    )
    long_messages: LongMessages = Field(
        default="udh16", description=text("Form in which replies of several parts are sent.")
    )
    receipts: bool = Field(default=True, description=text("Ask the operator to report whether a reply was delivered."))
    receipt_ids: ReceiptIds = Field(
        default="same",
        description=text(
            "Form of message ids, decimal or hexadecimal: first in the operator's answer to a reply, then in its delivery receipt."
        ),
    )
    tps: float = Field(default=10, gt=0, le=10000, description=text("Replies per second that the operator allows."))
    window: int = Field(default=10, ge=1, le=1000, description=text("Replies that may wait for the operator's answer."))
    timeout: float = Field(default=10, gt=0, le=60, description=text("Seconds to wait for the operator's answer."))
    enquire_every: float = Field(
        default=30, gt=0, le=600, description=text("Seconds of silence before the gateway sends enquire_link.")
    )
    redelivery_window: float = Field(
        default=300,
        ge=1,
        le=86400,
        description=text("Seconds in which the same text of the same sender counts as one message."),
    )
    message_id_tlv: int | None = Field(
        default=None,
        ge=0,
        le=0xFFFF,
        description=text("TLV with the operator's own message id, if the operator sends one."),
    )

    @field_validator("password")
    @classmethod
    def _short_enough(cls, value: Secret) -> Secret:
        password = value.reveal()
        if not password.isascii() or len(password) > LONGEST_PASSWORD:  # smpplib would cut it off without an error
            raise ValueError(text("must have at most {count} characters, all ASCII", count=LONGEST_PASSWORD))
        return value
