"""The dashboards. Names of series are those of vLLM 0.32, LiteLLM 1.106, Caddy 2.11 and the exporters as they are."""

from __future__ import annotations

from panels import Dashboard, Panel, Query, Row

R = "[$__rate_interval]"
MODEL = 'model=~"$model"'
# Of a slice that models share, the label has the names of all.
SHARED = 'model=~"(.*, )?($model)(, .*)?"'
# The outermost handler of Caddy's site, which sees each request once.
DOOR = 'handler="subroute"'


def quantile(q: float, histogram: str, by: str, where: str = "") -> str:
    return f"histogram_quantile({q}, sum by (le, {by}) (rate({histogram}_bucket{{{where}}}{R})))"


def percentiles(histogram: str, by: str, where: str = "", legend: str = "") -> tuple[Query, ...]:
    legend = legend or f"{{{{{by}}}}}"
    return tuple(Query(quantile(q, histogram, by, where), f"{legend} p{q * 100:.0f}") for q in (0.5, 0.95))


def mean(histogram: str, by: str, where: str = "") -> Query:
    total, count = (f"sum by ({by}) (rate({histogram}_{part}{{{where}}}{R}))" for part in ("sum", "count"))
    return Query(f"{total} / {count}", f"{{{{{by}}}}} mean")


def by_key(metric: str, by: str = "api_key_alias", rate: str = "rate", over: str = R) -> str:
    """Of LiteLLM's counters; the master key has no alias there."""
    named = '"api_key_alias", "master key", "hashed_api_key", "litellm_proxy_master_key"'
    return f"sum by ({by}) (label_replace({rate}({metric}{over}), {named}))"


ANSWERS = Panel(
    "Answers at the door",
    "What Caddy has answered: 401 to keys that open nothing, 404 on paths that are not served, 5xx where what is "
    "behind it is down.",
    "reqps",
    (Query(f"sum by (code) (rate(caddy_http_request_duration_seconds_count{{{DOOR}}}{R}))", "{{code}}"),),
    "areas",
)

