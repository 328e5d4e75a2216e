"""The dashboards, with the series names of vLLM 0.32, LiteLLM 1.106, Caddy 2.11 and the exporters."""

from __future__ import annotations

from panels import Dashboard, Panel, Query, Row

R = "[$__rate_interval]"
MODEL = 'model=~"$model"'
# The label of a slice that several models share has all their names.
SHARED = 'model=~"(.*, )?($model)(, .*)?"'
# The outermost handler of Caddy's site, which sees each request once.
CADDY = 'handler="subroute", server!~"inner|metrics"'  # what clients ask for


def quantile(q: float, histogram: str, by: str, where: str = "") -> str:
    return f"histogram_quantile({q}, sum by (le, {by}) (rate({histogram}_bucket{{{where}}}{R})))"


def percentiles(histogram: str, by: str, where: str = "", legend: str = "") -> tuple[Query, ...]:
    legend = legend or f"{{{{{by}}}}}"
    return tuple(Query(quantile(q, histogram, by, where), f"{legend} p{q * 100:.0f}") for q in (0.5, 0.95))


def mean(histogram: str, by: str, where: str = "") -> Query:
    total, count = (f"sum by ({by}) (rate({histogram}_{part}{{{where}}}{R}))" for part in ("sum", "count"))
    return Query(f"{total} / {count}", f"{{{{{by}}}}} mean")


def by_key(metric: str, by: str = "api_key_alias", rate: str = "rate", over: str = R) -> str:
    """A sum of a LiteLLM counter; the master key has no alias in it."""
    named = '"api_key_alias", "master key", "hashed_api_key", "litellm_proxy_master_key"'
    return f"sum by ({by}) (label_replace({rate}({metric}{over}), {named}))"


ANSWERS = Panel(
    "Caddy's answers",
    "Answers by status. 401: the key is not valid. 404: the path does not exist. 5xx: a service behind Caddy is down.",
    "reqps",
    (Query(f"sum by (code) (rate(caddy_http_request_duration_seconds_count{{{CADDY}}}{R}))", "{{code}}"),),
    "areas",
)

OVERVIEW = Dashboard(
    "overview",
    "Fleet overview",
    "Whether everything runs, and how busy the models and the host are.",
    (
        Row(
            "Now",
            (
                Panel(
                    "Models up",
                    "Models with at least one replica that answers.",
                    "none",
                    (Query('sum(max by (model) (up{job="vllm"}))'),),
                    "number",
                    4,
                ),
                Panel(
                    "Replicas down",
                    "Replicas that should run and do not answer.",
                    "none",
                    (Query('count(up{job="vllm"}) - sum(up{job="vllm"})'),),
                    "number",
                    4,
                    (1,),
                ),
                Panel(
                    "Services down",
                    "LiteLLM, Caddy, Prometheus and exporters that do not answer.",
                    "none",
                    (Query('count(up{job!="vllm"}) - sum(up{job!="vllm"})'),),
                    "number",
                    4,
                    (1,),
                ),
                Panel(
                    "Alerts",
                    "Number of firing alerts.",
                    "none",
                    (Query('count(ALERTS{alertstate="firing"}) or vector(0)'),),
                    "number",
                    4,
                    (1,),
                ),
                Panel(
                    "Certificate",
                    "Time until the first certificate expires. Caddy renews certificates of its own CA and of ACME.",
                    "s",
                    (Query("min(probe_ssl_earliest_cert_expiry) - time()"),),
                    "number",
                    4,
                ),
                Panel(
                    "Free for weights",
                    "Free space on the disk of the weights cache.",
                    "percentunit",
                    (
                        Query(
                            'node_filesystem_avail_bytes{mountpoint="/cache"} '
                            '/ node_filesystem_size_bytes{mountpoint="/cache"}'
                        ),
                    ),
                    "number",
                    4,
                    (0.25, 0.1),
                    1,
                ),
                Panel(
                    "Firing alerts",
                    "Firing alerts with model and instance. Grafana's menu Alerting shows what to do.",
                    "none",
                    (Query('ALERTS{alertstate="firing"}'),),
                    "table",
                    24,
                    columns=("alertname", "severity", "model", "requested_model", "instance"),
                    hidden=("alertstate", "job", "type", "replica", "UUID", "device", "fstype"),
                ),
            ),
        ),
        Row(
            "Models",
            (
                Panel(
                    "Requests",
                    "Requests that the engines answer, per second.",
                    "reqps",
                    (Query(f"sum by (model) (rate(vllm:request_success_total{R}))", "{{model}}"),),
                ),
                Panel(
                    "Tokens",
                    "Tokens that the engines generate, per second.",
                    "none",
                    (Query(f"sum by (model) (rate(vllm:generation_tokens_total{R}))", "{{model}}"),),
                ),
                Panel(
                    "Time to first token",
                    "From arrival at the engine, 95th percentile.",
                    "s",
                    (Query(quantile(0.95, "vllm:time_to_first_token_seconds", "model"), "{{model}} p95"),),
                ),
                Panel(
                    "Requests in the engines",
                    "Running requests, and requests that wait for space in the KV cache.",
                    "none",
                    (
                        Query("sum by (model) (vllm:num_requests_running)", "{{model}} running"),
                        Query("sum by (model) (vllm:num_requests_waiting)", "{{model}} waiting"),
                    ),
                ),
                Panel(
                    "KV cache",
                    "Use of the fullest replica. At 100 % requests wait.",
                    "percentunit",
                    (Query("max by (model) (vllm:kv_cache_usage_perc)", "{{model}}"),),
                    most=1,
                ),
                ANSWERS,
            ),
        ),
        Row(
            "Host",
            (
                Panel(
                    "Processors",
                    "Share of processor time in use.",
                    "percentunit",
                    (Query(f'1 - avg(rate(node_cpu_seconds_total{{mode="idle"}}{R}))', "in use"),),
                    most=1,
                ),
                Panel(
                    "Memory",
                    "Memory in use, without the page cache.",
                    "bytes",
                    (
                        Query("node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes", "in use"),
                        Query("node_memory_MemTotal_bytes", "total"),
                    ),
                ),
                Panel(
                    "Disks",
                    "Use of Docker's disk (images, volumes) and of the disk of the weights cache.",
                    "percentunit",
                    (
                        Query(
                            '1 - node_filesystem_avail_bytes{mountpoint="/"} '
                            '/ node_filesystem_size_bytes{mountpoint="/"}',
                            "Docker",
                        ),
                        Query(
                            '1 - node_filesystem_avail_bytes{mountpoint="/cache"} '
                            '/ node_filesystem_size_bytes{mountpoint="/cache"}',
                            "weights",
                        ),
                    ),
                    most=1,
                ),
            ),
        ),
    ),
)

