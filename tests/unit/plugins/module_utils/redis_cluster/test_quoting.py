"""Whatever a password holds, Redis reads it back from its configuration as it is."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.quoting import quote
from hypothesis import given
from hypothesis import strategies as st


def as_redis_reads(word: str) -> bytes:
    """What Redis's sdssplitargs makes of one quoted word."""
    assert word[0] == word[-1] == '"'
    inner, found = word[1:-1], bytearray()
    while inner:
        if inner.startswith("\\x"):
            found.append(int(inner[2:4], 16))
            inner = inner[4:]
        elif inner.startswith("\\"):
            found += inner[1].encode()
            inner = inner[2:]
        else:
            assert inner[0] != '"'
            found += inner[0].encode()
            inner = inner[1:]
    return bytes(found)


@given(st.text(min_size=1))
def test_every_text_survives(text):
    word = quote(text)
    assert word.isascii()
    assert word.isprintable()
    assert as_redis_reads(word) == text.encode()


def test_no_password_is_refused():
    with pytest.raises(ValueError, match="no password at all"):
        quote("")
