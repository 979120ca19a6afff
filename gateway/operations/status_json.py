"""Convert the status report to plain values, in one language, for programs."""

from __future__ import annotations

from gateway.i18n import Language, localize
from gateway.operations.status import ChannelReport, StatusReport


def as_json(report: StatusReport, language: Language) -> dict[str, object]:
    """Return the report as JSON values, with texts in one language and moments in UTC (ISO 8601)."""
    return {
        "at": report.at.isoformat(),
        "language": language.value,
        "healthy": report.healthy,
        "stopped": None if report.stopped is None else localize(report.stopped, language),
        "channels": [_channel(channel, language) for channel in report.channels],
        "problem": None if report.problem is None else localize(report.problem, language),
        "waiting": report.waiting,
        "dead": report.dead,
    }


def _channel(channel: ChannelReport, language: Language) -> dict[str, object]:
    return {
        "region": channel.region,
        "region_name": channel.region_name,
        "name": channel.name,
        "adapter": channel.adapter,
        "state": channel.state.value,
        "healthy": channel.healthy,
        "waiting": channel.waiting,
        "dead": channel.dead,
        "sentences": [
            {
                "text": localize(sentence.text, language),
                "remedy": None if sentence.remedy is None else sentence.remedy.value,
            }
            for sentence in channel.sentences
        ],
    }
