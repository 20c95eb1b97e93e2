#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Keep the static files of an application's releases where the edge serves them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: asset_store
short_description: Keep the static files of an application's releases where the edge serves them
version_added: 0.1.0
description:
  - Takes some directories of a release's archive to C(releases/ID) below O(root), and keeps in C(files) the union of
    what the kept releases have there. So a page of the release before finds its scripts and styles during a deploy and
    long after.
  - For a path that several releases have, the release that arrived last wins. Each file is put in its place by one
    rename, so that a reader finds the old file or the new one, never none or a part.
  - Nothing of the archive is taken if its checksum is wrong or a member of it would lie or point outside. Links inside
    the archive become the files that they lead to. Everybody may read the files.
  - Removes the oldest releases beyond O(keep), and from C(files) what no kept release has.
  - What an interrupted run left behind is put right by the next.
options:
  root:
    description:
      - Folder of the store on the host, for one application. It is created, owned by root, if missing.
    type: str
    required: true
  release:
    description:
      - Name of the release, 1 to 64 letters, digits, C(.), C(_) or C(-), beginning with a letter or digit.
      - A name stands for one archive for ever. Another archive under the same name is refused.
    type: str
    required: true
  directories:
    description:
      - Directories inside the release whose files are to be served, such as V(public) or V(.next/static). All must be
        in the archive. Never the whole release, since clients could read the program then.
      - A release that is kept without one of them is unpacked again; one that is kept with more stays as it is.
      - Required when O(state=present).
    type: list
    elements: str
    default: []
  src:
    description:
      - Path of the archive on the host, a tar file, plain or compressed with gzip, bzip2 or xz. Not needed, and not
        read, when the release is kept already.
    type: path
  sha256:
    description: SHA-256 checksum of the archive, 64 hexadecimal digits. Required with O(src).
    type: str
  keep:
    description: Number of releases, at least 1, to keep. The one given by O(release) is always kept.
    type: int
    default: 5
  renew:
    description:
      - Whether a release that is kept already is to count as having arrived last, as when an application goes back to
        it. Otherwise the order of arrival stays.
    type: bool
    default: false
  state:
    description:
      - V(present) keeps the release's files.
      - V(absent) removes those that no other kept release has.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment:
  - slipway.stack.attributes
  - slipway.stack.fence
attributes:
  check_mode:
    support: full
    details: While O(src) is not there yet, the actions on single files cannot be foreseen.
  diff_mode:
    support: full
  platform:
    support: full
author:
  - slipway.stack founders (@slipway)
"""

EXAMPLES = r"""
- name: Serve the static files of a release, and go on serving those of the releases before
  slipway.stack.asset_store:
    root: /srv/slipway/assets/shop
    release: 2025-06-01.1
    src: /var/cache/slipway/shop-2025-06-01.1.tar.gz
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    directories: [public, .next/static]

- name: Let the files of an earlier release win again
  slipway.stack.asset_store:
    root: /srv/slipway/assets/shop
    release: 2025-05-20.2
    directories: [public, .next/static]
    renew: true

- name: Serve no longer what only one release has
  slipway.stack.asset_store:
    root: /srv/slipway/assets/shop
    release: 2025-05-20.2
    state: absent
"""

RETURN = r"""
releases:
  description: The kept releases, the one that arrived last first.
  returned: success
  type: list
  elements: str
  sample: [2025-06-01.1, 2025-05-20.2]
files:
  description: Number of files that are served; in check mode without the archive, of those that are now.
  returned: success
  type: int
  sample: 214
needs_archive:
  description: Whether O(src) was, or in check mode would be, read.
  returned: success
  type: bool
  sample: false
actions:
  description: What was done, or in check mode would be; the work on files is summed up.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: One of C(clean), C(add), C(renew), C(prune), C(remove), C(link), C(unlink).
      type: str
      sample: add
    release:
      description: The release that it was done to.
      returned: for C(add), C(renew), C(prune) and C(remove)
      type: str
      sample: 2025-06-01.1
    files:
      description: The number of files put in their place, or removed.
      returned: for C(link) and C(unlink)
      type: int
      sample: 12
    path:
      description: What an interrupted run had left behind.
      returned: for C(clean)
      type: str
      sample: /srv/slipway/assets/shop/releases/.2025-06-01.1.partial
msg:
  description: The outcome in a sentence.
  returned: always
  type: str
  sample: "shop: 2025-06-01.1 is already there, nothing to do"
"""

import time
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.deploy import assets_host as host
from ansible_collections.slipway.stack.plugins.module_utils.deploy.assets import (
    Add,
    describe,
    outcome,
    parse_wanted,
    plan,
    predict,
    summary,
)
from ansible_collections.slipway.stack.plugins.module_utils.deploy.fence import FenceError, fenced
from ansible_collections.slipway.stack.plugins.module_utils.deploy.release import ReleaseError, check_root

ARGUMENT_SPEC: dict[str, Any] = {
    "root": {"type": "str", "required": True},
    "release": {"type": "str", "required": True},
    "directories": {"type": "list", "elements": "str", "default": []},
    "src": {"type": "path"},
    "sha256": {"type": "str"},
    "keep": {"type": "int", "default": 5},
    "renew": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "fence": {"type": "int"},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        with fenced(module.params["fence"], check_only=module.check_mode):
            result = run(module)
    except PermissionError as error:
        module.fail_json(msg=f"{error}; run the task with become: true")
    except (FenceError, ReleaseError, OSError) as error:
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
        directories=params["directories"],
        keep=params["keep"],
        renew=params["renew"],
    )
    before = host.read(root)
    steps = plan(before, wanted)
    addition = next((step for step in steps if isinstance(step, Add)), None)
    now = int(time.time())
    with archive(module, addition) as stream:
        if stream is not None:
            files = host.archive_files(stream, wanted.directories, root, before)
            wanted = replace(wanted, files=files)
            steps = plan(before, wanted)
        after = predict(before, steps, wanted.files, now)
        if steps and not module.check_mode:
            with host.locked(root):
                if host.read(root) != before:
                    raise ReleaseError(f"{root} was changed by another run on this host meanwhile; run again")
                host.apply(root, steps, before, stream, wanted.files or {}, now)
            after = host.read(root)
    result: dict[str, Any] = {
        "changed": bool(steps),
        "releases": [item.release for item in after.newest_first],
        "files": len(after.files),
        "needs_archive": addition is not None,
        "actions": describe(steps),
        "msg": outcome(root, wanted, steps, after),
    }
    if module._diff:
        result["diff"] = {
            "before_header": root,
            "after_header": root,
            "before": summary(before, steps),
            "after": summary(after, steps),
        }
    return result


def archive(module: AnsibleModule, addition: Add | None) -> Any:
    """Return the context of the archive, opened and its checksum compared, if there is something to unpack."""
    if addition is None:
        return nullcontext()
    src = module.params["src"]
    if src is None:
        if module.check_mode:
            return nullcontext()
        raise ReleaseError(f"src: is missing; release {addition.release} is not kept on this host, give its archive")
    try:
        return host.opened_archive(src, addition.sha256)
    except FileNotFoundError as error:
        if module.check_mode:
            # An earlier task would have brought it.
            return nullcontext()
        raise ReleaseError(f"src: there is no file {src} on this host; copy the archive there first") from error


if __name__ == "__main__":
    main()
