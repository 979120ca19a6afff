"""The background work of a process: stages, scheduled jobs, open connections."""
