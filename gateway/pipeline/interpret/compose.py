"""Stages 3 to 5 on one citizen's message: what is asked, and if it is a report, the canonical complaint. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from gateway.domain.complaint import Complaint, Place, Reporter, Source
from gateway.domain.events import CitizenMessage
from gateway.pipeline.interpret.commands import Report, Request, parse_request
from gateway.pipeline.interpret.enrich import Enricher, clean, phone, title_of, words_of
from gateway.pipeline.interpret.route import Router
from gateway.ports import Channel, RawMessage
from gateway.settings.rules import NATIONAL, RegionRules, RoutingRules


@dataclass(frozen=True, kw_only=True, slots=True)
class Composed:
    """A citizen's message, interpreted."""

    request: Request
    sender: str  # E.164 where it is a phone, else as the provider gives it
    contact: str | None  # where to answer; None for ourselves, short codes, machines, and silent channels
    complaint: Complaint | None  # of a report


class Composer:
    """The rules of one configuration."""

    def __init__(self, rules: RoutingRules, regions: Sequence[RegionRules]) -> None:
        self._enricher = Enricher(rules.categories, rules.classifications)
        self._router = Router(regions, rules.routes, rules.national_desk)
        self._keywords: Mapping[str, str] = {word: region.code for region in regions for word in region.keywords}

    def compose(
        self,
        message: CitizenMessage,
        raw: RawMessage,
        channel: Channel,
        complaint_id: UUID,
        *,
        headless: bool = False,
    ) -> Composed:
        """Understand one message; the id is used if it turns out to be a report.

        One whose first part is missing may have begun with ANONIM or RAHASIA: it is treated as if it had.
        """
        number = phone(message.sender) if message.sender_is_phone else None
        sender = number or message.sender
        answerable = channel.replies and (number is not None or not message.sender_is_phone)
        text = clean(message.text)
        # Keywords choose among regions where a channel serves them all; a region's own channel has chosen already.
        keywords = self._keywords if raw.region == NATIONAL else {}
        request: Request
        if headless:
            request = Report(text=text, anonymous=True, confidential=True, headless=True)
        else:
            request = parse_request(text, keywords, has_attachments=bool(message.attachments))
        complaint = None
        if isinstance(request, Report):
            complaint = self._complaint(request, message, raw, channel, sender, number, complaint_id)
        return Composed(
            request=request,
            sender=sender,
            contact=sender if answerable and channel.own_addresses.isdisjoint((sender, message.sender)) else None,
            complaint=complaint,
        )

    def _complaint(
        self,
        report: Report,
        message: CitizenMessage,
        raw: RawMessage,
        channel: Channel,
        sender: str,
        number: str | None,
        complaint_id: UUID,
    ) -> Complaint:
        words = words_of(report.text)
        category = self._enricher.category(words)
        place = _place(report, raw.region)
        return Complaint(
            id=complaint_id,
            title=title_of(report.text) or "(tanpa teks)",
            description=report.text or "(tanpa teks)",
            classification=self._enricher.classification(words),
            category=category,
            agency=self._router.agency(place.code, category.value if category else None, words),
            place=place,
            source=Source(
                region=raw.region,
                channel=raw.channel,
                adapter=channel.adapter_key,
                external_id=message.external_id,
                made_id=message.made_id,
                received_at=raw.received_at,
                sent_at=message.sent_at,
            ),
            reporter=None
            if report.anonymous
            else Reporter(address=sender, phone=number, name=clean(message.sender_name or "") or None),
            anonymous=report.anonymous,
            confidential=report.confidential,
            attachments=message.attachments,
        )


def _place(report: Report, channel_region: str) -> Place:
    if report.region is not None:
        return Place(text=report.keyword, code=report.region, reason=f"keyword: {report.keyword}")
    if channel_region != NATIONAL:
        return Place(code=channel_region, reason="the channel's region")
    return Place()
