"""What runs beside the requests: stages, jobs by the clock, held connections."""
