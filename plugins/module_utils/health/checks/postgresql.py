# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A PostgreSQL database: it answers, in the role wanted, with connections left and little lag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..check import Check
from ..model import CouldNotRun, Finding, Outcome, Status, Unreachable, judged, level
from ..net import where
from ..options import option
from ..tools import Deadline, Tools

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

# One round trip. Replay lag counts only while there is something to replay: on a quiet primary
# the age of the last transaction says nothing.
_STATE = """
SELECT pg_is_in_recovery(),
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
       CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
            ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp()) END,
       current_setting('server_version')
"""

_STEPS: tuple[tuple[str, str], ...] = (
    ("password authentication failed", "correct user or password, or run the site playbook to set the role's password"),
    ("peer authentication failed", "run the check as that user, or connect by address and password"),
    ("no such file or directory", "start PostgreSQL (systemctl status postgresql), or correct the socket directory"),
    ("no pg_hba.conf entry", "allow this host and user: run the site playbook so that pg_hba follows the topology"),
    ("does not exist", "create it: run the site playbook, or correct the name"),
    ("too many clients", "look who holds the connections (pg_stat_activity), and put a pooler in front"),
    ("remaining connection slots", "look who holds the connections (pg_stat_activity), and put a pooler in front"),
    ("connection refused", "start PostgreSQL (systemctl status postgresql) or correct host and port"),
    ("timeout expired", "look whether the host is up and a firewall drops the port"),
    ("could not translate host name", "correct the host, or the name service on this host"),
    ("certificate verify failed", "give the check the ca_file that signed the server's certificate"),
    ("does not match host name", "issue the server's certificate for this name, or connect by the name it is for"),
    ("server does not support ssl", "set ssl = on and a certificate in PostgreSQL"),
    ("starting up", "wait for the recovery to end, or look into PostgreSQL's log"),
    ("root certificate file", "put the authority's certificate there, or correct ca_file"),
)


@dataclass(frozen=True)
class ServerState:
    """What the server says of itself; ``value`` is the first value that the check's query gave."""

    in_recovery: bool
    connections: int
    max_connections: int
    lag_seconds: float | None
    version: str
    took_ms: float
    value: str | None = None


