"""One long Javanese text with emoji, in seven parts, through each of the three SMS adapters of one running gateway.

The operator is the npm SMSC; the aggregator joins nothing, and gives the header of each part as it came; the telephone
joins the parts by itself, and signs one webhook.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from foreign.gateway import Programs, RunningGateway, free_ports, until
from foreign.smsc import PASSWORD, NodeSmsc

from adapters.sms.android.simulator import FakePhone

pytestmark = pytest.mark.slow

CITIZEN = "+6281200000999"
TOKEN, KEY = "aggregator-token", "signing-key"
TEXT = (
    "Nyuwun pirsa pak lurah, margi ing dhusun kula, wiwit ing prapatan dumugi kreteg, sampun risak sanget 😭. "
    "Wingi sonten wonten lare sekolah ingkang dhawah saking pit, kangge simbah-simbah ugi mbebayani 🙏🏽. "
    "Menawi jawah, banyunipun ngantos mlebet griya 🌊 lan kebak lendhut. Sampun kula aturaken kaping kalih "
    "dhateng balai desa, nanging dereng wonten ingkang mriksani. Kula sawarga nyuwun tulung enggal dipundandosi 🤲."
)
SIZE = 134  # bytes of UTF-16 that a part has beside its header: cuts fall into surrogate pairs
PARTS = [TEXT.encode("utf-16-be")[at : at + SIZE] for at in range(0, len(TEXT.encode("utf-16-be")), SIZE)]

REGION = """
code = "18.10"
name = "Kabupaten Pringsewu"
agency = "Pemerintah Kabupaten Pringsewu"

[channels.operator]
adapter = "sms.smpp"
host = "127.0.0.1"
port = {smpp}
system_id = "lapor"
password = {{ env = "SMPP_PASSWORD" }}
sender = "1708"

[channels.aggregator]
adapter = "sms.http"
sender = "1709"
replies = false

[channels.aggregator.auth]
token = {{ parameter = "token", value = {{ env = "AGGREGATOR_TOKEN" }} }}

[channels.aggregator.receive]
id = "id"
sender = "from"
text = "text"
hex = "hex"
charset = "utf-16be"
parts = {{ udh = "udh" }}

[channels.phone]
adapter = "sms.android"
user = "sms"
password = {{ env = "SMSGATE_PASSWORD" }}
signing_key = {{ env = "SMSGATE_KEY" }}
sender = "+6281200000100"
api_base = "{phone}"
local = true
"""


class Site:
    """The gateway, the operator and the telephone."""

    def __init__(self, programs: Programs, smsc: NodeSmsc, gate: int, phone: FakePhone) -> None:
        self.smsc, self.phone = smsc, phone
        secrets = {
            "SMPP_PASSWORD": PASSWORD,
            "AGGREGATOR_TOKEN": TOKEN,
            "SMSGATE_PASSWORD": "sandi",
            "SMSGATE_KEY": KEY,
        }
        self.gateway = RunningGateway(programs, REGION.format(smpp=smsc.port, phone=phone.url), secrets, gate)

    def through_smpp(self) -> None:
        self.smsc.send(
            TEXT, sender=CITIZEN, form="udh8", coding=8, size=SIZE, reference=77, order=[4, 7, 1, 3, 2, 6, 5]
        )
        assert self.smsc.answers(7) == [0] * 7

    def through_http(self) -> None:
        url = f"{self.gateway.url}/in/18.10/aggregator?token={TOKEN}"
        for number in (4, 7, 1, 3, 2, 6, 5):
            header = bytes([5, 0, 3, 77, 7, number])
            part = {
                "id": f"a{number}",
                "from": CITIZEN,
                "hex": PARTS[number - 1].hex(),
                "udh": header.hex(),
                "text": "",
            }
            assert requests.post(url, part, timeout=10).status_code == 200

    def through_phone(self) -> None:
        assert self.phone.send(CITIZEN, TEXT).status == 200


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, modules) -> Iterator[Site]:
    (gate,) = free_ports(1)
    programs, smsc = Programs(tmp_path_factory.mktemp("seven")), NodeSmsc(modules)
    webhook = f"http://127.0.0.1:{gate}/in/18.10/phone"
    sms = {"user": "sms", "password": "sandi", "signing_key": KEY, "sender": "+6281200000100"}
    with FakePhone(**sms, webhook_url=webhook) as phone:
        try:
            made = Site(programs, smsc, gate, phone)
            made.gateway.start()
            smsc.wait("bound", timeout=30, right=True)
            yield made
        finally:
            programs.close()
            smsc.close()


def test_the_text_is_what_it_should_be() -> None:
    assert len(PARTS) == 7
    cut = [part for part in PARTS[:-1] if 0xD8 <= part[-2] <= 0xDB]
    assert cut, "one cut goes through an emoji"


@pytest.mark.parametrize("way", ["smpp", "http", "phone"])
def test_it_arrives_whole(site: Site, way: str) -> None:
    channel = {"smpp": "operator", "http": "aggregator", "phone": "phone"}[way]
    getattr(site, f"through_{way}")()

    def found() -> list[str]:
        complaints = [site.gateway.complaint(one["ticket"]) for one in site.gateway.with_text("Nyuwun pirsa")]
        return [one["description"] for one in complaints if one["channel"] == channel]

    assert until(found, f"the message of {way}") == [TEXT]
