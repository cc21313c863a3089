"""The environment of this process while proxies are open: in layers, the last opened on top.

A layer that is taken away from the middle leaves those above it; with the last one all is as it was
before the first. Clients that read a variable once, as they are imported, have to read it again.
"""

import importlib.util
import os
import sys
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from wiretape.core.errors import WiretapeError

type Changes = Mapping[str, str | None]
"""Variables and their values; None: it is not set."""

_OPT_OUT: Final = "WIRETAPE_NO_PRELOAD"


def _current_task() -> Any:
    asyncio = sys.modules.get("asyncio")
    try:
        return asyncio.current_task() if asyncio else None
    except RuntimeError:
        return None


@dataclass(eq=False, slots=True)
class Layer:
    """What one proxy or session sets, and the thread and task, where there is one, that did it."""

    changes: Changes
    thread: int = field(default_factory=threading.get_ident)
    task: Any = field(default_factory=_current_task)
    below: "Layer | None" = None


_layers: list[Layer] = []
_base: dict[str, str | None] = {}
_guard = threading.RLock()
_current: ContextVar[Layer | None] = ContextVar("wiretape layer", default=None)


def check() -> None:
    """WiretapeError where another thread or task has a proxy open: there is one environment."""
    with _guard:
        if not _layers:
            return
        top = _layers[-1]
        task = _current_task()
        beside = top.thread != threading.get_ident() or not (
            top.task is None or top.task is task or top.task.done()
        )
        if beside and _current.get() is not top:
            raise WiretapeError(
                "another thread or task of this process has a wiretape proxy or session open, and"
                " the environment that clients read is one for all: open one after the other, or"
                " with set_environment=False, and hand url, ssl_context() or base_url() to the"
                " clients"
            )


def push(changes: Changes) -> Layer:
    """Set variables; WiretapeError as `check`."""
    with _guard:
        check()
        layer = Layer(changes, below=_current.get())
        for name in changes:
            _base.setdefault(name, os.environ.get(name))
        _layers.append(layer)
        _current.set(layer)
        _apply()
        return layer


def remove(layer: Layer) -> None:
    """Take a layer's variables back."""
    with _guard:
        if layer not in _layers:
            return
        _layers.remove(layer)
        if _current.get() is layer:
            _current.set(layer.below)
        _apply()
        if not _layers:
            _base.clear()


def _apply() -> None:
    values = dict(_base)
    for layer in _layers:
        values.update(layer.changes)
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    clients = _clients()
    if _layers and not os.environ.get(_OPT_OUT):
        clients.install()
    else:
        clients.uninstall()
    clients.forget_environment()


def _clients() -> Any:
    """The module that leads clients in; its own program may have loaded it as it started."""
    name = "wiretape_clients"
    if name not in sys.modules:
        path = Path(__file__).parents[1] / "run" / "preload" / "python" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]
