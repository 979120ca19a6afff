"""The HTTP server: `door` accepts webhooks; all other paths go to Flask, with `operator` and `api`."""
