"""Operations on a running installation: its status, new keys."""
