#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Store, activate, prune and remove the releases of an application."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: Store, activate, prune and remove the releases of an application
version_added: 0.1.0
description:
  - Unpacks an archive that is on the host as C(releases/ID) below the application's root, if its checksum is right and
    no member of it would lie or point outside. A release is there as a whole or not at all.
  - Points the link C(current) to a release by one rename, so that a reader finds the old release or the new one, never
    none.
  - Removes the oldest releases beyond O(keep), never the current one nor the one that was current before it.
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
      - V(absent) removes it, which is refused while it is current.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment:
  - slipway.stack.attributes
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
  description: The release that was current before, null when there was none or it is no longer stored.
  returned: success
  type: str
  sample: 2025-05-20.2
releases:
  description: The stored releases, the one stored last first.
  returned: success
  type: list
  elements: str
  sample: [2025-06-01.1, 2025-05-20.2]
actions:
  description: What was done, or in check mode would be, in order.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: One of C(clean), C(store), C(activate), C(prune), C(remove).
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

import time
from contextlib import nullcontext
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.accounts import unknown_accounts
from ansible_collections.slipway.stack.plugins.module_utils.deploy import release_host as host
from ansible_collections.slipway.stack.plugins.module_utils.deploy.release import (
    ACTIVATE,
    ReleaseError,
    Store,
    check_root,
    describe,
    outcome,
    parse_wanted,
    plan,
    predict,
    summary,
)

ARGUMENT_SPEC: dict[str, Any] = {
    "root": {"type": "str", "required": True},
    "release": {"type": "str", "required": True},
    "src": {"type": "path"},
    "sha256": {"type": "str"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "activate": {"type": "str", "choices": list(ACTIVATE), "default": "if_none"},
    "keep": {"type": "int", "default": 5},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = run(module)
    except PermissionError as error:
        module.fail_json(msg=f"{error}; run the task with become: true")
    except (ReleaseError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


def run(module: AnsibleModule) -> dict[str, Any]:
    """Read, plan and, outside check mode, apply."""
    params = module.params
    root = check_root(params["root"])
    wanted = parse_wanted(
        params["release"],
        present=params["state"] == "present",
        src=params["src"],
        sha256=params["sha256"],
        activate=params["activate"],
        keep=params["keep"],
    )
    check_accounts(module, root)
    before = host.read(root)
    steps = plan(before, wanted)
    now = int(time.time())
    after = predict(before, steps, now)
    with archive(module, next((step for step in steps if isinstance(step, Store)), None)) as stream:
        if steps and not module.check_mode:
            with host.locked(root, params["owner"], params["group"]):
                if host.read(root) != before:
                    raise ReleaseError(f"{root} was changed by another run on this host meanwhile; run again")
                host.apply(root, steps, stream, params["owner"], params["group"], now)
            after = host.read(root)
    result: dict[str, Any] = {
        "changed": bool(steps),
        "current": after.current,
        "previous": after.previous,
        "releases": [item.release for item in after.newest_first],
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
