"""The command line: one module per command or group of commands. `run_gateway.py` puts them together."""
