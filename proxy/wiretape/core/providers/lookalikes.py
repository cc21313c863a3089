"""Hosts that look like an LLM provider though no pack names them: a hint, and no more."""

import re
from typing import Final

_WORDS_TEXT: Final = """
    ai aiplatform anthropic bedrock claude gemini genai gpt inference litellm llama llm llms
    lmstudio ollama openai sglang vllm
"""
_WORDS: Final = frozenset(_WORDS_TEXT.split())
"""Labels of a name, or parts of them between hyphens, that say what a host is for."""

_HOSTS_TEXT: Final = """
    api.ai21.com api.deepinfra.com api.elevenlabs.io api.githubcopilot.com api.hyperbolic.xyz
    api.lambdalabs.com api.minimaxi.com api.moonshot.cn api.replicate.com api.siliconflow.cn
    api.voyageai.com api.writer.com ark.cn-beijing.volces.com chatgpt.com
    dashscope.aliyuncs.com integrate.api.nvidia.com open.bigmodel.cn router.huggingface.co
    us-south.ml.cloud.ibm.com
"""
_HOSTS: Final = frozenset(_HOSTS_TEXT.split())
_LOCAL: Final = frozenset(("localhost", "127.0.0.1", "0.0.0.0", "[::1]", "host.docker.internal"))
_LOCAL_PORTS: Final = frozenset(("1234", "4000", "8000", "8080", "11434", "30000"))
"""LM Studio, LiteLLM, vLLM, llama.cpp, Ollama, SGLang."""


def looks_like_provider(place: str) -> bool:
    """Whether a host, or host:port, may well be an LLM provider.

    >>> looks_like_provider("api.perplexity.ai"), looks_like_provider("localhost:11434")
    (True, True)
    >>> looks_like_provider("pypi.example"), looks_like_provider("localhost:5432")
    (False, False)
    """
    host, _, port = (
        place.lower().rpartition(":") if _PORT.search(place) else (place.lower(), "", "")
    )
    if host in _LOCAL:
        return port in _LOCAL_PORTS
    return host in _HOSTS or not _WORDS.isdisjoint(re.split(r"[.-]", host))


_PORT: Final = re.compile(r":[0-9]+\Z")
