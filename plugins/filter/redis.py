# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters on Redis's forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.quoting import quote


def redis_quote(text: Any) -> str:
    """The text as one quoted word of redis.conf."""
    try:
        return quote(str(text))
    except ValueError as error:
        raise AnsibleFilterError(f"slipway.stack.redis_quote: {error}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name them."""
        return {"redis_quote": redis_quote}
