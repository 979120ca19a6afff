"""The words that every part of the gateway speaks: no input or output."""
