"""The core of the LAPOR gateway. It imports no adapter."""

__version__ = "0.2.0"
