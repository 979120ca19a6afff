"""The HTTP side: `door` takes webhooks (the hot path); behind it Flask serves `operator` and `api`."""
