"""Provider packs: what wiretape knows of each provider, a YAML file in `packs/` each.

    name: example            # also the first half of its rules' names
    hosts: [api.example.com] # one place to a matcher; none: config.yaml gives them
    key_env:                 # variables of keys, each with the dummy that replay sets for it
      EXAMPLE_API_KEY: ex-wiretape-replay-no-key
      EXAMPLE_TOKEN: {if_set: wiretape-replay-no-key} # only where the user has one
    base_url_env:            # variables of base URLs, each with the one that its SDK has by itself
      EXAMPLE_BASE_URL: https://api.example.com/v1
    errors: openai           # the shape of its error answers
    like: [openai]           # whose rules are its too, under its own name
    key_header: x-api-key    # where its key goes; else "authorization: Bearer KEY"
    ids: [container]         # members that hold ids though their names do not say so
    rules:                   # as in config.yaml: what changes from run to run and says nothing
      - name: tool-call-ids
        normalise: [{with: ids, at: ["$.messages[*].tool_call_id"]}]
    drift:                   # what `wiretape drift` makes of a change (core/drift/rules.py)
      - {tier: shape, change: member-came, path: "*.obfuscation", verdict: benign}

The pack `common` has rules alone, which are everybody's, and so have those of agents, with the
version each was `tested` with. An agent may be behind any provider: its rules know it by its body,
and so do those of `mcp`, whose servers are at any host.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from wiretape.core.providers.registry import ErrorShape, Provider, Providers

from .shipped import shipped

if TYPE_CHECKING:
    from wiretape.core.drift.rules import DriftRule
    from wiretape.core.matching.rule import Rule

_COMMON: Final = "common"
AGENTS: Final = (
    *("claude-code", "codex", "gemini-cli", "qwen-code", "opencode", "aider", "openai-agents"),
)
"""The packs of agents."""

_ANYWHERE: Final = (_COMMON, *AGENTS, "mcp")
"""The packs whose rules know their requests by the body, whoever is asked."""

NAMES: Final = (
    *(_COMMON, "together", "openai", "anthropic", "google", "azure", "bedrock", "mistral", "groq"),
    *("xai", "openrouter", "fireworks", "cerebras", "deepseek", "cohere", "ollama", "litellm"),
    *("vllm", "llamacpp", "mcp", *AGENTS),
)
"""The packs that come with wiretape."""

DUMMY_KEY: Final = "wiretape-replay-no-key"
"""What stands in replay for a key whose shape nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One pack: a provider (None in `common` and an agent's), and its rules as they are written."""

    name: str
    provider: Provider | None
    like: tuple[str, ...]
    rules: tuple[Mapping[str, Any], ...]
    dummies: tuple["DummyKey", ...] = ()
    base_urls: Mapping[str, str] = field(default_factory=dict)
    key_header: "KeyHeader"
    drift: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class KeyHeader:
    """The header that a provider's key goes into, and the variables that it may be in."""

    name: str
    variables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DummyKey:
    """What stands for a provider's key in replay, in the shape of a real one; `always` says that
    the variable is set where the user has none: SDKs refuse to start without.
    """

    name: str
    value: str
    pack: str
    always: bool = True


@cache
def packs() -> Mapping[str, Pack]:
    """Give all packs that come with wiretape, by name."""
    return {name: _pack(text) for name, text in shipped()["packs"].items()}


def _pack(text: Mapping[str, Any]) -> Pack:
    name = text["name"]
    key_env: Mapping[str, Any] = text.get("key_env", {})
    dummies = tuple(
        DummyKey(key, value["if_set"], name, always=False)
        if isinstance(value, dict)
        else DummyKey(key, value, name)
        for key, value in key_env.items()
    )
    provider = Provider(
        name,
        tuple(text.get("hosts", ())),
        tuple(dummy.name for dummy in dummies if dummy.always),
        text.get("errors", "openai"),
        tuple(text.get("ids", ())),
    )
    return Pack(
        name=name,
        provider=None if name in (_COMMON, *AGENTS) else provider,
        like=tuple(text.get("like", ())),
        rules=tuple(text.get("rules", ())),
        dummies=dummies,
        base_urls=text.get("base_url_env", {}),
        key_header=_key_header(text.get("key_header", "authorization"), provider.key_env),
        drift=tuple(text.get("drift", ())),
    )


@cache
def providers() -> tuple[Provider, ...]:
    """List the providers that wiretape knows. One without hosts, such as a server of the user's,
    gets them from config.yaml.
    """
    known = packs()
    return tuple(
        Provider(
            provider.name,
            provider.hosts,
            provider.key_env,
            provider.errors,
            tuple(
                dict.fromkeys(
                    (*provider.ids, *(name for like in pack.like for name in _ids(known[like])))
                )
            ),
        )
        for pack in known.values()
        if (provider := pack.provider) is not None
    )


def built_in() -> Providers:
    """Give the providers of a run without a config.yaml."""
    return Providers(providers())


def dummy_keys(names: Iterable[str]) -> tuple[DummyKey, ...]:
    """Give a dummy for each variable of a key, and for others that hold a key of the same provider;
    for a variable of no pack one that says what it is.
    """
    known = {dummy.name: dummy for pack in packs().values() for dummy in pack.dummies}
    besides = (dummy.name for dummy in known.values() if not dummy.always)
    return tuple(
        known.get(name) or DummyKey(name, DUMMY_KEY, name)
        for name in dict.fromkeys((*names, *besides))
    )


def _key_header(entry: Any, variables: tuple[str, ...]) -> KeyHeader:
    """A header's name, or a mapping for a provider whose other keys sign requests."""
    if isinstance(entry, dict):
        return KeyHeader(entry["name"], tuple(entry["env"]))
    return KeyHeader(entry, variables)


def key_header(provider: Provider) -> KeyHeader:
    """Give the header of a provider's key; a user's own has that of the one it speaks like."""
    known = packs().get(provider.name) or packs()[provider.errors or "openai"]
    if known.provider is None or known.provider.key_env == provider.key_env:
        return known.key_header
    return KeyHeader(known.key_header.name, provider.key_env)


def drift_rules() -> "tuple[DriftRule, ...]":
    """List the packs' rules for changes that `wiretape drift` finds; those of `common` are for all
    providers.
    """
    from wiretape.core.drift.rules import DriftRule

    return tuple(
        DriftRule(**entry, provider=None if pack.provider is None else pack.name)
        for pack in packs().values()
        for entry in pack.drift
    )


def base_urls() -> dict[str, str]:
    """Give the variables that SDKs read a base URL from, each with its SDK's default URL."""
    return {name: url for pack in packs().values() for name, url in pack.base_urls.items()}


def _ids(pack: Pack) -> tuple[str, ...]:
    return pack.provider.ids if pack.provider else ()


def id_names(errors: ErrorShape) -> tuple[str, ...]:
    """Give the members that hold ids at a provider of the user's own that answers with `errors`."""
    return next((known.ids for known in providers() if known.name == errors), ())


def rules(of: Iterable[Provider]) -> "Iterator[Rule]":
    """Make the rules of packs: everybody's, agents', MCP's, each provider's. A provider without a
    pack has those of the provider in whose shape its errors are.
    """
    known = packs()
    for name in _ANYWHERE:
        yield from _rules(known[name], None, name)
    for provider in of:
        pack = known.get(provider.name) or known[provider.errors or "openai"]
        for source in (pack, *(known[name] for name in pack.like)):
            if source.name in _ANYWHERE:
                continue
            yield from _rules(source, provider.name, provider.name)


def _rules(pack: Pack, provider: str | None, prefix: str) -> "Iterator[Rule]":
    from .rule_entry import rule

    for entry in pack.rules:
        name = f"{prefix}/{entry['name']}"
        yield rule(entry, name, provider=provider, own=False, origin=f"pack {pack.name}")
