"""The values, events and errors that all other packages share. No I/O."""
