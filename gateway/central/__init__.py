"""The central LAPOR store: its port, and the driver for SQL databases."""
