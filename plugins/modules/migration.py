#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Run a migration of an application's database once, in a unit that outlives the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: migration
short_description: Run a migration of an application's database, once
version_added: 0.1.0
author: slipway.stack founders (@slipway)
description:
  - Runs the program with which an application migrates its database, as the application's user, in a stored release,
    which need not be the current one.
  - The program runs in a transient systemd unit, C(slipway-migration-APPLICATION.service), which goes on when the
    controller dies. A later run finds it at work, waits for it, and takes its end for its own.
  - A migration that ended well is recorded on the host, by systemd itself, below
    C(/var/lib/slipway/deploy/migrations/APPLICATION/), and is not run again. Remove its record to have it run again,
    as after the database was set back to an earlier time.
  - A migration that waits for a lock makes all later queries wait behind it. PostgreSQL is therefore told to give up
    after O(lock_timeout_ms), and the migration is tried again after 1, 2, 4, 8 and 16 seconds. Nothing else is tried
    again.
  - Run it on one host only. Its program should do each step in a transaction, and pass over what the database has.
options:
  application:
    description: Name of the application.
    type: str
    required: true
  root:
    description: Folder of the application on the host, with its C(releases). Defaults to C(/srv/slipway/APPLICATION).
    type: path
  release:
    description: The stored release whose migration is run.
    type: str
    required: true
  kind:
    description:
      - V(expand) only adds, so that the old and the new release work with its result. It is run before a deploy.
      - V(contract) takes away what no release needs that runs. It is run after a deploy.
      - V(seed) fills an empty database.
      - The first two are done once for each release, a seed once for O(database).
    type: str
    choices: [expand, contract, seed]
    required: true
  command:
    description: The program and its arguments. It is started in the folder of the release, without a shell.
    type: list
    elements: str
    required: true
  user:
    description: User that the program runs as. Defaults to C(slipway-APPLICATION).
    type: str
  environment_file:
    description:
      - Absolute path of a file with variables for the program, in the form of systemd's C(EnvironmentFile=).
      - Their values are masked in the output. Without knowing which are secrets, that is all of 8 and more characters,
        but for plain words, paths and addresses.
    type: path
  database:
    description: Name of the database, which a seed is recorded for. Without it, a seed is recorded for its release.
    type: str
  timeout_seconds:
    description: Seconds, from 1, that all attempts together may take. systemd ends the program then.
    type: int
    default: 600
  lock_timeout_ms:
    description:
      - Milliseconds that a statement may wait for a lock, given to PostgreSQL's library in C(PGOPTIONS).
      - V(0) leaves the setting of the server.
    type: int
    default: 1000
  lock_retries:
    description: How often to try again when the program's output tells of a lock timeout.
    type: int
    default: 5
extends_documentation_fragment:
  - slipway.stack.attributes
  - slipway.stack.fence
attributes:
  check_mode:
    description: Says whether the migration would be run.
    support: full
  diff_mode:
    description: What a migration does to the database cannot be shown beforehand.
    support: none
  platform:
    support: full
"""

EXAMPLES = r"""
- name: Give the database what the new release needs
  slipway.stack.migration:
    application: shop
    release: 1.4.0
    kind: expand
    command: [/usr/bin/node, migrate.js, expand]
    environment_file: /etc/slipway/shop.env

- name: Fill the database, if that was never done
  slipway.stack.migration:
    application: shop
    release: 1.4.0
    kind: seed
    database: shop
    command: [bin/rails, db:seed]
    environment_file: /etc/slipway/shop.env
"""

RETURN = r"""
attempts:
  description: Attempts of this run, more than 1 where locks were held. 0 when it is done already, or another run's unit
    was found at work.
  returned: always
  type: int
  sample: 1
seconds:
  description: Seconds that this run took, pauses between attempts included.
  returned: always
  type: float
  sample: 2.31
output:
  description: The last 40 lines that the program wrote, secrets masked.
  returned: always
  type: str
  sample: applied migrations/0002_note_author.sql
unit:
  description: The unit, whose lines are in the journal.
  returned: always
  type: str
  sample: slipway-migration-shop.service
msg:
  description: The outcome in a sentence. A failure's ends with the output.
  returned: always
  type: str
  sample: "shop: the expand migration of 1.4.0 ended well after 2.3 s"
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.deploy.fence import FenceError, fenced
from ansible_collections.slipway.stack.plugins.module_utils.deploy.migration import (
    KINDS,
    Migration,
    MigrationError,
    check,
)
from ansible_collections.slipway.stack.plugins.module_utils.deploy.migration_host import Host, MigrationFailed
from ansible_collections.slipway.stack.plugins.module_utils.state_file import StateFileError

ARGUMENT_SPEC: dict[str, Any] = {
    "application": {"type": "str", "required": True},
    "root": {"type": "path"},
    "release": {"type": "str", "required": True},
    "kind": {"type": "str", "choices": list(KINDS), "required": True},
    "command": {"type": "list", "elements": "str", "required": True},
    "user": {"type": "str"},
    "environment_file": {"type": "path"},
    "database": {"type": "str"},
    "timeout_seconds": {"type": "int", "default": 600},
    "lock_timeout_ms": {"type": "int", "default": 1000},
    "lock_retries": {"type": "int", "default": 5},
    "fence": {"type": "int"},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = run(module)
    except MigrationFailed as failure:
        module.fail_json(
            msg=str(failure), attempts=failure.attempts, seconds=round(failure.seconds, 2), output=failure.output
        )
    except PermissionError as error:
        module.fail_json(msg=f"{error}; run the task with become: true")
    except (MigrationError, FenceError, StateFileError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


def run(module: AnsibleModule) -> dict[str, Any]:
    """Look whether the migration is done and, outside check mode, see to it that it is."""
    migration = asked(module.params)
    host = Host(lambda argv: module.run_command(list(argv)))
    fence = module.params["fence"]
    result: dict[str, Any] = {"changed": True, "attempts": 0, "seconds": 0.0, "output": "", "unit": migration.unit}
    if module.check_mode:
        with fenced(fence, check_only=True):
            record = host.record(migration)
        verdict = done_already(record) if record else "would be run"
        return {**result, "changed": not record, "msg": f"{migration.title} {verdict}"}
    done = host.migrate(migration, fence)
    verdict = f"ended well after {done.seconds:.1f} s" if done.changed else done_already({"at": done.at})
    if done.attempts > 1:
        verdict += f", in {done.attempts} attempts, since others held locks"
    return {
        **result,
        "changed": done.changed,
        "attempts": done.attempts,
        "seconds": round(done.seconds, 2),
        "output": done.output,
        "msg": f"{migration.title} {verdict}",
    }


def asked(params: dict[str, Any]) -> Migration:
    """The migration that the options describe. Raises MigrationError."""
    application = params["application"]
    return check(
        Migration(
            application=application,
            root=params["root"] or f"/srv/slipway/{application}",
            release=params["release"],
            user=params["user"] or f"slipway-{application}",
            command=tuple(params["command"]),
            kind=params["kind"],
            environment_file=params["environment_file"] or "",
            database=params["database"] or "",
            timeout_seconds=params["timeout_seconds"],
            lock_timeout_ms=params["lock_timeout_ms"],
            lock_retries=params["lock_retries"],
        )
    )


def done_already(record: dict[str, Any]) -> str:
    """What to say of a migration that is recorded."""
    return f"is done since {record.get('at')}, nothing to do"


if __name__ == "__main__":
    main()
