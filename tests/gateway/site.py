"""Fixtures of configured gateways: folders with a configuration, and gateways made of them."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import pytest
import requests
from click.testing import CliRunner, Result

from adapters import BUILTIN
from adapters.sms.twilio.simulator import FakeTwilio, signed_request
from gateway import bootstrap
from gateway.bootstrap import Gateway, build
from gateway.domain.ids import new_id
from gateway.ports import Envelope
from gateway.ports.registry import Registry
from gateway.settings.files import Settings
from gateway.settings.reader import load
from gateway.spool.inbox import Incoming
from tests.gateway.support import ACCOUNT, API_TOKEN, LEAKS, ROOT, TOKEN, StillClock

GATEWAY_TOML = """
national_desk = "Meja Nasional SP4N-LAPOR!"

[server]
public_url = "http://127.0.0.1:8080"
port = 0
{server}

[database]
url = "{url}"

[encryption]
keys = [{{ file = "keys/storage" }}]
lookup_key = {{ file = "keys/lookup" }}

[api]
token = {{ file = "keys/api" }}

[conversation]
window = {window}

[adapters."sms.twilio"]
account_sid = "{account}"
auth_token = {{ file = "keys/twilio" }}
api_base = "{api_base}"
timeout = 0.5
receipts = false

[[categories]]
code = "pekerjaan-umum"
words = ["jalan", "lampu jalan"]

[[classifications]]
classification = "permintaan_informasi"
words = ["mau tanya"]
{extra}
"""

REGIONS = {
    "00-nasional.toml": 'code = "00"\nname = "Indonesia"\n\n[channels.sms]\nadapter = "sms.twilio"\nsender = "1708"\n',
    "18.10-pringsewu.toml": """
code = "18.10"
name = "Kabupaten Pringsewu"
agency = "Pemerintah Kabupaten Pringsewu"
keywords = ["PRINGSEWU", "PSW"]

[[routes]]
agency = "Dinas PUPR Kabupaten Pringsewu"
category = "pekerjaan-umum"
""",
}


@dataclass
class Site:
    """A configuration directory of one test, and gateways made from it."""

    root: Path
    url: str
    clock: Callable[[], datetime]
    monkeypatch: pytest.MonkeyPatch
    api_base: str = "http://127.0.0.1:9"  # nobody listens there
    registry: Registry = field(default_factory=lambda: Registry(BUILTIN))
    token: str = TOKEN
    api_token: str = API_TOKEN
    made: list[Gateway] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.root / "config"

    def write(
        self, *, server: str = "", extra: str = "", regions: dict[str, str] | None = None, window: int = 0
    ) -> Self:
        """Write the files; `extra` follows gateway.toml, `regions` are added or replace one of the same name.

        Without a `window` every message is a report of its own, so that a test may let one citizen write many.
        """
        (self.config / "regions").mkdir(parents=True, exist_ok=True)
        (self.root / "keys").mkdir(exist_ok=True)
        keys = {"storage": base64.b64encode(b"k" * 32), "lookup": base64.b64encode(b"l" * 32)}
        for name, value in {**keys, "twilio": self.token.encode(), "api": self.api_token.encode()}.items():
            (self.root / "keys" / name).write_bytes(value)
        (self.config / "gateway.toml").write_text(
            GATEWAY_TOML.format(
                url=self.url, account=ACCOUNT, api_base=self.api_base, server=server, extra=extra, window=window
            )
        )
        for name, text in (REGIONS | (regions or {})).items():
            (self.config / "regions" / name).write_text(text)
        return self

    def settings(self) -> Settings:
        return load(self.config, self.registry)

    def gateway(self, **files: Any) -> Gateway:
        """Write the files if there are none or others are asked for, and wire a gateway on this test's clock."""
        if files or not (self.config / "gateway.toml").exists():
            self.write(**files)
        self.monkeypatch.setattr(bootstrap, "now", self.clock)
        self.made.append(build(self.settings(), self.registry))
        return self.made[-1]

    def run(self, *arguments: str) -> Result:
        """Run the command line in this process."""
        import run_gateway

        return CliRunner().invoke(run_gateway.main, ["--config", str(self.config), *arguments])

    def process(self, *arguments: str) -> Served:
        """Start the command line as a process of its own, and wait until it says where it listens."""
        return Served([sys.executable, str(ROOT / "run_gateway.py"), "--config", str(self.config), *arguments])

    def close(self) -> None:
        for gateway in self.made:
            gateway.close()


