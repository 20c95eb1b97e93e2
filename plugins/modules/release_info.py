#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Tell which releases of an application this host has, which is current, and which its processes run."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_info
short_description: Tell which releases of an application a host has, and which runs
version_added: 0.1.0
author: slipway.stack founders (@slipway)
description:
  - Tells which releases M(slipway.stack.release) stored below the application's root, which one the link C(current)
    names, which one there is to go back to, and which were found bad.
  - Tells which release each instance of the application's unit runs, which is another than the current one until the
    instance was started again.
options:
  root:
    description: Folder of the application on the host. On a host that has none, there are no releases.
    type: str
    required: true
  unit:
    description: Name of the application's template unit without C(@.service); without it RV(running) is empty.
    type: str
extends_documentation_fragment:
  - slipway.stack.attributes
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
  platform:
    support: full
seealso:
  - module: slipway.stack.release
"""

EXAMPLES = r"""
- name: Look at the releases of the shop
  slipway.stack.release_info:
    root: /srv/slipway/shop
    unit: slipway-shop
  register: shop

- name: Name the instances that do not run the current release
  ansible.builtin.debug:
    msg: "{{ shop.running | dict2items | rejectattr('value', 'eq', shop.current) | map(attribute='key') | list }}"
"""

RETURN = r"""
exists:
  description: Whether the application's folder is there.
  returned: success
  type: bool
  sample: true
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
  elements: dict
  contains:
    id:
      description: Its name.
      type: str
      sample: 2025-06-01.1
    sha256:
      description: SHA-256 checksum of the archive that it was stored from.
      type: str
      sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    stored_at:
      description: When it was stored, in UTC.
      type: str
      sample: "2025-06-01T20:01:40Z"
    bad:
      description: What was found wrong with it and when, null when nothing was.
      type: dict
      sample: {reason: answers 500 on /readyz, at: "2025-06-01T20:04:11Z"}
    in_use:
      description: Whether a process works in it or runs a program of it.
      type: bool
      sample: true
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
running:
  description:
    - The release that the main process of each instance that runs works in.
    - Null where it works elsewhere, as in a release that was removed.
  returned: success
  type: dict
  sample: {"3000": 2025-06-01.1, "3001": 2025-05-20.2}
free_mb:
  description: Space in MB that the file system of the folder has free.
  returned: success
  type: int
  sample: 5210
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.deploy import release_host as host
from ansible_collections.slipway.stack.plugins.module_utils.deploy.release import (
    ReleaseError,
    check_root,
    iso,
    report_bad,
    report_history,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"root": {"type": "str", "required": True}, "unit": {"type": "str"}}, supports_check_mode=True
    )
    try:
        root = check_root(module.params["root"])
        state = host.read(root)
        in_use = host.in_use(root)
        running = running_instances(module, root, module.params["unit"]) if module.params["unit"] else {}
    except PermissionError as error:
        module.fail_json(msg=f"{error}; run the task with become: true")
    except (ReleaseError, OSError) as error:
        module.fail_json(msg=str(error))
    bad = report_bad(state)
    module.exit_json(
        changed=False,
        exists=os.path.isdir(root),  # noqa: PTH112
        current=state.current,
        previous=state.previous,
        releases=[
            {
                "id": item.release,
                "sha256": item.sha256,
                "stored_at": iso(item.stored_at),
                "bad": bad.get(item.release),
                "in_use": item.release in in_use,
            }
            for item in state.newest_first
        ],
        bad=bad,
        history=report_history(state),
        running=running,
        free_mb=host.free_mb(root),
    )


def running_instances(module: AnsibleModule, root: str, unit: str) -> dict[str, str | None]:
    """Return the release of each running instance's main process; nothing where systemd does not run."""
    argv = ["systemctl", "show", "--property=Id,MainPID", f"{unit}@*.service"]
    code, out, err = module.run_command(argv)
    if code != 0:
        raise ReleaseError(f"{' '.join(argv)} failed: {err.strip() or out.strip()}")
    processes = host.main_processes(out, unit)
    return {str(instance): host.working_in(root, pid) for instance, pid in processes.items()}


if __name__ == "__main__":
    main()
