# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Families of chat models, and the parsers of tool calls and of reasoning that vLLM's recipes or documentation name.

A family is known by the name of the weights alone. Their architecture does not tell it: DeepseekV3ForCausalLM is
DeepSeek-R1, DeepSeek-V3.1 and Kimi-K2, and Qwen3ForCausalLM also a base model; and it is known only on the host, after
the download. A wrong parser is worse than none (vLLM does not start if the tokenizer lacks a parser's tokens, or takes
the whole answer for reasoning), so names match as a whole: a base model or another one's fine-tune has no family.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.arguments import Args

TOOLS, AUTO, REASONING, TEMPLATE = "tool-call-parser", "enable-auto-tool-choice", "reasoning-parser", "chat-template"

# Where the parsers were read: vllm-project/vllm docs/features/tool_calling.md (0064cc9) and reasoning_outputs.md
# (00256d5); vllm-project/recipes models/REPOSITORY.yaml (October 2026); where these name none, the parser itself, which
# says for which models it is. vLLM 0.31, 0.32 and 0.33 have all of them (tests/vllm_options).
_TOOLS, _THINKS = "docs, Tool Calling", "docs, Reasoning Outputs"
_BOTH, _PARSER = "docs, Tool Calling and Reasoning Outputs", "the parser in vLLM 0.32"


class Family(NamedTuple):
    """example: a repository. names: pattern of the last part of a repository or path, in lower case, without what
    says how a copy was made. source: empty for vLLM's recipe of the example. template: vLLM's own, in its folder
    `examples`, without which the model is not told of the tools; then the parser of tool calls is only for models with
    a chat-template in their args."""

    example: str
    names: str
    tools: Optional[str]
    reasoning: Optional[str]
    source: str = ""
    template: Optional[str] = None