class Served:
    """A gateway in a process of its own; use with `with`."""

    def __init__(self, command: Sequence[str]) -> None:
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = 0

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    @property
    def log(self) -> str:
        return "".join(self._lines)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, text: str, timeout: float = 20) -> str:
        """Wait for a log line with the text, and return it."""

        def found() -> str | None:
            return next((line for line in self._lines if text in line), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or self.process.poll() is not None, timeout)
            line = found()
        assert line, f"no line with {text!r}:\n{self.log}"
        return line

    def __enter__(self) -> Self:
        try:
            self.port = json.loads(self.wait_for('"listening"'))["port"]
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> int:
        """End it as an operator does, and return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(30)
        self._reader.join(5)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def __exit__(self, *_exc: object) -> None:
        self.stop()
        found = [line for line in self._lines if LEAKS.search(line)]
        assert not found, "a log line of the process holds a phone, an identity number or a secret"

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.base + path, timeout=10, **options)


@pytest.fixture
def site(url: str, tmp_path: Path, clock: StillClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Return this test's configuration, on each kind of database."""
    made = Site(tmp_path, url, clock, monkeypatch)
    yield made
    made.close()


@pytest.fixture
def sqlite_site(sqlite: str, tmp_path: Path, clock: StillClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Return this test's configuration, on SQLite only."""
    made = Site(tmp_path, sqlite, clock, monkeypatch)
    yield made
    made.close()


@pytest.fixture(scope="session")
def new_site() -> type[Site]:
    """Return the class, for modules that share one site."""
    return Site


@pytest.fixture
def twilio(site: Site) -> Iterator[FakeTwilio]:
    """Return a Twilio that listens where the site's channel sends its replies."""
    with FakeTwilio(account_sid=ACCOUNT, auth_token=TOKEN, sender="1708", delivery_delay=0.01) as fake:
        site.api_base = fake.url
        yield fake


def full_sid(short: str) -> str:
    """Return a sid as the company makes them, of a short one that a test can be read with: SM1 → SM00…01."""
    return "SM" + short.removeprefix("SM").rjust(32, "0")


@pytest.fixture(scope="session")
def sms_request() -> Callable[..., Any]:
    """Return a function that builds the signed webhook of an SMS."""

    def make(text: str, sid: str, sender: str = "+6281200000001", **changes: str) -> Any:
        pairs = {"MessageSid": full_sid(sid), "SmsStatus": "received", "From": sender, "To": "1708", "Body": text}
        return signed_request("http://127.0.0.1:8080/in/00/sms", list((pairs | changes).items()), TOKEN)

    return make


@pytest.fixture
def receive(clock: StillClock, sms_request: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that puts a signed SMS into a gateway's inbox, as the front door does; returns the row id."""

    def put(gateway: Gateway, text: str, sid: str, sender: str = "+6281200000001", channel: str = "00/sms") -> Any:
        region, _, name = channel.partition("/")
        request = sms_request(text, sid, sender)
        message = Incoming(
            id=new_id(),
            region=region,
            channel=name,
            envelope=gateway.channels[region, name].adapter.verify(request) if channel == "00/sms" else Envelope(sid),
            content_type="message/http",
            payload=request.dump(),
            received_at=clock(),
        )
        gateway.spool.inbox.commit([gateway.spool.inbox.seal(message)])
        return message.id

    return put


@pytest.fixture
def drain() -> Callable[[Gateway], None]:
    """Return a function that runs all stages until none has work that is due."""

    def work(gateway: Gateway) -> None:
        for _ in range(50):
            if not sum(stage.run_once() for stage in gateway.stages.values()):
                return
        raise AssertionError("the stages found work 50 times")

    return work


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    """Return a function that asks again until the answer is true, and returns it."""

    def ask(question: Callable[[], Any], timeout: float = 15) -> Any:
        deadline = time.monotonic() + timeout
        while not (answer := question()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout:g} seconds")
            time.sleep(0.02)
        return answer

    return ask
