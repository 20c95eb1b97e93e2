"""Hooks and notifications are refused by name before a deploy begins; a URL may be a secret and is never shown."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy.surroundings import hook_findings, notify_findings


@pytest.mark.parametrize("hooks", [None, {}, {"before_batch": "a.yml", "after_contract": ["a.yml", "/b.yml"]}])
def test_sound_hooks(hooks):
    assert list(hook_findings(hooks)) == []


@pytest.mark.parametrize(
    ("hooks", "variable"),
    [
        (["a.yml"], "slipway_deploy_hooks"),
        ({"before_canary": "a.yml"}, "slipway_deploy_hooks.before_canary"),
        ({"before_batch": 5}, "slipway_deploy_hooks.before_batch"),
        ({"before_batch": ["a.yml", ""]}, "slipway_deploy_hooks.before_batch"),
    ],
)
def test_hooks_that_would_never_run(hooks, variable):
    (finding,) = hook_findings(hooks)
    assert finding.variable == variable


@pytest.mark.parametrize(
    "targets",
    [
        None,
        [],
        ["https://chat.example.org/hook/x", {"url": "http://[::1]:8080/", "events": ["failed"], "headers": {"A": "b"}}],
    ],
)
def test_sound_notifications(targets):
    assert list(notify_findings(targets)) == []


@pytest.mark.parametrize(
    ("targets", "variable"),
    [
        ("https://chat.example.org/hook/s3cr3t", "slipway_deploy_notify"),
        (["chat.example.org/hook/s3cr3t"], "slipway_deploy_notify[0].url"),
        (["https://[s3cr3t"], "slipway_deploy_notify[0].url"),
        ([{"uri": "https://chat.example.org", "url": "https://chat.example.org"}], "slipway_deploy_notify[0].uri"),
        ([{"events": []}], "slipway_deploy_notify[0].url"),
        ([{"url": "https://chat.example.org", "events": "failed"}], "slipway_deploy_notify[0].events"),
        ([{"url": "https://chat.example.org", "headers": ["s3cr3t"]}], "slipway_deploy_notify[0].headers"),
    ],
)
def test_notifications_that_would_tell_nobody(targets, variable):
    (finding,) = notify_findings(targets)
    assert finding.variable == variable
    assert "s3cr3t" not in str(finding)
