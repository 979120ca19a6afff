"""Test adapters: request files, the contract suite, databases, and the program that makes new adapters.

It is shipped with the gateway, but never imported while the gateway serves. `contract` needs the `test` extra.
"""
