# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell whether a stack works, from many typed checks at once; the work is done in module_utils/health."""

from __future__ import annotations

DOCUMENTATION = r"""
module: health_check
short_description: Tell whether a stack works, from many typed checks at once
version_added: 0.1.0
author: slipway.stack founders (@slipway)
description:
  - Runs a list of checks side by side, each within its own time, and decides when all of them are done.
  - Every check returns evidence, that is what was seen, what was wanted, how long it took, and what to do next.
  - All checks are validated before the first one runs; everything that is wrong with them is said in one message.
  - A check that cannot run, for want of a library for instance, is C(unknown). It never counts as passed.
  - Passwords, tokens and cookies in checks are masked in everything that is returned or logged.
options:
  checks:
    description:
      - The checks to run. Each is a dictionary with a C(type) and the options of that type.
      - C(http) sends a request to C(url) and looks at status, text, headers, JSON values and time.
      - C(websocket) opens one at C(url) and sends a ping, and a message where C(send) or C(expect) is given.
      - C(tcp) connects to C(host) and C(port).
      - C(tls) looks at the certificate's chain, name and expiry, and at the oldest protocol that is accepted.
      - C(postgresql) logs in and looks at role, connections, replication, sessions, settings that wait for a restart,
        wraparound and archiving, and at the value that a C(query) returns. What its role may not see is named.
        It needs psycopg2 on the target.
      - C(redis) logs in to one server and looks at role, memory, clients, persistence and replication.
        It needs redis-py on the target.
      - C(redis_cluster) asks all nodes of a cluster, from any of C(nodes), and looks at slots, members, replicas, and
        whether all nodes agree. It needs redis-py on the target.
      - C(mongodb) logs in to a deployment, by C(uri) or C(host), and looks at TLS, primary, members and their lag.
        It needs PyMongo on the target.
      - C(systemd) looks at a C(unit), its restarts, memory and tasks, or without one at the units that have failed.
      - C(release) looks at the release below C(root) that is current, and at the one that C(unit) runs.
      - C(firewall) looks whether the role's rules are loaded, now and at boot.
      - C(limits) looks at the limits that the nginx of an edge runs with.
      - C(host) looks at the target's disks, memory, load, open files, processes and clock, at kills for want of memory
        and at a reboot that is due.
      - C(file) looks at age, size, mode and owner of the file at C(path), or of the newest that matches.
      - C(dns) resolves C(host).
      - C(pool) looks at the members of an edge's pools, and at its maintenance pages.
      - C(traffic) looks at errors and answer times in an edge's access log.
      - All types take C(name), C(timeout_seconds) (5), C(retries), C(delay_seconds), C(successes), C(weight), C(part),
        C(application) and C(proves). The options of each type and their defaults are listed in
        U(https://github.com/slipway/stack/blob/main/docs/health.md).
    type: list
    elements: dict
    required: true
  retries:
    description: How many failed attempts of a check are forgiven.
    type: int
    default: 0
  delay_seconds:
    description: Pause between two attempts of a check.
    type: float
    default: 1
  successes:
    description: How many good attempts in a row a check needs.
    type: int
    default: 1
  parallelism:
    description: How many checks run at a time; the others wait for their turn.
    type: int
    default: 256
  fail_on:
    description:
      - The verdict that fails the task. With V(degraded) a failed stack fails it as well.
      - With V(degraded) a warning is tried again as long as there are O(retries); otherwise it counts as good.
      - With V(never) the verdict is only returned.
    type: str
    choices: [failed, degraded, never]
    default: failed
attributes:
  check_mode:
    description: Can run in check mode and return the same as without, since looking changes nothing.
    support: full
  diff_mode:
    description: Would return what has changed.
    support: none
    details: Nothing is changed.
  platform:
    description: Target systems.
    support: full
    platforms: posix
notes:
  - Run it as root where C(systemd) and C(release) checks are among the checks.
"""

EXAMPLES = r"""
- name: Wait until the application answers twice in a row
  slipway.stack.health_check:
    checks:
      - type: http
        name: shop
        url: http://127.0.0.1:3000/readyz
        json:
          status: ok
          checks.database.latency_ms: {lt: 200}
          memoryUsage: {lt: "300MB"}
          uptime: {ge: "30s"}
    retries: 30
    successes: 2

- name: Look at the edge as a client does, whatever the name service says
  slipway.stack.health_check:
    checks:
      - type: http
        url: https://shop.example.com/readyz
        connect_to: 127.0.0.1:443
        ca_file: /etc/slipway/tls/ca.crt
        crit_ms: 2000
      - type: websocket
        url: wss://shop.example.com/ws
        connect_to: 127.0.0.1:443
        ca_file: /etc/slipway/tls/ca.crt
        headers: {Origin: "https://shop.example.com"}
      - type: tls
        host: 127.0.0.1
        server_name: shop.example.com
        ca_file: /etc/slipway/tls/ca.crt

- name: Ask the databases, and decide later
  slipway.stack.health_check:
    fail_on: never
    checks:
      - type: postgresql
        host: 10.0.0.31
        database: shop
        user: shop
        password: "{{ shop_database_password }}"
        ca_file: /etc/slipway/tls/ca.crt
        writable: true
        query: SELECT count(*) FROM schema_migrations
        expect: "42"
      - type: redis
        host: 10.0.0.31
        password: "{{ redis_password }}"
        persistence: any
      - type: redis_cluster
        nodes: ["10.0.0.31:6379", "10.0.0.32:6379", "10.0.0.33:6379"]
        password: "{{ redis_password }}"
        size: 6
      - type: mongodb
        uri: "{{ crm_mongodb_uri }}"
        ca_file: /etc/ssl/certs/ca-certificates.crt
      - type: systemd
        unit: shop.service
      - type: host
        disk_warn_percent: 70
  register: health
"""

