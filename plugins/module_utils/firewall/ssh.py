# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether an operator who is in now would get in again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from .model import SSH_RULE, Policy, address_of


@dataclass(frozen=True)
class Session:
    """An SSH connection as sshd tells it: the peer's address and port, those of this host, and who logged in."""

    client: str
    client_port: int
    server: str
    server_port: int
    user: str = ""

    def __str__(self) -> str:
        return f"{self.client} {self.client_port} {self.server} {self.server_port}"

    def is_same_as(self, other: Session | None) -> bool:
        """Whether both are one TCP connection."""
        return str(self) == str(other)


def parse_session(text: str, user: str = "") -> Session | None:
    """The value of SSH_CONNECTION, or None where it is none."""
    words = text.split()
    if len(words) != 4 or not words[1].isdigit() or not words[3].isdigit():
        return None
    return Session(words[0], int(words[1]), words[2], int(words[3]), user)


def lockout(policy: Policy, session: Session) -> str | None:
    """Why the rules would drop the next connection like this one, or None where they let it in."""
    client = address_of(session.client)
    port = session.server_port
    if policy.accepts("tcp", client, port):
        return None
    ports = next((rule.ports for rule in policy.rules if rule.name == SSH_RULE), ())
    if ports != ((port, port),):
        given = f"ssh_port is {ports[0][0]}" if ports else "no rule is for SSH"
        return (
            f"{given}, but this connection came in on port {port}, which no rule opens: the next one would be "
            f"dropped. Set firewall_ssh_port to {port}, or open it in firewall_extra_rules"
        )
    return (
        f"ssh_sources leave out {client}, from where this connection came: the next one would be dropped. "
        f"Add {ip_network(client)} to firewall_ssh_sources, or connect from an address that is among them"
    )


_OTHER_WAYS = (
    "passwordauthentication",
    "kbdinteractiveauthentication",
    "gssapiauthentication",
    "hostbasedauthentication",
)
_OTHER_KEYS = ("authorizedkeyscommand", "trustedusercakeys", "authorizedprincipalscommand")


def parse_settings(text: str) -> Mapping[str, str]:
    """What ``sshd -T`` prints: a lower-case keyword and its value on each line."""
    return {key: value.strip() for key, _blank, value in (line.partition(" ") for line in text.splitlines())}


def key_files(settings: Mapping[str, str], user: str, home: str) -> tuple[str, ...]:
    """The files of authorised keys that sshd looks at for ``user``."""
    found = []
    for pattern in settings.get("authorizedkeysfile", "").split():
        if pattern == "none":
            continue
        path = pattern.replace("%%", "\0").replace("%h", home).replace("%u", user).replace("\0", "%")
        found.append(path if path.startswith("/") else f"{home}/{path}")
    return tuple(found)


def has_key(text: str) -> bool:
    """Whether a file of authorised keys has one."""
    return any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines())


def keyless(settings: Mapping[str, str], user: str, files: tuple[str, ...], found: bool) -> str | None:
    """Why ``user`` could not log in anew, or None. ``found``: one of ``files`` has a key."""
    if found or any(settings.get(way) == "yes" for way in _OTHER_WAYS):
        return None
    if any(settings.get(way, "none") != "none" for way in _OTHER_KEYS):
        return None
    return (
        f"{user} has no authorised key (looked for in {', '.join(files) or 'no file'}), and sshd takes nothing else: "
        f"the next connection would be refused, whatever the firewall lets in. Add the key of {user} there"
    )
