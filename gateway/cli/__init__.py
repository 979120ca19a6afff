"""The command line: one module a group of commands. `run_gateway.py` puts them together."""
