# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A MongoDB deployment that somebody else runs: it answers over TLS, lets in who has to, and has a primary.

The state of its members comes from replSetGetStatus, which takes the role clusterMonitor. A user without it is told
less: then each member is asked itself, and what cannot be seen so is named in the evidence.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from ..check import Check
from ..model import CouldNotRun, Finding, Outcome, Status, Unreachable, judged, level
from ..net import split_address, tls_context, where
from ..options import option
from ..parallel import ask_each
from ..steps import install
from ..tools import Deadline, Tools

_URI = re.compile(
    r"mongodb(?P<srv>\+srv)?://(?:[^@/?#\s]*@)?(?P<hosts>[^@/?#\s]+)(?:/[^@?#\s]*)?(?:\?(?P<query>[^@#\s]*))?\Z"
)
_FALSE = ("false", "0", "no")
_UNVERIFIED = ("tlsinsecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames")

# Codes of errors, from src/mongo/base/error_codes.yml.
_UNAUTHORIZED, _AUTHENTICATION_FAILED, _COMMAND_NOT_FOUND = 13, 18, 59

_LOG = "MongoDB's log: `tail -n 50 /var/log/mongodb/mongod.log`"
_CLOSED = f"look into {_LOG}; a server that demands TLS closes connections without"
_HOST = "correct the host, or the name service on this host"

_STEPS: tuple[tuple[str, str], ...] = (
    ("certificate verify failed: hostname", "issue the server's certificate for this name, or connect by its name"),
    ("doesn't match", "issue the server's certificate for this name, or connect by its name"),
    ("certificate verify failed", "give the check the ca_file that signed the server's certificate"),
    ("wrong version number", "let the server speak TLS; tls: false only where the network is trusted"),
    ("ssl handshake failed", "look whether the server speaks TLS; tls: false only where the network is trusted"),
    ("connection refused", "start MongoDB: `systemctl start mongod` there; or correct host and port"),
    ("connection closed", _CLOSED),
    ("connection reset", _CLOSED),
    ("name or service not known", _HOST),
    ("name resolution", _HOST),
    (
        "timed out",
        "look whether the host is up, whether a firewall drops the port (`nft list ruleset`), and at the list"
        " of allowed addresses",
    ),
    ("no servers found yet", "look whether the host is up, and at the list of allowed addresses"),
    ("no servers available", "several hosts in one uri have to be members of one replica set; correct the uri"),
    ("no replica set members", "look at the state of the replica set: `rs.status()`"),
)


@dataclass(frozen=True)
class Member:
    """A member of a replica set; ``state`` as in rs.status(), or DOWN. ``lag_seconds`` is None where it has none."""

    name: str
    state: str
    lag_seconds: float | None = None
    note: str = ""


