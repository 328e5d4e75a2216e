"""The counters and gauges of vLLM's /metrics that dashboards are built on."""

from __future__ import annotations

import threading


class Metrics:
    def __init__(self, model: str) -> None:
        self._labels = f'{{engine="0",model_name="{model}"}}'
        self._lock = threading.Lock()
        self._values = {
            "vllm:num_requests_running": ("gauge", 0),
            "vllm:num_requests_waiting": ("gauge", 0),
            "vllm:kv_cache_usage_perc": ("gauge", 0),
            "vllm:prompt_tokens_total": ("counter", 0),
            "vllm:generation_tokens_total": ("counter", 0),
            "vllm:request_success_total": ("counter", 0),
        }

    def add(self, name: str, amount: int) -> None:
        with self._lock:
            kind, value = self._values[f"vllm:{name}"]
            self._values[f"vllm:{name}"] = (kind, value + amount)

    def as_text(self) -> str:
        with self._lock:
            values = dict(self._values)
        lines = []
        for name, (kind, value) in values.items():
            family = name.removesuffix("_total") if kind == "counter" else name
            lines.append(f"# HELP {family} Stand-in.\n# TYPE {family} {kind}")
            lines.append(f"{name}{self._labels} {float(value)}")
        return "\n".join(lines) + "\n"
