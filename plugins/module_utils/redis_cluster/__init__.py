# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Redis Cluster: what was observed and what is wanted become an ordered list of actions."""
