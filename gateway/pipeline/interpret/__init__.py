"""Interpret a stored message: translate, commands, enrich, route. Pure: no clock, network, database or randomness."""
