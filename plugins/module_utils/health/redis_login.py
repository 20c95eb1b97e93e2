# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How checks log in to Redis, and plain words for the ways in which that fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from .check import Check
from .model import Unreachable
from .net import where
from .options import option
from .steps import journal, site
from .tools import Tools

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class RedisLogin(Check):
    """The options that every check of Redis takes."""

    LIBRARIES: ClassVar[tuple[str, ...]] = ("redis",)

    host: str = option("str", "127.0.0.1", about="Name or address.")
    port: int = option("port", 6379, about="Port.")
    username: str = option("str", "", about="ACL user; the default user by default.")
    password: str = option("str", "", about="Its password; never shown.")
    tls: bool = option("bool", False, about="Whether to connect with TLS; on where O(ca_file) is given.")
    ca_file: str = option("str", "", about="PEM file of the authority that signed the server's certificate.")

    def with_client(self, tools: Tools, host: str, port: int, seconds: float, ask: Callable[[Any], Answer]) -> Answer:
        """Hand a client of one server to ``ask`` and return its answer.

        ``seconds`` is how long a connection or one answer may take. Raises CouldNotRun and Unreachable.
        """
        redis = tools.library("redis", "python3-redis")
        options: dict[str, Any] = {
            "host": host,
            "port": port,
            "username": self.username or None,
            "password": self.password or None,
            "socket_timeout": seconds,
            "socket_connect_timeout": seconds,
            "decode_responses": True,
        }
        if self.tls or self.ca_file:
            options.update(ssl=True, ssl_ca_certs=self.ca_file or None, ssl_check_hostname=True)
        client = redis.Redis(**options)
        try:
            return ask(client)
        except redis.exceptions.RedisError as error:
            raise self._unreachable(error, host, port) from None
        finally:
            client.close()

    def cli(self, host: str, port: int, command: str) -> str:
        """``redis-cli`` with a command, logging in as the check does; it asks for the password."""
        words = ["redis-cli", "-h", host, "-p", str(port)]
        words += ["--user", self.username] if self.username else []
        words += ["--askpass"] if self.password else []
        words += ["--tls"] if self.tls or self.ca_file else []
        words += ["--cacert", self.ca_file] if self.ca_file else []
        return f"`{' '.join([*words, command])}`"

    def _unreachable(self, error: Exception, host: str, port: int) -> Unreachable:
        target = where(host, port)
        text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        lower = text.lower()
        if "refused" in lower or "cannot assign requested address" in lower:
            return Unreachable(
                f"connection to {target} refused: nothing listens there",
                f"start Redis: `systemctl start {unit(port)}` on {host}; or correct host and port",
            )
        if "timeout" in lower or "timed out" in lower:
            return Unreachable(
                f"no answer from {target} in time",
                f"look whether the host is up (`ping -c 3 {host}`), whether a firewall drops the port"
                f" (`nft list ruleset`), and at slow commands ({self.cli(host, port, 'SLOWLOG GET')})",
            )
        if any(word in lower for word in ("noauth", "wrongpass", "invalid password", "authentication required")):
            return Unreachable(
                f"{target} refuses the password: {text}",
                f"correct the password (`slipway_redis_password`), or set it in Redis: {site('redis')}",
            )
        if "noperm" in lower or "no permissions" in lower:
            return Unreachable(
                f"{target} refuses a command: {text}", "allow the user ping, info and cluster in its ACL"
            )
        if "max number of clients" in lower:
            # Redis would refuse redis-cli, too.
            return Unreachable(
                f"{target} takes no more clients: {text}",
                f"look who holds the connections: `ss -tn 'sport = :{port}'` on {host}; or raise maxclients",
            )
        if "loading" in lower:
            return Unreachable(
                f"{target} is loading its data", f"wait until it has read its file: {journal(unit(port))} on {host}"
            )
        return Unreachable(f"{target}: {text}", f"look into the log of Redis: {journal(unit(port))} on {host}")


def unit(port: int) -> str:
    """The unit of an instance of the role ``redis``."""
    return f"redis-server@{port}"


def parse_pairs(text: str) -> dict[str, str]:
    """Read the ``key:value`` lines of INFO and CLUSTER INFO."""
    return dict(line.strip().split(":", 1) for line in text.splitlines() if ":" in line)


def number(info: Mapping[str, Any], key: str) -> float:
    """A figure of INFO; 0 where this version of Redis does not tell it."""
    try:
        return float(info.get(key) or 0)
    except (TypeError, ValueError):
        return 0.0
