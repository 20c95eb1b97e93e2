# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The firewall of a host: rules, their nftables form, and a way to change them that locks nobody out."""
