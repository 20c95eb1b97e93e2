"""The stack's state, live in a terminal."""
