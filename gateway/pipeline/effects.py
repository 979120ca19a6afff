"""What follows from what citizens said: cases, additions, answers, withdrawals, all in one transaction.

Used for messages that came whole (`intake`) and for those joined of parts (`gather`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from gateway.domain.complaint import Complaint
from gateway.observe.logs import log_batch
from gateway.observe.metrics import Metrics
from gateway.pipeline.casework import Casework, Filing
from gateway.pipeline.handover import Handover, PreclaimedBatch
from gateway.pipeline.interpret.commands import (
    Consent,
    Report,
    StatusQuery,
    Withdrawal,
)
from gateway.pipeline.interpret.message import InterpretedMessage, LatePart
from gateway.pipeline.interpret.replies import Replies
from gateway.pipeline.settle import count_held_back
from gateway.spool import Spool
from gateway.spool.cases import NewCase
from gateway.spool.outbox import NewReply
from gateway.spool.tables import Kind
from gateway.storage import Transaction


@dataclass(frozen=True, slots=True)
class Effects:
    """What is to be done once the transaction has committed."""

    said: Sequence[InterpretedMessage]
    handed: Sequence[PreclaimedBatch]
    held: Sequence[NewReply]


class EffectWriter:
    """Writes them."""

    def __init__(
        self,
        spool: Spool,
        casework: Casework,
        handover: Handover,
        replies: Replies,
        metrics: Metrics,
        *,
        replies_per_hour: int,
    ) -> None:
        self._spool, self._casework, self._handover = spool, casework, handover
        self._replies = replies
        self._metrics = metrics
        self._replies_per_hour = replies_per_hour

    def write(self, connection: Transaction, said: Sequence[InterpretedMessage]) -> Effects:
        """Write what follows from messages, in their order."""
        handed: list[PreclaimedBatch | None] = []
        filings: list[Filing] = []
        replies: list[NewReply] = []
        for one in said:
            if one.late or isinstance(one.composed.request, Withdrawal):  # it changes what those before it began
                handed.append(self._casework.file(connection, filings))
                filings = []
            if filing := _filing(one):
                if not (one.late and self._complete(connection, filing, one.late)):
                    filings.append(filing)
            elif reply := self._answer(connection, one):
                replies.append(reply)
        handed.append(self._casework.file(connection, filings))
        held = self._spool.outbox.add_replies(connection, replies, self._replies_per_hour)
        return Effects(said, [one for one in handed if one], held)

    def committed(self, written: Effects) -> None:
        """Pass on and count what is now durable."""
        for handed in written.handed:
            self._handover.put(handed)
        for reply in written.held:
            count_held_back(self._metrics, reply)
        log_batch("intake", written.said)

    def _complete(self, connection: Transaction, filing: Filing, late: LatePart) -> bool:
        """Put a message's late part where the rest of it went; `False` where that went nowhere."""
        complaint, cases = filing.case.complaint, self._spool.cases
        address = (complaint.source.region, complaint.source.channel, complaint.source.external_id)
        case = cases.of_message(connection, *address)
        if case is not None and case.complaint is not None:
            if late is LatePart.FIRST:
                amended = msgspec.structs.replace(complaint, id=case.id)
            else:
                amended = with_identity(complaint, case.complaint)
            self._casework.amend(connection, amended, filing.case.correlation_id, "a late part of the message came")
            return True
        case_id = case.id if case else cases.followed(connection, *address)
        if case_id is None:
            return False
        self._casework.add(connection, case_id, filing, "a late part of it came")
        return True

    def _answer(self, connection: Transaction, one: InterpretedMessage) -> NewReply | None:
        """Return the reply to a command; what the centre must be asked or told first is queued instead."""
        request = one.composed.request
        if isinstance(request, Report):
            return None
        if isinstance(request, Consent):
            sender = one.composed.sender
            self._spool.consents.record(connection, one.region, one.channel, sender, given=request.given)
            return self._reply(one, self._replies.to_command(request))
        if isinstance(request, StatusQuery | Withdrawal):
            if self._queue(connection, one, request):
                return None
            return self._reply(one, self._replies.status_unknown(request.ticket))
        return self._reply(one, self._replies.to_command(request))

    def _queue(self, connection: Transaction, one: InterpretedMessage, request: StatusQuery | Withdrawal) -> bool:
        """Queue what is asked about a ticket, if it is the sender's own."""
        cases = self._spool.cases
        case_id = cases.owned(connection, request.ticket, one.region, one.channel, one.composed.sender)
        if case_id is None:
            return False
        if isinstance(request, Withdrawal):
            cases.withdraw(connection, case_id, one.received_at)
        kind = Kind.WITHDRAW if isinstance(request, Withdrawal) else Kind.INQUIRE
        job = {"id": case_id, "region": one.region, "channel": one.channel, "correlation_id": one.correlation_id}
        self._spool.outbox.add_cases(connection, kind, [job])
        return True

    def _reply(self, one: InterpretedMessage, text: str) -> NewReply | None:
        contact = one.composed.contact
        if contact is None:
            return None
        return NewReply(
            region=one.region,
            channel=one.channel,
            to=contact,
            text=text,
            correlation_id=one.correlation_id,
            asked=True,
        )


def _filing(one: InterpretedMessage) -> Filing | None:
    composed = one.composed
    if composed.complaint is None or not isinstance(composed.request, Report):
        return None
    case = NewCase(
        complaint=composed.complaint,
        sender=composed.sender,
        contact=composed.contact,
        correlation_id=one.correlation_id,
        opened_at=one.received_at,
    )
    return Filing(report=composed.request, case=case)


def with_identity(complaint: Complaint, original: Complaint) -> Complaint:
    """Return a new reading of a message under the old id; a reporter once withheld stays withheld."""
    anonymous = original.anonymous or complaint.anonymous
    return msgspec.structs.replace(
        complaint,
        id=original.id,
        apart=original.apart,
        anonymous=anonymous,
        confidential=original.confidential or complaint.confidential,
        reporter=None if anonymous else complaint.reporter,
    )