@dataclass(frozen=True)
class DeploymentState:
    """What the deployment says of itself; ``kind`` is one of replica set, router and standalone."""

    kind: str
    took_ms: float
    replica_set: str = ""
    primary: str = ""
    members: tuple[Member, ...] = ()
    users: tuple[str, ...] = ()
    version: str = ""
    oplog_hours: float | None = None
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True)
class MongodbCheck(Check):
    """Logs in as an application does, and asks for primary, members and lag."""

    TYPE: ClassVar[str] = "mongodb"
    WEIGHT: ClassVar[float] = 3
    LIBRARIES: ClassVar[tuple[str, ...]] = ("pymongo",)

    uri: str = option(
        "str", "", about="Connection string, C(mongodb://) or C(mongodb+srv://); its secrets are never shown."
    )
    host: str = option("str", "", about="Name or address, without O(uri); C(127.0.0.1) by default.")
    port: int = option("port", 27017, about="Port, without O(uri).")
    user: str = option("str", "", about="User to log in as, in place of the one in O(uri).")
    password: str = option("str", "", about="Its password; never shown.")
    login_database: str = option("str", "", about="Database that knows the user; C(admin) by default.")
    anonymous: bool = option("bool", False, about="Whether it is fine that nobody is logged in.")
    tls: bool = option("bool", True, about="Whether TLS is demanded; without it the connection string decides.")
    ca_file: str = option(
        "str", "", about="PEM file of the authority that signed the certificates; the system's by default."
    )
    replica_set: str = option("str", "", about="Name that the replica set has to have.")
    members: int = option("int", 0, minimum=0, about="How many members the replica set has to have; 0 for any number.")
    lag_warn_seconds: float = option("number", 10, minimum=0, about="Warning at this lag of a secondary.")
    lag_crit_seconds: float = option("number", 60, minimum=0, about="Critical at this lag of a secondary.")
    oplog_warn_hours: float = option(
        "number", 0, minimum=0, about="Warning when the oplog reaches back less; 0 for none."
    )
    warn_ms: float = option("number", 1000, minimum=0, about="Warning from this many milliseconds; 0 for none.")

    def problems(self) -> list[str]:
        problems = []
        if self.lag_warn_seconds > self.lag_crit_seconds > 0:
            problems.append("lag_warn_seconds is above lag_crit_seconds")
        if self.password and not (self.user or self.uri):
            problems.append("password is given without a user")
        if self.ca_file and not self.tls and self._said("tls", "ssl") in ("", *_FALSE):
            problems.append("ca_file is given without TLS")
        if not self.uri:
            return problems
        if self.host:
            problems.append("uri and host exclude each other: a uri names its hosts")
        if not _URI.match(self.uri):
            # Without the value: what cannot be read may hold a password anywhere.
            return [
                *problems,
                "uri: expected mongodb://user:password@host:port,.../database?options, user and password with "
                "characters such as @ : / % written as %40 %3A %2F %25",
            ]
        if self.tls and self._said("tls", "ssl") in _FALSE:
            problems.append("uri switches TLS off, which is demanded; tls: false allows it")
        return problems

    def _uri_options(self) -> dict[str, str]:
        """The options within the connection string."""
        match = _URI.match(self.uri)
        return dict(parse_qsl((match.group("query") if match else "") or ""))

    def _said(self, *names: str) -> str:
        """What the connection string says to the first of these options that it holds, in small letters, or nothing."""
        options = {name.lower(): value.lower() for name, value in self._uri_options().items()}
        return next((options[name] for name in names if name in options), "")

    def target(self) -> str:
        match = _URI.match(self.uri)
        return match.group("hosts") if match else where(self.host or "127.0.0.1", self.port)

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        return self.judge(self.ask(tools, deadline))

    def judge(self, state: DeploymentState) -> Outcome:
        """Hold the deployment's state against what is wanted of it."""
        findings = [
            level(
                state.took_ms,
                self.warn_ms,
                None,
                f"the answer took {state.took_ms:.0f} ms",
                "look at the load of the deployment and the way to it",
            ),
            *self._login(state),
            *self._set(state),
        ]
        for member in state.members:
            findings += self._member(member)
        if state.oplog_hours is not None:
            findings.append(
                level(
                    state.oplog_hours,
                    self.oplog_warn_hours,
                    None,
                    f"the oplog reaches back {state.oplog_hours:.1f} h: a member that is away for longer is built anew",
                    "make the oplog larger (replSetResizeOplog)",
                    low_is_bad=True,
                )
            )
        wanted = ["a primary"]
        if self.replica_set:
            wanted.append(f"replica set {self.replica_set}")
        if self.members:
            wanted.append(f"{self.members} members")
        if self.lag_warn_seconds:
            wanted.append(f"less than {self.lag_warn_seconds:g} s behind")
        seen = [
            f"replica set {state.replica_set}, primary {state.primary or 'none'}, {len(state.members)} members"
            if state.kind == "replica set"
            else state.kind,
            *([f"MongoDB {state.version}"] if state.version else []),
            f"{state.took_ms:.0f} ms",
            f"logged in as {', '.join(state.users)}" if state.users else "nobody logged in",
        ]
        text = ", ".join(seen)
        return judged(
            findings,
            seen=f"{text}; not seen by this user: {', '.join(state.unseen)}" if state.unseen else text,
            wanted=", ".join(wanted),
            fine=text,
            measures=_measures(state),
        )

    def _login(self, state: DeploymentState) -> list[Finding]:
        findings = []
        if not state.users and not self.anonymous:
            findings.append(
                Finding(
                    Status.CRITICAL,
                    "nobody is logged in",
                    "give user and password, or a uri with both, and let MongoDB demand a login (authorization)",
                )
            )
        lax = [name for name in _UNVERIFIED if self._said(name) not in ("", *_FALSE)]
        if self.tls and lax:
            findings.append(
                Finding(
                    Status.WARNING,
                    f"the connection string does not verify certificates ({lax[0]})",
                    "take that option out, and give the check the ca_file that signed them",
                )
            )
        return findings

    def _set(self, state: DeploymentState) -> list[Finding]:
        if state.kind != "replica set":
            if self.replica_set or self.members:
                return [
                    Finding(
                        Status.CRITICAL if state.kind == "standalone" else Status.WARNING,
                        f"it is a {state.kind}, not a member of a replica set",
                        "correct the address, or leave replica_set and members out",
                    )
                ]
            return []
        findings = []
        if self.replica_set and state.replica_set != self.replica_set:
            findings.append(
                Finding(
                    Status.CRITICAL,
                    f"it belongs to replica set {state.replica_set}, not {self.replica_set}",
                    "correct the address or the name",
                )
            )
        if not state.primary:
            findings.append(
                Finding(
                    Status.CRITICAL,
                    "the replica set has no primary, so nothing can be written",
                    "look at `rs.status()`: a majority of the members has to be up and to reach each other",
                )
            )
        if self.members and len(state.members) != self.members:
            findings.append(
                Finding(
                    Status.WARNING,
                    f"the replica set has {len(state.members)} members, wanted are {self.members}",
                    "look at `rs.conf()`, and add or remove members",
                )
            )
        return findings

    def _member(self, member: Member) -> list[Finding]:
        note = f" ({member.note})" if member.note else ""
        if member.state == "DOWN":
            return [
                Finding(
                    Status.WARNING,
                    f"member {member.name} is down{note}",
                    f"start MongoDB on {member.name}: `systemctl start mongod`",
                )
            ]
        findings = []
        if member.state not in ("PRIMARY", "SECONDARY", "ARBITER"):
            findings.append(
                Finding(
                    Status.WARNING,
                    f"member {member.name} is in state {member.state}{note}",
                    f"look at `rs.status()`, and on {member.name} into {_LOG}",
                )
            )
        if member.lag_seconds is not None:
            findings.append(
                level(
                    member.lag_seconds,
                    self.lag_warn_seconds,
                    self.lag_crit_seconds,
                    f"member {member.name} is {member.lag_seconds:.0f} s behind the primary",
                    "look at the link to it, its disk and its load: `rs.printSecondaryReplicationInfo()`",
                )
            )
        return findings

    def ask(self, tools: Tools, deadline: Deadline) -> DeploymentState:
        """Log in and ask. Raises CouldNotRun and Unreachable."""
        pymongo = tools.library("pymongo", "python3-pymongo")
        if self.ca_file:
            # In the words of all checks where the file cannot be used.
            tls_context(self.ca_file)
        try:
            # Half of the time to find a server, so that some is left to ask it.
            client = pymongo.MongoClient(
                self.uri or (self.host or "127.0.0.1"), **self._options(deadline, 0.5 * deadline.left())
            )
        except (pymongo.errors.PyMongoError, ValueError) as error:
            # A connection string mongodb+srv:// is looked up here already.
            raise self._unusable(error) from None
        try:
            return self._look(pymongo, client, deadline)
        except pymongo.errors.PyMongoError as error:
            raise self._unreachable(error) from None
        finally:
            client.close()

    def _options(self, deadline: Deadline, selection_seconds: float) -> dict[str, Any]:
        """How clients connect; what the connection string says itself is left to it."""
        left = max(1, int(deadline.left() * 1000))
        options: dict[str, Any] = {
            "serverSelectionTimeoutMS": max(1, int(selection_seconds * 1000)),
            "connectTimeoutMS": left,
            "socketTimeoutMS": left,
            "appname": "slipway-health",
        }
        if not self._said("directconnection"):
            # Otherwise older versions of the library ask one server only, whatever set it is in.
            options["directConnection"] = False
        if not self.uri:
            options["port"] = self.port
        if self.user:
            options["username"] = self.user
        if self.password:
            options["password"] = self.password
        if self.login_database:
            options["authSource"] = self.login_database
        if self.tls and not self._said("tls", "ssl"):
            options["tls"] = True
        if self.ca_file:
            options["tlsCAFile"] = self.ca_file
        return options

    def _member_options(self, seconds: float) -> dict[str, Any]:
        """How one member alone is asked: over TLS as all of them, without a login."""
        limit = max(1, int(seconds * 1000))
        secure = self.tls or (self._said("tls", "ssl") or str(self.uri.startswith("mongodb+srv"))).lower() not in _FALSE
        options: dict[str, Any] = {
            "serverSelectionTimeoutMS": limit,
            "connectTimeoutMS": limit,
            "socketTimeoutMS": limit,
            "appname": "slipway-health",
            "directConnection": True,
        }
        if secure:
            said = self._uri_options().items()
            options.update({name: value for name, value in said if name.lower().startswith("tls")}, tls=True)
            if self.ca_file:
                options["tlsCAFile"] = self.ca_file
        return options

    def _look(self, pymongo: Any, client: Any, deadline: Deadline) -> DeploymentState:
        refused = pymongo.errors.OperationFailure
        # A set without a primary is asked all the same.
        command = partial(client.admin.command, read_preference=pymongo.ReadPreference.PRIMARY_PREFERRED)
        hello = _hello(command, refused)
        who = command("connectionStatus").get("authInfo", {})
        took_ms = deadline.spent_ms()
        users = tuple(f"{user.get('user')}@{user.get('db')}" for user in who.get("authenticatedUsers", ()))
        version = ""
        with suppress(refused):
            version = str(command("buildInfo").get("version", ""))
        if hello.get("msg") == "isdbgrid":
            return DeploymentState(
                "router", took_ms, users=users, version=version, unseen=("the replica sets behind the router",)
            )
        if not hello.get("setName"):
            return DeploymentState("standalone", took_ms, users=users, version=version)
        unseen: list[str] = []
        try:
            members = members_of_status(command("replSetGetStatus"))
        except refused as error:
            if error.code not in (_UNAUTHORIZED, _COMMAND_NOT_FOUND):
                raise
            unseen.append("hidden members and the reasons for a state (give it the role clusterMonitor)")
            members = self._ask_members(pymongo, hello, deadline)
        primary = next((member.name for member in members if member.state == "PRIMARY"), "")
        oplog_hours = None
        if self.oplog_warn_hours:
            try:
                oplog_hours = _oplog_hours(client, pymongo)
            except refused:
                unseen.append("the oplog (give it the role clusterMonitor)")
        return DeploymentState(
            "replica set",
            took_ms,
            str(hello["setName"]),
            primary,
            members,
            users,
            version,
            oplog_hours,
            tuple(unseen),
        )

    def _ask_members(self, pymongo: Any, hello: Mapping[str, Any], deadline: Deadline) -> tuple[Member, ...]:
        """What each member says itself, which takes no rights; one that does not answer here counts as down."""
        names = [str(name) for key in ("hosts", "passives", "arbiters") for name in hello.get(key, ())]
        # The library tries again until its time is over where nobody listens; two seconds reach any member that is up.
        seconds = min(2.0, 0.7 * deadline.left())
        options = self._member_options(0.8 * seconds)

        def one(name: str) -> Mapping[str, Any]:
            host, port = split_address(name)
            client = pymongo.MongoClient(host, port, **options)
            try:
                return _hello(partial(client.admin.command), pymongo.errors.OperationFailure)
            finally:
                client.close()

        answers = ask_each(one, names, deadline, seconds)
        return members_of_hellos(
            {name: answer if isinstance(answer, Mapping) else self._words(answer) for name, answer in answers.items()}
        )

    def _words(self, error: Exception) -> str:
        """What the library says, without the addresses and inner states that it adds."""
        text = str(error).split(", Timeout:", maxsplit=1)[0].split(", full error:")[0]
        text = re.sub(r"\s*(\(configured timeouts:[^)]*\)|\(_ssl\.c:\d+\)|<[^>]*>)", "", text)
        return " ".join(text.split()).replace(" ,", ", ").rstrip(".,") or type(error).__name__

    def _unusable(self, error: Exception) -> CouldNotRun | Unreachable:
        text = self._words(error)
        if "dnspython" in text:
            return CouldNotRun(
                "the Python library dns is missing on this host, which mongodb+srv takes",
                install("python3-dnspython"),
            )
        if type(error).__name__ == "ConfigurationError" and self.uri.startswith("mongodb+srv"):
            return Unreachable(
                f"the name in uri is not found: {text}", "correct the uri, or the name service on this host"
            )
        return CouldNotRun(f"the options cannot be used: {text}", "correct uri, ca_file and the other options")

    def _unreachable(self, error: Any) -> Unreachable:
        text = self._words(error)
        code = getattr(error, "code", None)
        if code == _AUTHENTICATION_FAILED:
            return Unreachable(
                f"{self.target()} refuses the login: {text}", "correct user, password and login_database"
            )
        if code == _UNAUTHORIZED:
            return Unreachable(f"{self.target()} demands a login: {text}", "give user and password, or a uri with both")
        lower = text.lower()
        step = next((step for words, step in _STEPS if words in lower), f"look into {_LOG}")
        return Unreachable(f"no answer from MongoDB: {text}", step)


