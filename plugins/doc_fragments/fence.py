# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The option fence, which modules that a deploy uses to change a host have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Description of the option."""

    DOCUMENTATION = r"""
options:
  fence:
    description:
      - Number of the lease under which this is done, RV(slipway.stack.deploy_lease#module:lease) with C(.fence).
      - The host remembers the highest number that it was told, in C(/var/lib/slipway/deploy/fence), and refuses a lower
        one, since another run has taken the lease then. While one task with a number changes the host, others with a
        number wait, up to two minutes, so that what a killed run left at work ends first.
      - Left out, nothing is checked and nothing waits.
    type: int
"""
