# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A PostgreSQL server: it answers in the role wanted, with room left, little lag, and nothing that will stop it.

It asks as whoever logs in, which for an application is a role with few rights. What such a role cannot see is named
in the evidence and not judged; ``GRANT pg_monitor TO role`` lets it see everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from shlex import join, quote
from typing import Any, ClassVar

from ..check import Check
from ..model import Finding, Outcome, Status, Unreachable, judged, level
from ..net import where
from ..options import option
from ..steps import site
from ..tools import Deadline, Tools
from ..units import human_bytes

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

WRAPAROUND = 2**31
"""Transactions that a row may be old; PostgreSQL stops taking writes three million before that (manual, "Preventing
Transaction ID Wraparound Failures")."""

# All of it in one round trip, for PostgreSQL 14 and newer.
# - To a role without pg_read_all_stats the sessions of others show neither state nor kind, but whose they are and in
#   which database: that tells sessions of clients from processes of the server.
# - Replay lag counts only while there is something to replay: on a quiet primary the age of the last transaction says
#   nothing. Without a receiver nothing new can arrive, so then it does count.
_STATE = """
WITH here AS MATERIALIZED (
    SELECT pg_is_in_recovery() AS recovery,
           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS position,
           EXISTS (SELECT FROM pg_stat_wal_receiver) AS receiving
), clients AS MATERIALIZED (
    SELECT pid, usename, application_name, state,
           extract(epoch FROM clock_timestamp() - xact_start) AS transaction_seconds,
           extract(epoch FROM clock_timestamp() - state_change) AS state_seconds,
           extract(epoch FROM clock_timestamp() - query_start) AS query_seconds
    FROM pg_stat_activity
    WHERE datid IS NOT NULL AND usesysid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
), slots AS MATERIALIZED (
    SELECT slot_name, slot_type, active, active_pid, wal_status, pg_wal_lsn_diff(position, restart_lsn) AS held
    FROM pg_replication_slots, here
), oldest AS (
    SELECT datname, greatest(age(datfrozenxid), mxid_age(datminmxid)) AS age FROM pg_database ORDER BY 2 DESC LIMIT 1
)
SELECT json_build_object(
    'in_recovery', recovery,
    'version', current_setting('server_version'),
    'sees_settings', pg_has_role('pg_read_all_settings', 'USAGE'),
    'max_connections', current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0),
    'connections', (SELECT count(*) FROM clients),
    'unseen_sessions', (SELECT count(*) FROM clients WHERE state IS NULL),
    'sessions', (SELECT json_agg(clients ORDER BY transaction_seconds DESC) FROM clients
        WHERE pid <> pg_backend_pid() AND state <> 'idle' AND transaction_seconds >= %(least)s),
    'receiving', receiving,
    'paused', CASE WHEN recovery THEN pg_is_wal_replay_paused() ELSE false END,
    'lag_seconds', CASE WHEN NOT recovery OR receiving AND pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
        ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp()) END,
    'replicas', (SELECT json_agg(json_build_object('name', application_name, 'address', host(client_addr),
            'state', state, 'lag_seconds', extract(epoch FROM replay_lag),
            'behind_bytes', pg_wal_lsn_diff(position, replay_lsn)))
        FROM pg_stat_replication LEFT JOIN slots ON active_pid = pid
        WHERE slot_type IS DISTINCT FROM 'logical' AND application_name NOT IN ('pg_basebackup', 'pg_receivewal')),
    'slots', (SELECT json_agg(json_build_object('name', slot_name, 'active', active, 'status', wal_status,
        'held_bytes', held)) FROM slots),
    'pending_restart', (SELECT json_agg(name ORDER BY name) FROM pg_settings WHERE pending_restart),
    'oldest_database', oldest.datname,
    'oldest_age', oldest.age,
    'freeze_max_age', current_setting('autovacuum_freeze_max_age')::bigint,
    'archive_failed', (SELECT last_failed_wal FROM pg_stat_archiver WHERE current_setting('archive_mode') <> 'off'
        AND last_failed_time > coalesce(last_archived_time, '-infinity')),
    'deadlocks', (SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()),
    'statements_schema', (SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
        WHERE extname = 'pg_stat_statements')
) FROM here, oldest
"""