RETURN = r"""
verdict:
  description: V(healthy) where all checks passed, V(degraded) where some warn, V(failed) otherwise.
  returned: when the checks have run
  type: str
  sample: degraded
score:
  description:
    - The weighted share of what works, from 0 to 100, rounded down. 100 only where all checks passed.
    - An ok counts the check's whole weight, a warning half of it, anything else nothing.
  returned: when the checks have run
  type: int
  sample: 92
counts:
  description: How many checks ended in which way.
  returned: when the checks have run
  type: dict
  sample: {ok: 7, warning: 1, critical: 0, unknown: 0}
results:
  description: The evidence of each check, in the order of the checks.
  returned: when the checks have run
  type: list
  elements: dict
  contains:
    name:
      description: Name of the check.
      type: str
      returned: always
      sample: shop
    type:
      description: Type of the check.
      type: str
      returned: always
      sample: http
    part:
      description: Part of the stack that it belongs to.
      type: str
      returned: always
      sample: shop
    application:
      description: The application that it belongs to, or an empty text.
      type: str
      returned: always
      sample: shop
    proves:
      description: What it is proof of in an audit.
      type: list
      elements: str
      returned: always
      sample: [edge]
    target:
      description: What was looked at, without secrets.
      type: str
      returned: always
      sample: http://127.0.0.1:3000/readyz
    status:
      description: One of V(ok), V(warning), V(critical) and V(unknown).
      type: str
      returned: always
      sample: warning
    seen:
      description: What was seen.
      type: str
      returned: always
      sample: status 200 in 1312 ms
    wanted:
      description: What was wanted.
      type: str
      returned: always
      sample: status 200, less than 1000 ms
    message:
      description: What that means.
      type: str
      returned: always
      sample: the answer took 1312 ms
    next_step:
      description: What to do next, its commands between backquotes; empty where there is nothing to do.
      type: str
      returned: always
      sample: look at the load of the host (`systemd-cgtop` there), its database and what the program waits for
    measures:
      description: The numbers behind it, with their unit in their names.
      type: dict
      returned: always
      sample: {answer_ms: 1312.4, status: 200}
    weight:
      description: What the check counts in the score.
      type: float
      returned: always
      sample: 3
    duration_ms:
      description: How long the check took, all attempts and pauses included.
      type: int
      returned: always
      sample: 1313
    attempts:
      description: How many attempts there were.
      type: int
      returned: always
      sample: 1
    warn_ms:
      description: Milliseconds from which its answer is slow; 0 where that is not judged.
      type: float
      returned: always
      sample: 1000
msg:
  description: The verdict, and each problem with its next step, in one message.
  returned: always
  type: str
  sample: "degraded, score 92: 1 of 8 checks did not pass"
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.stack.plugins.module_utils.health.model import Status
from ansible_collections.slipway.stack.plugins.module_utils.health.runner import run_checks
from ansible_collections.slipway.stack.plugins.module_utils.health.secrets import mask_all, secrets_of, shown
from ansible_collections.slipway.stack.plugins.module_utils.health.specification import (
    SpecificationError,
    parse_checks,
    parse_policy,
)
from ansible_collections.slipway.stack.plugins.module_utils.health.table import known_options
from ansible_collections.slipway.stack.plugins.module_utils.health.tools import Tools
from ansible_collections.slipway.stack.plugins.module_utils.health.verdict import (
    FAIL_ON,
    fails,
    failure_message,
    summarise_results,
)


def main():
    module = AnsibleModule(
        argument_spec={
            # Secrets sit within the list, where no single option can be marked, and arguments are logged before
            # they can be looked for. So the list is kept out of the log as a whole.
            "checks": {"type": "list", "elements": "dict", "required": True, "no_log": True},
            "retries": {"type": "int", "default": 0},
            "delay_seconds": {"type": "float", "default": 1},
            "successes": {"type": "int", "default": 1},
            "parallelism": {"type": "int", "default": 256},
            "fail_on": {"type": "str", "choices": list(FAIL_ON), "default": "failed"},
        },
        supports_check_mode=True,
    )
    secrets = secrets_of(module.params["checks"])
    # What no_log collected is every word of every check; only the secrets are to be masked in the results.
    module.no_log_values = set(secrets)

    def answer(**values):
        invocation = {"module_args": {**module.params, "checks": shown(module.params["checks"], known_options())}}
        return {"changed": False, "invocation": invocation, **mask_all(values, secrets)}

    try:
        policy = parse_policy(module.params)
        checks = parse_checks(module.params["checks"])
    except SpecificationError as error:
        text = "The checks are refused, none was run:\n" + "\n".join(f"- {line}" for line in error.problems)
        module.fail_json(**answer(msg=text))

    results = run_checks(checks, Tools(), policy)
    summary = summarise_results(results)
    if all(result.status is Status.OK for result in results):
        text = f"{summary.verdict.value}, score {summary.score}: all {len(results)} checks passed"
    else:
        text = failure_message(summary, results)
    values = answer(
        msg=text,
        verdict=summary.verdict.value,
        score=summary.score,
        counts=summary.counts,
        results=[result.as_dict() for result in results],
    )
    if fails(summary.verdict, module.params["fail_on"]):
        module.fail_json(**values)
    module.exit_json(**values)


if __name__ == "__main__":
    main()
