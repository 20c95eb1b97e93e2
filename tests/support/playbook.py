"""Runs a scenario's playbook again, with other variables than its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
Done = subprocess.CompletedProcess


def runner(inventory: str, playbook: Path) -> Callable[..., Done[str]]:
    """What runs `playbook`: words are arguments of ansible-playbook, names are variables."""

    def run(*arguments: str, **variables: Any) -> Done[str]:
        words = ["ansible-playbook", "-i", inventory, str(playbook), "-e", json.dumps(variables), *arguments]
        return subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, timeout=600, check=False)

    return run


def message(done: Done[str]) -> str:
    """All that a run printed, however it was wrapped."""
    return " ".join((done.stdout + done.stderr).split())
