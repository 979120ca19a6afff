"""The configuration: its settings, its reader, its faults."""
