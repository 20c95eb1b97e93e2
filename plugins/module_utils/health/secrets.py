# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finding secrets in check specifications, and keeping them out of everything that is shown."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

MASK = "********"

_SECRET_NAME = re.compile(
    r"pass|secret|token|auth|cookie|session|signature|credential|api[-_]?key|private[-_]?key|access[-_]?key", re.I
)


_HARMLESS = ("authsource", "authmechanism")
"""Options of MongoDB's connection strings that only sound like secrets; ``admin`` is no word to mask everywhere."""


def is_secret_name(name: str) -> bool:
    """Whether a header, query parameter or option of this name holds a secret."""
    return bool(_SECRET_NAME.search(name)) and name.lower() not in _HARMLESS


def _of_url(text: str) -> set[str]:
    found: set[str] = set()
    # A password with characters that should have been escaped can end anywhere before the last @.
    login = re.match(r"mongodb(?:\+srv)?://(.*:.*)@", text)
    if login:
        found.add(login.group(1))
    try:
        parts = urlsplit(text)
        password, user = parts.password, parts.username
    except ValueError:
        # Not a URL that can be taken apart, so what stands before the @ is taken for a secret.
        before = re.match(r"\w+://([^@/\s]+)@", text)
        return {before.group(1)} if before else found
    if password:
        found |= {password, unquote(password)}
        joined = f"{unquote(user or '')}:{unquote(password)}"
        found.add(base64.b64encode(joined.encode()).decode())
    for name, value in parse_qsl(parts.query):
        if is_secret_name(name):
            found |= {value, quote(value), quote(value, safe="")}
    return found


def _of_header(value: str) -> set[str]:
    # "Bearer abc" must be masked where only "abc" shows up, too.
    scheme, _dummy, rest = value.partition(" ")
    return {value, rest} if scheme.lower() in ("basic", "bearer", "token", "digest") else {value}


def secrets_of(raw: Any, name: str = "") -> frozenset[str]:
    """All secrets in plain data: values under secret names, passwords and tokens within URLs.

    It takes data that has not been validated, so that a refusal of it can be masked too.
    """
    found: set[str] = set()
    if isinstance(raw, Mapping):
        for key, value in raw.items():
            # Everything below a secret name is secret: {"authorization": {"value": ...}}.
            found |= secrets_of(value, name if is_secret_name(name) else str(key))
    elif isinstance(raw, Sequence) and not isinstance(raw, (str, bytes)):
        for item in raw:
            found |= secrets_of(item, name)
    elif isinstance(raw, str):
        if is_secret_name(name):
            found |= _of_header(raw)
        if "://" in raw:
            found |= _of_url(raw)
        if name == "body":
            found.add(raw)
    elif isinstance(raw, (int, float)) and not isinstance(raw, bool) and is_secret_name(name):
        found.add(str(raw))
    return frozenset(value for value in found if value.strip())


def mask(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret in it replaced, longest first so that none is left in part."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def mask_all(value: Any, secrets: Collection[str]) -> Any:
    """Plain data with every secret in its texts replaced, keys included."""
    if isinstance(value, str):
        return mask(value, secrets)
    if isinstance(value, Mapping):
        return {mask(str(key), secrets): mask_all(item, secrets) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask_all(item, secrets) for item in value]
    return value


def mask_url(url: str) -> str:
    """A URL that can be shown: without user and password, secret query values replaced."""
    without_user = re.sub(r"(\w+://)[^@/?#\s]*@", r"\1", url)

    def pair(match: re.Match[str]) -> str:
        return f"{match.group(1)}={MASK}" if is_secret_name(unquote(match.group(1))) else match.group(0)

    before, mark, query = without_user.partition("?")
    return before + mark + re.sub(r"([^=&;#]+)=([^&;#]*)", pair, query)


def shown(raw: Any, known: Collection[str], name: str = "") -> Any:
    """Plain data as it may be shown: values under secret names and under unknown keys replaced.

    An unknown key is often a misspelt secret (``pasword``), so its value is not shown either.
    """
    if isinstance(raw, Mapping):
        return {
            str(key): MASK
            if is_secret_name(str(key)) or str(key) == "body" or (not name and str(key) not in known)
            else shown(value, known, str(key))
            for key, value in raw.items()
        }
    if isinstance(raw, Sequence) and not isinstance(raw, (str, bytes)):
        return [shown(item, known, name) for item in raw]
    if isinstance(raw, str) and "://" in raw:
        return mask_url(raw)
    return raw
