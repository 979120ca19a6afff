"""Serve SMS: one folder per provider, and the modules that all of them may use.

`gsm` codes and cuts texts, `udh` reads the header of a part, `joining` joins the parts of a long message.
"""
