"""The types that settings are made of."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict

_CODE = r"^\d{2}(\.\d{2}(\.\d{2}(\.\d{4})?)?)?$"
_CHANNEL = r"^[a-z][a-z0-9-]{0,31}$"
_KEYWORD = r"^[A-Z0-9]{2,20}$"
_PUBLIC_URL = r"^https?://[^/\s]+(/[^\s?#]*)?$"
PATTERNS = {  # the same in words, for whoever wrote something else
    _CODE: 'must be a Kemendagri code: two digits, then parts after a dot, as "18", "18.10" or "18.10.01"',
    _CHANNEL: "a channel's name is small letters, digits and hyphens, and starts with a letter",
    _KEYWORD: "a keyword is 2 to 20 capital letters and digits, without spaces",
    _PUBLIC_URL: 'must start with https:// or http://, then a host, as "https://lapor.example.go.id"; no ? and no #',
}
RegionCode = Annotated[str, Field(pattern=_CODE)]
ChannelName = Annotated[str, Field(pattern=_CHANNEL)]
Keyword = Annotated[str, Field(pattern=_KEYWORD)]
Whole = Annotated[int, Strict()]  # "8080" in quotes is a mistake, and is told as one
Number = Annotated[float, Strict()]
IPAddress = Annotated[str, AfterValidator(lambda text: str(ip_address(text)))]
Seconds = Annotated[float, Strict(), Field(gt=0, le=86_400)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