ONE_MODEL = Dashboard(
    "model",
    "Model",
    "Requests to one model, and their speed.",
    (
        Row(
            "Requests",
            (
                Panel(
                    "Requests by how they ended",
                    "stop: the model ended the answer. length: a limit ended it. abort: the client disconnected.",
                    "reqps",
                    (
                        Query(
                            f"sum by (finished_reason) (rate(vllm:request_success_total{{{MODEL}}}{R}))",
                            "{{finished_reason}}",
                        ),
                    ),
                    "areas",
                ),
                Panel(
                    "Answers by status",
                    "Answers of the engine's HTTP server on all routes.",
                    "reqps",
                    (
                        Query(
                            f'sum by (status) (rate(http_requests_total{{job="vllm", {MODEL}, handler=~"/v1/.*"}}{R}))',
                            "{{status}}",
                        ),
                    ),
                    "areas",
                ),
                Panel(
                    "Errors through LiteLLM",
                    "Requests that failed in LiteLLM or in the model, by status.",
                    "reqps",
                    (
                        Query(
                            "sum by (exception_status) (rate(litellm_proxy_failed_requests_metric_total"
                            f'{{requested_model=~"$model"}}{R})) or vector(0)',
                            "{{exception_status}}",
                        ),
                    ),
                    "areas",
                ),
            ),
        ),
        Row(
            "Speed",
            (
                Panel(
                    "Tokens",
                    "Tokens per second: read (prompts) and generated.",
                    "none",
                    (
                        Query(f"sum by (model) (rate(vllm:prompt_tokens_total{{{MODEL}}}{R}))", "{{model}} read"),
                        Query(
                            f"sum by (model) (rate(vllm:generation_tokens_total{{{MODEL}}}{R}))", "{{model}} generated"
                        ),
                    ),
                ),
                Panel(
                    "Time to first token",
                    "From a request's arrival at the engine to its first token.",
                    "s",
                    percentiles("vllm:time_to_first_token_seconds", "model", MODEL),
                ),
                Panel(
                    "Time between tokens",
                    "Time between two tokens of one answer.",
                    "s",
                    percentiles("vllm:inter_token_latency_seconds", "model", MODEL),
                ),
                Panel(
                    "Whole requests",
                    "From arrival to the last token. vLLM's buckets start at 0.3 s: a p95 below that is an estimate.",
                    "s",
                    (
                        mean("vllm:e2e_request_latency_seconds", "model", MODEL),
                        Query(quantile(0.95, "vllm:e2e_request_latency_seconds", "model", MODEL), "{{model}} p95"),
                    ),
                ),
                Panel(
                    "Time in the queue",
                    "Time that requests waited before processing.",
                    "s",
                    (mean("vllm:request_queue_time_seconds", "model", MODEL),),
                ),
                Panel(
                    "Length of requests",
                    "Tokens of prompts and of answers, median.",
                    "none",
                    (
                        Query(quantile(0.5, "vllm:request_prompt_tokens", "model", MODEL), "{{model}} prompt"),
                        Query(quantile(0.5, "vllm:request_generation_tokens", "model", MODEL), "{{model}} answer"),
                    ),
                ),
            ),
        ),
        Row(
            "Capacity",
            (
                Panel(
                    "Queue",
                    "Running requests, and requests that wait for space.",
                    "none",
                    (
                        Query(f"vllm:num_requests_running{{{MODEL}}}", "{{instance}} running"),
                        Query(f"vllm:num_requests_waiting{{{MODEL}}}", "{{instance}} waiting"),
                    ),
                ),
                Panel(
                    "KV cache",
                    "Share in use. At 100 % requests wait or are preempted.",
                    "percentunit",
                    (Query(f"vllm:kv_cache_usage_perc{{{MODEL}}}", "{{instance}}"),),
                    most=1,
                ),
                Panel(
                    "Preemptions",
                    "Requests per second that lost their KV cache to other requests and are recomputed.",
                    "none",
                    (Query(f"rate(vllm:num_preemptions_total{{{MODEL}}}{R})", "{{instance}}"),),
                ),
                Panel(
                    "Prefix cache",
                    "Share of prompt tokens that were already in the KV cache.",
                    "percentunit",
                    (
                        Query(
                            f"sum by (model) (rate(vllm:prefix_cache_hits_total{{{MODEL}}}{R})) "
                            f"/ sum by (model) (rate(vllm:prefix_cache_queries_total{{{MODEL}}}{R}))",
                            "{{model}}",
                        ),
                    ),
                    most=1,
                ),
                Panel(
                    "Replicas",
                    "1: the replica answers. 0: it does not.",
                    "none",
                    (Query(f'up{{job="vllm", {MODEL}}}', "{{instance}}"),),
                    most=1,
                ),
                Panel(
                    "GPU use",
                    "Use of the GPUs and MIG slices of the model, by all models on them together.",
                    "percentunit",
                    (Query(f"fleet:gpu_use:ratio{{{SHARED}}}", "GPU {{gpu}} {{GPU_I_PROFILE}}"),),
                    most=1,
                ),
            ),
        ),
    ),
    ("model", 'up{job="vllm"}'),
)