_STATEMENTS = """
SELECT count(*) FILTER (WHERE mean_exec_time >= %(slow_ms)s), sum(total_exec_time) / nullif(sum(calls), 0)
FROM "{schema}".pg_stat_statements(false)
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

_SITE = site("postgresql")
_START = "start PostgreSQL: `systemctl start postgresql` there (`pg_lsclusters` tells its state and log)"
_HOLDERS = "look who holds the connections ({holders}), and put a pooler in front"
_LOG = "PostgreSQL's log: `tail -n 50 /var/log/postgresql/*.log`"
# ``{host}`` is the check's, ``{holders}`` the command that shows whose the sessions are.
_STEPS: tuple[tuple[str, str], ...] = (
    ("password authentication failed", f"correct user or password, or set the role's: {_SITE}"),
    ("peer authentication failed", "run the check as that user, or connect by address and password"),
    ("no such file or directory", f"{_START}, or correct the socket directory"),
    ("no pg_hba.conf entry", f"allow this host and user: {_SITE} lets pg_hba follow the topology"),
    ("does not exist", f"create it: {_SITE}; or correct the name"),
    ("too many clients", _HOLDERS),
    ("remaining connection slots", _HOLDERS),
    ("connection refused", f"{_START}, or correct host and port"),
    (
        "timeout expired",
        "look whether the host is up (`ping -c 3 {host}`), and a firewall drops the port (`nft list ruleset`)",
    ),
    ("could not translate host name", "correct the host, or the name service on this host: `getent hosts {host}`"),
    ("certificate verify failed", "give the check the ca_file that signed the server's certificate"),
    (
        "does not match host name",
        f"let its certificate carry this name ({site()}), or connect by one that it carries",
    ),
    ("server does not support ssl", f"set ssl = on and a certificate: {_SITE}"),
    ("starting up", f"wait for the recovery to end, or look into {_LOG}"),
    ("root certificate file", f"{site('tls')} puts the own authority's there; or correct ca_file"),
)


@dataclass(frozen=True)
class Session:
    """A session that is in a transaction; ages in seconds of its transaction, its state and its query."""

    pid: int
    user: str
    application: str
    state: str
    transaction_seconds: float
    state_seconds: float
    query_seconds: float

    @property
    def idle(self) -> bool:
        return self.state.startswith("idle in transaction")

    @property
    def who(self) -> str:
        return f"{self.user}{f' ({self.application})' if self.application else ''}, process {self.pid}"


@dataclass(frozen=True)
class Replica:
    """A replica that is connected; ``state`` is None where the role may not see it."""

    name: str
    state: str | None = "streaming"
    lag_seconds: float | None = None
    behind_bytes: float | None = None


@dataclass(frozen=True)
class Slot:
    """A replication slot and how much WAL is kept because of it."""

    name: str
    active: bool
    held_bytes: float
    status: str


@dataclass(frozen=True)
class ServerState:
    """What the server says of itself; ``value`` is the first value that the check's query gave.

    ``unseen_sessions`` counts those of other roles of which no state is shown, ``statements`` holds how many kinds of
    statements are slow on average and the average of all in ms, from pg_stat_statements.
    """

    in_recovery: bool
    connections: int
    max_connections: int
    lag_seconds: float | None
    version: str
    took_ms: float
    value: str | None = None
    sessions: Sequence[Session] = ()
    unseen_sessions: int = 0
    replicas: Sequence[Replica] = ()
    slots: Sequence[Slot] = ()
    pending_restart: Sequence[str] = ()
    sees_settings: bool = True
    receiving: bool = True
    paused: bool = False
    oldest_database: str = ""
    oldest_age: int = 0
    freeze_max_age: int = 200_000_000
    archive_failed: str | None = None
    deadlocks: int = 0
    statements: Mapping[str, float] = field(default_factory=dict)


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
    replicas: int = option("int", 0, minimum=0, about="How many replicas have to stream from it.")
    slot_warn_mb: float = option("number", 1000, minimum=0, about="Warning when a slot keeps so many MB of WAL.")
    slot_crit_mb: float = option("number", 10_000, minimum=0, about="Critical when a slot keeps so many MB of WAL.")
    slow_seconds: float = option("number", 1, minimum=0, about="A query that runs longer is slow.")
    slow_warn: int = option("int", 5, minimum=0, about="Warning at so many slow queries at a time; 0 for none.")
    idle_transaction_warn_seconds: float = option(
        "number", 60, minimum=0, about="Warning when a session idles so long within a transaction."
    )
    transaction_warn_seconds: float = option(
        "number", 300, minimum=0, about="Warning when a transaction is open for so long."
    )
    wraparound_warn_percent: float = option("percent", 40, about="Warning at this share of all transaction ids.")
    wraparound_crit_percent: float = option("percent", 75, about="Critical at this share of all transaction ids.")
    warn_ms: float = option("number", 1000, minimum=0, about="Warning from this many milliseconds; 0 for none.")

    def problems(self) -> list[str]:
        problems = []
        if self.expect and not self.query:
            problems.append("expect is given without a query")
        for kind, unit in (("connections", "percent"), ("lag", "seconds"), ("slot", "mb"), ("wraparound", "percent")):
            if getattr(self, f"{kind}_warn_{unit}") > getattr(self, f"{kind}_crit_{unit}") > 0:
                problems.append(f"{kind}_warn_{unit} is above {kind}_crit_{unit}")
        if self.sslmode == "verify-full" and not self.ca_file:
            problems.append("sslmode verify-full needs a ca_file")
        return problems

    def target(self) -> str:
        return f"{self.user}@{where(self.host, self.port)}/{self.database}"

    def _psql(self, command: str) -> str:
        """For the database's host: what the server says to an administrator."""
        return f'`sudo -u postgres psql -p {self.port} -xc "{command}"`'

    @property
    def _holders(self) -> str:
        return self._psql("SELECT usename, client_addr, state, count(*) FROM pg_stat_activity GROUP BY 1, 2, 3")

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
                f"look who holds them ({self._holders}), and put a pooler in front or raise max_connections",
            ),
            level(
                state.took_ms,
                self.warn_ms,
                None,
                f"the answer took {state.took_ms:.0f} ms",
                "look at the load and the disk of the database host: `vmstat 1 5`",
            ),
        ]
        if self.writable is not None and self.writable == state.in_recovery:
            findings.append(
                Finding(
                    Status.CRITICAL,
                    f"the server is a {role}, which {'cannot write' if state.in_recovery else 'is not wanted here'}",
                    "look where the primary is"
                    f" ({self._psql('SELECT pg_is_in_recovery()')}), and point the address at it",
                )
            )
        if self.lag_warn_seconds and (state.in_recovery or self.replicas or state.replicas):
            wanted.append(f"less than {self.lag_warn_seconds:g} s behind")
        if state.in_recovery:
            findings.append(self._own_lag(state))
        if self.replicas:
            wanted.append(f"{self.replicas} replica{'s' * (self.replicas > 1)} that stream{'s' * (self.replicas == 1)}")
        findings += self._replicas(state)
        findings += [self._slot(slot) for slot in state.slots]
        findings += self._sessions(state)
        findings += self._wraparound(state)
        findings += _upkeep(state)
        if self.expect:
            wanted.append(f'"{self.expect}" from the query')
            if state.value != self.expect:
                shown = "no row" if state.value is None else f'"{state.value[:120]}"'
                words = ["sudo", "-u", "postgres", "psql", "-p", str(self.port), "-d", self.database, "-c", self.query]
                step = f"run the query by hand: `{join(words)}`"
                findings.append(Finding(Status.CRITICAL, f"the query returned {shown}", step))
        seen = f"{role}, PostgreSQL {state.version.split()[0]}, {used:.0f} % of the connections, {state.took_ms:.0f} ms"
        if state.replicas:
            seen += f", {len(state.replicas)} replica{'s' * (len(state.replicas) > 1)}"
        unseen = _unseen(state)
        return judged(
            findings,
            seen=f"{seen}; not seen by this role: {', '.join(unseen)}" if unseen else seen,
            wanted=", ".join(wanted),
            fine=seen,
            measures=self._measures(state, used),
        )

    def _measures(self, state: ServerState, used: float) -> dict[str, float]:
        measures = {
            "answer_ms": round(state.took_ms, 1),
            "connections_percent": round(used, 1),
            "slow_queries": float(len(self._slow(state))),
            "held_wal_bytes": max((slot.held_bytes for slot in state.slots), default=0.0),
            "wraparound_percent": round(100 * state.oldest_age / WRAPAROUND, 1),
            "deadlocks": float(state.deadlocks),
            **state.statements,
        }
        if not any(replica.state is None for replica in state.replicas):
            lags = [state.lag_seconds or 0.0, *(replica.lag_seconds or 0.0 for replica in state.replicas)]
            measures["lag_seconds"] = round(max(lags), 1)
        return measures

    def _own_lag(self, state: ServerState) -> Finding:
        step = f"look at the link to the primary ({self._psql('TABLE pg_stat_wal_receiver')}) and at long queries here"
        if state.lag_seconds is None:
            return Finding(Status.WARNING, "the replica has not replayed a transaction yet", step)
        if not state.receiving or state.paused:
            why = "its replay is paused" if state.paused else "it is not connected to a primary"
            lag = level(
                state.lag_seconds,
                self.lag_warn_seconds,
                self.lag_crit_seconds,
                f"the replica gets nothing new: {why}; its last transaction is {state.lag_seconds:.0f} s old",
                "",
            )
            worst = max((lag.status, Status.WARNING), key=lambda status: status.rank)
            return Finding(worst, lag.message, self._psql("SELECT pg_wal_replay_resume()") if state.paused else step)
        return level(
            state.lag_seconds,
            self.lag_warn_seconds,
            self.lag_crit_seconds,
            f"the replica is {state.lag_seconds:.0f} s behind",
            step,
        )

    def _replicas(self, state: ServerState) -> list[Finding]:
        """The replicas as the server sees them that they stream from."""
        findings = []
        streaming = [replica for replica in state.replicas if replica.state in ("streaming", None)]
        if len(streaming) < self.replicas:
            findings.append(
                Finding(
                    Status.WARNING,
                    f"{len(streaming)} of {self.replicas} replicas stream from it",
                    f"look on the replicas whether they run (`pg_lsclusters`), and into {_LOG}",
                )
            )
        for replica in state.replicas:
            if replica.state not in ("streaming", None):
                findings.append(
                    Finding(
                        Status.WARNING,
                        f"replica {replica.name} is in state {replica.state}",
                        f"wait until it has caught up, or look there into {_LOG}",
                    )
                )
            behind = f" ({human_bytes(replica.behind_bytes)})" if replica.behind_bytes else ""
            findings.append(
                level(
                    replica.lag_seconds or 0.0,
                    self.lag_warn_seconds,
                    self.lag_crit_seconds,
                    f"replica {replica.name} is {replica.lag_seconds or 0:.0f} s behind{behind}",
                    f"look at the link to it, its disk (`vmstat 1 5`), and long queries on it ({self._holders})",
                )
            )
        return findings

    def _slot(self, slot: Slot) -> Finding:
        step = "start the replica that uses it, or, if there is none any more, " + self._psql(
            f"SELECT pg_drop_replication_slot('{slot.name}')"
        )
        kind = "replication slot" if slot.active else "inactive replication slot"
        if slot.status == "lost":
            return Finding(
                Status.CRITICAL, f"{kind} {slot.name} has lost WAL that its replica needs", "build that replica anew"
            )
        held = level(
            slot.held_bytes,
            self.slot_warn_mb * 1e6,
            self.slot_crit_mb * 1e6,
            f"{kind} {slot.name} keeps {human_bytes(slot.held_bytes)} of WAL",
            step,
        )
        if slot.status == "unreserved" and held.status is Status.OK:
            return Finding(Status.WARNING, f"{kind} {slot.name} is about to lose WAL that its replica needs", step)
        return held

    def _slow(self, state: ServerState) -> list[Session]:
        return [
            session
            for session in state.sessions
            if session.state == "active" and self.slow_seconds and session.query_seconds >= self.slow_seconds
        ]

    def _session(self, pid: int) -> str:
        return self._psql(f"SELECT * FROM pg_stat_activity WHERE pid = {pid}")

    def _sessions(self, state: ServerState) -> list[Finding]:
        findings = []
        slow = self._slow(state)
        if slow and len(slow) >= self.slow_warn > 0:
            longest = max(slow, key=lambda session: session.query_seconds)
            findings.append(
                Finding(
                    Status.WARNING,
                    f"queries that run for more than {self.slow_seconds:g} s: {len(slow)}, the longest for "
                    f"{longest.query_seconds:.0f} s ({longest.who})",
                    f"look at what they do ({self._session(longest.pid)}) and how (EXPLAIN), and into {_LOG}",
                )
            )
        findings += _late(
            {session: session.state_seconds for session in state.sessions if session.idle},
            self.idle_transaction_warn_seconds,
            "idle within a transaction",
            lambda pid: (
                f"end it ({self._psql(f'SELECT pg_terminate_backend({pid})')}); correct the program that leaves"
                " transactions open, or set idle_in_transaction_session_timeout"
            ),
        )
        findings += _late(
            {session: session.transaction_seconds for session in state.sessions if not session.idle},
            self.transaction_warn_seconds,
            "in one transaction",
            lambda pid: (
                f"look what it does ({self._session(pid)}); vacuum frees nothing newer than the oldest transaction"
            ),
        )
        return findings

    def _wraparound(self, state: ServerState) -> list[Finding]:
        """How near the oldest row is to being too old.

        autovacuum freezes old rows at autovacuum_freeze_max_age (200 million by default, a tenth of the way), and
        drops all restraint at vacuum_failsafe_age (1.6 billion, three quarters of it).
        """
        share = 100 * state.oldest_age / WRAPAROUND
        text = (
            f"the oldest transaction id of database {state.oldest_database} is {state.oldest_age / 1e6:.0f} million "
            f"transactions old ({share:.0f} % of the way to where writes stop)"
        )
        step = (
            f"`sudo -u postgres vacuumdb -p {self.port} --freeze {quote(state.oldest_database)}`; look for what"
            " holds it back: old transactions, prepared transactions (pg_prepared_xacts), replication slots"
        )
        reached = level(share, self.wraparound_warn_percent, self.wraparound_crit_percent, text, step)
        overdue = self.wraparound_warn_percent and state.oldest_age >= 2 * state.freeze_max_age
        if reached.status is Status.OK and overdue:
            return [Finding(Status.WARNING, f"{text}: autovacuum does not keep up", step)]
        return [reached]

    def ask(self, tools: Tools, deadline: Deadline) -> ServerState:
        """Log in and ask. Raises CouldNotRun and Unreachable."""
        psycopg2 = tools.library("psycopg2", "python3-psycopg2")
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
                levels = (self.slow_seconds, self.idle_transaction_warn_seconds, self.transaction_warn_seconds)
                cursor.execute(_STATE, {"least": min((value for value in levels if value), default=1e9)})
                said = cursor.fetchone()[0]
                took_ms = deadline.spent_ms()
                value = None
                if self.query:
                    cursor.execute(self.query)
                    row = cursor.fetchone() if cursor.description else None
                    value = None if not row or row[0] is None else str(row[0])
                statements: dict[str, float] = {}
                if said["statements_schema"]:
                    # Not loaded by the server, or not for this role: then there are no such measures.
                    with suppress(psycopg2.Error):
                        statements = self._statements(cursor, said["statements_schema"])
        except psycopg2.Error as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()
        return read_state(said, took_ms, value, statements)

    def _statements(self, cursor: Any, schema: str) -> dict[str, float]:
        text = _STATEMENTS.replace("{schema}", schema.replace('"', '""').replace("%", "%%"))
        cursor.execute(text, {"slow_ms": self.slow_seconds * 1000})
        slow, mean = cursor.fetchone()
        return {"slow_statements": float(slow), "statement_mean_ms": round(float(mean or 0), 1)}

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
        step = next((step for words, step in _STEPS if words in known), f"look into {_LOG}")
        return Unreachable(text, step.format(host=self.host, holders=self._holders))


