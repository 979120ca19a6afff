"""Receive and send SMS through an aggregator with an HTTP API."""
