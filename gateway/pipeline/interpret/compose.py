"""Interpret one citizen's message (stages 3 to 5): the request, and the canonical complaint of a report. Pure."""

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
from gateway.settings.templates import Templates


@dataclass(frozen=True, kw_only=True, slots=True)
class Composed:
    """The interpretation of a citizen's message."""

    request: Request
    sender: str  # E.164 if it is a phone, else as the provider gives it
    contact: str | None  # the address to answer, or `None`: see `_contact`
    complaint: Complaint | None  # `None` unless the request is a report


class Composer:
    """Interpret messages by the rules of one configuration."""

    def __init__(self, rules: RoutingRules, regions: Sequence[RegionRules], templates: Templates) -> None:
        self._enricher = Enricher(rules.categories, rules.classifications)
        self._router = Router(regions, rules.routes, rules.national_desk)
        self._keywords: Mapping[str, str] = {word: region.code for region in regions for word in region.keywords}
        self._no_text = templates.no_text.format()

    def compose(
        self,
        message: CitizenMessage,
        raw: RawMessage,
        channel: Channel,
        complaint_id: UUID,
        *,
        headless: bool = False,
    ) -> Composed:
        """Interpret one message; a report becomes a complaint with the id `complaint_id`.

        A `headless` message lacks its first part, which may have begun with ANONIM or RAHASIA. So it is treated as
        anonymous and confidential.
        """
        phone_number = phone(message.sender) if message.sender_is_phone else None
        sender = phone_number or message.sender
        text = clean(message.text)
        # Keywords choose a region only on a national channel; on a region's own channel the region is known.
        keywords = self._keywords if raw.region == NATIONAL else {}
        request: Request
        if headless:
            request = Report(text=text, anonymous=True, confidential=True, headless=True)
        else:
            request = parse_request(text, keywords, has_attachments=bool(message.attachments))
        complaint = None
        if isinstance(request, Report):
            name = clean(message.sender_name or "") or None
            reporter = None if request.anonymous else Reporter(address=sender, phone=phone_number, name=name)
            complaint = self._complaint(complaint_id, request, message, _source(message, raw, channel), reporter)
        return Composed(
            request=request,
            sender=sender,
            contact=_contact(message, channel, sender, phone_number),
            complaint=complaint,
        )

    def _complaint(
        self, complaint_id: UUID, report: Report, message: CitizenMessage, source: Source, reporter: Reporter | None
    ) -> Complaint:
        words = words_of(report.text)
        category = self._enricher.category(words)
        place = _place(report, source.region)
        return Complaint(
            id=complaint_id,
            title=title_of(report.text) or self._no_text,
            description=report.text or self._no_text,
            classification=self._enricher.classification(words),
            category=category,
            agency=self._router.agency(place.code, category.value if category else None, words),
            place=place,
            source=source,
            reporter=reporter,
            anonymous=report.anonymous,
            confidential=report.confidential,
            attachments=message.attachments,
        )


def _contact(message: CitizenMessage, channel: Channel, sender: str, phone_number: str | None) -> str | None:
    """Return the address to answer, or `None`.

    `None` for our own addresses, short codes and sender names ("TELKOMSEL"), and on a channel without replies.
    """
    answerable = channel.replies and (phone_number is not None or not message.sender_is_phone)
    return sender if answerable and channel.own_addresses.isdisjoint((sender, message.sender)) else None


def _source(message: CitizenMessage, raw: RawMessage, channel: Channel) -> Source:
    return Source(
        region=raw.region,
        channel=raw.channel,
        adapter=channel.adapter_key,
        external_id=message.external_id,
        made_id=message.made_id,
        received_at=raw.received_at,
        sent_at=message.sent_at,
    )


def _place(report: Report, channel_region: str) -> Place:
    if report.region is not None:
        return Place(text=report.keyword, code=report.region, reason=f"keyword: {report.keyword}")
    if channel_region != NATIONAL:
        return Place(code=channel_region, reason="the channel's region")
    return Place()
