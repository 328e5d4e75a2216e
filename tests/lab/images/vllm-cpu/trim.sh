#!/bin/sh
# Takes out of the environment what serving never opens.
set -eu
cd "$1"/lib/python3*/site-packages
echo "before: $(du -sm . | cut -f1) MB"
rm -rf torch/test torch/share torch/testing/_internal/generated torch/lib/*_test.so
find torch/bin -type f ! -name torch_shm_manager -delete
find . -type d \( -name tests -o -name test \) ! -path './torch/*' ! -path './numpy/*' -prune -exec rm -rf {} +
# PyTorch's headers stay: what torch.compile writes includes them (image vllm-cpu-compiler).
find . -type f ! -path './torch/include/*' ! -path './torch/_inductor/*' \( -name '*.a' -o -name '*.pyi' -o -name '*.h' -o -name '*.hpp' -o -name '*.cu' \
    -o -name '*.cuh' -o -name '*.cpp' -o -name '*.pxd' -o -name '*.pyx' \) -delete
# vLLM has its own code for every model; of Transformers it takes configurations and tokenizers.
find transformers/models -name 'modeling_*.py' ! -path '*/auto/*' ! -path '*/bert/*' ! -path '*/llama/*' -delete
# Symbols for debuggers: more than half of vLLM's libraries, a fifth of PyTorch's. Other wheels'
# libraries break when stripped (NumPy's does).
strip --strip-unneeded vllm/*.so torch/lib/*.so
echo "after: $(du -sm . | cut -f1) MB"
