# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter that shows the ledger of deploys; the work is done in module_utils/deploy/history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.slipway.stack.plugins.module_utils.deploy.history import table


class FilterModule:
    """The filter that shows the ledger."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"deploy_history": table}
