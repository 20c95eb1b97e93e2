# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a plan does to users, and about how long it takes: what an operator reads before anything is changed."""

from __future__ import annotations

from .plan import ACTIVE, CANARY, Batch, History, Plan, members_of, migrates
from .request import MAINTENANCE

BATCH_SECONDS = 15
"""What a batch takes besides its drain: stop, switch, start, proof."""
OTHER_SECONDS = 30
"""What a deploy takes besides its batches, soak and migrations."""
MIGRATION_SECONDS = 30


def needed_seconds(made: Plan, history: History) -> int:
    """About how long it takes: what is waited for at most, and what the rest took where it was measured, in seconds."""
    request = made.request
    drain = request.drain_seconds if request.application.is_served else 0
    seconds = len(made.batches) * (drain + BATCH_SECONDS) + OTHER_SECONDS + request.announce_seconds
    if any(batch.kind == CANARY for batch in made.batches):
        seconds += request.soak_seconds
    if migrates(made, history):
        seconds += MIGRATION_SECONDS
    return seconds


def describe(made: Plan, history: History) -> list[str]:
    """The impact: what restarts, what is dropped, what waits, and about how long it takes."""
    request = made.request
    app = request.application
    now = sorted({host.current or "nothing" for host in made.hosts})
    title = f"{app.name}: {' and '.join(now)} -> {made.release}, {_count(len(made.batches))}, {request.strategy}"
    lines = [title]
    if not made.is_needed:
        return [f"{app.name}: {made.release} is what every host runs; nothing to do"]
    if made.lacking:
        lines.append(f"fetch: {', '.join(made.lacking)}")
    if migrates(made, history):
        lines.append("migrate: once, before the first batch, over a direct connection")
    if request.strategy == MAINTENANCE and app.is_served:
        lines.append("maintenance page: everybody gets 503 from it until the release is proven")
    lines += [_told(made, batch) for batch in made.batches]
    lines += [
        f"stays as it is on {edge.name}: {member.name} ({member.state}, {member.owner})"
        for edge in made.edges
        for member in edge.members
        if member.state != ACTIVE and member.owner != request.owner
    ]
    if made.left_out:
        lines.append(f"left out (--limit): {', '.join(made.left_out)}")
    if made.finishes_another:
        lines.append("takes up a run that did not end")
    lines.append("nginx is not reloaded; other applications are not touched")
    lines.append(f"takes about {needed_seconds(made, history)} s at most")
    return lines


def _count(batches: int) -> str:
    return f"{batches} batch" if batches == 1 else f"{batches} batches"


def _told(made: Plan, batch: Batch) -> str:
    request = made.request
    text = f"{batch.phase}: restarts {', '.join(members_of(batch))}"
    if not request.application.is_served:
        return (
            f"{text}, each when its work is done, at the latest after"
            f" {request.application.spec['stop_timeout_seconds']} s"
        )
    open_now = sum(
        member.websockets or 0 for edge in made.edges for member in edge.members if member.name in members_of(batch)
    )
    text += f", drained for at most {request.drain_seconds} s"
    if open_now:
        text += f"; of {open_now} websockets those still open then are dropped"
    return text + (f"; watched for {request.soak_seconds} s" if batch.kind == CANARY and request.soak_seconds else "")
