"""The read-only API: complaints of the central store, for holders of the token."""
