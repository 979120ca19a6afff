"""Providers that run on this machine: one package each, on `provider`, which has all that is common to them.

None imports `adapters`: each is a second reading of its provider's document.
"""
