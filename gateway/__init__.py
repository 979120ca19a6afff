"""The core of the LAPOR gateway. It knows no channel by name."""

__version__ = "0.1.0"
