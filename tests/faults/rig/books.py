"""The reckoning: what was accepted against what is stored, and what each citizen was told."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from adapters.sms.twilio.simulator import Message
from rig.installation import Installation, until
from rig.load import Written

_UNFINISHED = sa.text(
    "SELECT (SELECT count(*) FROM inbox WHERE due_at IS NOT NULL) + (SELECT count(*) FROM outbox WHERE due_at IS NOT NULL)"
)


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What an audit found, after everything it asserts has held."""

    written: int
    accepted: int
    unknown: int  # never answered 2xx …
    unknown_stored: int  # … and stored all the same, once
    complaints: int
    replies: int
    repeated: list[list[Message]]  # the same reply to the same citizen, more than once
    taken_over: dict[str, int]  # rows whose claim a worker took to its grave

    def __str__(self) -> str:
        return (
            f"{self.written} messages: {self.accepted} accepted, each stored once; {self.unknown} with unknown outcome,"
            f" {self.unknown_stored} of them stored, once; {self.complaints} complaints; {self.replies} replies,"
            f" {len(self.repeated)} sent twice; taken over: inbox {self.taken_over['inbox']},"
            f" outbox {self.taken_over['outbox']}"
        )


def few(replies: int) -> int:
    """Return how many of so many replies may have been sent twice.

    None is expected: what a dead worker sent is looked up. But leases are a second or two here, and on a busy machine
    one may end before its worker does.
    """
    return max(1, replies // 500)


class Books:
    """Reads the databases of an installation from outside, and never through the gateway."""

    def __init__(self, installation: Installation, copied_from: Path | None = None) -> None:
        """`copied_from` is an SQLite file in another mount namespace: SQLite follows such a path back into ours."""
        self._own = sa.create_engine(installation.database_url, poolclass=sa.NullPool)
        self._central = sa.create_engine(installation.central_url, poolclass=sa.NullPool)
        self._installation = installation
        if copied_from is not None:
            self._folder = installation.folder / "copy"
            self._folder.mkdir()
            self._own = self._central = sa.create_engine(
                f"sqlite:///{self._folder / copied_from.name}", poolclass=sa.NullPool
            )
            sa.event.listen(self._own, "do_connect", lambda *_: self._copy(copied_from))

    def _copy(self, file: Path) -> None:
        for name in (file.name, f"{file.name}-wal"):
            shutil.copy(file.with_name(name), self._folder / name)
        (self._folder / f"{file.name}-shm").unlink(missing_ok=True)

    def rows(self, statement: str, *, central: bool = False) -> list[sa.Row[tuple[object, ...]]]:
        """Read."""
        with (self._central if central else self._own).connect() as connection:
            return list(connection.execute(sa.text(statement)))

    def execute(self, statement: str) -> None:
        """Change something behind the gateway's back."""
        with self._own.begin() as connection:
            connection.execute(sa.text(statement))

    def unfinished(self) -> int:
        """Count the rows that somebody still has to work on; -1 where the database does not answer."""
        try:
            with self._own.connect() as connection:
                return int(connection.execute(_UNFINISHED).scalar_one())
        except sa.exc.DBAPIError:
            return -1

    def wait_drained(self, seconds: float = 90) -> float:
        """Wait until nothing is left to do; return how long that took."""
        try:
            return until(lambda: self.unfinished() == 0, seconds, "the queues to be empty", every=0.1)
        except AssertionError as exc:
            states = [
                f"{name}: {[tuple(row) for row in self.rows(f'SELECT state, attempts, reason, count(*) FROM {name} GROUP BY 1, 2, 3')]}"
                for name in ("inbox", "outbox")
            ]
            raise AssertionError(f"{exc}; {'; '.join(states)}") from exc

    def audit(self, written: Sequence[Written], *, replies: bool = True) -> Reckoning:
        """Assert the promises over all messages, once the queues are empty."""
        stored = {
            str(sid): str(ticket)
            for sid, ticket in self.rows("SELECT external_id, ticket FROM complaint", central=True)
        }
        counts = Counter(str(sid) for (sid,) in self.rows("SELECT external_id FROM complaint", central=True))
        reports = {one.sid: one for one in written if one.is_report}
        twice = {sid: count for sid, count in counts.items() if count > 1}
        assert not twice, f"stored more than once: {twice}"
        lost = [sid for sid, one in reports.items() if one.accepted and sid not in stored]
        assert not lost, f"{len(lost)} accepted messages are lost: {lost[:5]}"
        assert stored.keys() <= reports.keys(), "complaints that nobody wrote"
        assert len(set(stored.values())) == len(stored), "a ticket was given twice"
        self._assert_rows(len(stored))
        repeated = self._assert_replies(reports, stored, written) if replies else []
        unknown = [one for one in reports.values() if not one.accepted]
        return Reckoning(
            written=len(written),
            accepted=sum(one.accepted for one in written),
            unknown=len(unknown),
            unknown_stored=sum(one.sid in stored for one in unknown),
            complaints=len(stored),
            replies=len(self._installation.twilio.messages("outbound-api")),
            repeated=repeated,
            taken_over={
                name: int(str(self.rows(f"SELECT count(*) FROM {name} WHERE attempts > 1")[0][0]))
                for name in ("inbox", "outbox")
            },
        )

    def _assert_rows(self, complaints: int) -> None:
        for name in ("inbox", "outbox"):
            states = {
                str(state): count for state, count in self.rows(f"SELECT state, count(*) FROM {name} GROUP BY state")
            }
            assert set(states) <= {"done"}, f"{name} has rows that are not done: {states}"
        assert self.rows("SELECT (SELECT count(*) FROM cases), (SELECT count(*) FROM ticket)")[0] == (
            complaints,
            complaints,
        )
        lines = self.rows("SELECT count(*), count(DISTINCT complaint_id) FROM complaint_history", central=True)[0]
        assert lines == (complaints, complaints), f"history lines {lines} for {complaints} complaints"

    def _assert_replies(
        self, reports: dict[str, Written], stored: dict[str, str], written: Sequence[Written]
    ) -> list[list[Message]]:
        sent: dict[tuple[str, str], list[Message]] = {}
        for message in self._installation.twilio.messages("outbound-api"):
            sent.setdefault((message.to, message.body), []).append(message)
        told = Counter(
            (to, word.strip(".")) for to, body in sent for word in set(body.split()) if word.strip(".").isdigit()
        )
        silent = [sid for sid, ticket in stored.items() if not told[reports[sid].message.from_, ticket]]
        assert not silent, f"{len(silent)} citizens were never told their ticket"
        tickets = {(reports[sid].message.from_, ticket) for sid, ticket in stored.items()}
        assert {key for key in told if len(key[1]) == len(next(iter(stored.values()), ""))} <= tickets, "a wrong ticket"
        helped = {to for to, body in sent if "STATUS <tiket>" in body}
        unhelped = [
            one.sid for one in written if not one.is_report and one.accepted and one.message.from_ not in helped
        ]
        assert not unhelped, f"{len(unhelped)} citizens who asked for help got none"
        # The text of a reply holds its ticket, so the same text is the same reply.
        return [messages for messages in sent.values() if len(messages) > 1]