OVERVIEW = Dashboard(
    "overview",
    "Fleet overview",
    "Whether everything runs, and how busy it is.",
    (
        Row(
            "Now",
            (
                Panel(
                    "Models up",
                    "Models of which at least one replica answers.",
                    "none",
                    (Query('sum(max by (model) (up{job="vllm"}))'),),
                    "number",
                    4,
                ),
                Panel(
                    "Replicas down",
                    "Replicas that are to run and do not answer.",
                    "none",
                    (Query('count(up{job="vllm"}) - sum(up{job="vllm"})'),),
                    "number",
                    4,
                    (1,),
                ),
                Panel(
                    "Services down",
                    "Of LiteLLM, Caddy, Prometheus and the exporters.",
                    "none",
                    (Query('count(up{job!="vllm"}) - sum(up{job!="vllm"})'),),
                    "number",
                    4,
                    (1,),
                ),
                Panel(
                    "Alerts",
                    "How many fire.",
                    "none",
                    (Query('count(ALERTS{alertstate="firing"}) or vector(0)'),),
                    "number",
                    4,
                    (1,),
                ),
                Panel(
                    "Certificate",
                    "Until the first certificate ends. Caddy renews those of its own CA and of ACME by itself.",
                    "s",
                    (Query("min(probe_ssl_earliest_cert_expiry) - time()"),),
                    "number",
                    4,
                ),
                Panel(
                    "Free for weights",
                    "Of the disk that the cache of weights is on.",
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
                    "Alerts that fire",
                    "And what each is about. Alerting, in Grafana's menu, has what to do.",
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
                    "Requests that the engines have answered, a second.",
                    "reqps",
                    (Query(f"sum by (model) (rate(vllm:request_success_total{R}))", "{{model}}"),),
                ),
                Panel(
                    "Tokens",
                    "Tokens that the engines have generated, a second.",
                    "none",
                    (Query(f"sum by (model) (rate(vllm:generation_tokens_total{R}))", "{{model}}"),),
                ),
                Panel(
                    "Time to first token",
                    "Of the slowest twentieth of the requests, from their arrival at the engine.",
                    "s",
                    (Query(quantile(0.95, "vllm:time_to_first_token_seconds", "model"), "{{model}} p95"),),
                ),
                Panel(
                    "Requests in the engines",
                    "Under way, and waiting for room in the KV cache.",
                    "none",
                    (
                        Query("sum by (model) (vllm:num_requests_running)", "{{model}} running"),
                        Query("sum by (model) (vllm:num_requests_waiting)", "{{model}} waiting"),
                    ),
                ),
                Panel(
                    "KV cache",
                    "Of the fullest replica. At 100 % requests wait.",
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
                    "How much of them is in use.",
                    "percentunit",
                    (Query(f'1 - avg(rate(node_cpu_seconds_total{{mode="idle"}}{R}))', "in use"),),
                    most=1,
                ),
                Panel(
                    "Memory",
                    "How much of it is in use; what the page cache would give back does not count.",
                    "bytes",
                    (
                        Query("node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes", "in use"),
                        Query("node_memory_MemTotal_bytes", "there is"),
                    ),
                ),
                Panel(
                    "Disks",
                    "How full they are: Docker's (images, volumes), and that of the cache of weights.",
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
    "What one model is asked for, and how fast it is.",
    (
        Row(
            "Requests",
            (
                Panel(
                    "Requests by how they ended",
                    "stop: the model ended its answer; length: a limit did; abort: the client hung up.",
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
                    "What the engine's HTTP server has answered, by whatever way the request came.",
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
                    "Requests that LiteLLM could not have answered, by status.",
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
                    "Tokens a second: read (prompts) and generated.",
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
                    "Of one request, while it is being answered.",
                    "s",
                    percentiles("vllm:inter_token_latency_seconds", "model", MODEL),
                ),
                Panel(
                    "Whole requests",
                    "From arrival to the last token. vLLM counts in steps from 0.3 s up: a p95 below that is a guess.",
                    "s",
                    (
                        mean("vllm:e2e_request_latency_seconds", "model", MODEL),
                        Query(quantile(0.95, "vllm:e2e_request_latency_seconds", "model", MODEL), "{{model}} p95"),
                    ),
                ),
                Panel(
                    "Time in the queue",
                    "How long requests waited before they were worked on.",
                    "s",
                    (mean("vllm:request_queue_time_seconds", "model", MODEL),),
                ),
                Panel(
                    "Length of requests",
                    "Tokens of the prompts and of the answers, in the middle.",
                    "none",
                    (
                        Query(quantile(0.5, "vllm:request_prompt_tokens", "model", MODEL), "{{model}} prompt"),
                        Query(quantile(0.5, "vllm:request_generation_tokens", "model", MODEL), "{{model}} answer"),
                    ),
                ),
            ),
        ),
        Row(
            "Room",
            (
                Panel(
                    "Queue",
                    "Requests under way, and requests that wait for room.",
                    "none",
                    (
                        Query(f"vllm:num_requests_running{{{MODEL}}}", "{{instance}} running"),
                        Query(f"vllm:num_requests_waiting{{{MODEL}}}", "{{instance}} waiting"),
                    ),
                ),
                Panel(
                    "KV cache",
                    "How much of it is in use. At 100 % requests wait or are preempted.",
                    "percentunit",
                    (Query(f"vllm:kv_cache_usage_perc{{{MODEL}}}", "{{instance}}"),),
                    most=1,
                ),
                Panel(
                    "Preemptions",
                    "Requests, a second, whose KV cache was given to others and is computed anew.",
                    "none",
                    (Query(f"rate(vllm:num_preemptions_total{{{MODEL}}}{R})", "{{instance}}"),),
                ),
                Panel(
                    "Prefix cache",
                    "How much of the prompts was in the KV cache already.",
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
                    "Whether each answers.",
                    "none",
                    (Query(f'up{{job="vllm", {MODEL}}}', "{{instance}}"),),
                    most=1,
                ),
                Panel(
                    "GPU use",
                    "Of the GPUs and MIG slices that the model runs on, all that run there together.",
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
    "What the GPUs do, and for which model. Memory and use are each slice's own; power, heat and errors are the "
    "whole GPU's.",
    (
        Row(
            "GPUs and slices",
            (
                Panel(
                    "Use",
                    "How much of the time the compute engines work.",
                    "percentunit",
                    (Query("fleet:gpu_use:ratio", SLICE),),
                    width=12,
                    most=1,
                ),
                Panel(
                    "Memory",
                    "In use. vLLM takes nearly all of it as it starts.",
                    "bytes",
                    (Query("fleet:gpu_memory_used:bytes", SLICE),),
                    width=12,
                ),
                Panel(
                    "Memory now",
                    "How much of each is in use.",
                    "percentunit",
                    (Query("fleet:gpu_memory_used:bytes / fleet:gpu_memory:bytes", SLICE),),
                    "bars",
                    12,
                    (0.9, 0.98),
                    1,
                ),
                Panel(
                    "Use now",
                    "How much of each is in use.",
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
                    "Draw of each GPU.",
                    "watt",
                    (Query("max by (gpu) (DCGM_FI_DEV_POWER_USAGE)", "GPU {{gpu}}"),),
                ),
                Panel(
                    "Temperature",
                    "Of each GPU.",
                    "celsius",
                    (Query("max by (gpu) (DCGM_FI_DEV_GPU_TEMP)", "GPU {{gpu}}"),),
                    limits=(80, 85),
                ),
                Panel(
                    "Clock",
                    "Of the multiprocessors; it falls where power or heat are at their limit.",
                    "rotmhz",
                    (Query("max by (gpu) (DCGM_FI_DEV_SM_CLOCK)", "GPU {{gpu}}"),),
                ),
                Panel(
                    "Last XID error",
                    "Its number; 0 for none. It stays until the DCGM exporter starts anew.",
                    "none",
                    (Query("max by (gpu, err_msg) (DCGM_FI_DEV_XID_ERRORS)", "GPU {{gpu}}: {{err_msg}}"),),
                    "number",
                    16,
                    (1,),
                ),
                Panel(
                    "Energy of the last hour",
                    "As the GPUs themselves count it.",
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
    "Who asks for what through LiteLLM, what it costs, and what the way through Caddy and LiteLLM adds.",
    (
        Row(
            "Requests",
            (
                Panel(
                    "By key",
                    "Requests a second through LiteLLM, by the alias of the virtual key.",
                    "reqps",
                    (Query(by_key("litellm_proxy_total_requests_metric_total"), "{{api_key_alias}}"),),
                    "areas",
                ),
                Panel(
                    "By model",
                    "The same by the model that was asked for.",
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
                    "The same by what was answered.",
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
                    "Tokens a second, read and generated.",
                    "none",
                    (Query(by_key("litellm_total_tokens_metric_total"), "{{api_key_alias}}"),),
                    "areas",
                ),
                Panel(
                    "Spend by key",
                    "USD an hour, of models that have a price.",
                    "currencyUSD",
                    (Query(f"{by_key('litellm_spend_metric_total')} * 3600", "{{api_key_alias}}"),),
                    "areas",
                ),
                Panel(
                    "Spend of the time shown",
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
                    "What LiteLLM itself takes of a request: keys, routing, counting.",
                    "s",
                    percentiles("litellm_overhead_latency_metric", "model_group"),
                ),
                Panel(
                    "Whole requests in LiteLLM",
                    "From their arrival at LiteLLM to the end of the answer.",
                    "s",
                    percentiles("litellm_request_total_latency_metric", "requested_model"),
                ),
                Panel(
                    "At the door",
                    "From their arrival at Caddy to the end of the answer; all routes, 2xx alone.",
                    "s",
                    percentiles(
                        "caddy_http_request_duration_seconds", "handler", f'{DOOR}, code=~"2.."', "all requests"
                    ),
                ),
            ),
        ),
        Row(
            "Door",
            (
                ANSWERS,
                Panel(
                    "Under way",
                    "Requests that are being answered.",
                    "none",
                    (Query(f"sum(caddy_http_requests_in_flight{{{DOOR}}})", "requests"),),
                ),
                Panel(
                    "Bytes sent",
                    "Bytes a second.",
                    "Bps",
                    (Query(f"sum(rate(caddy_http_response_size_bytes_sum{{{DOOR}}}{R}))", "sent"),),
                ),
            ),
        ),
    ),
)

DASHBOARDS = (OVERVIEW, ONE_MODEL, GPUS, GATEWAY)
