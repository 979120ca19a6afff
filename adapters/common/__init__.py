"""What every channel may use: signatures, the cursor of polls, clients of HTTP APIs."""
