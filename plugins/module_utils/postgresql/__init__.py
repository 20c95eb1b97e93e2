# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PostgreSQL's own forms (verifiers, access rules, values), and what a server lacks of what is wanted."""
