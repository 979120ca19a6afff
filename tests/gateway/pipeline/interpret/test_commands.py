"""Commands or report: forgiving of how people type, and no report is ever lost."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.domain.commands import COMMANDS
from gateway.domain.tickets import make_ticket
from gateway.pipeline.interpret.commands import (
    Consent,
    HelpRequest,
    MistypedTicket,
    Report,
    StatusQuery,
    Withdrawal,
    parse_request,
)

TICKET = make_ticket(1_000_000)
KEYWORDS = {"PRINGSEWU": "18.10", "PSW": "18.10", "KENDARI": "74.71"}


@pytest.mark.parametrize(
    "text",
    [
        f"STATUS {TICKET}",
        f"status {TICKET}",
        f"  Status   {TICKET}  ",
        f"STATUS{TICKET}",
        f"Status: {TICKET}",
        f"STATUS #{TICKET}",
        f"status no {TICKET}",
        f"Status no. {TICKET}",
        f"status nomor tiket {TICKET}",
        f"status tiket {TICKET}.",
        f"CEK STATUS {TICKET}?",
        f"cek status {TICKET}!",
        f"STATUS {TICKET[:4]} {TICKET[4:]}",
        f"STATUS {TICKET[:4]}-{TICKET[4:]}",
        f"STATUS {TICKET[:4]}.{TICKET[4:]}",
        f"STATUS\n{TICKET}",
        f"status laporan {TICKET}",
        f"status tiket no. {TICKET}",
        f"status laporan nomor {TICKET}",
    ],
)
def test_status_is_understood_however_it_is_typed(text: str) -> None:
    assert parse_request(text, KEYWORDS) == StatusQuery(TICKET)


@pytest.mark.parametrize(
    "text",
    [
        "STATUS 10000000",
        "status 1",
        "STATUS 123456789012345678",
    ],
)
def test_a_mistyped_ticket_is_told_apart(text: str) -> None:
    assert parse_request(text, KEYWORDS) == MistypedTicket()


@pytest.mark.parametrize("text", ["STATUS", "STATUS.", "status?", "Cek status", "status tiket"])
def test_status_without_a_number_is_answered_with_an_example(text: str) -> None:
    assert parse_request(text, KEYWORDS) == MistypedTicket()


@pytest.mark.parametrize(
    "text",
    [
        f"BATAL {TICKET}",
        f"batal {TICKET}",
        f"Batalkan {TICKET}!",
        f"  BATAL   {TICKET[:4]}-{TICKET[4:]} ",
        f"batalkan laporan {TICKET}",
        f"batal laporan no. {TICKET}",
        f"batalkan tiket nomor {TICKET}.",
        f"BATAL #{TICKET}",
        f"BATAL{TICKET}",
        f"BATAL\n{TICKET}",
    ],
)
def test_a_withdrawal_is_understood_however_it_is_typed(text: str) -> None:
    assert parse_request(text, KEYWORDS) == Withdrawal(TICKET)


@pytest.mark.parametrize("text", ["BATAL", "batalkan!", "batal laporan", "Batalkan tiket no.", "BATAL 10000000"])
def test_a_withdrawal_without_a_good_number_is_answered_with_an_example(text: str) -> None:
    assert parse_request(text, KEYWORDS) == MistypedTicket()


@pytest.mark.parametrize("text", ["STOP", "stop", " Stop. ", "STOP!!", "berhenti", "BERHENTI ."])
def test_stop_is_understood_however_it_is_typed(text: str) -> None:
    assert parse_request(text, KEYWORDS) == Consent(given=False)


@pytest.mark.parametrize("text", ["SETUJU", "setuju", "Setuju!", "ya setuju", "YA,  SETUJU."])
def test_consent_is_understood_however_it_is_typed(text: str) -> None:
    assert parse_request(text, KEYWORDS) == Consent(given=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BARU lampu mati", Report(text="lampu mati", new=True)),
        ("BARU: lampu mati", Report(text="lampu mati", new=True)),
        ("  BARU,\nlampu mati", Report(text="lampu mati", new=True)),
        ("Baru: lampu mati", Report(text="lampu mati", new=True)),
        ("baru : lampu mati", Report(text="lampu mati", new=True)),
        ("baru - lampu mati", Report(text="lampu mati", new=True)),
        ("BARU: LAMPU MATI", Report(text="LAMPU MATI", new=True)),
        ("BARU LAMPU MATI", Report(text="BARU LAMPU MATI", new=True)),
        ("BARU SAJA TERJADI BANJIR", Report(text="BARU SAJA TERJADI BANJIR", new=True)),
        ("BARU ANONIM LAMPU MATI", Report(text="LAMPU MATI", new=True, anonymous=True)),
        ("BARU KENDARI LAMPU MATI", Report(text="LAMPU MATI", new=True, keyword="KENDARI", region="74.71")),
        ("anonim BARU lampu mati", Report(text="lampu mati", new=True, anonymous=True)),
        ("Kendari baru: lampu mati", Report(text="lampu mati", new=True, keyword="Kendari", region="74.71")),
        ("BARU", Report(text="BARU", new=True)),
        ("baru:", Report(text="baru:", new=True)),
        ("BARU BARU ini banjir", Report(text="BARU BARU ini banjir")),
    ],
)
def test_a_new_report_is_asked_for_in_capitals_or_with_a_mark(text: str, expected: Report) -> None:
    assert parse_request(text, KEYWORDS) == expected


@pytest.mark.parametrize(
    "text",
    [
        "baru saja terjadi banjir",
        "Baru kemarin diperbaiki",
        "baru-baru ini banjir melanda",
        "Baru - baru ini banjir",
        "BARU-BARU INI BANJIR",
        "Baru2 ini banjir",
        "batalkan kenaikan tarif",
        "Batal: proyek jembatan",
        "stop pungli di pasar",
        "berhentikan kepala desa",
        "setuju dengan usul warga",
        "ya setuju sekali pak",
    ],
)
def test_a_sentence_that_begins_with_a_command_word_is_left_as_it_is(text: str) -> None:
    assert parse_request(text, KEYWORDS) == Report(text=text)


@pytest.mark.parametrize("text", ["BANTUAN", "bantuan", " Bantuan! ", "HELP", "help?", "info", "INFO...", "", "  \n "])
def test_help_is_given_to_whoever_asks_or_says_nothing(text: str) -> None:
    assert parse_request(text, KEYWORDS) == HelpRequest()


@pytest.mark.parametrize(
    "text",
    [
        "Bantuan sosial belum cair sejak Maret",
        "BANTUAN PKH tidak tepat sasaran",
        "info jalan rusak di Jl. Bunga",
        "Status tanah saya tidak jelas",
        "status 3 bulan belum dibayar",
        f"STATUS {TICKET} kok belum ada jawaban?",
        "helper desa tidak datang",
    ],
)
def test_a_report_that_begins_like_a_command_is_a_report(text: str) -> None:
    assert parse_request(text, KEYWORDS) == Report(text=text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ANONIM guru minta pungli", Report(text="guru minta pungli", anonymous=True)),
        ("anonim: guru minta pungli", Report(text="guru minta pungli", anonymous=True)),
        ("ANONIM! guru minta pungli", Report(text="guru minta pungli", anonymous=True)),
        ("*ANONIM* guru minta pungli", Report(text="guru minta pungli", anonymous=True)),
        ("[Anonim] guru minta pungli", Report(text="guru minta pungli", anonymous=True)),
        ("(anonim) guru minta pungli", Report(text="guru minta pungli", anonymous=True)),
        ("#ANONIM guru minta pungli", Report(text="guru minta pungli", anonymous=True)),
        ("Rahasia, data saya", Report(text="data saya", confidential=True)),
        ("ANONIM RAHASIA isi", Report(text="isi", anonymous=True, confidential=True)),
        ("ANONIM/RAHASIA isi", Report(text="isi", anonymous=True, confidential=True)),
        ("rahasia+anonim isi", Report(text="isi", anonymous=True, confidential=True)),
        ("RAHASIA anonim - isi", Report(text="isi", anonymous=True, confidential=True)),
        ("ANONIM KENDARI isi", Report(text="isi", keyword="KENDARI", region="74.71", anonymous=True)),
        ("Kendari, anonim. isi", Report(text="isi", keyword="Kendari", region="74.71", anonymous=True)),
        (
            "rahasia psw ANONIM: isi",
            Report(text="isi", keyword="psw", region="18.10", anonymous=True, confidential=True),
        ),
    ],
)
def test_anonymous_and_confidential_in_any_order(text: str, expected: Report) -> None:
    assert parse_request(text, KEYWORDS) == expected


@pytest.mark.parametrize(
    "text", ["Anonimitas pelapor dilanggar", "Rahasiakan? tidak", "guru anonim minta pungli", "KENDARIAN rusak"]
)
def test_a_word_that_only_looks_like_a_command_word_stays(text: str) -> None:
    assert parse_request(text, KEYWORDS) == Report(text=text)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("KENDARI lampu jalan mati", "lampu jalan mati"),
        ("kendari: lampu jalan mati", "lampu jalan mati"),
        ("Kendari - lampu jalan mati", "lampu jalan mati"),
        ("KENDARI. lampu jalan mati", "lampu jalan mati"),
        ("KENDARI\nlampu jalan mati", "lampu jalan mati"),
        ("KENDARI,,, lampu jalan mati", "lampu jalan mati"),
        ("KENDARI 😭 lampu jalan mati", "😭 lampu jalan mati"),
    ],
)
def test_a_keyword_names_the_region_whatever_follows_it(text: str, rest: str) -> None:
    found = parse_request(text, KEYWORDS)
    assert isinstance(found, Report)
    assert (found.text, found.region) == (rest, "74.71")


def test_only_the_first_keyword_counts() -> None:
    found = parse_request("KENDARI PRINGSEWU rusak", KEYWORDS)
    assert found == Report(text="PRINGSEWU rusak", keyword="KENDARI", region="74.71")


def test_without_keywords_none_is_taken_off() -> None:
    assert parse_request("KENDARI lampu mati", {}) == Report(text="KENDARI lampu mati")


@pytest.mark.parametrize("text", ["ANONIM", "RAHASIA anonim", "KENDARI", "anonim kendari!"])
def test_a_message_of_nothing_but_command_words_is_still_kept(text: str) -> None:
    found = parse_request(text, KEYWORDS)
    assert isinstance(found, Report)
    assert found.text == text


def test_a_picture_without_text_is_a_report() -> None:
    assert parse_request("", KEYWORDS, has_attachments=True) == Report(text="")


@pytest.mark.parametrize(
    "text",
    [
        "status" + " " * 100_000 + "x",
        "cek" + " " * 100_000 + "status x",
        "bantuan" + " " * 100_000 + "x",
        "status " + "1 " * 50_000 + "x",
        "status no " + "." * 100_000 + "x",
        "ANONIM" + " ,;" * 100_000,
        "anonim" * 50_000,
        " " * 100_000 + "x",
        "((((" * 50_000,
        "BARU" + " -" * 50_000 + "x",
        "baru" + " " * 100_000 + "x",
        "BARU " * 50_000,
        "batal" + " no." * 18 + "x",
        "batal" + " laporan" * 9 + "x",
    ],
    ids=lambda text: f"{text[:12]}…",
)
def test_no_text_however_made_takes_long(text: str) -> None:
    began = time.thread_time()  # CPU time: a busy machine does not count
    parse_request(text, KEYWORDS)
    assert time.thread_time() - began < 1


@pytest.mark.parametrize("word", sorted(COMMANDS))
def test_every_word_that_no_region_may_use_is_a_command(word: str) -> None:
    """The parser and the check of keywords share one list: a keyword that is a command would never be reached."""
    assert parse_request(word, {}) != Report(text=word)


@given(st.text(max_size=400))
@example("STATUS ١٢٣٤")
@example("ANONIM" * 3)
@example("\x00")
@example("KENDARI\u2028x")
def test_any_text_is_understood_and_no_word_of_a_report_is_lost(text: str) -> None:
    found = parse_request(text, KEYWORDS)
    if isinstance(found, Report):
        assert found.text.strip()
        assert text.endswith(found.text)
        dropped = text[: len(text) - len(found.text)]
        words = "".join(c if c.isalnum() else " " for c in dropped).upper().split()
        assert set(words) <= {"ANONIM", "RAHASIA", "BARU", *KEYWORDS}


_COMMANDS = ["BARU", "baru", "Baru:", "ANONIM", "rahasia", "KENDARI", "psw", "batal", "STOP", "setuju", "status"]
_OTHERS = [TICKET, "laporan", "no.", "tiket", "-", ":", ",", "!", "\n", "SAJA", "jalan rusak", "-baru", "😭", "(", "*"]
_WORDS = st.sampled_from([*_COMMANDS, *_OTHERS])


@given(st.lists(_WORDS, max_size=9), st.sampled_from(["", " ", "  "]))
def test_no_arrangement_of_command_words_loses_a_word_of_a_report(words: list[str], between: str) -> None:
    text = between.join(words)
    found = parse_request(text, KEYWORDS)
    if not isinstance(found, Report):
        return
    assert text.endswith(found.text)
    dropped = text[: len(text) - len(found.text)].upper()
    assert set("".join(c if c.isalnum() else " " for c in dropped).split()) <= {"ANONIM", "RAHASIA", "BARU", *KEYWORDS}
    if "ANONIM" in dropped:
        assert found.anonymous
    if "RAHASIA" in dropped:
        assert found.confidential
    if "BARU" in dropped:
        assert found.new


@pytest.mark.parametrize("text", ["BANTUAN", "status", "STATUS 10000004"])
def test_a_picture_is_never_a_question(text: str) -> None:
    assert isinstance(parse_request(text, {}, has_attachments=True), Report)
