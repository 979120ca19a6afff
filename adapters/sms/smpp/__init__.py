"""Receive and send SMS through an operator's SMSC, over SMPP."""
