"""Operate an installation: report its status, and encrypt stored values with a new key."""
