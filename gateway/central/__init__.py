"""The central LAPOR store: a port, and its driver for SQL."""
