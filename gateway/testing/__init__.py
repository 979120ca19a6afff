"""The shipped test kit for adapters: request files, the contract suite, databases, and the maker of new adapters.

Nothing here is imported while the gateway serves; `contract` needs the `test` extra.
"""
