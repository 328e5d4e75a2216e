"""What a starting engine does, by its log. The lines are vLLM's, shortened."""

from __future__ import annotations

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine.progress import stage

START = [
    ("(APIServer pid=1) INFO 06-07 08:55:40 [utils.py:299] non-default args: {'port': 8000}", ""),
    ("(EngineCore pid=111) INFO [gpu_model_runner.py:5037] Starting to load model org/m...", "loads its weights"),
    ("Loading safetensors checkpoint shards:   0% Completed | 0/16 [00:00<?, ?it/s]", "loads its weights, 0 %"),
    ("Loading safetensors checkpoint shards:  62% Completed | 10/16 [02:16<04:08]", "loads its weights, 50 %"),
    ("Loading safetensors checkpoint shards: 100% Completed | 16/16 [04:16<00:00]", "loads its weights, 100 %"),
    ("INFO [default_loader.py:291] Loading weights took 77.06 seconds", "loads its weights, 100 %"),
    ("INFO [gpu_model_runner.py:2392] Model loading took 15.27 GiB memory and 77.5 seconds", "compiles the model"),
    ("INFO [backends.py:387] Compiling a graph for compile range (1, 16384) takes 20.50 s", "compiles the model"),
    ("INFO [gpu_worker.py:298] Available KV cache memory: 13.13 GiB", "allocates the KV cache"),
    ("INFO [kv_cache_utils.py:1087] GPU KV cache size: 240,000 tokens", "allocates the KV cache"),
    (
        "Capturing CUDA graphs (mixed prefill-decode, PIECEWISE):  50%|## | 33/67 [00:02]",
        "captures CUDA graphs",
    ),
    ("INFO [core.py:210] init engine (profile, create kv cache, warmup model) took 52.66 seconds", "warms up"),
    ("INFO [api_server.py:1971] Starting vLLM API server 0 on http://0.0.0.0:8000", "starts its HTTP server"),
]


@pytest.mark.parametrize("count", range(1, len(START) + 1))
def test_the_last_line_that_says_it_counts(count: int) -> None:
    assert stage([line for line, _does in START[:count]]) == START[count - 1][1]


def test_an_engine_that_says_nothing_does_nothing_that_is_known() -> None:
    assert stage([]) == stage(["Traceback (most recent call last):"]) == ""
