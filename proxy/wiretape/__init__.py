"""Record what a program and an LLM provider send each other, and replay it byte for byte.

    with wiretape.replay("recordings"):
        answer = openai.OpenAI().chat.completions.create(...)

What `__all__` names is public; so are the command line, the format of recordings and config.yaml,
which docs/ describes. Every package below is private and may change with any release. `core` is
pure, the others are the shells around it; docs/architecture.md says where to begin reading.
"""

# As type checkers know it; `typing` takes longer to import than all of this.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from .api.proxy import Proxy, ProxySession, auto, record, refresh, replay
    from .api.recordings import Recording, Recordings, open
    from .api.result import Result, RunFailed
    from .core.errors import ConfigError, FormatError, StoreError, WiretapeError
    from .core.model import Chunk, Request, Response

    __version__: str

__all__ = [
    "Chunk",
    "ConfigError",
    "FormatError",
    "Proxy",
    "ProxySession",
    "Recording",
    "Recordings",
    "Request",
    "Response",
    "Result",
    "RunFailed",
    "StoreError",
    "WiretapeError",
    "__version__",
    "auto",
    "open",
    "record",
    "refresh",
    "replay",
]

_MODULES = {
    "api.proxy": ("Proxy", "ProxySession", "auto", "record", "refresh", "replay"),
    "api.recordings": ("Recording", "Recordings", "open"),
    "api.result": ("Result", "RunFailed"),
    "core.errors": ("ConfigError", "FormatError", "StoreError", "WiretapeError"),
    "core.model": ("Chunk", "Request", "Response"),
}


if not TYPE_CHECKING:

    def __getattr__(name):
        """Import what is asked for when it is: who wants the version only pays for no more."""
        from importlib import import_module

        if name == "__version__":
            return globals().setdefault(name, _version())
        for module, names in _MODULES.items():
            if name in names:
                return getattr(import_module(f".{module}", __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def _version():
        """What is installed is; the tags of git say it when it is built."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("wiretape")
        except PackageNotFoundError:
            return "0+unknown"  # run from its source


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
