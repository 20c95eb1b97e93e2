# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A tree of configuration files: wanted and found -> the steps between them, applied as one."""