FAMILIES = (
    # Qwen: hermes of the Thinking models is that of the others with the same template.
    Family("Qwen/Qwen2.5-7B-Instruct", r"qwen2\.5-(coder-)?[\d.]+b-instruct(-1m)?", "hermes", None, _TOOLS),
    Family("Qwen/QwQ-32B", r"qwq-32b", "hermes", "deepseek_r1"),
    Family("Qwen/Qwen3-8B", r"qwen3-[\d.]+b(-a\d+b)?", "hermes", "qwen3"),
    Family("Qwen/Qwen3-235B-A22B-Instruct-2507", r"qwen3-\d+b(-a\d+b)?-instruct-2507", "hermes", None),
    Family("Qwen/Qwen3-235B-A22B-Thinking-2507", r"qwen3-\d+b(-a\d+b)?-thinking-2507", "hermes", "qwen3", _THINKS),
    Family("Qwen/Qwen3-Next-80B-A3B-Instruct", r"qwen3-next-80b-a3b-instruct", "hermes", None),
    Family("Qwen/Qwen3-Next-80B-A3B-Thinking", r"qwen3-next-80b-a3b-thinking", "hermes", "qwen3", _THINKS),
    Family("Qwen/Qwen3-Coder-480B-A35B-Instruct", r"qwen3-coder-(\d+b-a\d+b-instruct|next)", "qwen3_coder", None),
    Family("Qwen/Qwen3-VL-8B-Instruct", r"qwen3-vl-\d+b(-a\d+b)?-instruct", "hermes", None, "vllm-project/vllm #28297"),
    Family("Qwen/Qwen3-VL-8B-Thinking", r"qwen3-vl-\d+b(-a\d+b)?-thinking", "hermes", "qwen3", _THINKS),
    Family("Qwen/Qwen3.5-397B-A17B", r"qwen3\.[568]-([\d.]+[bt](-a\d+b)?|flash-next)", "qwen3_coder", "qwen3"),
    # Meta
    Family(
        "meta-llama/Llama-3.1-8B-Instruct",
        r"(meta-)?llama-3\.[123]-\d+b-(vision-)?instruct",
        "llama3_json",
        None,
        _TOOLS,
    ),
    Family(
        "meta-llama/Llama-4-Scout-17B-16E-Instruct",
        r"llama-4-(scout|maverick)-17b-\d+e-instruct",
        "llama4_pythonic",
        None,
        _TOOLS,
        "tool_chat_template_llama4_pythonic.jinja",
    ),
    # Mistral AI
    Family(
        "mistralai/Mistral-Small-3.2-24B-Instruct-2506",
        r"mistral-(7b-instruct-v0\.3|nemo-instruct-2407|(small|large)-instruct-\d{4}|small-(3\.\d-)?24b-instruct-\d{4}"
        r"|large-3-675b-instruct-2512)|ministral-(8b-instruct-2410|3-\d+b-instruct-2512)"
        r"|devstral-(small-\d{4}|small-2-24b-instruct-2512|2-123b-instruct-2512)",
        "mistral",
        None,
        _TOOLS,
    ),
    Family(
        "mistralai/Ministral-3-8B-Reasoning-2512",
        r"ministral-3-\d+b-reasoning-2512|mistral-(small-4-119b-2603|medium-3\.5-128b)",
        "mistral",
        "mistral",
    ),
    Family("mistralai/Magistral-Small-2509", r"magistral-small-\d{4}", "mistral", "mistral", _PARSER),
    # DeepSeek
    Family(
        "deepseek-ai/DeepSeek-V3-0324",
        r"deepseek-v3(-0324)?",
        "deepseek_v3",
        None,
        _TOOLS,
        "tool_chat_template_deepseekv3.jinja",
    ),
    Family(
        "deepseek-ai/DeepSeek-R1",
        r"deepseek-r1(-0528)?",
        "deepseek_v3",
        "deepseek_r1",
        template="tool_chat_template_deepseekr1.jinja",
    ),
    Family(
        "deepseek-ai/DeepSeek-R1-Distill-Llama-70B",
        r"deepseek-r1-(distill-(qwen|llama)-[\d.]+b|0528-qwen3-8b)",
        None,
        "deepseek_r1",
    ),
    Family(
        "deepseek-ai/DeepSeek-V3.1",
        r"deepseek-v3\.1(-terminus)?",
        "deepseek_v31",
        "deepseek_v3",
        _BOTH,
        "tool_chat_template_deepseekv31.jinja",
    ),
    Family("deepseek-ai/DeepSeek-V3.2", r"deepseek-v3\.2", "deepseek_v32", "deepseek_v3"),
    Family("deepseek-ai/DeepSeek-V4-Flash", r"deepseek-v4-(flash|pro)", "deepseek_v4", "deepseek_v4"),
    Family("deepseek-ai/DeepSeek-V4.1-Flash", r"deepseek-v4\.1-flash", "deepseek_v41", "deepseek_v41"),
    # OpenAI: vLLM itself sets the reasoning parser of gpt-oss (model_executor/models/config.py).
    Family("openai/gpt-oss-20b", r"gpt-oss-\d+b", "openai", None),
    # Z.ai
    Family("zai-org/GLM-4.6", r"glm-4\.(5(-air|v)?|6(v(-flash)?)?)", "glm45", "glm45"),
    Family("zai-org/GLM-4.7", r"glm-4\.7(-flash)?", "glm47", "glm45"),
    Family("zai-org/GLM-5", r"glm-5(\.[123])?(-flash)?", "glm47", "glm45"),
    # Moonshot AI, MiniMax
    Family("moonshotai/Kimi-K2-Instruct", r"kimi-k2-instruct(-0905)?", "kimi_k2", None),
    Family("moonshotai/Kimi-K2-Thinking", r"kimi-k2(-thinking|\.5|\.6|\.7-code)", "kimi_k2", "kimi_k2"),
    Family("moonshotai/Kimi-K3", r"kimi-k3", "kimi_k3", "kimi_k3"),
    # Not minimax_m2_append_think, as the docs have it: that leaves the reasoning in the content.
    Family("MiniMaxAI/MiniMax-M2", r"minimax-m2(\.[157])?", "minimax_m2", "minimax_m2"),
    Family("MiniMaxAI/MiniMax-M3", r"minimax-m3", "minimax_m3", "minimax_m3"),
    # IBM
    Family(
        "ibm-granite/granite-3.0-8b-instruct",
        r"granite-3\.0-\d+b(-a\d+m)?-instruct",
        "granite",
        None,
        _TOOLS,
        "tool_chat_template_granite.jinja",
    ),
    Family("ibm-granite/granite-3.1-8b-instruct", r"granite-3\.1-\d+b(-a\d+m)?-instruct", "granite", None, _TOOLS),
    Family("ibm-granite/granite-3.2-8b-instruct", r"granite-3\.2-\d+b-instruct", None, "granite", _THINKS),
    Family(
        "ibm-granite/granite-4.0-h-small", r"granite-4\.0-(h-)?(small|tiny|micro|350m|1b)", "granite4", None, _TOOLS
    ),
    # NVIDIA: vLLM's own nemotron_v3, which was the plugin nano_v3 of older recipes.
    Family(
        "nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B-BF16",
        r"(nvidia-)?nemotron-3(\.5)?-(nano|super|ultra|lightning)(-omni)?-\d+b(-a\d+b)?(-reasoning)?",
        "qwen3_coder",
        "nemotron_v3",
    ),
    # Google, Microsoft
    Family("google/gemma-4-26B-A4B-it", r"gemma-4-e?\d+b(-a\d+b)?-it", "gemma4", "gemma4"),
    Family(
        "google/functiongemma-270m-it",
        r"functiongemma-270m-it",
        "functiongemma",
        None,
        _TOOLS,
        "tool_chat_template_functiongemma.jinja",
    ),
    Family(
        "microsoft/Phi-4-mini-instruct",
        r"phi-4-mini-instruct",
        "phi4_mini_json",
        None,
        _PARSER,
        "tool_chat_template_phi4_mini.jinja",
    ),
    # Others, by owner
    Family("ai21labs/AI21-Jamba-1.5-Mini", r"(ai21-)?jamba-1\.5-(mini|large)", "jamba", None, _TOOLS),
    Family("ai-sage/GigaChat3-10B-A1.8B", r"gigachat3-\d+b-a[\d.]+b(-preview)?", "gigachat3", None, _TOOLS),
    Family("allenai/Olmo-3-7B-Instruct", r"olmo-3-\d+b-instruct", "olmo3", None, _TOOLS),
    Family("allenai/Olmo-3-32B-Think", r"olmo-3-\d+b-think", "olmo3", "olmo3", f"{_TOOLS}; {_PARSER}"),
    Family("arcee-ai/Trinity-Large-Thinking", r"trinity-large-thinking", "qwen3_coder", "deepseek_r1"),
    Family(
        "baidu/ERNIE-4.5-21B-A3B-Thinking",
        r"ernie-4\.5-21b-a3b-thinking",
        "ernie45",
        "ernie45",
        f"{_THINKS}; {_PARSER}",
    ),
    Family("baidu/ERNIE-4.5-VL-28B-A3B-PT", r"ernie-4\.5-vl-\d+b-a\d+b-(pt|thinking)", None, "ernie45", _THINKS),
    Family("ByteDance-Seed/Seed-OSS-36B-Instruct", r"seed-oss-36b-instruct", "seed_oss", "seed_oss", _PARSER),
    Family("IFM/K2-Horizon-32B", r"(k2-horizon|jais-3)(-mova)?-[\d.]+b(-a\d+b)?", "k2_horizon", "k2_horizon"),
    Family("inclusionAI/Ling-3.0-flash", r"ling-3\.0-(flash(-vl)?|tiny)", "ling3", "ling3"),
    Family(
        "internlm/internlm2_5-7b-chat",
        r"internlm2_5-[\d.]+b-chat(-1m)?",
        "internlm",
        None,
        _TOOLS,
        "tool_chat_template_internlm2_tool.jinja",
    ),
    Family("internlm/Intern-S1", r"intern-s1", "internlm", "deepseek_r1"),
    Family("internlm/Intern-S2-Preview", r"intern-s2-(preview|397b)", "qwen3_coder", "qwen3"),
    Family("JetBrains/Mellum2-12B-A2.5B-Instruct", r"mellum2-12b-a2\.5b-instruct", "hermes", None),
    Family("JetBrains/Mellum2-12B-A2.5B-Thinking", r"mellum2-12b-a2\.5b-thinking", "hermes", "qwen3"),
    Family("LiquidAI/LFM2.5-1.2B-Instruct", r"lfm2\.5-(350m|1\.2b-(instruct|jp-202606))", "lfm2", None),
    Family("LiquidAI/LFM2.5-8B-A1B", r"lfm2\.5-(1\.2b-thinking|8b-a1b)", "lfm2", "qwen3"),
    Family("meituan-longcat/LongCat-Flash-Chat", r"longcat-flash-chat", "longcat", None, _TOOLS),
    Family(
        "NousResearch/Hermes-3-Llama-3.1-8B",
        r"hermes-(2-(pro|theta)-(llama-3|mistral)|3-llama-3\.[12]|4(\.\d)?)-\d+b",
        "hermes",
        None,
        _TOOLS,
    ),
    Family("openbmb/MiniCPM5-1B", r"minicpm5-\d+b", "minicpm5", None),
    Family("poolside/Laguna-M.1", r"laguna-(m\.1|s-2\.1|xs-2\.1|xs\.2)", "poolside_v1", "poolside_v1"),
    Family(
        "Salesforce/Llama-xLAM-2-8b-fc-r",
        r"llama-xlam-2-\d+b-fc-r",
        "xlam",
        None,
        _TOOLS,
        "tool_chat_template_xlam_llama.jinja",
    ),
    Family(
        "Salesforce/xLAM-2-32b-fc-r",
        r"xlam-2-\d+b-fc-r",
        "xlam",
        None,
        _TOOLS,
        "tool_chat_template_xlam_qwen.jinja",
    ),
    Family("stepfun-ai/step3", r"step3", "step3", "step3", _PARSER),
    Family("stepfun-ai/Step-3.5-Flash", r"step-3\.[57]-flash", "step3p5", "step3p5"),
    Family(
        "swiss-ai/Apertus-8B-Instruct-2509",
        r"apertus-\d+b-instruct-2509",
        "apertus",
        None,
        _TOOLS,
        "tool_chat_template_apertus.jinja",
    ),
    Family("tencent/Hunyuan-A13B-Instruct", r"hunyuan-a13b-instruct", "hunyuan_a13b", "hunyuan_a13b", _BOTH),
    Family("tencent/Hy3", r"hy3(-preview)?", "hy_v3", "hy_v3"),
    Family("tencent/Hy4-preview", r"hy4-preview", "hy_v4", "hy_v4"),
    Family("thinkingmachines/Inkling", r"inkling(-small)?", "inkling", "inkling"),
    Family("XiaomiMiMo/MiMo-V2.5", r"mimo-v2\.[56](-flash|-pro)?(-rl)?", "mimo", "mimo"),
)
# Not in the table: Cohere's models, whose parsers need the package cohere_melody, which is not installed with vLLM;
# models whose recipe needs a plugin file (Nemotron-Nano-9B-v2); Qwen2.5-VL and Gemma 3, for which vLLM names none.
# What names of copies say of weights, not of a model: unsloth/Qwen3-8B-unsloth-bnb-4bit, Qwen3-32B-GPTQ-Int4. Not gguf,
# whose tokenizer is converted.
_COPY = (
    r"([-_.](awq|gptq|autoround|bnb|unsloth|quantized|dynamic|static|block|kv|qat|torchao|modelopt|mtp"
    r"|(nv|mx|moe)?fp\d+(a16)?|bf16|int\d|w\d+a\d+|\d+bit|g\d+|\d+g|v\d))*"
)


def family_of(source: str) -> Optional[Family]:
    """source: a repository of a hub, or a folder on the host, which has the repository's name."""
    name = source.rstrip("/").rpartition("/")[2].lower()
    return next((family for family in FAMILIES if re.fullmatch(f"({family.names}){_COPY}", name)), None)


def family_args(source: str, args: Args) -> Args:
    """The options of `vllm serve` that a chat model's family needs and its own args do not name, sorted by name."""
    family = family_of(source)
    if family is None:
        return ()
    given, found = dict(args), {}
    known = family.tools if not family.template or given.get(TEMPLATE) else None
    tools = given.get(TOOLS, known)
    if family.tools and tools and given.get(AUTO) is not False:
        found = {TOOLS: tools, AUTO: True}
    if family.reasoning:
        found[REASONING] = family.reasoning
    return tuple(sorted((key, value) for key, value in found.items() if key not in given))
