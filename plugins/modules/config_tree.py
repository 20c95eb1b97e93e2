#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Write a tree of configuration files as one: checked as a set, swapped in as a set."""

from __future__ import annotations

DOCUMENTATION = r"""
module: config_tree
short_description: Write a tree of configuration files as one
version_added: 0.1.0
description:
  - Renders all configuration files of a program on the controller, sends them in one go, lets the program's own
    checker look at the whole set in a private folder, and only then puts them in place by rename, one after another.
  - If a checker refuses the set, or the disk is full, or anything else fails, every file is as it was before.
  - Replaces a chain of M(ansible.builtin.template), M(ansible.builtin.file) and M(ansible.builtin.copy) tasks with one
    module run, one difference and one notification.
options:
  files:
    description:
      - The files wanted.
      - A link at a destination is replaced by the file. Missing parent directories are created with mode V(0755),
        owner and group V(root).
    type: list
    elements: dict
    default: []
    suboptions:
      dest:
        description: Absolute path on the host.
        type: str
        required: true
      template:
        description:
          - Template on the controller, looked up as M(ansible.builtin.template) does (in a role, below C(templates/)).
          - Without it and without O(files[].content), the path of O(files[].dest) followed by C(.j2), so
            that a role's templates mirror the files on the host.
          - Blocks are trimmed, undefined variables are errors.
        type: str
      content:
        description: The content itself, instead of a template.
        type: str
      mode:
        description: Permissions as quoted octal digits.
        type: raw
        default: "0644"
      owner:
        description: User that owns the file.
        type: str
        default: root
      group:
        description: Group of the file.
        type: str
        default: root
      secret:
        description:
          - Whether the content is secret. A difference then says only that it changed, and what a checker prints is
            cleared of it. No file's content, secret or not, is noted in the host's journal.
        type: bool
        default: false
      vars:
        description: More variables for this file's template.
        type: dict
  directories:
    description:
      - The directories wanted.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path on the host.
        type: str
        required: true
      mode:
        description: Permissions as quoted octal digits.
        type: raw
        default: "0755"
      owner:
        description: User that owns the directory.
        type: str
        default: root
      group:
        description: Group of the directory.
        type: str
        default: root
      purge:
        description:
          - Whether to remove files and links directly in it that O(files) does not name. Directories in it stay.
        type: bool
        default: false
  absent:
    description:
      - Files and links that must not be there. A directory is refused.
    type: list
    elements: str
    default: []
  validate:
    description:
      - Checkers, run one after another when something is about to change, in check mode too.
      - A checker whose program is not on the host is an error, in check mode a warning. In check mode the refusal of a
        checker is also only a warning as long as none of the O(files) is on the host, because other things
        that the checker looks at may not be there yet either.
    type: list
    elements: dict
    default: []
    suboptions:
      argv:
        description:
          - Program and arguments. C({stage}) stands for the folder below which every one of O(files) lies at its
            destination's path.
        type: list
        elements: str
        required: true
extends_documentation_fragment:
  - slipway.stack.attributes
  - slipway.stack.attributes.action
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
  action:
    support: full
author:
  - slipway.stack founders (@slipway)
"""

EXAMPLES = r"""
- name: Configure nginx
  slipway.stack.config_tree:
    files:
      - dest: /etc/nginx/nginx.conf
      - dest: /etc/nginx/slipway/shop.conf
        template: etc/nginx/slipway/application.conf.j2
        vars:
          application: shop
    directories:
      - path: /etc/nginx/slipway
        purge: true
    absent:
      - /etc/nginx/sites-enabled/default
    validate:
      - argv: [nginx, -t, -q, -c, "{stage}/etc/nginx/nginx.conf"]
  notify: Reload nginx

- name: Give the application its environment
  slipway.stack.config_tree:
    files:
      - dest: /etc/slipway/shop.env
        content: |
          SESSION_SECRET={{ shop_session_secret }}
        mode: "0600"
        secret: true
"""

RETURN = r"""
changed_files:
  description: Files written, or given other permissions or owners.
  returned: always
  type: list
  elements: str
  sample: [/etc/nginx/nginx.conf]
changed_directories:
  description: Directories created, or given other permissions or owners.
  returned: always
  type: list
  elements: str
  sample: [/etc/nginx/slipway]
removed:
  description: Files and links removed.
  returned: always
  type: list
  elements: str
  sample: [/etc/nginx/sites-enabled/default]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.config_tree import host
from ansible_collections.slipway.stack.plugins.module_utils.config_tree.model import State, Tree, TreeError, parse_tree
from ansible_collections.slipway.stack.plugins.module_utils.config_tree.plan import (
    changed_directories,
    changed_files,
    diff,
    mask,
    plan,
    removed,
)
from ansible_collections.slipway.stack.plugins.module_utils.config_tree.spec import ARGUMENT_SPEC


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True, no_log=True)
    invocation = {"module_args": without_contents(module.params)}
    try:
        result = run(module)
    except PermissionError as error:
        module.fail_json(msg=f"{error}; run the task with become: true", invocation=invocation)
    except (TreeError, OSError) as error:
        module.fail_json(msg=str(error), invocation=invocation)
    module.exit_json(**result, invocation=invocation)


def without_contents(params: dict[str, Any]) -> dict[str, Any]:
    """Return the options without the contents of files: Ansible repeats them in results and, with -vvv, on screen."""
    files = [{**file, "content": "(not shown)"} for file in params["files"]]
    return {**params, "files": files}


def run(module: AnsibleModule) -> dict[str, Any]:
    """Read, plan, check and, outside check mode, apply."""
    params = module.params
    wanted = parse_tree(params["files"], params["directories"], params["absent"])
    tree, unknown_owners = host.resolve(wanted)
    if unknown_owners and not module.check_mode:
        raise TreeError("\n".join(unknown_owners))
    for finding in unknown_owners:
        module.warn(f"Check mode goes on without it: {finding}")
    state = host.read(tree)
    steps = plan(state, tree)
    result: dict[str, Any] = {
        "changed": bool(steps),
        "changed_files": changed_files(steps),
        "changed_directories": changed_directories(steps),
        "removed": removed(steps),
    }
    if module._diff:
        result["diff"] = diff(steps, state)
    if steps and params["validate"]:
        with host.staged(tree, state) as stage:
            for checker in params["validate"]:
                consult(module, host.check(checker["argv"], stage), tree, state)
    if steps and not module.check_mode:
        host.apply(steps)
    return result


def consult(module: AnsibleModule, verdict: host.Check, tree: Tree, state: State) -> None:
    """Raise TreeError unless the checker accepted the files, or check mode cannot know better."""
    if verdict.accepted:
        return
    if verdict.missing:
        finding = f"validate: the program {verdict.program} is not on this host"
        only_warn = module.check_mode
    else:
        finding = f"validate: {verdict.program} refused the files: {mask(verdict.output, tree)}"
        only_warn = module.check_mode and not any(state.at(file.dest).kind == "file" for file in tree.files)
    if not only_warn:
        raise TreeError(f"{finding}\nNothing was changed.")
    module.warn(f"{finding} (check mode on a host that is not set up yet: passed over)")


if __name__ == "__main__":
    main()
