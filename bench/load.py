"""Make the load: signed Twilio webhooks, sent by wrk; and pgbench, which inserts the same row."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha1
from hmac import digest
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote_plus

CONNECTIONS = 64
TEXT = (
    "PRINGSEWU jalan rusak di depan SDN 2 Pagelaran, lubangnya dalam sekali, sudah dua motor jatuh minggu ini. "
    "Mohon segera diperbaiki, anak sekolah lewat tiap hari."
)
# wrk has no option to send each request once: this script plays a file, each thread its own part.
SCRIPT = """
local thread_count = 0
function setup(thread)
  thread:set("number", thread_count); thread_count = thread_count + 1
end
function init(args)
  local file = assert(io.open(args[1], "rb"))
  local threads, pause_ms = tonumber(args[2]), tonumber(args[3])
  local whole = file:read("*a"); file:close()
  requests, position = {}, 0
  local start, line = 1, 0
  while true do
    local stop = whole:find("\\0", start, true)
    if not stop then break end
    if line % threads == number then requests[#requests + 1] = whole:sub(start, stop - 1) end
    line = line + 1; start = stop + 1
  end
  -- spread around the wanted pause, so that connections do not march in step
  if pause_ms > 0 then
    math.randomseed(number + 1)
    delay = function() return math.floor(pause_ms * 2 * math.random() + 0.5) end
  end
end
function request()
  position = position + 1
  if position > #requests then exhausted = true; position = 1 end
  return requests[position]
end
function done(summary, latency, requests)
  io.write(string.format("RESULT requests=%d duration_us=%d p50_us=%d p99_us=%d max_us=%d status=%d socket=%d\\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """Hold the result of a run of wrk."""

    accepted: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    refused: int  # any other status than 2xx
    broken: int  # connections

    @property
    def rate(self) -> float:
        """Return the requests per second that were answered 2xx."""
        return self.accepted / self.seconds


def need(program: str, package: str) -> str:
    """Return the path of a program; end the benchmark with the remedy if it is missing."""
    path = shutil.which(program)
    if path is None:
        raise SystemExit(f"{program} is needed for this benchmark: apt-get install {package}")
    return path


def signed_requests(count: int, *, host: str, path: str, url: str, token: str, account: str, to: str) -> list[bytes]:
    """Return whole HTTP requests as Twilio sends them, correctly signed, each with its own message and sender."""
    requests = []
    run = token_hex(4)
    for number in range(count):
        sid = f"SM{run}{number:024x}"
        form = {
            "ToCountry": "ID",
            "ToState": "",
            "SmsMessageSid": sid,
            "NumMedia": "0",
            "ToCity": "",
            "FromZip": "",
            "SmsSid": sid,
            "FromState": "",
            "SmsStatus": "received",
            "FromCity": "",
            "Body": TEXT,
            "FromCountry": "ID",
            "To": to,
            "ToZip": "",
            "NumSegments": "2",
            "MessageSid": sid,
            "AccountSid": account,
            "From": f"+62812{int(run[:4], 16) % 1000:03d}{number % 1_000_000:06d}",
            "ApiVersion": "2010-04-01",
        }
        signed = url + "".join(name + form[name] for name in sorted(form))
        signature = b64encode(digest(token.encode(), signed.encode(), sha1)).decode()
        body = "&".join(f"{name}={quote_plus(value)}" for name, value in form.items()).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n"
            f"Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nContent-Length: {len(body)}\r\n"
            f"X-Twilio-Signature: {signature}\r\nI-Twilio-Idempotency-Token: {sid[2:]}\r\n\r\n"
        ).encode()
        requests.append(head + body)
    return requests


class Wrk:
    """Run wrk, the load generator."""

    def __init__(self) -> None:
        self._program = need("wrk", "wrk")
        self._folder = Path(tempfile.mkdtemp(prefix="lapor-bench-"))
        self._script = self._folder / "play.lua"
        self._script.write_text(SCRIPT)

    def run(self, base: str, requests: list[bytes], seconds: float, *, pause_ms: float = 0) -> Outcome:
        """Play the requests over 64 connections; there must be more of them than can be sent."""
        file = self._folder / "requests"
        file.write_bytes(b"\0".join(requests) + b"\0")
        threads = 1
        command = [
            self._program,
            f"-t{threads}",
            f"-c{CONNECTIONS}",
            f"-d{max(1, round(seconds))}s",
            "-s",
            str(self._script),
            base,
        ]
        done = subprocess.run(
            [*command, "--", str(file), str(threads), f"{pause_ms:g}"], capture_output=True, text=True, check=False
        )
        match = re.search(r"RESULT (.*)", done.stdout)
        if match is None:
            raise SystemExit(f"wrk failed: {done.stdout}{done.stderr}")
        values = {name: int(value) for name, value in (pair.split("=") for pair in match[1].split())}
        return Outcome(
            accepted=values["requests"] - values["status"],
            seconds=values["duration_us"] / 1e6,
            p50_ms=values["p50_us"] / 1e3,
            p99_ms=values["p99_us"] / 1e3,
            max_ms=values["max_us"] / 1e3,
            refused=values["status"],
            broken=values["socket"],
        )

    def close(self) -> None:
        """Remove the files it played."""
        shutil.rmtree(self._folder, ignore_errors=True)


def pgbench(program: Path, dsn: str, payload_bytes: int, seconds: float) -> float:
    """Return the rows per second of 64 clients that insert the inbox's row, one per transaction."""
    script = (
        "INSERT INTO inbox (id, region, channel, dedupe_key, lane, content_type, payload, received_at, due_at) VALUES "
        "(uuidv7(), '00', 'sms', gen_random_uuid(), gen_random_uuid(), 'message/http', "
        f"'\\x{token_hex(payload_bytes)}'::bytea, now(), now()) ON CONFLICT DO NOTHING;\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".sql", delete=False) as file:
        file.write(script)
    Path(file.name).chmod(0o644)
    try:
        done = subprocess.run(
            [
                str(program),
                *("-n", "-M", "prepared", "-c", str(CONNECTIONS), "-j", "2", "-T", f"{seconds:.0f}"),
                *("-f", file.name, dsn),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        Path(file.name).unlink()
    match = re.search(r"tps = ([\d.]+) \(without", done.stdout) or re.search(r"tps = ([\d.]+)", done.stdout)
    if match is None:
        raise SystemExit(f"pgbench failed: {done.stdout}{done.stderr}")
    return float(match[1])
