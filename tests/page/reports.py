# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reports to render: made by the same function that `verify` calls, of invented results."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from ansible_collections.slipway.stack.plugins.module_utils.health.report import merge

AT = "2026-03-14T09:26:53Z"
APPS = {
    "shop": {"group": "shop", "database": True, "redis": True},
    "mailer": {"group": "shop", "kind": "worker", "redis": True},
}
GROUPS = {
    "edge1": ["edge"],
    "app1": ["shop"],
    "app2": ["shop"],
    "data1": ["postgresql", "redis"],
    "data2": ["redis"],
    "data3": ["redis"],
}
HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><!-- \u2028 {{ 7*7 }} @REPORT@ \x00 ' \" &amp; \u202e"
Result = dict[str, Any]
_dice = random.Random(4)


def result(name: str, kind: str, part: str, ms: float | None = None, status: str = "ok", **change: Any) -> Result:
    """One result of the module; with ``ms`` one that measured an answer."""
    seen = {
        "seen": f"answered in {ms} ms",
        "message": f"answered in {ms} ms",
        "wanted": "an answer in less than 1000 ms",
    }
    timed: Result = {"measures": {"answer_ms": ms}, "warn_ms": 1000, **seen} if ms else {}
    return {
        "name": name,
        "type": kind,
        "part": part,
        "target": f"target of {name}",
        "weight": 2,
        "status": status,
        "seen": "active (running), 0 restarts",
        "wanted": "active",
        "message": "active (running) for 26 s",
        "next_step": "",
        "measures": {},
        "duration_ms": round(ms or 20),
        "attempts": 1,
        "warn_ms": 0,
        **timed,
        **change,
    }


def _host() -> list[Result]:
    seen = "disk 26 % (/), memory 8 % of 1.6 GB, load 14 % a core"
    measures = {"disk_percent": 25.9, "memory_percent": 7.6, "load_percent": 14.0}
    return [
        result("resources", "host", "host", seen=seen, measures=measures, wanted="disk below 80 %, memory below 80 %"),
        result("no failed units", "systemd", "host", seen="0 failed units", wanted="no failed unit"),
    ]


def _app(ports: Sequence[int], workers: int, stores: Sequence[str]) -> list[Result]:
    found = _host()
    for port in ports:
        found += [
            result(f"shop {port}", "systemd", "shop"),
            result(f"shop {port} release", "release", "shop", seen="61d1213c732a"),
            result(f"shop {port} ready", "http", "shop", round(_dice.uniform(8, 180), 1), weight=3),
        ]
    found += [
        result("shop database", "postgresql", "postgresql", round(_dice.uniform(2, 30), 1), weight=3),
        *(result(f"shop redis {store}", "redis", "redis", round(_dice.uniform(0.4, 6), 1)) for store in stores),
        *(result(f"mailer {number + 1}", "systemd", "mailer") for number in range(workers)),
    ]
    return found


def results() -> dict[str, list[Result]]:
    """What the demo's hosts say when all is well."""
    stores = [f"{host}:{port}" for port in (6379, 6380) for host in ("data1", "data2", "data3")]
    return {
        "edge1": [
            *_host(),
            result("nginx", "systemd", "nginx"),
            result("certificate", "tls", "nginx", seen="TLSv1.3, valid for 365 days", measures={"days_left": 365.0}),
            result("shop through the edge", "http", "shop", 109.4, weight=3),
            result("shop /ws through the edge", "websocket", "shop", 106.0, weight=3),
        ],
        "app1": _app((3000, 3001), 1, stores),
        "app2": _app((3000, 3001), 1, stores),
        "data1": [*_host(), result("database shop", "postgresql", "postgresql", 4.1), *_redis()],
        "data2": [*_host(), *_redis()],
        "data3": [*_host(), *_redis()],
    }


def _redis() -> list[Result]:
    seen = "master, Redis 8.0.2, 2 ms, 1 % of 228.6 MB, cluster ok, 16384 slots, 6 nodes"
    return [
        result(
            f"redis {port}", "redis", "redis", 1.6, seen=seen, measures={"answer_ms": 1.6, "memory_bytes": 2462248.0}
        )
        for port in (6379, 6380)
    ]


def report(
    found: dict[str, list[Result] | dict[str, Any]],
    groups: dict[str, list[str]] | None = None,
    runs: int = 0,
    audit: dict[str, Any] | None = None,
    apps: Any = None,
) -> dict[str, Any]:
    """A report; ``runs`` is how many earlier ones its history holds. A host with a mapping gave no results."""
    answers = {host: {"results": own} if isinstance(own, list) else own for host, own in found.items()}
    history = []
    for run in range(runs):
        times = {
            f"{host}/{one['name']}": round(one["measures"]["answer_ms"] * _dice.uniform(0.6, 1.6), 1)
            for host, own in found.items()
            if isinstance(own, list)
            for one in own
            if "answer_ms" in one["measures"]
        }
        score = 100 if run % 7 else 92
        verdict = "healthy" if score == 100 else "degraded"
        history.append(
            {"at": f"2026-03-14T0{run // 6}:{run % 6}0:00Z", "verdict": verdict, "score": score, "answer_ms": times}
        )
    merged = merge(list(found), answers, AT, groups=groups or GROUPS, apps=apps or APPS, previous={"history": history})
    return {**merged, **({"audit": audit} if audit else {})}


