#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Make the archive of a release from a tarball, a directory, git, npm or S3."""

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact
short_description: Make the archive of a release from a tarball, a directory, git, npm or S3
version_added: 0.1.0
author: slipway.stack founders (@slipway)
description:
  - Makes of a source the one archive that M(slipway.stack.release) stores on every host, so that all run the same
    bytes. Run it on the controller, with C(delegate_to=localhost) where the play is for other hosts.
  - A source is built once, in a copy, and kept in O(directory). What is kept already, from the same content by the same
    commands, is neither fetched nor built again.
  - The archive depends on the names and contents of the files and on which may be executed, not on times, owners or the
    umask. So the same files give the same checksum.
  - After a failure, such as a wrong checksum or a build step that fails, nothing is kept.
options:
  source:
    description: Where the program comes from.
    type: dict
    required: true
    suboptions:
      type:
        description:
          - V(tarball) is an archive on this machine. Without O(build) and O(subdirectory) it is used where it is.
          - V(directory) is a directory on this machine.
          - V(git) is a commit of a repository. Submodules are not fetched.
          - V(npm) is a package from a registry, or from a directory on this machine.
          - V(s3) is an archive in a bucket of S3 or a compatible store.
        type: str
        choices: [tarball, directory, git, npm, s3]
        required: true
      path:
        description: Path of the tarball or directory. A relative one starts at the directory of the playbook.
        type: path
      repository:
        description: URL or path of the git repository. Credentials come from git's helpers or an SSH key.
        type: str
      ref:
        description: Tag, branch or commit. Left out, the branch that is the repository's default.
        type: str
      package:
        description: Name of the npm package, or the absolute path of its directory.
        type: str
      version:
        description: Version, range or tag of the package, such as V(1.4.0). Left out, the newest.
        type: str
      registry:
        description: URL of the npm registry. Left out, the one that npm is set up with.
        type: str
      bucket:
        description: Bucket that holds the archive.
        type: str
      key:
        description: Key of the archive in the bucket.
        type: str
      region:
        description: Region of the bucket. Left out, the one of the environment or profile.
        type: str
      endpoint_url:
        description: URL of a compatible store. Left out, the one of Amazon.
        type: str
      ca_file:
        description: File with the certificates of the authorities that the store's certificate may come from.
        type: path
      profile:
        description: Profile of C(~/.aws) whose credentials are used.
        type: str
      access_key:
        description: Access key. Left out, the environment's (C(AWS_ACCESS_KEY_ID)), the profile's or the machine's.
        type: str
      secret_key:
        description: Secret key that belongs to the access key.
        type: str
      session_token:
        description: Session token of temporary credentials.
        type: str
  sha256:
    description:
      - SHA-256 checksum that the archive must have, 64 hexadecimal digits.
      - It is that of the archive given for V(tarball) and V(s3) where nothing is built of it, and otherwise that of
        what is packed.
      - With it, an archive in a bucket that is kept already is not fetched again.
    type: str
  directory:
    description:
      - Directory of this machine that keeps the archives. A relative path starts at the directory of the playbook.
      - Not used for a tarball that is used where it is. Whatever is in it may be removed at any time.
    type: path
    default: build/artifacts
  build:
    description:
      - Commands, each a list of words, that run one after another at the top of a copy of the source.
      - They run without a shell, as the user who runs the module, with its environment.
    type: list
    elements: list
    default: []
  subdirectory:
    description: Directory of the source, after the build, whose content is packed. Left out, everything.
    type: str
  exclude:
    description:
      - Names of files and directories that are left out, wherever they are, before the build of a V(directory) and when
        packing. Of a V(git) source, C(.git) is always left out.
    type: list
    elements: str
    default: [.git]
  timeout_seconds:
    description: Time in seconds that each command, of git, npm or O(build), may take.
    type: int
    default: 1800
extends_documentation_fragment:
  - slipway.stack.attributes
attributes:
  check_mode:
    description:
      - Gets what is needed to tell whether the artifact is there, and neither builds nor keeps anything. RV(sha256) is
        null where only a build would tell it.
    support: full
  diff_mode:
    description: An archive is there or not.
    support: none
  platform:
    support: full
requirements:
  - git for sources of that type
  - npm for sources of that type
  - boto3 (Python) for sources in S3
seealso:
  - module: slipway.stack.release
