"""The texts that citizens read: replies, and notes in complaints."""

from __future__ import annotations

from string import Formatter

from pydantic import Field, ValidationInfo, field_validator

from gateway.domain.complaint import Status
from gateway.domain.texts import text
from gateway.settings.types import (
    Section,
)

_PLACEHOLDERS: dict[str, frozenset[str]] = {
    "ticket": frozenset({"ticket", "agency", "region"}),
    "status": frozenset({"ticket", "status", "agency", "date"}),
    "status_unknown": frozenset({"ticket"}),
    "status_format": frozenset(),
    "added": frozenset({"ticket"}),
    "withdrawn": frozenset({"ticket"}),
    "stopped": frozenset(),
    "agreed": frozenset(),
    "help": frozenset(),
}
REPLIES = tuple(_PLACEHOLDERS)  # the names of the replies; the other templates are texts inside complaints
_PLACEHOLDERS |= {"no_text": frozenset(), "incomplete": frozenset({"missing", "total"})}
_REQUIRED = {
    "ticket": frozenset({"ticket"}),
    "status": frozenset({"ticket", "status"}),
    "incomplete": frozenset({"missing"}),
}
_STATUS_WORDS: dict[Status, str] = {
    Status.RECEIVED: "diterima, menunggu verifikasi",
    Status.VERIFIED: "terverifikasi",
    Status.FORWARDED: "diteruskan ke instansi",
    Status.IN_PROGRESS: "dalam proses",
    Status.RESOLVED: "selesai ditangani",
    Status.CLOSED: "ditutup",
    Status.NEEDS_INFORMATION: "menunggu keterangan Anda",
    Status.REJECTED: "tidak dapat diproses",
    Status.ARCHIVED: "diarsipkan",
}


class Templates(Section):
    """`[templates]`: the replies to citizens, in Bahasa Indonesia; 160 characters of GSM-7 fit into one SMS."""

    ticket: str = Field(
        "Laporan Anda kami terima. No. tiket: {ticket}. Cek perkembangan: balas STATUS {ticket}. SP4N-LAPOR!",
        description=text("After delivery. May use {ticket}, {agency}, {region}; must use {ticket}."),
    )
    status: str = Field(
        "Tiket {ticket}: {status} ({date}). Instansi: {agency}. SP4N-LAPOR!",
        description=text(
            "To STATUS from the owner, and to BATAL if the report has ended already. May use {ticket}, {status}, "
            "{agency}, {date}; must use the first two."
        ),
    )
    status_unknown: str = Field(
        "Tiket {ticket} tidak ditemukan untuk nomor ini. Periksa lagi nomornya, dan kirim dari nomor yang melapor.",
        description=text(
            "To STATUS or BATAL with a ticket that is not this sender's, or does not exist. May use {ticket}."
        ),
    )
    status_format: str = Field(
        "Nomor tiket tidak dikenali, mungkin salah ketik. Contoh: STATUS 12345671",
        description=text("To STATUS or BATAL without a number, or with a number whose check digit is wrong."),
    )
    added: str = Field(
        "Tambahan Anda kami catat pada laporan {ticket}. Laporan lain? Awali dengan BARU. SP4N-LAPOR!",
        description=text("After a message joined the sender's open report. May use {ticket}."),
    )
    withdrawn: str = Field(
        "Laporan {ticket} kami batalkan atas permintaan Anda. SP4N-LAPOR!",
        description=text("After BATAL from the owner. May use {ticket}."),
    )
    stopped: str = Field(
        "Baik, kami tidak akan mengirim pesan lagi kecuali Anda bertanya. Balas SETUJU untuk menerima lagi. SP4N-LAPOR!",
        description=text("To STOP: from then on only commands are answered."),
    )
    agreed: str = Field(
        "Terima kasih. Persetujuan Anda kami catat; kabar laporan dikirim ke nomor ini. Balas STOP untuk berhenti.",
        description=text("To SETUJU, which undoes STOP."),
    )
    help: str = Field(
        "Tulis laporan Anda: apa, di mana, kapan. Tanpa nama: ANONIM <isi>. Rahasia: RAHASIA <isi>. "
        "Cek: STATUS <tiket>. Batal: BATAL <tiket>.",
        description=text("To BANTUAN, and to an empty message."),
    )
    no_text: str = Field(
        "(tanpa teks)",
        description=text("Title and description of a complaint that came without words, such as a photo alone."),
    )
    incomplete: str = Field(
        "[Pesan tidak lengkap: bagian {missing} dari {total} tidak diterima]",
        description=text("Below a long message with missing parts. May use {missing}, {total}; must use {missing}."),
    )
    status_words: dict[Status, str] = Field(
        default={},
        validate_default=True,
        description=text("The words for {status}; a word that is not given keeps its default."),
    )

    @field_validator("status_words", mode="after")
    @classmethod
    def _fill_up(cls, words: dict[Status, str]) -> dict[Status, str]:
        """Add the default words of the statuses that the file does not set."""
        return _STATUS_WORDS | words

    @field_validator(*_PLACEHOLDERS)
    @classmethod
    def _placeholders(cls, template: str, info: ValidationInfo) -> str:
        """Return the template unchanged; raises `ValueError` for wrong braces, unknown or missing placeholders."""
        name = info.field_name or ""
        allowed = _PLACEHOLDERS[name]
        try:
            used = {placeholder for _, placeholder, _, _ in Formatter().parse(template) if placeholder is not None}
        except ValueError as exc:
            raise ValueError(text("braces must be in pairs, as in {example}", example="{ticket}")) from exc
        if unknown := used - allowed:
            listed = ", ".join(_braced(placeholder) for placeholder in sorted(allowed)) or "no placeholder"
            problem = text(
                "unknown placeholder {placeholder}; this text may use {listed}",
                placeholder=_braced(min(unknown)),
                listed=listed,
            )
            raise ValueError(problem)
        if missing := _REQUIRED.get(name, frozenset()) - used:
            raise ValueError(text("the text must contain {placeholder}", placeholder=_braced(min(missing))))
        try:
            template.format(**dict.fromkeys(allowed, "x"))
        except (ValueError, LookupError) as exc:
            problem = text("the text cannot be filled in: use plain placeholders, as in {example}", example="{ticket}")
            raise ValueError(problem) from exc
        return template


def _braced(placeholder: str) -> str:
    return "{" + placeholder + "}"
