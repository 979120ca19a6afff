"""Serve SMS through an operator's SMSC, over SMPP."""
