"""What breaks a part of the demo, and what mends it: shell commands as root, or functions of the stack."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import docker
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from tests.support.http import Client
from tests.support.stack import Stack
from tests.support.units import unit_of
from tests.support.wait import wait_for

TLS = "/etc/slipway/tls"
HANDED_OVER = "/usr/local/lib/slipway/edge-certificates --all"
HOLDER = "slipway-test-holder"


def sql(*statements: str) -> str:
    """Statements as PostgreSQL's superuser."""
    return " && ".join(f"runuser -u postgres -- psql -qAtX -c {shlex.quote(statement)}" for statement in statements)


def _holder(program: str) -> str:
    """A Python program that holds something until its unit is stopped; it says READY when it does."""
    run = f"exec({program!r})"
    return (
        f"systemd-run --quiet --unit={HOLDER} -p Type=notify -p NotifyAccess=all -p OOMScoreAdjust=-900 "
        f"-p TimeoutStartSec=60 /usr/bin/python3 -c {shlex.quote(run)}"
    )


RELEASE_HOLDER = f"systemctl stop {HOLDER}"
_READY = "import subprocess, time\nsubprocess.run(['systemd-notify', '--ready'])\ntime.sleep(600)\n"

_CONNECTIONS = """
import psycopg2
held = []
def connect():
    connection = psycopg2.connect(dbname="postgres", user="postgres", host="/var/run/postgresql")
    connection.autocommit = True
    held.append(connection)
def count():
    with held[0].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
        return cursor.fetchone()[0]
connect()
while count() < WANTED:
    connect()
"""


def hold_connections(wanted: int) -> str:
    """Open connections to PostgreSQL until there are so many."""
    program = _CONNECTIONS.replace("WANTED", str(wanted)) + _READY
    return _holder(program).replace("/usr/bin/python3", "-p User=postgres /usr/bin/python3")


_MEMORY = """
from pathlib import Path
def read(*names):
    for name in names:
        for folder in ("/sys/fs/cgroup", "/sys/fs/cgroup/memory"):
            if Path(folder, name).exists():
                return Path(folder, name).read_text()
def used():
    stat = dict(line.split() for line in read("memory.stat").splitlines())
    cache = sum(int(stat.get("total_" + name, stat.get(name, 0)))
                for name in ("inactive_file", "active_file", "slab_reclaimable"))
    return int(read("memory.current", "memory.usage_in_bytes")) - cache
limit = int(read("memory.max", "memory.limit_in_bytes"))
held = []
while used() < limit * PERCENT / 100:
    held.append(b"x" * (2 << 20))
"""


def fill_memory(host: str, percent: float, limit_mb: int = 0) -> Callable[[Stack], None]:
    """Take memory until so much of the host's limit is in use.

    With another limit first: a few percent of a small host are less than what a look at it needs.
    """

    def fill(stack: Stack) -> None:
        if limit_mb:
            docker.from_env().containers.get(f"slipway-demo-{host}").update(
                mem_limit=f"{limit_mb}m", memswap_limit=f"{limit_mb}m"
            )
        stack.shell(host, _holder(_MEMORY.replace("PERCENT", str(percent)) + _READY))

    return fill


def free_memory(host: str, limit_mb: int = 0) -> Callable[[Stack], None]:
    """Give it back, and the limit that the host had."""

    def free(stack: Stack) -> None:
        stack.shell(host, RELEASE_HOLDER)
        if limit_mb:
            docker.from_env().containers.get(f"slipway-demo-{host}").update(
                mem_limit=f"{limit_mb}m", memswap_limit=f"{limit_mb}m"
            )

    return free


def small_disk(path: str, options: str) -> str:
    """A file system of its own, of the kind that hosts have; memory is behind it."""
    behind = f"/run/behind{path}"
    return (
        f"mkdir -p {behind} {path} && mount -t tmpfs -o {options} tmpfs {behind} && "
        f"mkdir {behind}/upper {behind}/work {behind}/lower && "
        f"mount -t overlay -o lowerdir={behind}/lower,upperdir={behind}/upper,workdir={behind}/work overlay {path}; "
    )


def no_disk(path: str) -> str:
    """Without that file system."""
    return f"umount {path} /run/behind{path} && rmdir {path}"


