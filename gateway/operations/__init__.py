"""What an operator asks of a running installation: its status, new keys."""
