"""The table of faults that `verify` has to find: what breaks, and how it has to be named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults import deeds
from tests.support.stack import Stack

Deed = str | Callable[[Stack], object]
"""A shell command as root on the host that the fault is found on, or a function."""


@dataclass(frozen=True)
class Named:
    """A line of the report: the host, and regular expressions of the check, the message and the next step."""

    host: str
    check: str
    level: str
    says: str
    next_step: str


@dataclass(frozen=True)
class Fault:
    """One thing that breaks. ``also`` are consequences that may be reported besides, as ``HOST: CHECK``."""

    name: str
    found: Named
    break_it: Deed
    mend: Deed
    also: tuple[str, ...] = ()


APPLICATION = (
    Fault(
        "an instance is stopped",
        Named("app1", "shop 3000$", "critical", "inactive|not active", "`systemctl start slipway-shop@3000.service`"),
        "systemctl stop slipway-shop@3000",
        "systemctl start slipway-shop@3000",
        also=("app1: shop 3000 .*", "edge1: shop pool"),
    ),
    Fault(
        "a worker is stopped",
        Named("app2", "mailer 1$", "critical", "inactive|not active", "`systemctl start slipway-mailer@1.service`"),
        "systemctl stop slipway-mailer@1",
        "systemctl start slipway-mailer@1",
        also=("app2: mailer 1 release",),
    ),
    Fault(
        "an instance answers 500",
        Named("app2", "shop 3000 ready", "critical", "500", "`journalctl -u 'slipway-shop@"),
        deeds.spoilt(3000, status=500),
        deeds.spoilt(3000),
        also=("app2: shop 3000 .*", "edge1: .*", "app2: .*through the edge"),
    ),
    Fault(
        "an instance is slow",
        Named("app2", "shop 3001 ready", "warning", r"took 1\d{3} ms", "."),
        deeds.spoilt(3001, delay_ms=1200),
        deeds.spoilt(3001),
        also=("app2: shop 3001 .*", "edge1: .*"),
    ),
    Fault(
        "a value in the answer is wrong",
        Named(
            "app1", "shop 3001 /api/health/websocket", "critical", 'memoryUsage is "990MB", wanted below "230MB"', "."
        ),
        deeds.spoilt(3001, json={"memoryUsage": "990MB"}),
        deeds.spoilt(3001),
    ),
    Fault(
        "a unit has failed",
        Named(
            "data3",
            "no failed units",
            "warning",
            r"doomed\.service",
            "`journalctl -u doomed.service .*`systemctl reset-failed doomed.service`",
        ),
        "systemd-run --quiet --unit=doomed false; sleep 0.5",
        "systemctl reset-failed doomed.service",
    ),
    Fault(
        "a backup is old",
        Named("data1", "backup of the shop", "critical", "3.0 days ago", "timer"),
        "touch -d '-3 days' /var/backups/slipway/shop-1.dump",
        "touch /var/backups/slipway/shop-1.dump",
    ),
    Fault(
        "a clock is off",
        Named("data2", "resources", "critical", "clock", "chrony|timesync|NTP|time"),
        "touch /run/slipway-test-late",
        "rm /run/slipway-test-late",
    ),
)

RESERVES = (
    Fault(
        "a Redis node is stopped",
        Named("data3", "redis 6380", "critical", "refused", "`systemctl start redis-server@6380`"),
        "systemctl stop redis-server@6380",
        "systemctl start redis-server@6380",
        also=(r"\w+: redis.*", r"app\d: (shop|mailer) to redis"),
    ),
    Fault(
        "a setting waits for a restart",
        Named("data1", "database shop", "warning", "max_worker_processes", "`systemctl restart postgresql`"),
        deeds.sql("ALTER SYSTEM SET max_worker_processes = 17", "SELECT pg_reload_conf()"),
        deeds.sql("ALTER SYSTEM RESET max_worker_processes", "SELECT pg_reload_conf()"),
        also=("app.: shop to the (writer|reader)",),
    ),
    Fault(
        "connections run short",
        Named("data1", "database shop", "warning", "connections are in use", "pg_stat_activity"),
        deeds.hold_connections(82),
        deeds.RELEASE_HOLDER,
        also=("app.: shop to the (writer|reader)",),
    ),
    Fault(
        "memory above 80 % of a host's limit",
        Named("app2", "resources", "warning", r"8\d % of .* memory", "`systemd-cgtop -m`"),
        deeds.fill_memory("app2", 86),
        deeds.free_memory("app2"),
    ),
    Fault(
        "memory above 95 % of a host's limit",
        Named("data2", "resources", "critical", r"9\d % of .* memory", "`systemd-cgtop -m`"),
        deeds.fill_memory("data2", 96.5, limit_mb=4096),
        deeds.free_memory("data2", limit_mb=768),
    ),
    Fault(
        "a disk is full",
        Named("data3", "resources", "critical", r"/srv/full is 100 % full", "`du -xh /srv/full "),
        deeds.small_disk("/srv/full", "size=20m") + "dd if=/dev/zero of=/srv/full/big bs=1M 2>/dev/null || true",
        deeds.no_disk("/srv/full"),
    ),
    Fault(
        "a disk has no inodes left",
        Named(
            "edge1", "resources", "critical", r"/srv/many has used 100 % of its inodes", "`du --inodes -x /srv/many "
        ),
        deeds.small_disk("/srv/many", "size=20m,nr_inodes=100")
        + "for n in $(seq 200); do touch /srv/many/$n 2>/dev/null; done; true",
        deeds.no_disk("/srv/many"),
    ),
)

EDGE = (
    Fault(
        "the certificate expires soon",
        Named("edge1", "certificate", "warning", r"20\.0 days", "`ansible-playbook slipway.stack.site`"),
        deeds.certificate(days=20),
        deeds.OWN_CERTIFICATE,
    ),
    Fault(
        "a member was drained and forgotten",
        Named("edge1", "shop pool", "warning", "ana.*kernel update", "`ansible edge .*members=app1:3001 state=active"),
        deeds.drain("app1:3001", "ana", "kernel update"),
        deeds.rejoin("app1:3001", "ana"),
    ),
    Fault(
        "an instance was killed for want of memory",
        Named(
            "app2",
            "shop 3001$",
            "warning",
            "memory|SIGKILL",
            "limit.*`systemctl reset-failed slipway-shop@3001.service`",
        ),
        deeds.hog("app2", 3001),
        "systemctl reset-failed slipway-shop@3001.service",
        also=("app2: resources",),
    ),
    Fault(
        "a worker is restarted again and again",
        Named("app1", "mailer 1$", "warning", "restart", "`journalctl -u slipway-mailer@1.service "),
        deeds.kill_again("app1", "slipway-mailer@1.service", times=2),
        "systemctl reset-failed slipway-mailer@1.service",
    ),
    Fault(
        "secrets can be read by all",
        Named("app1", "shop environment", "critical", "0644|mode", "`chmod 0600 /etc/slipway/shop.env`"),
        "chmod 0644 /etc/slipway/shop.env",
        "chmod 0600 /etc/slipway/shop.env",
    ),
    Fault(
        "a name does not resolve",
        Named("app2", "backup store", "critical", r"backup\.slipway\.test", "`getent ahosts backup.slipway.test`"),
        "sed '/backup.slipway.test/d' /etc/hosts > /run/hosts && cat /run/hosts > /etc/hosts",
        "echo '192.0.2.1 backup.slipway.test' >> /etc/hosts",
    ),
    # What passes soonest comes last.
    Fault(
        "users meet errors",
        Named("edge1", "shop traffic", "critical", r"\d+ % ", "`grep .*`journalctl -u 'slipway-shop@"),
        deeds.errors(120),
        "true",
    ),
)

LINKS = (
    Fault(
        "the certificate has expired",
        Named("edge1", "certificate", "critical", "expired", "`ansible-playbook slipway.stack.site`"),
        deeds.certificate(days=-1),
        deeds.OWN_CERTIFICATE,
        also=("edge1: shop .*",),
    ),
    Fault(
        "a maintenance page was left on",
        Named("edge1", "shop pool", "warning", "maintenance page", "`ansible edge .*application=shop state=off"),
        deeds.maintenance("on"),
        deeds.maintenance("off"),
        also=("edge1: shop .*",),
    ),
    Fault(
        "a host cannot reach the database",
        Named("app2", "shop to the writer", "critical", "no answer|timeout|timed out", "firewall"),
        "nft 'add table inet cut; add chain inet cut out { type filter hook output priority 0; };"
        " add rule inet cut out tcp dport 5432 drop'",
        "nft delete table inet cut",
        also=("app2: shop .*", "edge1: .*"),
    ),
    Fault(
        "another release is current than runs",
        Named("app1", "shop 3000 release", "warning", "other", "`systemctl restart slipway-shop@3000.service`"),
        deeds.other_release("other"),
        deeds.same_release("other"),
        also=("app1: shop 3001 release",),
    ),
    Fault(
        "slots are missing",
        Named("data2", "redis cluster", "critical", "slots", "`ansible-playbook slipway.stack.site --tags redis`"),
        deeds.slot("data2", "drop"),
        deeds.slot("data2", "add"),
        also=(r"data\d: redis.*", r"app\d: (shop|mailer).*", "edge1: .*"),
    ),
)

OUTAGE = (
    Fault(
        "PostgreSQL is stopped",
        Named("data1", "database shop", "critical", "refused", "`systemctl start postgresql`"),
        "systemctl stop postgresql@17-main",
        "systemctl start postgresql@17-main",
        also=(r"app\d: shop.*", "edge1: .*", "data1: .*postgresql.*"),
    ),
    Fault(
        "nginx is stopped",
        Named("edge1", "nginx", "critical", "inactive|not active", "`systemctl start nginx.service`"),
        "systemctl stop nginx",
        "systemctl start nginx",
        also=("edge1: .*",),
    ),
    Fault(
        "a host does not answer",
        Named("app2", "host", "critical", "cannot be reached", "`ansible app2 -m ansible.builtin.ping`"),
        deeds.pause("app2"),
        deeds.unpause("app2"),
        also=(r"edge1: .*",),
    ),
)

BATCHES = {
    "application": APPLICATION,
    "reserves": RESERVES,
    "edge": EDGE,
    "links": LINKS,
    "outage": OUTAGE,
}
"""Faults that are induced side by side, so that a report is made for many of them at once."""
