"""The command words that citizens write, in upper case; a region's keyword must be none of them."""

from __future__ import annotations

HELP = ("BANTUAN", "HELP", "INFO")
STATUS = ("STATUS",)
WITHDRAW = ("BATAL", "BATALKAN")
STOP = ("STOP", "BERHENTI")
AGREE = ("SETUJU",)
NEW = "BARU"
ANONYMOUS = "ANONIM"
CONFIDENTIAL = "RAHASIA"

COMMANDS = frozenset({*HELP, *STATUS, *WITHDRAW, *STOP, *AGREE, NEW, ANONYMOUS, CONFIDENTIAL})