"""

EXAMPLES = r"""
- name: Take a tarball that a pipeline made
  slipway.stack.artifact:
    source: {type: tarball, path: /srv/builds/shop-1.4.0.tar.gz}
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  delegate_to: localhost
  register: artifact

- name: Build a tag of a repository
  slipway.stack.artifact:
    source: {type: git, repository: "git@example.com:shop.git", ref: v1.4.0}
    build:
      - [npm, ci]
      - [npm, run, build]
    subdirectory: dist
    directory: "{{ playbook_dir }}/../build/artifacts"
  delegate_to: localhost
  register: artifact

- name: Take an archive from a bucket of a compatible store
  slipway.stack.artifact:
    source:
      type: s3
      bucket: releases
      key: shop/1.4.0.tar.gz
      endpoint_url: https://s3.example.com
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    directory: "{{ playbook_dir }}/../build/artifacts"
  delegate_to: localhost
  register: artifact
"""

RETURN = r"""
path:
  description: Absolute path of the archive on this machine.
  returned: success
  type: str
  sample: /home/ana/shop/build/artifacts/3f2a9c17b0de-8a1b2c3d4e5f.tar.gz
sha256:
  description: Its SHA-256 checksum.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
release:
  description:
    - A release's id for it, which is the first 12 digits of the commit of V(git), the version of V(npm), or 12 digits
      of a checksum.
    - Of V(directory), and of archives that are built from, the checksum is of the content and of how it is built. Of
      archives that are used as they are, it is theirs.
  returned: success
  type: str
  sample: 3f2a9c17b0de
msg:
  description: The outcome in a sentence.
  returned: always
  type: str
  sample: The artifact of git is already there, as release 3f2a9c17b0de
"""

import errno
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.slipway.stack.plugins.module_utils.deploy.artifact import (
    FIELDS,
    ArtifactError,
    parse_request,
)
from ansible_collections.slipway.stack.plugins.module_utils.deploy.artifact_host import make
from ansible_collections.slipway.stack.plugins.module_utils.deploy.artifact_s3 import BOTO3_ERROR

SOURCE: dict[str, Any] = {
    "type": {"type": "str", "choices": list(FIELDS), "required": True},
    "path": {"type": "path"},
    "repository": {"type": "str"},
    "ref": {"type": "str"},
    "package": {"type": "str"},
    "version": {"type": "str"},
    "registry": {"type": "str"},
    "bucket": {"type": "str"},
    "key": {"type": "str", "no_log": False},
    "region": {"type": "str"},
    "endpoint_url": {"type": "str"},
    "ca_file": {"type": "path"},
    "profile": {"type": "str"},
    "access_key": {"type": "str", "no_log": True},
    "secret_key": {"type": "str", "no_log": True},
    "session_token": {"type": "str", "no_log": True},
}

ARGUMENT_SPEC: dict[str, Any] = {
    "source": {"type": "dict", "required": True, "options": SOURCE},
    "sha256": {"type": "str"},
    "directory": {"type": "path", "default": "build/artifacts"},
    "build": {"type": "list", "elements": "list", "default": []},
    "subdirectory": {"type": "str"},
    "exclude": {"type": "list", "elements": "str", "default": [".git"]},
    "timeout_seconds": {"type": "int", "default": 1800},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    try:
        request = parse_request(
            params["source"],
            sha256=params["sha256"],
            build=params["build"],
            subdirectory=params["subdirectory"],
            exclude=params["exclude"],
        )
        if params["timeout_seconds"] < 1:
            raise ArtifactError(f"timeout_seconds: {params['timeout_seconds']} is out of range; expected 1 or more")
        if request.type == "s3" and BOTO3_ERROR is not None:
            module.fail_json(msg=missing_required_lib("boto3"), exception=BOTO3_ERROR)
        directory = os.path.abspath(params["directory"])  # noqa: PTH100 (a link stays one)
        made = make(request, directory, params["timeout_seconds"], module.check_mode)
    except ArtifactError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "; free space on this machine, or give another directory; nothing was kept" if full else ""
        module.fail_json(msg=f"directory: {params['directory']}: {error}{advice}")
    is_there = "is made" if made.changed else "is already there"
    module.exit_json(
        changed=made.changed,
        path=made.path,
        sha256=made.sha256,
        release=made.release,
        msg=f"The artifact of {request.type} {is_there}, as release {made.release}",
    )


if __name__ == "__main__":
    main()
