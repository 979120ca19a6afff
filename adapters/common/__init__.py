"""Hold what several channels share: signatures, poll cursors, clients of HTTP APIs, the rule where a password may be sent."""
