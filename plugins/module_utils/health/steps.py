# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands that next steps name. Each stands between backquotes, by which reports know it."""

from __future__ import annotations

RENEW = (
    "`ansible-playbook slipway.stack.site` renews it where the own authority signed it, `certbot renew` on that host"
    " where ACME did; else renew it and reload the server"
)


def site(tags: str = "") -> str:
    """Running the site playbook, or the part of it with these tags."""
    return f"`ansible-playbook slipway.stack.site --tags {tags}`" if tags else "`ansible-playbook slipway.stack.site`"


def journal(unit: str, lines: int = 50) -> str:
    """The last lines that a unit wrote; ``unit`` may be a pattern."""
    return f"`journalctl -u '{unit}' -n {lines}`" if "*" in unit else f"`journalctl -u {unit} -n {lines}`"


def log_of(application: str) -> str:
    """The log of an application of ``slipway_apps``, or of a program that nobody named."""
    return f"its log ({journal(f'slipway-{application}@*')} on its hosts)" if application else "the log of the program"


def install(package: str) -> str:
    """Installing a package on the host that runs the check."""
    return f"install it on this host: `apt-get install {package}`"