@dataclass(frozen=True)
class PostgresqlCheck(Check):
    """Logs in as an application does and asks the server for its state."""

    TYPE: ClassVar[str] = "postgresql"
    WEIGHT: ClassVar[float] = 3
    LIBRARIES: ClassVar[tuple[str, ...]] = ("psycopg2",)

    host: str = option("str", "127.0.0.1", about="Name, address or socket directory.")
    port: int = option("port", 5432, about="Port.")
    database: str = option("str", "postgres", about="Database to connect to.")
    user: str = option("str", "postgres", about="Role to log in as.")
    password: str = option("str", "", about="Its password; never shown.")
    sslmode: str = option("str", "", choices=SSL_MODES, about="C(verify-full) with O(ca_file), else C(prefer).")
    ca_file: str = option("str", "", about="PEM file of the authority that signed the server's certificate.")
    query: str = option("str", "", about="A query to run besides; it cannot write.")
    expect: str = option("str", "", about="The first value that O(query) has to return, as text.")
    writable: bool | None = option("bool", about="true: has to be a primary; false: has to be a replica.")
    connections_warn_percent: float = option("percent", 80, about="Warning at this share of max_connections.")
    connections_crit_percent: float = option("percent", 95, about="Critical at this share of max_connections.")
    lag_warn_seconds: float = option("number", 10, minimum=0, about="Warning at this replay lag of a replica.")
    lag_crit_seconds: float = option("number", 60, minimum=0, about="Critical at this replay lag of a replica.")
    warn_ms: float = option("number", 1000, minimum=0, about="Warning from this many milliseconds; 0 for none.")

    def problems(self) -> list[str]:
        problems = []
        if self.expect and not self.query:
            problems.append("expect is given without a query")
        if self.connections_warn_percent > self.connections_crit_percent > 0:
            problems.append("connections_warn_percent is above connections_crit_percent")
        if self.lag_warn_seconds > self.lag_crit_seconds > 0:
            problems.append("lag_warn_seconds is above lag_crit_seconds")
        if self.sslmode == "verify-full" and not self.ca_file:
            problems.append("sslmode verify-full needs a ca_file")
        return problems

    def target(self) -> str:
        return f"{self.user}@{where(self.host, self.port)}/{self.database}"

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        return self.judge(self.ask(tools, deadline))

    def judge(self, state: ServerState) -> Outcome:
        """Hold the server's state against what is wanted of it."""
        role = "replica" if state.in_recovery else "primary"
        used = 100.0 * state.connections / max(state.max_connections, 1)
        wanted = ["an answer" if self.writable is None else "a primary" if self.writable else "a replica"]
        if self.warn_ms:
            wanted.append(f"in less than {self.warn_ms:g} ms")
        if self.connections_warn_percent:
            wanted.append(f"less than {self.connections_warn_percent:g} % of the connections in use")
        findings = [
            level(
                used,
                self.connections_warn_percent,
                self.connections_crit_percent,
                f"{state.connections} of {state.max_connections} connections are in use ({used:.0f} %)",
                "look who holds them (pg_stat_activity), and put a pooler in front or raise max_connections",
            ),
            level(
                state.took_ms,
                self.warn_ms,
                None,
                f"the answer took {state.took_ms:.0f} ms",
                "look at the load and the disk of the database host",
            ),
        ]
        if self.writable is not None and self.writable == state.in_recovery:
            findings.append(
                Finding(
                    Status.CRITICAL,
                    f"the server is a {role}, which {'cannot write' if state.in_recovery else 'is not wanted here'}",
                    "look where the primary is (pg_is_in_recovery), and point the address at the right server",
                )
            )
        if state.in_recovery:
            wanted.append(f"less than {self.lag_warn_seconds:g} s behind")
            findings.append(self._lag(state))
        if self.expect:
            wanted.append(f'"{self.expect}" from the query')
            if state.value != self.expect:
                shown = "no row" if state.value is None else f'"{state.value[:120]}"'
                findings.append(Finding(Status.CRITICAL, f"the query returned {shown}", "run the query by hand"))
        seen = f"{role}, PostgreSQL {state.version.split()[0]}, {used:.0f} % of the connections, {state.took_ms:.0f} ms"
        return judged(
            findings,
            seen=seen,
            wanted=", ".join(wanted),
            fine=seen,
            measures={
                "answer_ms": round(state.took_ms, 1),
                "connections_percent": round(used, 1),
                "lag_seconds": round(state.lag_seconds or 0.0, 1),
            },
        )

    def _lag(self, state: ServerState) -> Finding:
        step = "look at the link to the primary (pg_stat_wal_receiver) and at long queries on the replica"
        if state.lag_seconds is None:
            return Finding(Status.WARNING, "the replica has not replayed a transaction yet", step)
        return level(
            state.lag_seconds,
            self.lag_warn_seconds,
            self.lag_crit_seconds,
            f"the replica is {state.lag_seconds:.0f} s behind",
            step,
        )

    def ask(self, tools: Tools, deadline: Deadline) -> ServerState:
        """Log in and ask. Raises CouldNotRun and Unreachable."""
        try:
            psycopg2 = tools.load("psycopg2")
        except ImportError:
            raise CouldNotRun(
                "the Python library psycopg2 is missing on this host", "install the package python3-psycopg2"
            ) from None
        try:
            # libpq knows no less than two seconds; the runner keeps to the deadline whatever it does.
            connection = psycopg2.connect(
                host=self.host,
                port=self.port,
                dbname=self.database,
                user=self.user,
                **self._secrets(),
                connect_timeout=max(2, int(deadline.left())),
                application_name="slipway-health",
                options=f"-c statement_timeout={max(1, int(deadline.left() * 1000))}",
            )
        except psycopg2.Error as error:
            raise self._unreachable(error) from None
        try:
            connection.set_session(readonly=True, autocommit=False)
            with connection.cursor() as cursor:
                cursor.execute(_STATE)
                in_recovery, count, maximum, lag, version = cursor.fetchone()
                took_ms = deadline.spent_ms()
                value = None
                if self.query:
                    cursor.execute(self.query)
                    row = cursor.fetchone() if cursor.description else None
                    value = None if not row or row[0] is None else str(row[0])
        except psycopg2.Error as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()
        return ServerState(
            bool(in_recovery), int(count), int(maximum), None if lag is None else float(lag), version, took_ms, value
        )

    def _secrets(self) -> Mapping[str, Any]:
        mode = self.sslmode or ("verify-full" if self.ca_file else "prefer")
        values: dict[str, Any] = {"sslmode": mode}
        if self.ca_file:
            values["sslrootcert"] = self.ca_file
        if self.password:
            values["password"] = self.password
        return values

    def _unreachable(self, error: Exception) -> Unreachable:
        # libpq says the same for each address that it tried; the first line tells.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        text = lines[0] if lines else type(error).__name__
        if text.endswith(":") and len(lines) > 1:
            text = f"{text} {lines[1]}"
        known = " ".join(lines).lower()
        step = next((step for words, step in _STEPS if words in known), "look into PostgreSQL's log")
        return Unreachable(text, step)
