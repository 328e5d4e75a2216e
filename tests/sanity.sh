#!/usr/bin/env bash
# Checks that the READMEs of the roles are fresh. Builds the collection, installs the tarball where nothing else of this
# checkout is seen, and checks it there: ansible-test sanity, the documentation, a playbook's syntax.
set -euo pipefail
cd "$(dirname "$0")/.."
python tests/docs/role_readmes.py --check
# Outside of this checkout: ansible-test takes what git tracks for the collection's files.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The tarball: what a user gets.
ansible-galaxy collection build --force --output-path "$work" > /dev/null
tarball=$(echo "$work"/inference-fleet-*.tar.gz)
for_users='^(CHANGELOG.rst|CODE_OF_CONDUCT.md|CONTRIBUTING.md|FILES.json|LICENSE|MANIFEST.json|README.md|SECURITY.md|bindep.txt|changelogs|docs|inventories|meta|playbooks|plugins|requirements-energy.txt|requirements.yml|roles)(/|$)'
if tar -tf "$tarball" | grep -vE "$for_users"; then
    echo "tests/sanity.sh: the tarball has the files above, which are not for users (build_ignore in galaxy.yml)" >&2
    exit 1
fi
export ANSIBLE_COLLECTIONS_PATH=$work/collections
ansible-galaxy collection install --offline --no-deps --force "$tarball" --collections-path "$work/collections" > /dev/null
collection=$work/collections/ansible_collections/inference/fleet
(cd "$work" && ansible-playbook --syntax-check --inventory "$collection/inventories/example" inference.fleet.install)
antsibull-docs lint-collection-docs --plugin-docs "$collection"

# ansible-test makes ten environments, and installs pip into each with a script that it would download. This one copies
# the pip that is here, which takes a tenth of the time.
bootstrap=$HOME/.ansible/test/cache/get_pip_24_2.py
mkdir -p "$(dirname "$bootstrap")"
cat > "$bootstrap" <<PYTHON
import glob, shutil, sysconfig
for folder in glob.glob("$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/pip*"):
    if not folder.endswith((".pth", ".py")):
        shutil.copytree(folder, sysconfig.get_path("purelib") + folder[folder.rindex("/"):])
PYTHON
version=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
install -D --mode=644 tests/config.yml "$collection/tests/config.yml"
(cd "$collection" && ansible-test sanity --python "$version" --requirements --color no)
antsibull-changelog lint
