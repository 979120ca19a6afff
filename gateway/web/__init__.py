"""What listens: `asgi` is the front door and the hot path, `app` the Flask application behind it."""
