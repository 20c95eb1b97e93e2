"""What systemd on a host says of a unit."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.stack import Stack

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_FIELDS = ("MainPID", "NRestarts", "RestartUSec", "ActiveState")


@dataclass(frozen=True)
class Unit:
    """A service at one moment."""

    main_pid: int
    restarts: int
    restart_delay_seconds: float
    active: bool


def seconds_of(span: str) -> float:
    """Seconds of a time span as systemd writes it, such as "4s" or "1min 500ms"."""
    total = 0.0
    for word in span.split():
        number = word.rstrip("abcdefghijklmnopqrstuvwxyz")
        total += float(number) * _SECONDS[word[len(number) :]]
    return total


def unit_of(stack: Stack, host: str, name: str) -> Unit:
    """The service as it is now."""
    options = " ".join(f"-p {field}" for field in _FIELDS)
    lines = stack.shell(host, f"systemctl show {options} {name}").splitlines()
    said = dict(line.split("=", 1) for line in lines if line)
    return Unit(
        int(said["MainPID"]), int(said["NRestarts"]), seconds_of(said["RestartUSec"]), said["ActiveState"] == "active"
    )