SLICE = "GPU {{gpu}} {{GPU_I_PROFILE}} {{model}}"

GPUS = Dashboard(
    "gpus",
    "GPUs and MIG slices",
    "Load of the GPUs by model. Memory and use are per slice; power, temperature and errors are per GPU.",
    (
        Row(
            "GPUs and slices",
            (
                Panel(
                    "Use",
                    "Share of time in which the compute engines work.",
                    "percentunit",
                    (Query("fleet:gpu_use:ratio", SLICE),),
                    width=12,
                    most=1,
                ),
                Panel(
                    "Memory",
                    "Memory in use. vLLM reserves nearly all memory at start.",
                    "bytes",
                    (Query("fleet:gpu_memory_used:bytes", SLICE),),
                    width=12,
                ),
                Panel(
                    "Memory now",
                    "Share of memory in use.",
                    "percentunit",
                    (Query("fleet:gpu_memory_used:bytes / fleet:gpu_memory:bytes", SLICE),),
                    "bars",
                    12,
                    (0.9, 0.98),
                    1,
                ),
                Panel(
                    "Use now",
                    "Share of time in which the compute engines work.",
                    "percentunit",
                    (Query("fleet:gpu_use:ratio", SLICE),),
                    "bars",
                    12,
                    most=1,
                ),
            ),
        ),
        Row(
            "Whole GPUs",
            (
                Panel(
                    "Power",
                    "Power of each GPU.",
                    "watt",
                    (Query("max by (gpu) (DCGM_FI_DEV_POWER_USAGE)", "GPU {{gpu}}"),),
                ),
                Panel(
                    "Temperature",
                    "Temperature of each GPU.",
                    "celsius",
                    (Query("max by (gpu) (DCGM_FI_DEV_GPU_TEMP)", "GPU {{gpu}}"),),
                    limits=(80, 85),
                ),
                Panel(
                    "Clock",
                    "Clock of the multiprocessors. It drops at the limits of power or temperature.",
                    "rotmhz",
                    (Query("max by (gpu) (DCGM_FI_DEV_SM_CLOCK)", "GPU {{gpu}}"),),
                ),
                Panel(
                    "Last XID error",
                    "Error number; 0 means none. The number stays until the DCGM exporter restarts.",
                    "none",
                    (Query("max by (gpu, err_msg) (DCGM_FI_DEV_XID_ERRORS)", "GPU {{gpu}}: {{err_msg}}"),),
                    "number",
                    16,
                    (1,),
                ),
                Panel(
                    "Energy of the last hour",
                    "As counted by the GPUs.",
                    "watth",
                    (Query("sum(max by (gpu) (increase(DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION[1h]))) / 3.6e6"),),
                    "number",
                    8,
                ),
            ),
        ),
    ),
)

