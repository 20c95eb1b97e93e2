#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Judge the SQL migrations in a release's archive with squawk."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sql_lint
short_description: Judge the SQL migrations in a release's archive
version_added: 0.1.0
author: slipway.stack founders (@slipway)
description:
  - Runs squawk, a linter of PostgreSQL migrations, over SQL files in a release's archive, and tells what would lock a
    table for long, or break the code of the release that runs.
  - Runs on the controller, where the archive is and squawk is installed (C(pip install squawk-cli)). Where it is not,
    nothing is judged, and a warning says so.
  - Findings do not fail the task.
  - What squawk says of C(lock_timeout) and C(statement_timeout) is left out, since M(slipway.stack.migration) sees to
    both. A comment C(-- squawk-ignore RULE) above a statement takes its finding out.
options:
  artifact:
    description: Path of the archive, a tar file, plain or compressed with gzip, bzip2 or xz.
    type: path
    required: true
  files:
    description: Globs of the SQL files in the archive. C(*) stays within a folder, C(**/) stands for any folders.
    type: list
    elements: str
    default: [migrations/*.sql]
  known:
    description:
      - Paths of files, as in the archive, that are not judged, such as those that the current release has too.
    type: list
    elements: str
    default: []
  ignore:
    description: Rules of squawk that are left out.
    type: list
    elements: str
    default: []
  postgresql_version:
    description: Version of PostgreSQL to judge for. Some statements lock less in newer versions.
    type: str
extends_documentation_fragment:
  - slipway.stack.attributes
attributes:
  check_mode:
    description: Changes nothing in either mode.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
  platform:
    support: full
seealso:
  - name: Rules of squawk
    description: What each rule means, and what to write instead.
    link: https://squawkhq.com/docs/rules
"""

EXAMPLES = r"""
- name: Judge the migrations that the release which is current does not have
  slipway.stack.sql_lint:
    artifact: build/artifacts/shop-1.4.0.tar.gz
    files: [migrations/*.sql]
    known: [migrations/0001_notes.sql]
    postgresql_version: "17"
  delegate_to: localhost
  register: lint
"""

RETURN = r"""
available:
  description: Whether squawk is installed. Without it, there are no findings, whatever the files hold.
  returned: success
  type: bool
  sample: true
contract:
  description:
    - Whether there is a statement after which the code of an older release can fail, as one does that drops or renames
      something, changes the type of a column, or wants a value where none was needed.
  returned: success
  type: bool
  sample: true
files:
  description: The files that were judged.
  returned: success
  type: list
  elements: str
  sample: [migrations/0002_note_author.sql]
findings:
  description: What squawk found, ordered by file and line.
  returned: success
  type: list
  elements: dict
  contains:
    file:
      description: Path in the archive.
      type: str
      sample: migrations/0002_note_author.sql
    line:
      description: Line, from 1.
      type: int
      sample: 1
    rule:
      description: Name of squawk's rule.
      type: str
      sample: ban-drop-column
    level:
      description: V(warning), or V(error) where the file is no SQL.
      type: str
      sample: warning
    text:
      description: What is wrong, and what to do instead.
      type: str
      sample: Dropping a column may break existing clients.
    contract:
      description: Whether the code of an older release can fail after the statement.
      type: bool
      sample: true
msg:
  description: The outcome in a sentence.
  returned: success
  type: str
  sample: 2 findings in 1 SQL file, 1 of them for what can break older code
"""

import os
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.deploy.release_host import ARCHIVE_ERRORS
from ansible_collections.slipway.stack.plugins.module_utils.deploy.sql_lint import (
    Finding,
    SqlLintError,
    as_dicts,
    chosen,
    parse,
    summary,
)

ARGUMENT_SPEC: dict[str, Any] = {
    "artifact": {"type": "path", "required": True},
    "files": {"type": "list", "elements": "str", "default": ["migrations/*.sql"]},
    "known": {"type": "list", "elements": "str", "default": []},
    "ignore": {"type": "list", "elements": "str", "default": []},
    "postgresql_version": {"type": "str"},
}
INSTALL = "install it with: pip install squawk-cli"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = run(module)
    except FileNotFoundError as error:
        module.fail_json(msg=f"artifact: there is no file {error.filename} on this machine")
    except ARCHIVE_ERRORS as error:
        module.fail_json(msg=f"artifact: {module.params['artifact']} is not a whole tar archive: {error}")
    except SqlLintError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


def run(module: AnsibleModule) -> dict[str, Any]:
    """Take the files out of the archive, have them judged, and read the verdict."""
    params = module.params
    squawk = program(module)
    with tempfile.TemporaryDirectory() as folder:
        names = extract(params["artifact"], params["files"], params["known"], Path(folder))
        findings: Sequence[Finding] = judge(module, squawk, names, folder) if squawk and names else ()
    files = sorted(names.values())
    text = summary(findings, files)
    if not squawk:
        text = f"squawk is not installed here, so {len(files)} SQL files were not judged; {INSTALL}"
        module.warn(text)
    return {
        "changed": False,
        "available": bool(squawk),
        "contract": any(finding.contract for finding in findings),
        "files": files,
        "findings": as_dicts(findings),
        "msg": text,
    }


def program(module: AnsibleModule) -> str:
    """The path of squawk, nothing where it is not installed. pip puts it beside the Python that Ansible runs with."""
    beside = [str(Path(sys.executable).parent), sysconfig.get_path("scripts", f"{os.name}_user")]
    return str(module.get_bin_path("squawk", opt_dirs=beside) or "")


def extract(artifact: str, globs: Sequence[str], known: Sequence[str], folder: Path) -> dict[str, str]:
    """Write the chosen files into ``folder`` under plain names; returns what each is called in the archive."""
    names = {}
    with tarfile.open(artifact, mode="r:*") as archive:
        members = {member.name: member for member in archive if member.isreg()}
        for number, name in enumerate(chosen(members, globs, known)):
            content = archive.extractfile(members[name])
            if content is not None:
                (folder / f"{number:05}.sql").write_bytes(content.read())
                names[f"{number:05}.sql"] = os.path.normpath(name)
    return names


def judge(module: AnsibleModule, squawk: str, names: dict[str, str], folder: str) -> tuple[Finding, ...]:
    """Run squawk in the folder of the files. It ends with 1 when it found something."""
    command = [squawk, "--reporter", "json", "--assume-in-transaction"]
    if module.params["postgresql_version"]:
        command.append(f"--pg-version={module.params['postgresql_version']}")
    code, out, err = module.run_command([*command, *names], cwd=folder)
    if code not in (0, 1) or not out.strip():
        raise SqlLintError(f"squawk failed with exit code {code}: {err.strip() or out.strip()}")
    return parse(out, names, module.params["ignore"])


if __name__ == "__main__":
    main()
