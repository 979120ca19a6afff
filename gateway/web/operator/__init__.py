"""Serve the pages for operators: status, health and metrics."""
