# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Secrets are found wherever a check may hold them, and shown nowhere."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.secrets import (
    MASK,
    mask,
    mask_all,
    mask_url,
    secrets_of,
    shown,
)
from ansible_collections.slipway.stack.plugins.module_utils.health.table import known_options
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("raw", "secrets"),
    [
        ({"password": "pw1"}, {"pw1"}),
        ({"url": "https://u:p%40w@h/"}, {"p%40w", "p@w", base64.b64encode(b"u:p@w").decode()}),
        ({"url": "https://h/?a=1&api_key=k1&Token=t1"}, {"k1", "t1"}),
        ({"headers": {"Authorization": "Bearer abc", "Host": "h"}}, {"Bearer abc", "abc"}),
        ({"headers": {"Cookie": "sid=1", "X-Api-Key": "k"}}, {"sid=1", "k"}),
        ({"body": "user=a"}, {"user=a"}),
        ({"body": {"user": "a", "password": "b"}}, {"b"}),
        ({"password": {"nested": ["x1"]}}, {"x1"}),
        ({"password": 12345}, {"12345"}),
        ({"url": "http://[broken:secret1@h"}, {"[broken:secret1"}),
        ({"url": "http://h/", "timeout_seconds": 3, "name": "password"}, set()),
        (
            {"uri": "mongodb+srv://u:p%40w@h/db?authSource=admin&authMechanism=SCRAM-SHA-256"},
            {"u:p%40w", "p%40w", "p@w", base64.b64encode(b"u:p@w").decode()},
        ),
        ({"uri": "mongodb://h1:27017,h2:27017/db"}, set()),
    ],
)
def test_finds(raw: Any, secrets: set[str]) -> None:
    assert secrets_of([raw]) == secrets


@pytest.mark.parametrize("password", ["p@ss", "p/ss", "p@s/s", "a?b@c"])
def test_a_connection_string_that_is_not_escaped_shows_no_part_of_its_password(password: str) -> None:
    uri = f"mongodb://u:{password}@h1/db"
    assert password not in mask(f"cannot read {uri}", secrets_of([{"uri": uri}]))


def test_masks_the_longest_first() -> None:
    assert mask("abc and abcdef", {"abc", "abcdef"}) == f"{MASK} and {MASK}"
    assert mask_all({"abc": ["x abc", 1, None]}, {"abc"}) == {MASK: [f"x {MASK}", 1, None]}


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://u:p@h:1/x?y=1", "https://h:1/x?y=1"),
        ("https://h/?token=abc&y=1", f"https://h/?token={MASK}&y=1"),
        ("https://h/@x", "https://h/@x"),
    ],
)
def test_masks_urls(url: str, text: str) -> None:
    assert mask_url(url) == text


def test_shows_neither_secrets_nor_what_it_does_not_know() -> None:
    raw = [
        {
            "type": "http",
            "url": "https://u:s3cret@h/?token=s3cret",
            "headers": {"Authorization": "s3cret", "Host": "h"},
            "pasword": "s3cret",
            "body": "s3cret",
            "json": {"a.b": {"eq": "c"}},
        }
    ]
    view = shown(raw, known_options())
    assert "s3cret" not in json.dumps(view)
    assert view[0]["headers"]["Host"] == "h"
    assert view[0]["json"] == {"a.b": {"eq": "c"}}


@given(st.text(min_size=3), st.text(), st.text())
def test_no_masked_text_holds_the_secret(secret: str, before: str, after: str) -> None:
    if secret in MASK or MASK in secret or "*" in secret:
        return
    assert secret not in mask(before + secret + after, {secret})
