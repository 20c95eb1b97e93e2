# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Users and groups of this machine: names to numbers and back."""

from __future__ import annotations

import grp
import pwd


def user_id(owner: str) -> int:
    """Return the number of a user given by name or number.

    Raises:
        KeyError: when this machine has no user of that name.
    """
    try:
        return pwd.getpwnam(owner).pw_uid
    except KeyError:
        if owner.isdigit():
            return int(owner)
        raise


def group_id(group: str) -> int:
    """Return the number of a group given by name or number.

    Raises:
        KeyError: when this machine has no group of that name.
    """
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        if group.isdigit():
            return int(group)
        raise


def user_name(number: int) -> str:
    """Return the name of a user, or its number as text when it has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def group_name(number: int) -> str:
    """Return the name of a group, or its number as text when it has none."""
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def unknown_accounts(path: str, owner: str, group: str) -> list[str]:
    """Return a finding for the owner and for the group wanted at ``path`` that this machine does not have."""
    findings = []
    try:
        user_id(owner)
    except KeyError:
        findings.append(f"{path}: its owner {owner!r} is not a user of this host; create the user first")
    try:
        group_id(group)
    except KeyError:
        findings.append(f"{path}: its group {group!r} is not a group of this host; create the group first")
    return findings
