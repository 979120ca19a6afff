"""Run the background work of a process: stages, scheduled jobs, held connections."""