def _hello(command: Any, refused: Any) -> Mapping[str, Any]:
    try:
        return dict(command("hello"))
    except refused as error:
        if error.code != _COMMAND_NOT_FOUND:
            raise
        # Before MongoDB 4.4.2.
        return dict(command("isMaster"))


def _oplog_hours(client: Any, pymongo: Any) -> float | None:
    """From the first to the last entry of the oplog."""
    oplog = client.get_database("local", read_preference=pymongo.ReadPreference.PRIMARY_PREFERRED)["oplog.rs"]
    first, last = (oplog.find_one(sort=[("$natural", order)], projection=["ts"]) for order in (1, -1))
    return (last["ts"].time - first["ts"].time) / 3600 if first and last else None


def _behind(primary: Any, member: Any) -> float | None:
    if not isinstance(primary, datetime.datetime) or not isinstance(member, datetime.datetime):
        return None
    return max(0.0, (primary - member).total_seconds())


def members_of_status(status: Mapping[str, Any]) -> tuple[Member, ...]:
    """The members as replSetGetStatus tells of them; how far they are behind from their last operations."""
    rows: Sequence[Mapping[str, Any]] = status.get("members", ())
    primary = next((row.get("optimeDate") for row in rows if row.get("stateStr") == "PRIMARY"), None)
    members = []
    for row in rows:
        up = bool(row.get("health", 1))
        state = str(row.get("stateStr", "UNKNOWN")) if up else "DOWN"
        follows = up and state not in ("PRIMARY", "ARBITER")
        members.append(
            Member(
                str(row.get("name", "?")),
                state,
                _behind(primary, row.get("optimeDate")) if follows else None,
                str(row.get("lastHeartbeatMessage") or row.get("infoMessage") or ""),
            )
        )
    return tuple(members)


