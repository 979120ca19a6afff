"""Receive and send SMS through Twilio."""
