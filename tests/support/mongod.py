"""A stand-in for the members of a MongoDB replica set, since no server of MongoDB can be installed for tests.

It speaks MongoDB's wire protocol (OP_MSG, and OP_QUERY for the first greeting of older clients), TLS, and the login
SCRAM-SHA-256 (RFC 7677), and answers the commands that clients greet with and that the health check asks. What it says
is in a file that is read anew for each command, so that a test can change it:

    {"set": "rs0", "status": true, "members": {"127.0.0.1:27017": {"state": "PRIMARY", "lag": 0}, ...}}

``lag`` is in seconds; ``status`` tells whether users may run replSetGetStatus; a file without ``set`` is a standalone
server. Each of ``--names`` is an address that is listened on. Needs the library bson of pymongo.
"""

from __future__ import annotations

import argparse
import base64
import datetime
import hashlib
import hmac
import json
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import bson
from bson.timestamp import Timestamp

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
ROUNDS = 4096
GREETINGS = ("hello", "ismaster", "isMaster")
WITHOUT_LOGIN = (*GREETINGS, "ping", "saslStart", "saslContinue", "connectionStatus", "buildInfo", "endSessions")


class Refused(Exception):
    """A command is answered with an error of this code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def _digest(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, "sha256").digest()


class Login:
    """The server's side of SCRAM-SHA-256 on one connection."""

    def __init__(self, user: str, password: str) -> None:
        self.user, self.password = user, password
        self.salt = os.urandom(16)
        self.first = self.server_first = ""
        self.done = False

    def start(self, payload: bytes) -> bytes:
        self.first = payload.decode().split(",", 2)[2]
        fields = dict(part.split("=", 1) for part in self.first.split(","))
        self.name = fields["n"]
        salt = base64.b64encode(self.salt).decode()
        nonce = fields["r"] + base64.b64encode(os.urandom(18)).decode()
        self.server_first = f"r={nonce},s={salt},i={ROUNDS}"
        return self.server_first.encode()

    def go_on(self, payload: bytes) -> bytes:
        if self.done:
            return b""
        without, _, proof = payload.decode().partition(",p=")
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), self.salt, ROUNDS)
        key = _digest(salted, b"Client Key")
        said = f"{self.first},{self.server_first},{without}".encode()
        signature = _digest(hashlib.sha256(key).digest(), said)
        wanted = bytes(one ^ other for one, other in zip(key, signature))
        if self.name != self.user or not hmac.compare_digest(wanted, base64.b64decode(proof)):
            raise Refused(18, "Authentication failed.")
        self.done = True
        return b"v=" + base64.b64encode(_digest(_digest(salted, b"Server Key"), said))


