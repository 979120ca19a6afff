"""Write log lines and count metrics."""
