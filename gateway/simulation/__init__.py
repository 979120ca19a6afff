"""Simulate providers and citizens: the base class of simulated providers, and invented messages."""
