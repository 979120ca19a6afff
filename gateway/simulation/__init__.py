"""The base of simulated providers, and invented citizens with their messages."""
