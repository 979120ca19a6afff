"""The pages for operators: status, health, metrics, the read-only API."""
