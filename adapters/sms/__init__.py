"""Serve the channel SMS: one folder per provider, and the modules that every provider may use.

`gsm` encodes, decodes and cuts texts, `udh` reads the header of a part, `joining` joins the parts of a long message.
"""
