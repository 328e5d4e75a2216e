#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: model_cache
short_description: Download the weights of a host's models, or remove unused weights
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Downloads the repositories that the models need from a hub into the cache that their containers share, with the
    Hugging Face CLI in a container of the model's image. These are the source, and the repositories in the model's
    C(args) C(tokenizer), C(hf-config-path) and C(speculative-config), each in its revision, and its LoRA adapters. A
    folder on the host needs no download.
  - A branch or tag is resolved once; its commit is kept until O(update). A complete repository causes no request to the
    hub and no container.
  - Checks the free disk space before a download and file sizes after it. After an interrupted download, complete files
    are kept, and the next call downloads the others. If a repository has safetensors, other formats of the same weights
    are not downloaded.
  - The container is in the Docker network C(fleet-download), which the module creates if it is missing, and under the
    rules of M(inference.fleet.host_rules), which the module writes if the host lacks them.
  - The container gets the token as a file in memory with mode 0600, which is removed afterwards. It runs as root with
    no capability but C(DAC_OVERRIDE), since the cache is root's.
  - What is in the cache is not trusted, since containers can write it. No link is followed except to a file in
    C(blobs) of the same repository, and only regular files and snapshots named by a commit count.
requirements:
  - "Docker SDK for Python 5.0.0 or later on the host (Debian and Ubuntu: python3-docker)"
  - C(hf) in the image (huggingface_hub 0.34 or later)
extends_documentation_fragment:
  - inference.fleet.fleet
options:
  names:
    description: The models whose weights are downloaded. Default is all models.
    type: list
    elements: str
  stopped:
    description: Whether to include models with state V(stopped).
    type: bool
    default: false
  update:
    description: Ask the hub for the newest commit of each branch and download it.
    type: bool
    default: false
  prune:
    description:
      - Download nothing; remove weights that no model of the fleet or of O(others) uses. Stopped models count as users.
      - Also remove volumes with compiled code (C(fleet-compiled-...)) that no container has.
    type: bool
    default: false
  others:
    description:
      - Models of other hosts, in the form of O(models). O(prune) keeps their weights too, since hosts may share the
        folder of the cache. Default is the models of all hosts in the group C(fleet).
    type: list
    elements: dict
  progress:
    description: A file on the host; the module appends its progress as lines. The action plugin sets this option.
    type: path
attributes:
  check_mode:
    support: full
    description: Returns the downloads or removals, with sizes. Sends requests to the hub.
  diff_mode:
    support: full
    description: Shows the downloads or removals, one line each.
seealso:
  - module: inference.fleet.model_containers
"""

EXAMPLES = r"""
- name: Download the weights before models start
  inference.fleet.model_cache:
    models:
      - name: qwen3-8b
        type: chat
        source: Qwen/Qwen3-8B
        args: {revision: b968826d9c46dd6066d109eabc6255188de91218}

- name: List the weights that no model of any host uses
  inference.fleet.model_cache:
    prune: true
  check_mode: true
"""

RETURN = r"""
actions:
  description: The actions; in check mode the planned ones.
  returned: always
  type: list
  elements: str
  sample: ["download Qwen/Qwen3-8B at b968826d9c46 (15 files, 16.4 GB)"]
revisions:
  description: The revisions that the models need, each with its commit in the cache (null if none) and its bytes.
  returned: always
  type: list
  elements: dict
  sample:
    - repo: Qwen/Qwen3-8B
      revision: main
      commit: b968826d9c46dd6066d109eabc6255188de91218
      bytes: 16397297613
      models: [qwen3-8b]
lines:
  description: The same as text, one line for each revision.
  returned: always
  type: list
  elements: str
  sample: ["Qwen/Qwen3-8B main is b968826d9c46dd6066d109eabc6255188de91218, 16.4 GB (qwen3-8b)"]
bytes:
  description: Bytes that were downloaded or removed; in check mode the planned ones.
  returned: always
  type: int
held:
  description: The models whose weights are incomplete.
  returned: always
  type: list
  elements: str
