# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the attributes of this collection's modules mean; each module says which it has."""

from __future__ import annotations


class ModuleDocFragment:
    """Descriptions of the attributes, as sections of a module's documentation."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check mode), when in diff mode.
  platform:
    description: Target operating systems the module works on.
    platforms: posix
"""
    ACTION = r"""
options: {}
attributes:
  action:
    description: Indicates this has a corresponding action plugin, so parts of it run on the controller.
"""
