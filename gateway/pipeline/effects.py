"""Write the effects of interpreted messages: cases, additions, replies and jobs for the centre, in one transaction.

`intake` uses it for complete messages, `gather` for messages whose missing parts did not come in time.
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
from gateway.pipeline.interpret.commands import Consent, Report, StatusQuery, Withdrawal
from gateway.pipeline.interpret.message import InterpretedMessage, LatePart
from gateway.pipeline.interpret.replies import Replies
from gateway.pipeline.settle import count_held_back
from gateway.spool import Spool
from gateway.spool.case import CaseReference, NewCase
from gateway.spool.outbox import NewReply
from gateway.spool.tables import Kind
from gateway.storage import Transaction


@dataclass(frozen=True, slots=True)
class Effects:
    """The effects that one transaction wrote; `EffectWriter.committed` uses them after the commit."""

    messages: Sequence[InterpretedMessage]
    preclaimed: Sequence[PreclaimedBatch]
    held_back: Sequence[NewReply]


class EffectWriter:
    """Write the effects of interpreted messages."""

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
        self._spool = spool
        self._casework = casework
        self._handover = handover
        self._replies = replies
        self._metrics = metrics
        self._replies_per_hour = replies_per_hour

    def write(self, transaction: Transaction, messages: Sequence[InterpretedMessage]) -> Effects:
        """Write the effects of messages, in the order of the messages."""
        batches: list[PreclaimedBatch | None] = []
        filings: list[Filing] = []
        replies: list[NewReply] = []
        for message in messages:
            if message.late or isinstance(message.composed.request, Withdrawal):
                # It may change a case that an earlier message of this batch opens, so write those cases first.
                batches.append(self._casework.file(transaction, filings))
                filings = []
            if filing := self._filing(message):
                if not (message.late and self._complete(transaction, filing, message.late)):
                    filings.append(filing)
            elif reply := self._answer(transaction, message):
                replies.append(reply)
        batches.append(self._casework.file(transaction, filings))
        held_back = self._spool.outbox.add_replies(transaction, replies, self._replies_per_hour)
        return Effects(messages, [batch for batch in batches if batch], held_back)

    def committed(self, effects: Effects) -> None:
        """Pass new cases to the deliverer, count and log; call it after the transaction has committed."""
        for batch in effects.preclaimed:
            self._handover.put(batch)
        for reply in effects.held_back:
            count_held_back(self._metrics, reply)
        log_batch("intake", effects.messages)

    def _filing(self, message: InterpretedMessage) -> Filing | None:
        """Return the filing of a report, or `None` if the message is a command."""
        composed, cases = message.composed, self._spool.cases
        complaint = composed.complaint
        if complaint is None or not isinstance(composed.request, Report):
            return None
        source = complaint.source
        case = NewCase(
            complaint=complaint,
            message_key=cases.message_key(source.region, source.channel, source.external_id),
            sender_key=cases.sender_key(source.region, source.channel, composed.sender),
            contact=composed.contact,
            correlation_id=message.correlation_id,
            opened_at=message.received_at,
        )
        return Filing(report=composed.request, case=case)

    def _complete(self, transaction: Transaction, filing: Filing, late: LatePart) -> bool:
        """Write a message that a late part completed to its case; return `False` if the message has no case."""
        complaint, cases = filing.case.complaint, self._spool.cases
        case = cases.of_message(transaction, filing.case.message_key)
        if case is not None and case.complaint is not None:
            if late is LatePart.FIRST:
                amended = msgspec.structs.replace(complaint, id=case.id)
            else:
                amended = with_identity(complaint, case.complaint)
            self._casework.amend(transaction, amended, filing.case.correlation_id, "a late part of the message came")
            return True
        case_id = case.id if case else cases.followed(transaction, filing.case.message_key)
        if case_id is None:
            return False
        self._casework.add(transaction, case_id, filing, "a late part of it came")
        return True

    def _answer(self, transaction: Transaction, message: InterpretedMessage) -> NewReply | None:
        """Return the reply to a command; `None` if it gets none, or if a job for the centre was queued instead."""
        request = message.composed.request
        if isinstance(request, Report):
            return None
        if isinstance(request, StatusQuery | Withdrawal):
            if self._queue(transaction, message, request):
                return None
            return self._reply(message, self._replies.status_unknown(request.ticket))
        if isinstance(request, Consent):
            sender = message.composed.sender
            self._spool.consents.record(transaction, message.region, message.channel, sender, given=request.given)
        return self._reply(message, self._replies.to_command(request))

    def _queue(self, transaction: Transaction, message: InterpretedMessage, request: StatusQuery | Withdrawal) -> bool:
        """Queue a question or a withdrawal for the centre; return `False` if the ticket is not the sender's."""
        cases, sender = self._spool.cases, message.composed.sender
        case_id = cases.owned(transaction, request.ticket, message.region, message.channel, sender)
        if case_id is None:
            return False
        if isinstance(request, Withdrawal):
            cases.withdraw(transaction, case_id, message.received_at)
        kind = Kind.WITHDRAW if isinstance(request, Withdrawal) else Kind.INQUIRE
        case = CaseReference(case_id, message.region, message.channel, message.correlation_id)
        self._spool.outbox.add_jobs(transaction, kind, [case])
        return True

    def _reply(self, message: InterpretedMessage, text: str) -> NewReply | None:
        contact = message.composed.contact
        if contact is None:
            return None
        return NewReply(
            region=message.region,
            channel=message.channel,
            to=contact,
            text=text,
            correlation_id=message.correlation_id,
            asked=True,
        )


def with_identity(complaint: Complaint, original: Complaint) -> Complaint:
    """Return a complaint that was interpreted again, with the id and the reason of the original.

    It stays anonymous and confidential if the original was.
    """
    anonymous = original.anonymous or complaint.anonymous
    return msgspec.structs.replace(
        complaint,
        id=original.id,
        apart=original.apart,
        anonymous=anonymous,
        confidential=original.confidential or complaint.confidential,
        reporter=None if anonymous else complaint.reporter,
    )
