"""Guess whether a host that no pack names is an LLM provider: only for hints."""

import re
from typing import Final

_WORDS_TEXT: Final = """
    ai aiplatform anthropic bedrock claude gemini genai gpt inference litellm llama llm llms
    lmstudio ollama openai sglang vllm
"""
_WORDS: Final = frozenset(_WORDS_TEXT.split())
"""Labels of a host name, or parts of them between hyphens, that suggest a provider."""

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


def looks_like_provider(address: str) -> bool:
    """Whether a host, or host:port, is probably an LLM provider.

    >>> looks_like_provider("api.perplexity.ai"), looks_like_provider("localhost:11434")
    (True, True)
    >>> looks_like_provider("pypi.example"), looks_like_provider("localhost:5432")
    (False, False)
    """
    address = address.lower()
    host, _, port = address.rpartition(":") if _PORT.search(address) else (address, "", "")
    if host in _LOCAL:
        return port in _LOCAL_PORTS
    return host in _HOSTS or not _WORDS.isdisjoint(re.split(r"[.-]", host))


_PORT: Final = re.compile(r":[0-9]+\Z")
