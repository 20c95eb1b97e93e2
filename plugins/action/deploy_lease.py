# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs the module deploy_lease for this controller's process, and takes the lease of one of its processes that died."""

from __future__ import annotations

import getpass
import multiprocessing
import os
import platform
from dataclasses import asdict
from datetime import datetime, timezone
from secrets import token_hex
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.slipway.stack.plugins.module_utils.deploy.process import gone, identify, parse

MODULE = "slipway.stack.deploy_lease"

RUN = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{token_hex(2)}"
"""Id of this run of Ansible: made when its main process first meets this plugin, and inherited by the children."""


class ActionModule(ActionBase):
    """The controller's half of the module deploy_lease."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        args["run"] = args.get("run") or RUN
        if args.get("state") == "taken":
            args["owner"] = args.get("owner") or f"{_user()}@{platform.node()}"
        process = identify(_controller())
        args["process"] = asdict(process) if process else None
        result: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=args, task_vars=task_vars)
        holder = result.get("holder")
        if holder and args.get("state") == "taken":
            process = parse(holder["process"])
            if process and gone(process):
                args["dead_run"] = holder["run"]
                result = self._execute_module(module_name=MODULE, module_args=args, task_vars=task_vars)
        return result


def _controller() -> int:
    """Return the number of the process that runs the playbook, of which actions run in children."""
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        return os.getpid()
    if parent.pid != os.getppid():
        raise AnsibleActionFail("The process that ran this playbook is gone; nothing was asked for in its name.")
    return parent.pid


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
