#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Store, activate, mark, prune and remove the releases of an application."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: Store, activate, mark, prune and remove the releases of an application
version_added: 0.1.0
description:
  - Unpacks an archive that is on the host as C(releases/ID) below the application's root, if its checksum is right and
    no member of it would lie or point outside. A release is there as a whole or not at all.
  - A file that is the same in the release stored before (content, mode, owner and group) is a hard link to that one, so
    a release takes the space of what it changed.
  - Points the link C(current) to a release by one rename, so that a reader finds the old release or the new one, never
    none.
  - Remembers what was current when, and which releases were found bad, so that it is known what to go back to.
  - Removes the oldest releases beyond O(keep), never the current one, the one to go back to (RV(previous)), nor one
    that a process works in or runs a program of.
  - What an interrupted run left behind is cleaned by the next.
options:
  root:
    description:
      - Folder of the application on the host. It is created with O(owner), O(group) and mode V(0755) if missing.
    type: str
    required: true
  release:
    description:
      - Name of the release, 1 to 64 letters, digits, C(.), C(_) or C(-), beginning with a letter or digit.
      - A name stands for one archive for ever. Another archive under the same name is refused.
    type: str
    required: true
  src:
    description:
      - Path of the archive on the host, a tar file, plain or compressed with gzip, bzip2 or xz, with the program's
        files at its top. Not needed, and not read, when the release is stored already.
    type: path
  sha256:
    description: SHA-256 checksum of the archive, 64 hexadecimal digits. Required with O(src).
    type: str
  owner:
    description:
      - User that owns the release's files. Only the owner may write, so an application cannot change its own program
        if it runs as somebody else.
    type: str
    default: root
  group:
    description: Group of the release's files. It may read and execute what the owner may.
    type: str
    default: root
  activate:
    description:
      - When to let C(current) point to this release.
      - V(if_none) only when nothing is current, V(always) also when another release is, V(never) not at all.
      - A release that is marked bad does not become current. With V(always) it is refused.
    type: str
    choices: [if_none, always, never]
    default: if_none
  keep:
    description: Number of releases, at least 1, to keep stored.
    type: int
    default: 5
  state:
    description:
      - V(present) stores the release.
      - V(absent) removes it, and what is remembered of it being bad. It is refused while the release is current or in
        use.
      - V(bad) marks a stored release as one never to go to, for the O(reason) given. A mark that is there stays as it
        is, and outlives the release being pruned, for the same archive would come back under the name.
      - V(good) takes the mark away.
    type: str
    choices: [present, absent, bad, good]
    default: present
  reason:
    description: What is wrong with the release. Required with O(state=bad).
    type: str
extends_documentation_fragment:
  - slipway.stack.attributes
  - slipway.stack.fence
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
author:
  - slipway.stack founders (@slipway)
"""

EXAMPLES = r"""
- name: Store a release, and make it current on a host that has none yet
  slipway.stack.release:
    root: /srv/slipway/shop
    release: 2025-06-01.1
    src: /var/cache/slipway/shop-2025-06-01.1.tar.gz
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    group: slipway-shop

- name: Go back to a release that is stored
  slipway.stack.release:
    root: /srv/slipway/shop
    release: 2025-05-20.2
    activate: always

- name: Remember that a release does not work
  slipway.stack.release:
    root: /srv/slipway/shop
    release: 2025-06-01.1
    state: bad
    reason: answers 500 on /readyz

- name: Remove a release
  slipway.stack.release:
    root: /srv/slipway/shop
    release: 2025-05-20.2
    state: absent
"""

RETURN = r"""
current:
  description: The release that C(current) points to, null when there is none.
  returned: success
  type: str
  sample: 2025-06-01.1
previous:
  description:
    - The release to go back to, which is the last one that was current before, is still stored and is not marked bad.
    - Null when there is none.
  returned: success
  type: str
  sample: 2025-05-20.2
releases:
  description: The stored releases, the one stored last first.
  returned: success
  type: list
  elements: str
  sample: [2025-06-01.1, 2025-05-20.2]
bad:
  description: What was found wrong with releases and when, by release, also of such as were pruned since.
  returned: success
  type: dict
  sample: {2025-05-28.1: {reason: answers 500 on /readyz, at: "2025-05-28T20:04:11Z"}}
history:
  description: Which release became current when, oldest first, the last 50.
  returned: success
  type: list
  elements: dict
  sample:
    - {release: 2025-05-20.2, at: "2025-05-20T20:01:00Z"}
    - {release: 2025-06-01.1, at: "2025-06-01T20:02:13Z"}