class Member:
    """What one member answers; ``read`` gives the state of the whole set."""

    def __init__(self, name: str, read: Callable[[], Mapping[str, Any]], user: str = "", password: str = "") -> None:
        self.name, self.read, self.user, self.password = name, read, user, password

    def answer(self, command: Mapping[str, Any], login: Login) -> dict[str, Any]:
        word = next(iter(command))
        if self.user and not login.done and word not in WITHOUT_LOGIN:
            raise Refused(13, f"Command {word} requires authentication")
        state = self.read()
        if word in GREETINGS:
            return self._hello(state, command)
        if word in ("saslStart", "saslContinue"):
            payload = (login.start if word == "saslStart" else login.go_on)(bytes(command["payload"]))
            return {"conversationId": 1, "done": login.done, "payload": payload}
        if word == "connectionStatus":
            users = [{"user": self.user, "db": "admin"}] if login.done else []
            return {"authInfo": {"authenticatedUsers": users, "authenticatedUserRoles": []}}
        if word == "buildInfo":
            return {"version": "7.0.99"}
        if word == "replSetGetStatus":
            return self._status(state)
        if word == "find":
            return self._oplog(state, command)
        if word in ("ping", "endSessions"):
            return {}
        raise Refused(59, f"no such command: '{word}'")

    def _now(self, lag: float = 0.0) -> datetime.datetime:
        return datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=lag)

    def _hello(self, state: Mapping[str, Any], command: Mapping[str, Any]) -> dict[str, Any]:
        said: dict[str, Any] = {
            "helloOk": True,
            "maxBsonObjectSize": 16777216,
            "maxMessageSizeBytes": 48000000,
            "maxWriteBatchSize": 100000,
            "localTime": self._now(),
            "logicalSessionTimeoutMinutes": 30,
            "minWireVersion": 0,
            "maxWireVersion": 21,
        }
        if "saslSupportedMechs" in command:
            said["saslSupportedMechs"] = ["SCRAM-SHA-256"]
        own = state.get("members", {}).get(self.name, {"state": "PRIMARY"})
        is_primary = own["state"] == "PRIMARY"
        said.update(isWritablePrimary=is_primary, ismaster=is_primary)
        if "set" in state:
            members = state["members"]
            primary = next((name for name, member in members.items() if member["state"] == "PRIMARY"), None)
            said.update(
                setName=state["set"],
                setVersion=1,
                secondary=own["state"] == "SECONDARY",
                hosts=list(members),
                me=self.name,
                lastWrite={"lastWriteDate": self._now(own.get("lag", 0))},
                **({"primary": primary} if primary else {}),
            )
        return said

    def _status(self, state: Mapping[str, Any]) -> dict[str, Any]:
        if "set" not in state:
            raise Refused(76, "not running with --replSet")
        if not state.get("status", True):
            raise Refused(13, "not authorized on admin to execute command { replSetGetStatus: 1 }")
        rows = []
        for name, member in state["members"].items():
            down = member["state"] == "DOWN"
            rows.append(
                {
                    "name": name,
                    "health": 0.0 if down else 1.0,
                    "stateStr": "(not reachable/healthy)" if down else member["state"],
                    "optimeDate": self._now(member.get("lag", 0)),
                    "lastHeartbeatMessage": "Connection refused" if down else "",
                    "self": name == self.name,
                }
            )
        return {"set": state["set"], "members": rows}

    def _oplog(self, state: Mapping[str, Any], command: Mapping[str, Any]) -> dict[str, Any]:
        if not state.get("status", True):
            raise Refused(13, "not authorized on local to execute command { find: 'oplog.rs' }")
        first = int(command["sort"]["$natural"]) == 1
        moment = int(self._now(3600 * state.get("oplog_hours", 48) if first else 0).timestamp())
        return {"cursor": {"id": bson.Int64(0), "ns": "local.oplog.rs", "firstBatch": [{"ts": Timestamp(moment, 1)}]}}


def _receive(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = connection.recv(count - len(data))
        if not chunk:
            raise ConnectionError
        data += chunk
    return data


def talk(connection: socket.socket, member: Member) -> None:
    """Answer one client until it leaves."""
    login = Login(member.user, member.password)
    while True:
        length, request, _, kind = struct.unpack("<iiii", _receive(connection, 16))
        body = _receive(connection, length - 16)
        # OP_MSG: flags, then a section of kind 0 with the command. OP_QUERY: flags, name, two numbers, command.
        document = body[5:] if kind == OP_MSG else body[body.index(b"\0", 4) + 9 :]
        command = bson.decode(document[: struct.unpack_from("<i", document)[0]])
        try:
            answer = {**member.answer(command, login), "ok": 1.0}
        except Refused as error:
            answer = {"ok": 0.0, "errmsg": str(error), "code": error.code}
        if kind == OP_MSG:
            reply, code = struct.pack("<IB", 0, 0) + bson.encode(answer), OP_MSG
        else:
            reply, code = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(answer), OP_REPLY
        connection.sendall(struct.pack("<iiii", 16 + len(reply), 0, request, code) + reply)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", nargs="+", required=True, metavar="HOST:PORT")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--user", default="")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    arguments = parser.parse_args()
    password = arguments.password_file.read_text().strip() if arguments.password_file else ""
    context = None
    if arguments.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.certificate, arguments.key)

    def read() -> Mapping[str, Any]:
        state: Mapping[str, Any] = json.loads(arguments.state.read_text())
        return state

    def serve(connection: socket.socket, member: Member) -> None:
        try:
            with connection:
                # A member that is down accepts nobody.
                if read().get("members", {}).get(member.name, {}).get("state") != "DOWN":
                    talk(context.wrap_socket(connection, server_side=True) if context else connection, member)
        except OSError:
            return

    def listen(name: str) -> None:
        host, _, port = name.rpartition(":")
        member = Member(name, read, arguments.user, password)
        with socket.create_server((host, int(port)), backlog=64) as listener:
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection, member), daemon=True).start()

    threads = [threading.Thread(target=listen, args=(name,)) for name in arguments.names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