def audit() -> dict[str, Any]:
    """A filled-in checklist of 58 items."""
    guides = {"S0": "Portal", "S1": "Workspace", "S2": "Editor", "S3": "CRM with websockets", "S4": "Six million users"}
    states = ["passed"] * 8 + ["not_applicable", "evidence_missing"]
    items = []
    for number in range(58):
        state = states[number % 10] if number != 20 else "failed"
        items.append(
            {
                "id": f"S{number % 5}-{number // 5 + 1}",
                "guide": f"S{number % 5}",
                "section": ("Security", "Performance", "Backups")[number // 5 % 3],
                "text": ("TLS 1.2 or newer everywhere", "Rate limits are on", "Backups are restored on a timer")[
                    number % 3
                ],
                "kind": "evidence" if state == "evidence_missing" else "automatic",
                "state": state,
                "evidence": "edge1: TLSv1.3, certificate valid for 365 days",
                "next_step": ""
                if state == "passed"
                else "set `slipway_backup_target` and run `ansible-playbook slipway.stack.site`",
            }
        )
    counts = {state: sum(item["state"] == state for item in items) for state in (*dict.fromkeys(states), "failed")}
    automatic = sum(item["kind"] == "automatic" for item in items)
    return {"counts": counts, "automatic": automatic, "guides": guides, "items": items}


def healthy() -> dict[str, Any]:
    """The demo, all well, with a history and a checklist."""
    return report(results(), runs=29, audit=audit())


def degraded() -> dict[str, Any]:
    """A slow answer and a disk that fills."""
    found = results()
    found["edge1"][4] = result(
        "shop through the edge",
        "http",
        "shop",
        1312.4,
        "warning",
        weight=3,
        wanted="status 200, less than 1000 ms",
        message="the answer took 1312 ms",
        next_step="look at `journalctl -u 'slipway-shop@*' -S -10min` on app1 and app2 and at the load of data1",
    )
    found["data2"][0].update(
        status="warning",
        message="disk / is at 84 %",
        seen="disk 84 % (/), memory 8 % of 805 MB",
        next_step="see what fills it: `du -xh --max-depth=2 / | sort -h | tail`",
        measures={"disk_percent": 84.2},
    )
    return report(found, runs=12)


def failed() -> dict[str, Any]:
    """A host that is away, an instance that is down, and a check that could not run."""
    found: dict[str, Any] = results()
    found["data1"] = {
        "unreachable": True,
        "msg": "Task failed: Failed to connect to the host via ssh: ssh: connect to host 172.28.0.13 port 22: No route",
    }
    found["app1"][2] = result(
        "shop 3000",
        "systemd",
        "shop",
        status="critical",
        seen="failed (Result: oom-kill), 4 restarts",
        message="slipway-shop@3000.service is failed (oom-kill), restarted 4 times",
        next_step="see why with `journalctl -u slipway-shop@3000 -n 50`, then `systemctl restart slipway-shop@3000`",
    )
    found["app1"][4] = result(
        "shop 3000 ready",
        "http",
        "shop",
        status="critical",
        weight=3,
        seen="no answer",
        wanted="status 200, less than 1000 ms",
        message="nothing listens on 172.28.0.11:3000",
        next_step="start it: `systemctl start slipway-shop@3000`",
        attempts=3,
        duration_ms=2014,
    )
    for host in ("app1", "app2"):
        found[host][8] = result(
            "shop database",
            "postgresql",
            "postgresql",
            status="unknown",
            weight=3,
            seen="could not run",
            message="could not run: the Python library psycopg2 is missing",
            next_step="install it: `apt-get install python3-psycopg2`",
        )
    found["data2"][0].update(
        status="warning", message="memory is at 83 % of 805 MB", next_step="see what uses it: `systemd-cgtop -m`"
    )
    return report(found, runs=20, audit=audit())


def big() -> dict[str, Any]:
    """50 hosts with 40 checks each, and all the history that a report may hold."""
    groups: dict[str, list[str]] = {}
    found: dict[str, Any] = {}
    for number in range(50):
        kind = "edge" if number < 4 else "shop" if number < 38 else "redis" if number < 46 else "monitoring"
        host = f"{kind}-{number:02}"
        groups[host] = [kind]
        found[host] = [
            result(
                f"check {check:02}",
                "http" if check % 2 else "systemd",
                ("host", "shop", "redis")[check % 3],
                round(_dice.lognormvariate(2, 1.6), 1) if check % 2 else None,
            )
            for check in range(40)
        ]
    for number, state in enumerate(("critical", "warning", "unknown") * 6):
        one = found[list(found)[number * 2 + 1]][number]
        one.update(status=state, message=f"it is {state}", next_step="look at `systemctl --failed`")
    found["shop-20"] = {"unreachable": True, "msg": "timed out"}
    found["shop-21"] = None
    return report(found, groups, runs=29, audit=audit())


def hostile() -> dict[str, Any]:
    """Texts that try to be markup, script, a comment, an object's own properties, or endless, everywhere."""
    long = "x" * 3000
    own = [
        result(
            HOSTILE,
            HOSTILE,
            HOSTILE,
            12.5,
            "critical",
            **dict.fromkeys(("target", "seen", "wanted", "message", "next_step"), HOSTILE),
        ),
        result(
            "__proto__",
            "constructor",
            "__proto__",
            measures={"__proto__": 1, "not_a_number_ms": float("nan"), HOSTILE: 2},
        ),
        result(long, "http", long, 3.5, seen=long, message=long),
        result("twice", "http", "shop", 5.0),
        result("twice", "http", "shop", 6.0, "warning"),
    ]
    checklist = audit()
    checklist["items"][0] = dict.fromkeys(checklist["items"][0], HOSTILE) | {"state": "failed"}
    return report(
        {
            HOSTILE: own,
            "__proto__": [result("a/b#c&check=d", "http", "e")],
            long: {"unreachable": True, "msg": HOSTILE},
        },
        {HOSTILE: [HOSTILE, "edge"], "__proto__": ["shop"], long: ["redis"]},
        audit=checklist,
        apps={HOSTILE: {"group": HOSTILE}, "shop": {"group": "shop", "redis": True}},
    )