def read_state(
    said: Mapping[str, Any], took_ms: float, value: str | None = None, statements: Mapping[str, float] | None = None
) -> ServerState:
    """What the query of the state returned, in the check's terms."""

    def text(raw: Any) -> str:
        return str(raw or "")

    return ServerState(
        in_recovery=bool(said["in_recovery"]),
        connections=int(said["connections"]),
        max_connections=int(said["max_connections"]),
        lag_seconds=_number(said["lag_seconds"]),
        version=said["version"],
        took_ms=took_ms,
        value=value,
        sessions=[
            Session(
                int(row["pid"]),
                text(row["usename"]),
                text(row["application_name"]),
                text(row["state"]),
                _number(row["transaction_seconds"]) or 0.0,
                _number(row["state_seconds"]) or 0.0,
                _number(row["query_seconds"]) or 0.0,
            )
            for row in said["sessions"] or ()
        ],
        unseen_sessions=int(said["unseen_sessions"]),
        replicas=[
            Replica(
                " at ".join(part for part in (row["name"], row["address"]) if part),
                row["state"],
                _number(row["lag_seconds"]),
                _number(row["behind_bytes"]),
            )
            for row in said["replicas"] or ()
        ],
        slots=[
            Slot(row["name"], bool(row["active"]), _number(row["held_bytes"]) or 0.0, text(row["status"]))
            for row in said["slots"] or ()
        ],
        pending_restart=list(said["pending_restart"] or ()),
        sees_settings=bool(said["sees_settings"]),
        receiving=bool(said["receiving"]),
        paused=bool(said["paused"]),
        oldest_database=said["oldest_database"],
        oldest_age=int(said["oldest_age"]),
        freeze_max_age=int(said["freeze_max_age"]),
        archive_failed=said["archive_failed"],
        deadlocks=int(said["deadlocks"] or 0),
        statements=statements or {},
    )