def _signed(stack: Stack, days: int) -> str:
    """The edge's certificate once more, signed by the stack's own authority, with another end; in PEM form."""
    authority = x509.load_pem_x509_certificate(stack.ca_file.read_bytes())
    key = serialization.load_pem_private_key(stack.ca_file.with_suffix(".key").read_bytes(), None)
    now = x509.load_pem_x509_certificate(stack.shell("edge1", f"cat {TLS}/host.crt").encode())
    ends = datetime.now(timezone.utc) + timedelta(days=days, hours=1)
    builder = (
        x509.CertificateBuilder(extensions=list(now.extensions))
        .subject_name(now.subject)
        .issuer_name(authority.subject)
        .public_key(now.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ends - timedelta(days=30))
        .not_valid_after(ends)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def certificate(days: int) -> Callable[[Stack], None]:
    """nginx gets a certificate that ends in so many days; negative: that ended so long ago."""

    def swap(stack: Stack) -> None:
        text = shlex.quote(_signed(stack, days))
        stack.shell(
            "edge1",
            f"cp -p {TLS}/host.crt {TLS}/host.crt.before && printf %s {text} > {TLS}/host.crt && {HANDED_OVER}",
        )

    return swap


OWN_CERTIFICATE = f"mv {TLS}/host.crt.before {TLS}/host.crt && {HANDED_OVER}"


def _at_the_edge(module: str, **options: Any) -> Callable[[Stack], None]:
    def call(stack: Stack) -> None:
        run = stack.module("edge", module, application="shop", **options)
        assert run.status == 0, run.output

    return call


def drain(member: str, owner: str, reason: str) -> Callable[[Stack], None]:
    """An operator takes a member out of the pool."""
    return _at_the_edge("pool_member", members=[member], state="out", owner=owner, reason=reason)


def rejoin(member: str, owner: str) -> Callable[[Stack], None]:
    """And back."""
    return _at_the_edge("pool_member", members=[member], state="active", owner=owner)


def maintenance(state: str) -> Callable[[Stack], None]:
    """The maintenance page, on or off."""
    return _at_the_edge("maintenance_page", state=state, owner="ana")


def errors(number: int) -> Callable[[Stack], None]:
    """So many requests that users meet errors with."""

    def ask(stack: Stack) -> None:
        client = Client(stack)
        assert {client.get("/fault/error").status for _number in range(number)} == {500}

    return ask


def _after_restart(stack: Stack, host: str, unit: str, deed: str) -> None:
    before = unit_of(stack, host, unit)
    stack.shell(host, deed, check=False)

    def is_back() -> bool:
        now = unit_of(stack, host, unit)
        return now.restarts > before.restarts and now.active and now.main_pid not in (0, before.main_pid)

    wait_for(f"systemd restarted {unit} on {host}", is_back, 40)


def hog(host: str, port: int) -> Callable[[Stack], None]:
    """An instance takes memory until it is killed, and comes back."""
    return lambda stack: _after_restart(
        stack, host, f"slipway-shop@{port}.service", f"curl -s -X POST http://{stack.address(host)}:{port}/fault/hog"
    )


def kill_again(host: str, unit: str, times: int) -> Callable[[Stack], None]:
    """A service is killed and restarted so many times."""

    def kill(stack: Stack) -> None:
        for _number in range(times):
            _after_restart(stack, host, unit, f"systemctl kill --signal=SEGV {unit}")

    return kill


SHOP = "/srv/slipway/shop"


def other_release(name: str) -> str:
    """Another release becomes the current one, and nothing is restarted."""
    return (
        f"readlink {SHOP}/current > /run/slipway-test-release && "
        f"cp -a {SHOP}/current/ {SHOP}/releases/{name} && ln -sfn releases/{name} {SHOP}/current"
    )


def same_release(name: str) -> str:
    """The one that runs is the current one again."""
    return f'ln -sfn "$(cat /run/slipway-test-release)" {SHOP}/current && rm -r {SHOP}/releases/{name}'


_SLOT = """
import json, redis, sys
from pathlib import Path
secret = Path("/etc/redis/slipway-secret.conf").read_text()
password = next(line.split()[1].strip('"') for line in secret.splitlines() if line.startswith("requirepass "))
client = redis.Redis(host=sys.argv[1], port=6379, password=password, decode_responses=True)
kept = Path("/run/slipway-test-slots")
def ask(*words):
    return client.execute_command("CLUSTER", *words)
if sys.argv[2] == "drop":
    own = next(line.split() for line in ask("NODES").splitlines() if "myself" in line.split()[2])
    assert "master" in own[2], own
    first = own[8].split("-")[0]
    ask("DELSLOTS", first)
    kept.write_text(first)
else:
    ask("ADDSLOTS", kept.read_text())
    kept.unlink()
"""


def slot(host: str, what: str) -> Callable[[Stack], None]:
    """A master gives up one of its slots (``drop``), or takes it again (``add``)."""

    def change(stack: Stack) -> None:
        words = shlex.join([stack.address(host), what])
        program = base64.b64encode(_SLOT.encode()).decode()
        stack.shell(host, f"echo {program} | base64 -d | python3 - {words}")

    return change


def pause(host: str) -> Callable[[Stack], None]:
    """A host stands still: it takes no packet."""
    return lambda _stack: docker.from_env().containers.get(f"slipway-demo-{host}").pause()


def unpause(host: str) -> Callable[[Stack], None]:
    """And goes on."""
    return lambda _stack: docker.from_env().containers.get(f"slipway-demo-{host}").unpause()


def spoilt(port: int, **answer: Any) -> str:
    """An instance's health answers change; without an answer they are its own again."""
    body = shlex.quote(json.dumps(answer))
    return f"curl -sf --json {body} http://$(hostname -I | cut -d' ' -f1):{port}/fault/health"
