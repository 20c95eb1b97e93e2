# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The limits that nginx runs with, as its admin socket tells them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.model import CouldNotRun, Status, Unreachable
from ansible_collections.slipway.stack.plugins.module_utils.nginx.admin import AdminError, NotRunning

GENERAL = {"requests": 200, "seconds": 60, "by": "address", "dry_run": False}
TIERS = {"requests": 20, "seconds": 900, "by": "user", "tiers": {"admin": 500}, "dry_run": False}
TRIAL = {**GENERAL, "dry_run": True}


def shop(most: int = 50, **limits: Any) -> dict[str, Any]:
    return {"shop": {"connections_max": most, "limits": limits}}


@pytest.mark.parametrize(
    ("options", "seen", "status", "words"),
    [
        ({}, shop(general=GENERAL), Status.OK, "general 200 in 60 s, 50 connections"),
        ({"connections": 50}, shop(general=GENERAL), Status.OK, ""),
        ({"connections": 10}, shop(general=GENERAL), Status.WARNING, "nginx allows 50 connections"),
        ({"connections": 0}, shop(0, general=GENERAL), Status.OK, "any number of connections"),
        ({}, shop(general=TRIAL), Status.WARNING, "general only try out"),
        ({}, shop(), Status.WARNING, "no limit of requests"),
        ({"requests": False}, shop(), Status.OK, ""),
        ({}, {}, Status.CRITICAL, "nginx knows no application shop"),
    ],
)
def test_judges(
    make_check: Callable[..., Any], options: dict[str, Any], seen: dict[str, Any], status: Status, words: str
) -> None:
    outcome = make_check(type="limits", application="shop", **options).judge(seen)
    assert outcome.status is status
    assert words in outcome.message
    assert (outcome.next_step == "") is (status is Status.OK)


def test_limits_by_tier_are_counted(make_check: Callable[..., Any]) -> None:
    check = make_check(type="limits", application="shop")
    assert check.judge(shop(general=GENERAL, tiers=TIERS)).measures == {
        "limits": 2,
        "limits_by_tier": 1,
        "connections_max": 50,
    }


@pytest.mark.parametrize(("error", "raised"), [(NotRunning("gone"), Unreachable), (AdminError("no"), CouldNotRun)])
def test_an_nginx_that_does_not_tell(make_check: Callable[..., Any], error: Exception, raised: type[Exception]) -> None:
    class Mute:
        def limits(self) -> dict[str, Any]:
            raise error

    with pytest.raises(raised):
        make_check(type="limits", application="shop").look(Mute)
