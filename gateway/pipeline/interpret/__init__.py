"""What a stored message means: translate, commands, enrich, route. Pure: no clock, network, database or randomness."""
