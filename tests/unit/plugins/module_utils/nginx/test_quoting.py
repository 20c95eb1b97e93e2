"""Strings and snippets of nginx's configuration, read back as nginx reads them."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.nginx.quoting import quotable, quoted, snippet
from hypothesis import given
from hypothesis import strategies as st


class Mark(str):
    """One of ``;{}`` that is not in quotes."""


def words(text: str) -> list[str]:
    """Words and marks, after nginx's ngx_conf_read_token; ValueError where it does not go on."""
    found, word, position, start = [], "", 0, True
    while position < len(text):
        character = text[position]
        if start and character.isspace():
            position += 1
        elif start and character == "#":
            position = text.find("\n", position)
            if position < 0:
                break
        elif start and character in ";{}":
            found.append(Mark(character))
            position += 1
        elif start and character in "\"'":
            word, position = "", position + 1
            while True:
                if position >= len(text):
                    raise ValueError("a quote is not closed")
                if text[position] == "\\" and position + 1 < len(text):
                    pair = text[position : position + 2]
                    word += pair[1] if pair[1] in "\"'\\" else pair
                    position += 2
                    continue
                if text[position] == character:
                    break
                word += text[position]
                position += 1
            position += 1
            found.append(word)
        elif not start and (character.isspace() or character in ";{"):
            found.append(word)
            word, start = "", True
        else:
            start = False
            step = 2 if character == "\\" or text[position : position + 2] == "${" else 1
            word += text[position : position + step]
            position += step
    return [*found, word] if not start else found


@given(st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=40))
def test_a_quoted_string_is_one_word_with_the_same_text(text):
    if quotable(text):
        assert words(quoted(text) + ";") == [text, ";"]
    else:
        with pytest.raises(ValueError, match="cannot be a string of nginx"):
            quoted(text)


@pytest.mark.parametrize("text", ["a\nb", "$host", "\0", "é", None, 3])
def test_what_would_not_stay_a_string_is_refused(text):
    assert not quotable(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing",
        "gzip off;",
        'location = /raw {\n    return 200 "}{";\n}',
        'set $a "b;}"; # it\'s fine }',
        "set $a '}';",
        "set $a ${b}c;",
        "rewrite ^/a$ /b;",
        "content_by_lua_block { ngx.say('}') -- don't }",
    ],
)
def test_snippets_that_stay_in_their_block_are_taken(text):
    assert snippet(text)


@pytest.mark.parametrize(
    "text",
    ["gzip off", "gzip off; }", "} server { listen 81;", "location / {", 'set $a "b;', "gzip }", "{}}{", 3, None],
)
def test_snippets_that_would_leave_their_block_are_refused(text):
    assert not snippet(text)


@given(st.text(st.sampled_from(list("ab {};\"'\\#\n$")), max_size=24))
def test_no_snippet_that_is_taken_reaches_what_is_around_it(text):
    if not snippet(text):
        return
    depth = 0
    read = words(f"server {{\n{text}\n}}")
    assert read[:2] == ["server", "{"]
    for number, word in enumerate(read[1:]):
        depth += {"{": 1, "}": -1}.get(word, 0) if isinstance(word, Mark) else 0
        assert depth > 0 or number == len(read) - 2
    assert depth == 0
