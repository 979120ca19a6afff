"""Short messages: one module per provider."""
