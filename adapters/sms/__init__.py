"""Short messages: one module per provider, with its page beside it; what it is split into begins with its name.

What they share: `gsm` and `udh` (how a text is coded and cut), `signature` (of webhooks), `cursor` (of polls), `rest`
(clients of HTTP APIs).
"""
