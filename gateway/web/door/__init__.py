"""The front door: accept webhooks. Every message passes here, so each step is measured (docs/performance.md)."""