actions:
  description: What was done, or in check mode would be, in order.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: One of C(clean), C(store), C(activate), C(mark_bad), C(mark_good), C(prune), C(remove).
      type: str
      sample: store
    release:
      description: The release that it was done to.
      returned: for all but C(clean)
      type: str
      sample: 2025-06-01.1
    path:
      description: What an interrupted run had left behind.
      returned: for C(clean)
      type: str
      sample: /srv/slipway/shop/releases/.2025-06-01.1.partial
msg:
  description: The outcome in a sentence.
  returned: always
  type: str
  sample: "shop: 2025-06-01.1 is already current, nothing to do"
"""

import errno
import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import IO, Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.accounts import unknown_accounts
from ansible_collections.slipway.stack.plugins.module_utils.deploy import release_host as host
from ansible_collections.slipway.stack.plugins.module_utils.deploy.fence import FenceError, fenced
from ansible_collections.slipway.stack.plugins.module_utils.deploy.release import (
    ACTIVATE,
    STATES,
    ReleaseError,
    State,
    Step,
    Store,
    check_root,
    describe,
    outcome,
    parse_wanted,
    plan,
    predict,
    report_bad,
    report_history,
    summary,
)
from ansible_collections.slipway.stack.plugins.module_utils.state_file import StateFileError

ARGUMENT_SPEC: dict[str, Any] = {
    "root": {"type": "str", "required": True},
    "release": {"type": "str", "required": True},
    "src": {"type": "path"},
    "sha256": {"type": "str"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "activate": {"type": "str", "choices": list(ACTIVATE), "default": "if_none"},
    "keep": {"type": "int", "default": 5},
    "state": {"type": "str", "choices": list(STATES), "default": "present"},
    "reason": {"type": "str"},
    "fence": {"type": "int"},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = run(module)
    except PermissionError as error:
        module.fail_json(msg=f"{error}; run the task with become: true")
    except (ReleaseError, FenceError, StateFileError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


def run(module: AnsibleModule) -> dict[str, Any]:
    """Read, plan and, outside check mode, apply."""
    params = module.params
    root = check_root(params["root"])
    wanted = parse_wanted(
        params["release"],
        state=params["state"],
        src=params["src"],
        sha256=params["sha256"],
        activate=params["activate"],
        keep=params["keep"],
        reason=params["reason"],
    )
    check_accounts(module, root)
    with fenced(params["fence"], check_only=module.check_mode):
        before = host.read(root)
        steps = plan(before, wanted, host.in_use(root))
        now = int(time.time())
        after = predict(before, steps, now)
        with archive(module, next((step for step in steps if isinstance(step, Store)), None)) as stream:
            if steps and not module.check_mode:
                change(module, root, before, steps, stream, now)
                after = host.read(root)
    result: dict[str, Any] = {
        "changed": bool(steps),
        "current": after.current,
        "previous": after.previous,
        "releases": [item.release for item in after.newest_first],
        "bad": report_bad(after),
        "history": report_history(after),
        "actions": describe(steps),
        "msg": outcome(root, wanted, steps, after),
    }
    if module._diff:
        result["diff"] = {
            "before_header": root,
            "after_header": root,
            "before": summary(before),
            "after": summary(after),
        }
    return result


def change(
    module: AnsibleModule, root: str, before: State, steps: Sequence[Step], stream: IO[bytes] | None, now: int
) -> None:
    """Do the steps, held against other runs on this host."""
    owner, group = module.params["owner"], module.params["group"]
    with host.locked(root, owner, group):
        if host.read(root) != before:
            raise ReleaseError(f"{root} was changed by another run on this host meanwhile; run again")
        try:
            host.apply(root, before, steps, stream, owner, group, now)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise ReleaseError(
                f"{root}: no space left on its file system ({host.free_mb(root)} MB free), so nothing is stored and"
                " everything is as it was; free space, or keep fewer releases"
            ) from error


def check_accounts(module: AnsibleModule, root: str) -> None:
    """Refuse an owner or group that is not here; in check mode an earlier task may be about to create it."""
    findings = unknown_accounts(root, module.params["owner"], module.params["group"])
    if findings and not module.check_mode:
        raise ReleaseError("\n".join(findings))
    for finding in findings:
        module.warn(f"Check mode goes on without it: {finding}")


def archive(module: AnsibleModule, store: Store | None) -> Any:
    """Return the context of the archive, opened and its checksum compared, if there is something to store."""
    if store is None:
        return nullcontext()
    src = module.params["src"]
    if src is None:
        raise ReleaseError(f"src: is missing; release {store.release} is not stored on this host, give its archive")
    try:
        return host.opened_archive(src, store.sha256)
    except FileNotFoundError as error:
        if module.check_mode:
            # An earlier task would have brought it.
            return nullcontext()
        raise ReleaseError(f"src: there is no file {src} on this host; copy the archive there first") from error


if __name__ == "__main__":
    main()
