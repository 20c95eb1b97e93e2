"""Counts what a run costs: every module run, by host and role, and the time of each task."""

from __future__ import annotations

DOCUMENTATION = """
name: measure
type: aggregate
short_description: Count module runs and time
description:
  - Appends one JSON line per module run and per task to the file that E(SLIPWAY_MEASURE_FILE) names.
"""

import json
import os
import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase


def _append(entry: dict[str, Any]) -> None:
    # Workers are forked: a short line appended in one write is what they can share.
    with open(os.environ["SLIPWAY_MEASURE_FILE"], "a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def _counted(execute: Any) -> Any:
    def execute_module(self: ActionBase, *args: Any, **kwargs: Any) -> Any:
        role = self._task._role
        host = (kwargs.get("task_vars") or {}).get("inventory_hostname", "?")
        _append({"run": host, "role": role.get_name() if role else "playbook", "task": self._task.get_name()})
        return execute(self, *args, **kwargs)

    return execute_module


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "measure"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        ActionBase._execute_module = _counted(ActionBase._execute_module)
        self._task: Any = None
        self._begun = 0.0

    def _end_task(self) -> None:
        if self._task is not None:
            role = self._task._role
            seconds = time.monotonic() - self._begun
            _append({"role": role.get_name() if role else "playbook", "seconds": seconds})

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._end_task()
        self._task, self._begun = task, time.monotonic()

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self.v2_playbook_on_task_start(task, False)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._end_task()
