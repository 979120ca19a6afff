"""Serve the read-only API: complaints of the central store, for clients with the token."""
