# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The production checklists of five guides, judged by what a look at the stack has found."""
