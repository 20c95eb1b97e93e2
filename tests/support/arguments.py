"""The arguments of every program that a host runs meanwhile."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.support.stack import Stack

UNIT = "slipway-test-arguments"
OUT = f"/run/{UNIT}"
# Not a character in it that systemd would replace: it is an argument of a unit.
SAMPLER = """
import pathlib, time
seen = set()
while True:
    for path in pathlib.Path('/proc').glob('[0-9]*/cmdline'):
        try:
            line = path.read_bytes().replace(bytes(1), b' ').decode(errors='replace')
        except OSError:
            continue
        if line and line not in seen:
            seen.add(line)
            print(line, flush=True)
    time.sleep(0.02)
"""


@contextmanager
def arguments_seen(stack: Stack, hosts: Sequence[str]) -> Iterator[dict[str, str]]:
    """Look at all processes of the hosts some 50 times a second; what was seen, by host, is there afterwards."""
    seen: dict[str, str] = {}
    start = (
        f"systemd-run --quiet --collect --unit={UNIT} --property=RuntimeMaxSec=1800 "
        f"--property=StandardOutput=file:{OUT} /usr/bin/python3 -c {shlex.quote(SAMPLER)}"
    )
    try:
        for host in hosts:
            stack.shell(host, f"rm -f {OUT} && install -m 600 /dev/null {OUT} && {start}")
        yield seen
        for host in hosts:
            assert stack.shell(host, f"systemctl is-active {UNIT}", check=False).strip() == "active", host
            seen[host] = stack.shell(host, f"cat {OUT}")
    finally:
        for host in hosts:
            stack.shell(host, f"systemctl stop {UNIT}; rm -f {OUT}", check=False)
