"""A browser's half of HTTPS through the edge: the shop's name, the edge's address, the stack's own authority."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass, field
from typing import Any

from tests.support.stack import Stack


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: str

    @property
    def instance(self) -> str:
        """The instance that answered, as the program says; the small server of the edges' tests calls itself member."""
        return self.headers.get("x-instance") or self.headers["x-member"]

    def json(self) -> Any:
        return json.loads(self.body)


def context(stack: Stack) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(stack.ca_file))


class _NamedConnection(http.client.HTTPSConnection):
    """Connects to one address and asks for another name, as a resolver would make it."""

    def __init__(self, name: str, address: str, tls: ssl.SSLContext, timeout: float) -> None:
        super().__init__(name, 443, timeout=timeout, context=tls)
        self._address = address
        self._tls = tls

    def connect(self) -> None:
        import socket

        plain = socket.create_connection((self._address, 443), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


@dataclass
class Client:
    """One keep-alive connection to an edge, the first unless named, with a cookie jar of one cookie line."""

    stack: Stack
    timeout: float = 10
    cookie: str = ""
    edge: str = ""
    _connection: _NamedConnection | None = field(default=None, repr=False)

    def request(self, method: str, path: str, body: Any = None) -> Answer:
        if self._connection is None:
            address = self.stack.address(self.edge) if self.edge else self.stack.edge
            self._connection = _NamedConnection(self.stack.server_name, address, context(self.stack), self.timeout)
        headers = {"Content-Type": "application/json"}
        if self.cookie:
            headers["Cookie"] = self.cookie
        try:
            self._connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = self._connection.getresponse()
            text = response.read().decode()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        found = {name.lower(): value for name, value in response.getheaders()}
        if "set-cookie" in found:
            self.cookie = found["set-cookie"].split(";")[0]
        return Answer(response.status, found, text)

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def post(self, path: str, body: Any) -> Answer:
        return self.request("POST", path, body)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