GATEWAY = Dashboard(
    "gateway",
    "Gateway",
    "Requests through LiteLLM by key and model, their cost, and the latency that Caddy and LiteLLM add.",
    (
        Row(
            "Requests",
            (
                Panel(
                    "By key",
                    "Requests per second through LiteLLM, by alias of the virtual key.",
                    "reqps",
                    (Query(by_key("litellm_proxy_total_requests_metric_total"), "{{api_key_alias}}"),),
                    "areas",
                ),
                Panel(
                    "By model",
                    "Requests per second through LiteLLM, by requested model.",
                    "reqps",
                    (
                        Query(
                            "sum by (requested_model) "
                            f'(rate(litellm_proxy_total_requests_metric_total{{requested_model!=""}}{R}))',
                            "{{requested_model}}",
                        ),
                    ),
                    "areas",
                ),
                Panel(
                    "By status",
                    "Requests per second through LiteLLM, by status of the answer.",
                    "reqps",
                    (
                        Query(
                            f"sum by (status_code) (rate(litellm_proxy_total_requests_metric_total{R}))",
                            "{{status_code}}",
                        ),
                    ),
                    "areas",
                ),
                Panel(
                    "Tokens by key",
                    "Tokens per second, read and generated.",
                    "none",
                    (Query(by_key("litellm_total_tokens_metric_total"), "{{api_key_alias}}"),),
                    "areas",
                ),
                Panel(
                    "Spend by key",
                    "USD per hour, for models with a price.",
                    "currencyUSD",
                    (Query(f"{by_key('litellm_spend_metric_total')} * 3600", "{{api_key_alias}}"),),
                    "areas",
                ),
                Panel(
                    "Spend in the time range",
                    "USD by key and model.",
                    "currencyUSD",
                    (
                        Query(
                            by_key(
                                "litellm_spend_metric_total", "api_key_alias, requested_model", "increase", "[$__range]"
                            ),
                            "{{api_key_alias}} {{requested_model}}",
                        ),
                    ),
                    "bars",
                ),
            ),
        ),
        Row(
            "Latency",
            (
                Panel(
                    "Added by LiteLLM",
                    "Time that LiteLLM itself needs per request: keys, routing, counting.",
                    "s",
                    percentiles("litellm_overhead_latency_metric", "model_group"),
                ),
                Panel(
                    "Whole requests in LiteLLM",
                    "From arrival at LiteLLM to the end of the answer.",
                    "s",
                    percentiles("litellm_request_total_latency_metric", "requested_model"),
                ),
                Panel(
                    "Whole requests in Caddy",
                    "From arrival at Caddy to the end of the answer; all routes, only status 2xx.",
                    "s",
                    percentiles(
                        "caddy_http_request_duration_seconds", "handler", f'{CADDY}, code=~"2.."', "all requests"
                    ),
                ),
            ),
        ),
        Row(
            "Caddy",
            (
                ANSWERS,
                Panel(
                    "Requests in progress",
                    "Requests that Caddy is answering.",
                    "none",
                    (Query(f"sum(caddy_http_requests_in_flight{{{CADDY}}})", "requests"),),
                ),
                Panel(
                    "Bytes sent",
                    "Bytes per second.",
                    "Bps",
                    (Query(f"sum(rate(caddy_http_response_size_bytes_sum{{{CADDY}}}{R}))", "sent"),),
                ),
            ),
        ),
    ),
)

DASHBOARDS = (OVERVIEW, ONE_MODEL, GPUS, GATEWAY)
