"""Share code between channels: signatures, poll cursors, clients of HTTP APIs, and the rule for sending passwords."""
