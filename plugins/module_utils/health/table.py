# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one table of check types. A new type is a file in ``checks`` and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from .check import Check, option_names
from .checks.dns import DnsCheck
from .checks.file import FileCheck
from .checks.firewall import FirewallCheck
from .checks.host import HostCheck
from .checks.http import HttpCheck
from .checks.limits import LimitsCheck
from .checks.mongodb import MongodbCheck
from .checks.pool import PoolCheck
from .checks.postgresql import PostgresqlCheck
from .checks.redis import RedisCheck
from .checks.redis_cluster import RedisClusterCheck
from .checks.release import ReleaseCheck
from .checks.systemd import SystemdCheck
from .checks.tcp import TcpCheck
from .checks.tls import TlsCheck
from .checks.traffic import TrafficCheck
from .checks.websocket import WebsocketCheck

CHECK_TYPES: Mapping[str, type[Check]] = {
    check.TYPE: check
    for check in (
        HttpCheck,
        WebsocketCheck,
        TcpCheck,
        TlsCheck,
        DnsCheck,
        PostgresqlCheck,
        RedisCheck,
        RedisClusterCheck,
        MongodbCheck,
        SystemdCheck,
        ReleaseCheck,
        HostCheck,
        FileCheck,
        PoolCheck,
        TrafficCheck,
        FirewallCheck,
        LimitsCheck,
    )
}


def known_options() -> frozenset[str]:
    """The names of all options of all types, ``type`` among them."""
    return frozenset(("type", *(name for check in CHECK_TYPES.values() for name in option_names(check))))
