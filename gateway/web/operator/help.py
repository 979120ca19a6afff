"""The help page's sections: for each trouble on the status page its cause, and the steps with their commands."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.domain.texts import Text, text
from gateway.operations.sentences import Remedy


@dataclass(frozen=True, slots=True)
class HelpSection:
    """One trouble: its name, the usual cause, and the steps that end it."""

    remedy: Remedy
    title: Text
    cause: Text
    steps: tuple[Text, ...]


SECTIONS = (
    HelpSection(
        Remedy.NO_PROCESS,
        text("No process runs"),
        text("The gateway was stopped or has crashed. Providers keep their messages and send them again later."),
        (
            text("Start it: systemctl start lapor-web lapor-work, or run_gateway.py serve."),
            text("If it stops again, read why: journalctl -u lapor-web -u lapor-work -n 50."),
        ),
    ),
    HelpSection(
        Remedy.DATABASE,
        text("The database does not answer"),
        text("Messages are refused with 503 and are not lost: the provider sends them again, or the poll finds them."),
        (
            text("Start PostgreSQL: systemctl start postgresql. For SQLite, check free space with df -h."),
            text("If it runs, check [database] url in gateway.toml: run_gateway.py check."),
        ),
    ),
    HelpSection(
        Remedy.REFUSED,
        text("Requests are refused"),
        text("The signature does not match: the secret or [server] public_url differs from the provider's."),
        (
            text("Compare the secret and the webhook address with the provider's console: run_gateway.py check."),
            text("Restart the gateway after a change. The provider sends refused messages again."),
        ),
    ),
    HelpSection(
        Remedy.DEVICE,
        text("The device reports a trouble"),
        text("The phone or modem reported it: battery, network, storage, or a failure of its own."),
        (text("Check the device; the status page shows its report."),),
    ),
    HelpSection(
        Remedy.BACKLOG,
        text("Messages wait too long"),
        text("A worker is missing or slow, or the centre or the provider does not answer."),
        (
            text("Check that lapor-work runs: systemctl status lapor-work."),
            text("The reason is at the end of the sentence; nothing is lost meanwhile, everything is tried again."),
        ),
    ),
    HelpSection(
        Remedy.DEAD,
        text("There are dead letters"),
        text("No further attempt can help until the cause is repaired; the messages are kept."),
        (
            text("Read the reasons: run_gateway.py dead list."),
            text("Repair the cause, then try all of them again: run_gateway.py replay --dead --yes."),
        ),
    ),
    HelpSection(
        Remedy.LINE,
        text("The connection to the provider is down"),
        text("The mobile operator does not answer, or refuses the password or the address."),
        (
            text("Compare host, port, system_id and password with the operator's letter: run_gateway.py check."),
            text("The gateway connects again by itself, at the latest after a minute."),
        ),
    ),
    HelpSection(
        Remedy.POLL,
        text("Polling the provider fails"),
        text(
            "The provider does not answer, or refuses the token. Webhooks still arrive; only the search for lost "
            "messages waits."
        ),
        (text("Compare the account and the token with the provider's console: run_gateway.py check."),),
    ),
    HelpSection(
        Remedy.NOT_CONFIGURED,
        text("A channel is not configured any more"),
        text("Its table was removed from the region file before all its messages were processed."),
        (text("Add the channel again and replay: run_gateway.py replay --dead --yes."),),
    ),
)
