"""The base of simulated providers, and the invented citizens who write to them."""
