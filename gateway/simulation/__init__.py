"""What every simulated provider is made of, and the citizens who write to it."""
