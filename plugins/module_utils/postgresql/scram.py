# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SCRAM-SHA-256 verifiers: what a server stores, so that it never sees the password (RFC 5802, RFC 7677)."""

from __future__ import annotations

import hashlib
import hmac
import re
import stringprep
import unicodedata
from base64 import b64decode, b64encode

ITERATIONS = 4096
"""PostgreSQL's own figure, and the least that RFC 7677 allows."""

SALT_BYTES = 16
"""Length of PostgreSQL's own salts."""

_FORM = re.compile(
    r"SCRAM-SHA-256\$(?P<iterations>[1-9][0-9]{0,8}):(?P<salt>[A-Za-z0-9+/]+=*)"
    r"\$(?P<stored>[A-Za-z0-9+/]+=*):(?P<server>[A-Za-z0-9+/]+=*)\Z"
)

_MAPPED_TO_SPACE = stringprep.in_table_c12
_MAPPED_TO_NOTHING = stringprep.in_table_b1
_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def verifier(password: str, salt: bytes, iterations: int = ITERATIONS) -> str:
    """The verifier of ``password`` in the form that PostgreSQL stores: ``SCRAM-SHA-256$4096:salt$stored:server``."""
    salted = hashlib.pbkdf2_hmac("sha256", prepared(password), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    return f"SCRAM-SHA-256${iterations}:{_text(salt)}${_text(stored_key)}:{_text(server_key)}"


def matches(password: str, stored: str | None) -> bool:
    """Whether ``stored`` is a SCRAM verifier of ``password``. False for md5, plain text and no password at all."""
    form = _FORM.match(stored or "")
    if form is None:
        return False
    try:
        salt = b64decode(form["salt"], validate=True)
    except ValueError:
        return False
    wanted = verifier(password, salt, int(form["iterations"]))
    return hmac.compare_digest(wanted.encode(), (stored or "").encode())


def prepared(password: str) -> bytes:
    """The password as PostgreSQL and its clients hash it: normalised by SASLprep (RFC 4013), or as it is.

    As in PostgreSQL, one that SASLprep prohibits (with a line feed in it, for one) is taken as it is.
    """
    if password.isascii() and password.isprintable():
        return password.encode()
    mapped = "".join(
        " " if _MAPPED_TO_SPACE(letter) else letter for letter in password if not _MAPPED_TO_NOTHING(letter)
    )
    normal = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if not normal or any(table(letter) for table in _PROHIBITED for letter in normal) or not _direction_allowed(normal):
        return password.encode()
    return normal.encode()


def _direction_allowed(text: str) -> bool:
    """RFC 3454, section 6: right-to-left letters not beside left-to-right ones, and first and last."""
    if not any(stringprep.in_table_d1(letter) for letter in text):
        return True
    if any(stringprep.in_table_d2(letter) for letter in text):
        return False
    return stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])


def _text(data: bytes) -> str:
    return b64encode(data).decode()