def _number(raw: Any) -> float | None:
    return None if raw is None else float(raw)


def _late(ages: Mapping[Session, float], limit: float, text: str, step: Callable[[int], str]) -> list[Finding]:
    """A warning that names the session of the greatest age, where that has reached the limit."""
    late = {session: age for session, age in ages.items() if limit and age >= limit}
    if not late:
        return []
    longest = max(late, key=lambda session: late[session])
    others = f" and {len(late) - 1} more" if len(late) > 1 else ""
    return [Finding(Status.WARNING, f"{longest.who}, is {text} for {late[longest]:.0f} s{others}", step(longest.pid))]


def _upkeep(state: ServerState) -> list[Finding]:
    """What waits for somebody to look after it."""
    findings = []
    if state.pending_restart:
        findings.append(
            Finding(
                Status.WARNING,
                f"settings wait for a restart: {', '.join(state.pending_restart)}",
                "restart PostgreSQL at a quiet hour: `systemctl restart postgresql`",
            )
        )
    if state.archive_failed:
        findings.append(
            Finding(
                Status.WARNING,
                f"archiving of WAL fails since {state.archive_failed}, which fills the disk and ends restores there",
                f"look at archive_command and into {_LOG}",
            )
        )
    return findings


def _unseen(state: ServerState) -> list[str]:
    """What the role may not see."""
    unseen = []
    if state.unseen_sessions:
        unseen.append(f"what {state.unseen_sessions} sessions of other roles do")
    if any(replica.state is None for replica in state.replicas):
        unseen.append("state and lag of replicas")
    if not state.sees_settings:
        unseen.append("settings for administrators")
    return unseen
