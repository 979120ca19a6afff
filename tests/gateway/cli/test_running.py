"""The commands serve, web, work and simulate in processes of their own."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from adapters.sms.twilio.simulator import FakeTwilio
from gateway.spool.tables import inbox, outbox
from tests.gateway.fixture_types import Eventually, Rows, SmsRequest
from tests.gateway.site import Site

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def simulated(sqlite_site: Site) -> Site:
    """Return a site whose server and simulator have ports that were free a moment ago."""
    sqlite_site.api_base = f"http://127.0.0.1:{free_port()}"
    main = sqlite_site.write().config / "gateway.toml"
    main.write_text(main.read_text().replace("port = 0", f"port = {free_port()}"))
    return sqlite_site


def test_one_message_by_simulate_text_is_answered(simulated: Site) -> None:
    with simulated.process("serve"):
        result = simulated.run("simulate", "--text", "PRINGSEWU jalan berlubang", "--from", "+6281200000042")
    assert result.exit_code == 0, result.output
    assert re.search(r"1708 => \+6281200000042: Laporan Anda kami terima. No. tiket: \d{8}\.", result.output)


def test_the_shipped_channel_of_an_aggregator_is_simulated_as_well(simulated: Site) -> None:
    shipped = (ROOT / "config" / "regions" / "74.71-kendari.toml").read_text()
    (simulated.root / "keys" / "aggregator").write_text("aggregator-key-for-tests-only")
    region = shipped.replace(":17082/", f":{free_port()}/").replace("var/keys/kendari-aggregator", "keys/aggregator")
    (simulated.config / "regions" / "74.71-kendari.toml").write_text(region)
    with simulated.process("serve"):
        arguments = ["simulate", "--channel", "74.71/sms", "--text", "jalan berlubang", "--from", "+6281200000043"]
        result = simulated.run(*arguments)
    assert result.exit_code == 0, result.output
    assert re.search(r"74711 => \+6281200000043: Laporan Anda kami terima. No. tiket: \d{8}\.", result.output)


def test_simulate_text_without_a_gateway_says_that_nobody_answered(simulated: Site) -> None:
    assert simulated.run("simulate", "--text", "jalan berlubang").exit_code == 1


def test_simulate_refuses_the_real_provider(sqlite_site: Site) -> None:
    sqlite_site.api_base = "https://api.twilio.com"
    result = sqlite_site.write().run("simulate", "--text", "jalan berlubang")
    assert result.exit_code == 3
    assert "to simulate 00/sms, set its api_base to http://127.0.0.1:PORT" in result.output


def test_serve_with_simulated_citizens_answers_them_and_ends_with_its_simulator(
    simulated: Site, eventually: Eventually
) -> None:
    with simulated.process("serve", "--simulate", "--rate", "50") as served:
        eventually(lambda: 'outcome="sent"' in served.get("/metrics").text, 25)
        assert served.stop() == 0
    port = int(simulated.api_base.rsplit(":", 1)[1])

    def gone() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    eventually(gone)


def test_outside_the_environment_it_says_how_to_start_it() -> None:
    # -S: without site-packages, as a Python in which nothing was installed.
    ended = subprocess.run(
        [sys.executable, "-S", str(ROOT / "run_gateway.py")], capture_output=True, text=True, check=False, timeout=30
    )
    assert ended.returncode == 4
    assert "run `make run` first, or use .venv/bin/python run_gateway.py" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_simulator_whose_port_is_taken_ends_the_whole_serve_with_4(simulated: Site) -> None:
    address = simulated.api_base.removeprefix("http://")
    with socket.create_server(("127.0.0.1", int(address.rsplit(":", 1)[1]))):
        ended = subprocess.run(
            [sys.executable, str(ROOT / "run_gateway.py"), "--config", str(simulated.config), "serve", "--simulate"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    assert ended.returncode == 4, ended.stderr
    setting = 'api_base of channel 00/sms or of [adapters."sms.twilio"]'
    message = f"the simulator cannot listen on {address} ({setting}): address already in use"
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_simulate_text_beside_a_running_simulator_shows_the_answer_all_the_same(simulated: Site) -> None:
    with simulated.process("serve", "--simulate", "--rate", "0.01") as served:
        served.wait_for('"accepted"')  # the simulator has begun
        for number in ("+6281200000042", "+6281200000042"):
            result = simulated.run("simulate", "--text", "PRINGSEWU jalan berlubang", "--from", number)
            assert result.exit_code == 0, result.output
            assert re.search(r"1708 => \+6281200000042: Laporan Anda kami terima. No. tiket: \d{8}\.", result.output)


def test_simulate_text_says_what_the_gateway_answered(simulated: Site) -> None:
    with simulated.process("serve"):
        (simulated.root / "keys" / "twilio").write_text("yang-lain")
        result = simulated.run("simulate", "--text", "jalan berlubang")
    assert result.exit_code == 1
    assert '! the gateway answered 403 {"error":"unverified"' in result.output.replace('": "', '":"')


def test_simulate_text_beside_a_program_that_is_no_simulator_says_so(simulated: Site) -> None:
    with simulated.process("serve") as served:
        main = simulated.config / "gateway.toml"
        main.write_text(main.read_text().replace(simulated.api_base, served.base))
        result = simulated.run("simulate", "--text", "jalan berlubang")
    assert result.exit_code == 4
    assert "is taken by a program that is no simulator" in result.output


@pytest.mark.parametrize("sender", ["warga", "1708", "+62"])
def test_simulate_text_wants_a_phone_number(simulated: Site, sender: str) -> None:
    assert simulated.run("simulate", "--text", "jalan", "--from", sender).exit_code == 2


def test_a_second_serve_on_the_same_file_is_refused_and_disturbs_nothing(sqlite_site: Site) -> None:
    with sqlite_site.write().process("serve") as served:
        second = subprocess.run(
            [sys.executable, str(ROOT / "run_gateway.py"), "--config", str(sqlite_site.config), "serve"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert second.returncode == 4, second.stderr
        assert "another gateway runs on" in second.stderr
        assert "Traceback" not in second.stderr
        assert served.get("/health/ready").status_code == 200


def test_a_port_that_is_taken_is_told_in_one_plain_line(sqlite_site: Site) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        main = sqlite_site.write().config / "gateway.toml"
        main.write_text(main.read_text().replace("port = 0", f"port = {port}"))
        ended = subprocess.run(
            [sys.executable, str(ROOT / "run_gateway.py"), "--config", str(sqlite_site.config), "serve"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    assert ended.returncode == 4
    assert f"cannot listen on 127.0.0.1:{port}: another program has it (see: ss -ltnp)" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_web_and_work_do_together_what_serve_does(
    site: Site, twilio: FakeTwilio, sms_request: SmsRequest, rows: Rows, eventually: Eventually
) -> None:
    command = [sys.executable, str(ROOT / "run_gateway.py"), "--config", str(site.write().config)]
    with site.process("web") as served:
        worker = subprocess.Popen([*command, "work", "--no-jobs"], cwd=ROOT, stderr=subprocess.PIPE)
        try:
            request = sms_request("PRINGSEWU jalan berlubang", "SM1")
            for _ in range(2):
                url = served.base + "/in/00/sms"
                assert requests.post(url, data=request.body, headers=request.headers, timeout=10).status_code == 200
            (text,) = eventually(lambda: twilio.replies_to("+6281200000001"), 30)
            assert "No. tiket: " in text
            eventually(lambda: {row["state"] for row in rows(outbox)} == {"done"})
            assert len(rows(inbox)) == 1
        finally:
            worker.terminate()
            _, errors = worker.communicate(timeout=20)
    assert worker.returncode == 0, errors
    assert b"81200000001" not in errors
