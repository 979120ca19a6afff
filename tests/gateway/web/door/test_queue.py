"""The queue in front of the commit, a database that fails, and the end of the process."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import sqlalchemy as sa

from gateway.spool.tables import inbox
from gateway.storage.database import Database
from gateway.testing.fixtures import started_postgres
from tests.gateway.fixture_types import Eventually
from tests.gateway.site import Site
from tests.gateway.web.door.support import post, raw, sms, status, talk


def test_a_busy_channel_is_429_and_a_locked_database_503_and_both_pass(
    new_site: type[Site], sqlite: str, tmp_path: Path, eventually: Eventually
) -> None:
    limits = "queue = 4\nchannel_share = 0.5\ncommit_timeout = 1\nshutdown_timeout = 5"
    site = new_site(tmp_path, sqlite, None, None).write(server=limits)
    database = Database(sqlite)
    with site.process("serve", "--stages", "deliver") as served:
        answers: list[bytes] = []
        with database.begin():
            threads = []
            for _ in range(6):
                threads.append(threading.Thread(target=lambda: answers.append(talk(served, raw(sms())))))
                threads[-1].start()
                time.sleep(0.1)
            for thread in threads:
                thread.join(20)
        found = sorted(status(answer) for answer in answers)
        assert set(found) == {429, 503}
        assert all(b"\r\nretry-after: 5\r\n" in answer for answer in answers)
        eventually(lambda: post(served, sms()) == 200)
    database.close()


def test_a_database_that_is_away_is_503_with_retry_after_and_then_passes(
    new_site: type[Site], tmp_path: Path, eventually: Eventually
) -> None:
    from gateway.storage.migrate import migrate

    with started_postgres(durable=False) as postgres:
        database = Database(postgres.create_database("lapor"))
        migrate(database)
        site = new_site(tmp_path, database.url.render_as_string(hide_password=False), None, None)
        site.write(server="commit_timeout = 5\nshutdown_timeout = 5")
        with site.process("web") as served:
            assert post(served, sms()) == 200
            database.close()
            postgres.stop()
            request = sms()
            answer = talk(served, raw(request))
            assert status(answer) == 503
            assert b"127.0.0.1" not in answer.partition(b"\r\n\r\n")[2], (
                "the address of the database is not the provider's"
            )
            assert b"\r\nretry-after: 5\r\n" in answer
            ready = served.get("/health/ready")
            assert ready.status_code == 503
            assert ready.json()["status"] == "not ready"
            assert served.get("/health/live").status_code == 200
            assert "lapor_database_up 0.0" in served.get("/metrics").text
            page = served.get("/status")
            assert page.status_code == 200
            assert "Basis data tidak menjawab" in page.text
            postgres.start()
            assert post(served, request) == 200, "the very next message after the database is back"
            assert served.get("/health/ready").status_code == 200
            # The status page's words come from what each process notes now and then, so a lone `web` must do so too.
            eventually(lambda: "last message came in" in served.get("/status.json?lang=en").text)
            with database.read() as connection:
                assert connection.execute(sa.select(sa.func.count()).select_from(inbox)).scalar() == 2
            database.close()


def test_sigterm_finishes_what_is_in_flight(new_site: type[Site], sqlite: str, tmp_path: Path) -> None:
    site = new_site(tmp_path, sqlite, None, None).write(server="shutdown_timeout = 10")
    database = Database(sqlite)
    with site.process("serve") as served:
        answers: list[int] = []
        with database.begin():
            thread = threading.Thread(target=lambda: answers.append(post(served, sms())))
            thread.start()
            time.sleep(0.5)  # let it reach the commit, which waits for the transaction of this test
            served.process.terminate()
            time.sleep(0.5)
        thread.join(15)
        assert answers == [200]
        assert served.stop() == 0
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(inbox)).scalar() == 1
    database.close()
