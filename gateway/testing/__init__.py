"""Shipped test kit for adapters: request files, the contract suite, simulated providers, a generator.

Nothing here is imported while the gateway serves; `contract` needs the `test` extra.
"""
