"""The front door: takes webhooks. The hot path."""
