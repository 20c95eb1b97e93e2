# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Render the files of a configuration tree here, and send them to the host in one module run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.text.converters import to_text
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template
from ansible_collections.slipway.stack.plugins.module_utils.config_tree.model import TreeError, check_path
from ansible_collections.slipway.stack.plugins.module_utils.config_tree.spec import ARGUMENT_SPEC

MODULE = "slipway.stack.config_tree"


class ActionModule(ActionBase):
    """The controller's half of the module config_tree."""

    TRANSFERS_FILES = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Validate the options, render every file, run the module."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        validation = ArgumentSpecValidator(ARGUMENT_SPEC).validate(self._task.args)
        if validation.error_messages:
            kind = "unknown options" if isinstance(validation.errors[0], UnsupportedError) else "bad options"
            raise AnsibleActionFail(f"{MODULE}: {kind}: {'; '.join(validation.error_messages)}")
        args = validation.validated_parameters
        files = [self._rendered(index, file, variables) for index, file in enumerate(args["files"])]
        result: dict[str, Any] = self._execute_module(
            module_name=MODULE, module_args=dict(args, files=files), task_vars=variables
        )
        return result

    def _update_module_args(self, module_name: str, module_args: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        """Keep the contents of the files out of the host's journal, where modules note their arguments."""
        super()._update_module_args(module_name, module_args, *args, **kwargs)
        module_args["_ansible_no_log"] = True

    def _rendered(self, index: int, file: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        try:
            dest = check_path(f"files[{index}].dest", file["dest"])
        except TreeError as error:
            raise AnsibleActionFail(str(error)) from error
        sent = {key: file[key] for key in ("dest", "content", "mode", "owner", "group", "secret")}
        if sent["content"] is None:
            template = file["template"] or f"{dest.lstrip('/')}.j2"
            sent["content"] = self._render(template, dest, {**variables, **(file["vars"] or {})})
        return sent

    def _render(self, template: str, dest: str, variables: dict[str, Any]) -> str:
        try:
            source = self._find_needle("templates", template)
        except AnsibleError as error:
            raise AnsibleActionFail(f"The template {template} for {dest} was not found.") from error
        # As ansible.builtin.template: includes are found beside the template and in the role's templates.
        roots = [*variables.get("ansible_search_path", []), self._loader.get_basedir(), str(Path(source).parent)]
        search = [path for root in roots for path in (f"{root}/templates", root)]
        variables.setdefault("ansible_managed", "Ansible managed")
        templar = self._templar.copy_with_new_env(searchpath=search, available_variables=variables)
        try:
            text = templar.template(
                trust_as_template(self._loader.get_text_file_contents(source)),
                escape_backslashes=False,
                overrides={"trim_blocks": True},
            )
        except AnsibleError as error:
            raise AnsibleActionFail(f"The template {source} for {dest} could not be rendered.") from error
        return "" if text is None else to_text(text, nonstring="simplerepr", errors="surrogate_or_strict")
