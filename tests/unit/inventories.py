"""Valid inventories, by Hypothesis: every kind of device, every mode of HTTPS, anything that `args` may hold."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Strategy = st.SearchStrategy[Any]


def some(**optional: Strategy) -> Strategy:
    """A mapping with any of these keys."""
    return st.fixed_dictionaries({}, optional=optional)


def all_of(optional: dict[str, Strategy] | None = None, **required: Strategy) -> Strategy:
    return st.fixed_dictionaries(required, optional=optional)


def pem(label: str) -> Strategy:
    return words.map(lambda body: f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")


def pinned(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are to have 0 GPUs get two of their own, by index, which replicas could not share."""
    return [
        {**one, "devices": {"gpus": [2 * place + 1, 2 * place]}, "replicas": 1}
        if one.get("devices") == {"gpus": 0}
        else one
        for place, one in enumerate(entries)
    ]


def own_adapters(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The adapters of each model with names that no other model has."""
    return [
        {**one, "adapters": {f"{name}-{place}": source for name, source in one["adapters"].items()}}
        if "adapters" in one
        else one
        for place, one in enumerate(entries)
    ]


words = st.text("abcxyz0123456789", min_size=1, max_size=12)
texts = st.text(max_size=12)
secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=20)
profiles = st.sampled_from(["1g.10gb", "1g.10gb+me", "1c.3g.40gb", "2c.3g.40gb", "3g.40gb", "7g.80gb"])

_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
_items = st.integers(min_value=0) | texts.filter(lambda text: not text.startswith("-"))
_arguments = _scalars | st.lists(_items, max_size=3) | st.dictionaries(texts, _scalars, max_size=3)
models = all_of(
    name=words,
    type=st.sampled_from(["chat", "vision", "embedding"]),
    source=words | words.map("/srv/{}/".format),
    optional={
        "devices": st.just({"cpu": True}) | all_of(gpus=st.integers(0, 8)) | all_of(mig=profiles),
        "replicas": st.integers(1, 8),
        "state": st.sampled_from(["running", "stopped", "absent"]),
        "args": st.dictionaries(
            st.from_regex(r"o-[a-z0-9-]{1,9}(\.[a-z0-9]{1,4})?", fullmatch=True), _arguments, max_size=4
        ),
        "env": st.dictionaries(st.from_regex("[A-Z_]{1,9}", fullmatch=True), st.integers() | texts, max_size=3),
        "image": words.map("example/{}:1".format),
        "recipe": st.just("whisper"),
        "open": st.booleans(),
        "direct": st.booleans(),
        "outbound": st.booleans(),
        "ready_timeout": st.integers(1, 9999),
        "drain_timeout": st.integers(0, 9999),
        "adapters": st.dictionaries(
            words.map("lora/{}".format), words.map("own/{}".format) | words.map("/srv/{}/".format), max_size=2
        ),
        "memory": st.builds("{}{}".format, st.integers(256, 999_999), st.sampled_from("mg")),
        "shm_size": st.builds("{}{}".format, st.integers(1, 999_999), st.sampled_from("kmg")),
    },
)

hosts = words.map("h{}".format)  # digits alone are no host name

_acme = {"mode": st.just("acme"), "names": st.lists(hosts, min_size=1), "email": words.map("{}@example.com".format)}
https = st.one_of(
    some(mode=st.just("internal"), names=st.lists(hosts)),
    all_of(**{**_acme, "names": st.lists(words.map("{}.example.com".format), min_size=1)}),
    all_of(
        **_acme,
        directory=words.map("https://{}.example/acme".format),
        optional={"directory_root": pem("CERTIFICATE")},
    ),
    all_of(mode=st.just("files"), names=st.lists(hosts), cert=pem("CERTIFICATE"), key=pem("EC PRIVATE KEY")),
)

endpoints = hosts.map("https://{}/oauth2".format)
inventories = all_of(
    fleet_recipes=all_of(whisper=all_of(base=st.just("vllm"), optional={"pip": st.lists(words, max_size=3)})),
    optional={
        "fleet_models": st.lists(models, max_size=4, unique_by=lambda one: one["name"]).map(pinned).map(own_adapters),
        "fleet_https": https,
        "fleet_mig": st.just("auto") | st.dictionaries(st.integers(0, 7), st.just("off") | st.lists(profiles)),
        "fleet_secrets": some(
            master_key=secrets.map("sk-{}".format),
            salt_key=secrets,
            postgres_password=secrets,
            oidc_client_secret=secrets,
        ),
        "fleet_direct_keys": st.lists(
            all_of(name=words, optional={"key": secrets}),
            max_size=3,
            unique_by=(lambda one: one["name"], lambda one: one.get("key", one["name"])),
        ),
        "fleet_hf_token": secrets,
        "fleet_images": some(vllm=words.map("example/{}:1".format), caddy=words.map("example/{}:2".format)),
        "fleet_cache": some(path=words.map("/srv/{}/".format), min_free_gb=st.integers(0), compiled=st.booleans()),
        "fleet_logs": some(driver=st.sampled_from(["json-file", "local", "daemon"]), max_file=st.integers(2, 1000)),
        "fleet_litellm": some(
            workers=st.integers(1, 256),
            restart_wait=st.integers(0),
            spend_log_days=st.integers(1),
            memory_gb=st.integers(1),
        ),
        "fleet_caddy": some(
            **dict.fromkeys(("max_body_mb", "max_api_body_mb", "check_key_above_kb", "memory_gb"), st.integers(1))
        ),
        "fleet_monitoring": st.booleans()
        | some(
            retention=st.builds("{}{}".format, st.integers(1, 999), st.sampled_from("hdwy")),
            size=st.builds("{}{}B".format, st.integers(1, 999), st.sampled_from("MGT")),
            memory_gb=st.integers(1),
            alertmanagers=st.lists(words.map("http://{}:9093".format), max_size=2),
            oidc=all_of(
                client_id=words,
                auth_url=endpoints,
                token_url=endpoints,
                api_url=endpoints,
                optional={"groups": st.lists(words), "role_path": words, "scopes": st.lists(words)},
            ),
        ),
        "fleet_litellm_admin": st.booleans(),
        "fleet_postgres": some(volume=words.map("pg-{}".format)),
        "fleet_backup": some(folder=words, keep=st.integers(1), spend_logs=st.booleans(), max_mb=st.integers(1)),
        "fleet_energy": st.booleans() | some(interval=st.integers(1), keep_days=st.integers(1)),
        "fleet_network": some(subnet=st.just("10.89.0.0/20"), ipv6=st.just("fd4c:7e31:9a02::/64")),
        "fleet_proxy": hosts.map("http://{}:3128".format)
        | all_of(
            url=hosts.map("http://me:secret@{}:3128".format),
            optional={"no_proxy": st.lists(hosts | st.just("10.0.0.0/8"))},
        ),
        "fleet_ca_bundle": pem("CERTIFICATE"),
        "fleet_config_folder": words.map("/etc/{}".format),
        "fleet_toolkit_repository": some(url=words.map("https://{}.example/deb".format)),
    },
)
