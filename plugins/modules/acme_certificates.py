#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Get certificates over ACME, and let certbot keep renewing them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: acme_certificates
short_description: Get certificates over ACME, and let certbot keep renewing them
version_added: 0.1.0
description:
  - Brings all certificates of a host to what is declared. Those that are missing, for other names, from another
    authority, of another kind of key, or overdue are asked for; those that certbot keeps under a name of ours though
    nobody declares them any more are deleted. Certificates that certbot keeps for others are left alone.
  - Answers to challenges are put below O(webroot), where a web server has to serve them at port 80 of every name.
  - O(hook) is what installs a certificate, now and after each renewal. It is also run with C(--all) at the end, so that
    a renewal whose hook failed is made good.
  - A failure leaves the files that are in use as they are.
options:
  certificates:
    description: The certificates of this host.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name; certbot knows it with C(slipway-) before it.
        type: str
        required: true
      names:
        description: Host names that it is for.
        type: list
        elements: str
        required: true
  directory_url:
    description: Address of the directory of the ACME authority.
    type: str
    default: https://acme-v02.api.letsencrypt.org/directory
  email:
    description: Address for the authority's notes, used when the account is made. Empty for none.
    type: str
    default: ""
  terms_agreed:
    description: That the authority's terms of service were read and are agreed to. Has to be V(true).
    type: bool
    required: true
  key_type:
    description: Kind of the keys.
    type: str
    choices: [ecdsa, rsa]
    default: ecdsa
  webroot:
    description: Directory of the answers to challenges.
    type: path
    default: /var/lib/slipway/acme
  authority:
    description: File of authorities, PEM, to be trusted when the ACME authority is talked to, for a private one.
    type: path
  hook:
    description: Program, without arguments, that installs certificates.
    type: path
    required: true
  certbot_directory:
    description: Where certbot keeps its certificates.
    type: path
    default: /etc/letsencrypt
extends_documentation_fragment:
  - slipway.stack.attributes
attributes:
  check_mode:
    support: full
    details: Whether O(hook) would install something is not predicted.
  diff_mode:
    support: none
  platform:
    support: full
author:
  - slipway.stack founders (@slipway)
"""

EXAMPLES = r"""
- name: Get a certificate from Let's Encrypt
  slipway.stack.acme_certificates:
    certificates:
      - name: shop
        names: [shop.example.com, www.shop.example.com]
    email: operations@example.com
    terms_agreed: true
    hook: /usr/local/lib/slipway/acme-install
"""

RETURN = r"""
issued:
  description: Certificates that were asked for, or in check mode would be.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the certificate.
      type: str
      sample: shop
    reasons:
      description: Why.
      type: list
      elements: str
      sample: [the names changed]
deleted:
  description: Names by which certbot knew certificates that it was told to forget.
  returned: always
  type: list
  elements: str
  sample: [slipway-old]
installed:
  description: What the hook said that it installed, one line each.
  returned: success, unless in check mode
  type: list
  elements: str
  sample: ["shop: /etc/slipway/tls/shop.crt is new"]
msg:
  description: What went wrong.
  returned: failure
  type: str
  sample: "shop (shop.example.com): https://acme.test/directory gave no certificate: ..."
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.tls import acme
from ansible_collections.slipway.stack.plugins.module_utils.tls.certbot import Certbot, CertbotError
from ansible_collections.slipway.stack.plugins.module_utils.tls.certificate import TIME


class Failure(Exception):
    """The message is for the operator."""


def settings_of(params: dict[str, Any]) -> acme.Settings:
    return acme.Settings(
        directory_url=params["directory_url"],
        email=params["email"],
        key_type=params["key_type"],
        webroot=params["webroot"],
        hook=params["hook"],
    )


def wanted_of(params: dict[str, Any]) -> tuple[acme.Wanted, ...]:
    if not params["terms_agreed"]:
        raise Failure(
            f"terms_agreed: false; expected true: read the terms of service of {params['directory_url']} and agree to"
            " them"
        )
    try:
        return tuple(acme.Wanted(one["name"], acme.ascii_names(one["names"])) for one in params["certificates"])
    except ValueError as error:
        raise Failure(f"certificates: {error}") from error


def apply(certbot: Certbot, action: acme.Issue | acme.Delete, settings: acme.Settings) -> None:
    try:
        if isinstance(action, acme.Delete):
            certbot.call(acme.delete_arguments(action))
        else:
            certbot.call(acme.issue_arguments(action, settings))
    except CertbotError as error:
        if isinstance(action, acme.Delete):
            raise Failure(f"certbot did not delete {action.lineage}: {acme.explain(str(error))}") from error
        raise Failure(
            f"{action.wanted.name} ({', '.join(action.wanted.names)}): {settings.directory_url} gave no certificate:"
            f" {acme.explain(str(error))}. What is in use stays. The names have to lead to an edge, port 80 open to the"
            " authority; /var/log/letsencrypt/letsencrypt.log has more"
        ) from error


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "certificates": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "names": {"type": "list", "elements": "str", "required": True},
                },
            },
            "directory_url": {"type": "str", "default": "https://acme-v02.api.letsencrypt.org/directory"},
            "email": {"type": "str", "default": ""},
            "terms_agreed": {"type": "bool", "required": True},
            "key_type": {"type": "str", "choices": ["ecdsa", "rsa"], "default": "ecdsa"},
            "webroot": {"type": "path", "default": "/var/lib/slipway/acme"},
            "authority": {"type": "path"},
            "hook": {"type": "path", "required": True},
            "certbot_directory": {"type": "path", "default": "/etc/letsencrypt"},
        },
        supports_check_mode=True,
    )
    params = module.params

    def run(words: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
        status, out, err = module.run_command(list(words), environ_update={"LC_ALL": "C.UTF-8", **environment})
        return status, f"{out}\n{err}"

    settings = settings_of(params)
    certbot = Certbot(run, params["certbot_directory"], params["authority"] or "")
    done: list[acme.Issue | acme.Delete] = []
    installed: list[str] = []

    def result() -> dict[str, Any]:
        issued = [one for one in done if isinstance(one, acme.Issue)]
        return {
            "changed": bool(done or installed),
            "issued": [{"name": one.wanted.name, "reasons": list(one.reasons)} for one in issued],
            "deleted": [one.lineage for one in done if isinstance(one, acme.Delete)],
            "installed": installed,
        }

    try:
        now = datetime.now(timezone.utc).strftime(TIME)
        actions = acme.plan(wanted_of(params), certbot.lineages(), settings, now)
        if module.check_mode:
            done += actions
        else:
            failures = []
            for action in actions:
                try:
                    apply(certbot, action, settings)
                    done.append(action)
                except Failure as failure:
                    failures.append(str(failure))
            status, output = run([params["hook"], "--all"], {})
            installed += [line for line in output.splitlines() if " is new" in line]
            if status:
                failures.append(f"{params['hook']} failed: {output.strip()}")
            if failures:
                raise Failure("\n".join(failures))
    except (Failure, OSError) as failure:
        module.fail_json(msg=str(failure), **result())
    module.exit_json(**result())


if __name__ == "__main__":
    main()
