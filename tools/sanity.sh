#!/usr/bin/env bash
# Runs `ansible-test sanity` on a copy of what Ansible loads (our tools and tests have ruff and mypy), since it
# wants to sit below ansible_collections and resolves links. Its pip bootstrap comes from this Python's own ensurepip: no download.
set -euo pipefail
cd "$(dirname "$0")/.."

target=build/sanity/ansible_collections/slipway/stack
mkdir -p "$target"
git ls-files --cached --others --exclude-standard -z -- galaxy.yml README.md changelogs meta playbooks plugins roles |
  while IFS= read -r -d '' file; do if [ -f "$file" ]; then printf '%s\0' "$file"; fi; done |
  tar --null -cf build/sanity/tree.tar -T -
# What an earlier run left in tests/output (its virtual environment) is kept: it saves a minute.
find "$target" -mindepth 1 -maxdepth 1 ! -name tests -exec rm -rf {} +
tar -xf build/sanity/tree.tar -C "$target"
# A repository of its own: inside ours, where build is ignored, ansible-test would find nothing.
git init --quiet "$target"
echo /tests/output > "$target/.gitignore"

# ansible-test keeps its bootstrap script, one for each version of pip that it pins, in this folder.
cache="$HOME/.ansible/test/cache"
mkdir -p "$cache"
pins=$(python -c 'import importlib.util as u; print(*u.find_spec("ansible_test").submodule_search_locations)')
grep -rhoE "pip='[0-9.]+'" "$pins/_internal/python_requirements.py" | tr -d "pi='" | sort -u | while read -r version; do
  script="$cache/get_pip_${version//./_}.py"
  [ -e "$script" ] || cp tools/ensurepip_bootstrap.py "$script"
done

cd "$target"
ansible-test sanity --venv --python "$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')" --color no "$@"
