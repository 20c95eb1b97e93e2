"""What a test did and saw, for who watches it."""

from __future__ import annotations


def say(text: str) -> None:
    print(f"  {text}", flush=True)
