"""What a region may say about an account at an operator's SMSC."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from gateway.ports import ChannelSettings, Secret

MOST_OF_PASSWORD = 8  # SMPP 3.4, section 5.2.2

DefaultAlphabet = Literal["gsm7", "latin1", "ascii", "utf8"]  # of `smpp_pdu.ALPHABETS`
AlphabetName = Literal[
    "gsm7", "latin1", "ascii", "utf8", "ucs2", "cyrillic", "hebrew", "shift-jis", "iso2022-jp", "euc-kr"
]
LongMessages = Literal["udh16", "udh8", "sar", "payload"]
ReceiptIds = Literal["same", "hex-then-decimal", "decimal-then-hex"]


class SmppSettings(ChannelSettings):
    """What `[channels.<name>]` with `adapter = "sms.smpp"` may say."""

    host: str = Field(min_length=1, description="The operator's SMSC: name or address.")
    port: int = Field(default=2775, ge=1, le=65535, description="Its port.")
    tls: bool = Field(default=False, description="Encrypt with TLS; without it, use the operator's VPN.")
    tls_ca: str | None = Field(default=None, description="PEM file with the operator's own certification authority.")
    system_id: str = Field(pattern=r"^[!-~]{1,15}$", description="Name of our account at the operator.")
    password: Secret = Field(description="Password of the account; SMPP knows at most 8 characters.")
    system_type: str = Field(default="", pattern=r"^[ -~]{0,12}$", description="If the operator asks for one.")
    address_range: str = Field(
        default="", pattern=r"^[ -~]{0,40}$", description="Which numbers we serve, if the operator asks."
    )
    bind_mode: Literal["transceiver", "separate"] = Field(
        default="transceiver", description="One session for both directions, or one for each."
    )
    binds: int = Field(default=1, ge=1, le=16, description="Sessions side by side, where the account allows several.")
    sender: str = Field(
        pattern=r"^(\+[1-9][0-9]{6,14}|[0-9]{3,15}|[A-Za-z][A-Za-z0-9 ]{1,10})$", description="Our number: 1708, +62..."
    )
    sender_ton: int = Field(default=0, ge=0, le=255, description="Type of number of `sender`.")
    sender_npi: int = Field(default=0, ge=0, le=255, description="Numbering plan of `sender`.")
    recipient_ton: int = Field(
        default=1, ge=0, le=255, description="Type of number of recipients; 1: with country code."
    )
    recipient_npi: int = Field(default=1, ge=0, le=255, description="Numbering plan of recipients.")
    service_type: str = Field(default="", pattern=r"^[ -~]{0,5}$", description="If the operator asks for one.")
    default_alphabet: DefaultAlphabet = Field(default="gsm7", description="What data_coding 0 means at this operator.")
    codings: dict[int, AlphabetName] = Field(
        default_factory=dict, description="What other values of data_coding mean, where this operator differs."
    )
    long_messages: LongMessages = Field(default="udh16", description="How replies of several parts are sent.")
    receipts: bool = Field(default=True, description="Ask the operator to report whether a reply was delivered.")
    receipt_ids: ReceiptIds = Field(
        default="same", description="How ids are written when a reply is taken, then in the text of its receipt."
    )
    tps: float = Field(default=10, gt=0, le=10000, description="Replies a second that the operator allows.")
    window: int = Field(default=10, ge=1, le=1000, description="Replies that may wait for the operator's answer.")
    timeout: float = Field(default=10, gt=0, le=60, description="Seconds to wait for the operator's answer.")
    enquire_every: float = Field(default=30, gt=0, le=600, description="Seconds of silence before we ask for life.")
    redelivery_window: float = Field(
        default=300, ge=1, le=86400, description="Seconds in which the same text of the same sender is one message."
    )
    message_id_tlv: int | None = Field(
        default=None, ge=0, le=0xFFFF, description="TLV with the operator's own id of a message, if it sends one."
    )

    @field_validator("password")
    @classmethod
    def _short_enough(cls, value: Secret) -> Secret:
        if (
            not value.reveal().isascii() or len(value.reveal()) > MOST_OF_PASSWORD
        ):  # smpplib would cut it off in silence
            raise ValueError(f"must have at most {MOST_OF_PASSWORD} characters, all ASCII")
        return value
