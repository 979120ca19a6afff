"""Receive and send SMS through an Android phone with a SIM card."""
