# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Text in the form of redis.conf."""

from __future__ import annotations


def quote(text: str) -> str:
    """``text`` as one quoted word of redis.conf, whatever is in it.

    Bytes that are not printable ASCII become ``\\xHH``. Raises ValueError for an empty text, which Redis takes for no
    password at all.
    """
    if not text:
        raise ValueError("an empty text: Redis would take it for no password at all")
    return '"' + "".join(_letter(byte) for byte in text.encode()) + '"'


def _letter(byte: int) -> str:
    letter = chr(byte)
    if letter in '"\\':
        return "\\" + letter
    return letter if 32 <= byte < 127 else f"\\x{byte:02x}"
