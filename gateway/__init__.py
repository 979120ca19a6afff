"""The core of the LAPOR gateway. It knows no channel by name."""

__version__ = "0.2.0"
