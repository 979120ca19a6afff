"""Test where a password may be sent."""

from __future__ import annotations

import pytest

from adapters.common.addresses import PlainHttp, check_private

NOWHERE = None
# The lowest level at which each URL is allowed.
LEVELS = [
    ("http://127.0.0.1:17084", PlainHttp.THIS_MACHINE),
    ("http://[::1]:8080/send", PlainHttp.THIS_MACHINE),
    ("http://localhost", PlainHttp.THIS_MACHINE),
    ("http://LOCALHOST:8080", PlainHttp.THIS_MACHINE),
    ("http://127.0.0.2:8080", PlainHttp.LOOPBACK),
    ("http://10.1.2.3:8080/", PlainHttp.PRIVATE),
    ("http://172.16.0.1", PlainHttp.PRIVATE),
    ("http://192.168.1.20:8080", PlainHttp.PRIVATE),
    ("http://[fd00::1]:8080", PlainHttp.PRIVATE),
    ("http://8.8.8.8", PlainHttp.EVERYWHERE),
    ("http://[2001:4860:4860::8888]", PlainHttp.EVERYWHERE),
    ("http://phone:8080", PlainHttp.EVERYWHERE),
    ("http://sms.example/send", PlainHttp.EVERYWHERE),
    ("http://localhost.example", PlainHttp.EVERYWHERE),
    ("http://127.0.0.1.example", PlainHttp.EVERYWHERE),
    ("ftp://127.0.0.1", NOWHERE),
    ("127.0.0.1:8080", NOWHERE),
    ("//127.0.0.1", NOWHERE),
    ("", NOWHERE),
]


@pytest.mark.parametrize("level", PlainHttp)
@pytest.mark.parametrize(("url", "lowest"), LEVELS)
def test_a_password_goes_over_plain_http_only_where_it_is_allowed(
    url: str, lowest: PlainHttp | None, level: PlainHttp
) -> None:
    if lowest is not None and level >= lowest:
        check_private(url, level, "not there")
    else:
        with pytest.raises(ValueError, match="not there"):
            check_private(url, level, "not there")


@pytest.mark.parametrize("level", PlainHttp)
@pytest.mark.parametrize("url", ["https://sms.example", "https://8.8.8.8:8443/x", "HTTPS://phone.lan"])
def test_a_password_goes_over_https_to_every_host(url: str, level: PlainHttp) -> None:
    check_private(url, level, "not there")