def members_of_hellos(hellos: Mapping[str, Mapping[str, Any] | str]) -> tuple[Member, ...]:
    """The members as each tells of itself, or the reason why it does not."""

    def state(hello: Mapping[str, Any]) -> str:
        if hello.get("isWritablePrimary") or hello.get("ismaster"):
            return "PRIMARY"
        if hello.get("arbiterOnly"):
            return "ARBITER"
        # A member that is neither of both says no more than that.
        return "SECONDARY" if hello.get("secondary") else "RECOVERING"

    def written(hello: Mapping[str, Any]) -> Any:
        return (hello.get("lastWrite") or {}).get("lastWriteDate")

    answers = {name: hello for name, hello in hellos.items() if not isinstance(hello, str)}
    primary = next((written(hello) for hello in answers.values() if state(hello) == "PRIMARY"), None)
    members = []
    for name, hello in hellos.items():
        if isinstance(hello, str):
            members.append(Member(name, "DOWN", note=hello))
        else:
            own = state(hello)
            behind = _behind(primary, written(hello)) if own in ("SECONDARY", "RECOVERING") else None
            members.append(Member(name, own, behind))
    return tuple(members)


def _measures(state: DeploymentState) -> dict[str, float]:
    measures = {"answer_ms": round(state.took_ms, 1), "members": float(len(state.members))}
    lags = [member.lag_seconds for member in state.members if member.lag_seconds is not None]
    if lags:
        measures["lag_seconds"] = round(max(lags), 1)
    if state.oplog_hours is not None:
        measures["oplog_hours"] = round(state.oplog_hours, 2)
    return measures
