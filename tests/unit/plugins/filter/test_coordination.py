"""The host at which runs meet is the same for all of them, whatever they are limited to."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.stack.plugins.filter.topology import coordination

GROUPS = {"all": ["data1", "edge1", "edge2"], "edge": ["edge1", "edge2"]}


def asked(groups: dict[str, list[str]] = GROUPS, **variables: Any) -> dict[str, str]:
    return coordination({"data1": variables}, groups, "data1")


def test_the_first_edge_is_it_unless_another_is_named() -> None:
    assert asked()["host"] == "edge1"
    assert asked(slipway_coordination_host="data1")["host"] == "data1"
    assert asked({"all": ["data1", "data2"], "edge": []})["host"] == "data1"


def test_a_host_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(AnsibleFilterError, match=r"slipway_coordination_host: 'edge9'.*expected one of data1, edge1"):
        asked(slipway_coordination_host="edge9")


def test_the_operator_is_named_or_the_controllers_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "ana")
    monkeypatch.setattr("socket.gethostname", lambda: "laptop")
    assert asked()["operator"] == "ana@laptop"
    assert asked(slipway_operator="release pipeline 812")["operator"] == "release pipeline 812"


def test_a_user_without_a_name_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1000")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert asked()["operator"].startswith("unknown@")
