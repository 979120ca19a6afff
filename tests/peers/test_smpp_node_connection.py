"""The connection to an SMSC on the npm package smpp, also if the process is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.domain.errors import Unavailable
from gateway.ports import Secret
from tests.peers.support import CITIZEN, JALAN, JAWA, a_reply, listening, make, messages

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


def test_a_disconnect_between_two_parts(smsc, adapter, line):
    smsc.send(JALAN, form="udh8", size=153, reference=3, order=[1])
    assert smsc.answers(1) == [0]
    smsc.wish("drop")
    smsc.wait("bound")
    smsc.send(JALAN, form="udh8", size=153, reference=3, order=[3, 2])
    assert smsc.answers(2) == [0, 0]
    assert messages(adapter, line) == [(CITIZEN, JALAN)]


def test_a_mute_operator_is_left_and_bound_again(smsc, line):
    made = make(smsc.port, enquire_every=0.2, timeout=0.3)
    with listening(made, line, smsc):
        smsc.wish("mode", set={"mute": True})
        smsc.wait("closed")
        smsc.wish("mode", set={"mute": False})
        smsc.wait("bound")
    assert any("enquire_link" in said for said in line.failures)


def test_the_operators_unbind(smsc, adapter, line):
    smsc.wish("unbind")
    smsc.wait("unbind answered")
    smsc.wait("bound")
    assert any("ended the session" in said for said in line.failures)


def test_we_unbind(smsc, line):
    with listening(make(smsc.port), line, smsc):
        pass
    smsc.wait("unbound")
    smsc.wait("closed")
    assert not line.failures


def test_a_wrong_password(smsc, line):
    with pytest.raises(Unavailable, match="password"):
        make(smsc.port, password=Secret("salah")).listen(line)


@pytest.mark.parametrize("settings", [{"bind_mode": "separate"}, {"binds": 3}])
def test_several_sessions(smsc, line, settings):
    made = make(smsc.port, **settings)
    with listening(made, line, smsc):
        for _ in range(settings.get("binds", 2) - 1):
            smsc.wait("bound", right=True)  # the first was waited for
        smsc.send("Jalan rusak")
        assert smsc.answers(1) == [0]
        made.reply(a_reply("Terima kasih"))
        assert smsc.wait("submitted")["text"] == "Terima kasih"


def test_killed_between_two_parts(smsc, line, url):
    """Part 1 was answered, so it must be there when another process takes part 2."""
    command = [sys.executable, "-m", "tests.peers.support", str(smsc.port), url]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "peers")])}
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        smsc.wait("bound", timeout=30, right=True)
        smsc.send(JAWA, form="udh16", coding=8, size=134, reference=3, order=[1, 4])
        assert smsc.answers(2) == [0, 0]
        process.send_signal(signal.SIGKILL)
    smsc.wait("closed")
    made = make(smsc.port)
    with listening(made, line, smsc):
        # The operator cannot know what we have: it sends part 4 again.
        count = -(-len(JAWA.encode("utf-16-be")) // 134)
        rest = list(range(2, count + 1))
        smsc.send(JAWA, form="udh16", coding=8, size=134, reference=3, order=rest)
        assert smsc.answers(len(rest)) == [0] * len(rest)
    assert messages(made, line) == [(CITIZEN, JAWA)]
    assert len(line.raws()) == count
