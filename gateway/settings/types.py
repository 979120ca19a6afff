"""The types of settings: codes, names, numbers, durations."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict

from gateway.domain.texts import text

CODE_PATTERN = r"^\d{2}(\.\d{2}(\.\d{2}(\.\d{4})?)?)?$"
CHANNEL_PATTERN = r"^[a-z][a-z0-9-]{0,31}$"
KEYWORD_PATTERN = r"^[A-Z0-9]{2,20}$"
PUBLIC_URL_PATTERN = r"^https?://[^/\s]+(/[^\s?#]*)?$"
PATTERNS = {  # pattern → error message
    CODE_PATTERN: text('must be a Kemendagri code: two digits, then parts after a dot, as "18", "18.10" or "18.10.01"'),
    CHANNEL_PATTERN: text("a channel's name is small letters, digits and hyphens, and starts with a letter"),
    KEYWORD_PATTERN: text("a keyword is 2 to 20 capital letters and digits, without spaces"),
    PUBLIC_URL_PATTERN: text(
        'must start with https:// or http://, then a host, as "https://lapor.example.go.id"; no ? and no #'
    ),
}
RegionCode = Annotated[str, Field(pattern=CODE_PATTERN)]
ChannelName = Annotated[str, Field(pattern=CHANNEL_PATTERN)]
Keyword = Annotated[str, Field(pattern=KEYWORD_PATTERN)]
Whole = Annotated[int, Strict()]  # "8080" in quotes is a fault
Number = Annotated[float, Strict()]
IPAddress = Annotated[str, AfterValidator(lambda text: str(ip_address(text)))]
Seconds = Annotated[float, Strict(), Field(gt=0, le=86_400)]


class Section(BaseModel):
    """The base of every table of the configuration: unknown keys are refused, and values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