"""

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Optional, Union

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.engine.cache import (
    Cached,
    Download,
    Fill,
    Refusal,
    Remote,
    Wanted,
    in_gb,
    plan_fill,
    plan_prune,
    to_ask,
    wanted_of,
)
from ansible_collections.inference.fleet.plugins.module_utils.engine.cache_folder import CacheFolder, size_of
from ansible_collections.inference.fleet.plugins.module_utils.engine.downloads import (
    DockerVolumes,
    fetch,
    spec_of,
    token_in_file,
)
from ansible_collections.inference.fleet.plugins.module_utils.engine.hub import Hub, Unreachable
from ansible_collections.inference.fleet.plugins.module_utils.engine.progress import Progress
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import (
    AT_START,
    NEVER,
    Fleet,
    scope,
    select,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import Model
from ansible_collections.inference.fleet.plugins.module_utils.inventory.wire import OPTIONS, from_wire, unpack
from ansible_collections.inference.fleet.plugins.module_utils.preflight.download_network import provide_network
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.system.host_network import bundle, is_ipv6_only, routes
from ansible_collections.inference.fleet.plugins.module_utils.system.work import working

SPEC = dict(
    OPTIONS,
    names=dict(type="list", elements="str"),
    stopped=dict(type="bool", default=False),
    update=dict(type="bool", default=False),
    prune=dict(type="bool", default=False),
    others=dict(type="list", elements="dict"),
    progress=dict(type="path"),
)


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True))


def _work(module: AnsibleModule) -> None:
    try:
        fleet = unpack(module.params)
        names = scope(fleet, module.params["names"])
        docker = DockerVolumes()
        folder = CacheFolder(docker.folder_of(fleet.cache.source))
        result = (
            _prune(module, fleet, docker, folder)
            if module.params["prune"]
            else _fill(module, fleet, names, docker, folder)
        )
    except FleetError as error:
        module.fail_json(msg=str(error))
    faults = result.pop("faults")
    if faults:
        module.fail_json(msg="\n".join(faults), **result)
    module.exit_json(**result)


def _fill(
    module: AnsibleModule, fleet: Fleet, names: Iterable[str], docker: DockerVolumes, folder: CacheFolder
) -> dict[str, Any]:
    wanted = wanted_of(fleet, names, module.params["stopped"]) if fleet.cache.downloads != AT_START else ()
    cache = folder.observe(wanted)
    answers = _answers(fleet, to_ask(wanted, cache, module.params["update"]), cache)
    plan = plan_fill(wanted, cache, answers, folder.free())
    for warning in plan.warnings:
        module.warn(warning)
    faults = dict(plan.faults)
    done = list(plan.downloads)
    if not module.check_mode:
        for listing in plan.listings:
            folder.remove_listing(listing)
    if done and not module.check_mode:
        done = _download(plan, fleet, docker, folder, Progress(module.params["progress"]), faults)
    after = folder.observe(wanted) if done and not module.check_mode else cache
    revisions = [_as_it_is(one, after) for one in wanted]
    return dict(
        changed=bool(done or plan.listings),
        actions=[*(f"remove {listing}" for listing in plan.listings), *map(str, done)],
        bytes=sum(download.size for download in done),
        revisions=revisions,
        lines=[_line(one) for one in revisions],
        held=sorted({name for one in faults for name in one.models}),
        diff=plan.diff(),
        faults=list(dict.fromkeys(faults.values())),
    )


def _prune(module: AnsibleModule, fleet: Fleet, docker: DockerVolumes, folder: CacheFolder) -> dict[str, Any]:
    others = (from_wire(Model, model) for model in module.params["others"])
    everywhere = replace(fleet, models=(*fleet.models, *others))
    names = [model.name for model in everywhere.models]
    removals = plan_prune(wanted_of(everywhere, names, stopped=True, offline=True), folder.observe())
    compiled = {volume: size_of(where) for volume, where in docker.unused_compiled().items()}
    if not module.check_mode:
        for removal in removals:
            folder.remove(removal)
        for volume in compiled:
            docker.remove_compiled(volume)
    lines = [*map(str, removals), *(f"volume {volume} ({_size(size)})" for volume, size in compiled.items())]
    return dict(
        changed=bool(lines),
        actions=[f"remove {line}" for line in lines],
        bytes=sum(removal.size for removal in removals) + sum(filter(None, compiled.values())),
        revisions=[],
        lines=[],
        held=[],
        diff={"before": "".join(f"{line}\n" for line in lines), "after": ""},
        faults=[],
    )


def _answers(fleet: Fleet, asked: dict[Wanted, str], cache: dict[str, Cached]) -> dict[Wanted, Union[Remote, Refusal]]:
    if fleet.cache.downloads == NEVER:
        fault = "{}: is not in the cache, and fleet_cache.downloads is never; copy it to {} below hub/"
        absent = [one for one in asked if not cache.get(one.repo, Cached()).snapshot_of(one.revision)]
        return {one: Refusal(fault.format(one, fleet.cache.source)) for one in absent}
    hub = Hub(fleet.cache.endpoint, fleet.hf_token, fleet.proxy)
    answers: dict[Wanted, Union[Remote, Refusal]] = {}
    for one, revision in asked.items():
        try:
            answers[one] = hub.revision(one.repo, revision)
        except FleetError as error:
            answers[one] = Refusal(str(error), may_do=isinstance(error, Unreachable))
    return answers


def _download(
    plan: Fill, fleet: Fleet, docker: DockerVolumes, folder: CacheFolder, say: Progress, faults: dict[Wanted, str]
) -> list[Download]:
    """Returns the successful downloads. After a failure, the others continue."""
    done = []
    try:
        _provide_network(fleet)
    except FleetError as error:
        faults.update(dict.fromkeys((download.wanted for download in plan.downloads), str(error)))
        return []
    if fleet.cache.path:  # Docker creates a volume, but no folder
        os.makedirs(fleet.cache.path, exist_ok=True)
    with token_in_file(fleet.hf_token) as token:
        for download in plan.downloads:
            image = fleet.cache.image or fleet.image_of(select(fleet, download.wanted.models[0]))
            try:
                fetch(download, spec_of(download, fleet, image, bundle(), token), docker, folder, say)
                done.append(download)
            except FleetError as error:
                faults[download.wanted] = str(error)
    return done


def _provide_network(fleet: Fleet) -> None:
    if is_ipv6_only(routes()) and not fleet.network.ipv6:
        raise FleetError(
            "fleet_network.ipv6: missing; expected an IPv6 subnet such as fd4c:7e31:9a02::/64, since the host has IPv6 "
            "alone, and containers that download reach nothing without it"
        )
    with working("model_cache"):
        provide_network(fleet)


def _as_it_is(wanted: Wanted, cache: dict[str, Cached]) -> dict[str, Any]:
    cached = cache.get(wanted.repo, Cached())
    commit = cached.snapshot_of(wanted.revision)
    size = sum(size for size, _blob in cached.snapshots.get(commit or "", {}).values())
    return dict(repo=wanted.repo, revision=wanted.revision, commit=commit, bytes=size, models=list(wanted.models))


def _line(one: dict[str, Any]) -> str:
    there = f"is {one['commit']}, {in_gb(one['bytes'])}" if one["commit"] else "is not in the cache"
    return f"{one['repo']} {one['revision']} {there} ({', '.join(one['models'])})"


def _size(counted: Optional[int]) -> str:
    return "too many files to count" if counted is None else in_gb(counted)


if __name__ == "__main__":
    main()
