#!/usr/bin/env bash
# Builds the documentation site in .cache/docs/html: our pages, and one for each module, role and plugin.
# A warning of Sphinx, such as a link to a page that is not there, is an error. Needs no network.
set -euo pipefail
cd "$(dirname "$0")/../.."
source=.cache/docs/source

# Our pages lie as they lie in the checkout, so that their links hold.
rm -rf .cache/docs
mkdir -p "$source"
cp docs/site/conf.py docs/site/index.md "$source"
cp --parents -- LICENSE *.md *.rst docs/*.md docs/pictures/* tests/lab/*/README.md "$source"

# The collection is taken from this checkout; none is downloaded.
export ANSIBLE_COLLECTIONS_PATH=.venv/src
mkdir "$source/reference"
antsibull-docs --config-file docs/site/antsibull-docs.cfg collection --use-current --squash-hierarchy --fail-on-error \
    --dest-dir "$source/reference" inference.fleet
sphinx-build --fail-on-warning --keep-going --quiet -b html "$source" .cache/docs/html
echo "open $PWD/.cache/docs/html/index.html"
