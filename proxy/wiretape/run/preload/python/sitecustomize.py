"""Leads Python clients that ignore HTTPS_PROXY through it: see `wiretape_clients.py`.

`wiretape` puts this folder first on CMD's PYTHONPATH; every Python then imports this module as it
starts. Nothing happens where WIRETAPE_NO_PRELOAD is set. A sitecustomize of the user's own is run
after it.
"""

import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _run_the_users_own():
    from importlib.machinery import PathFinder

    paths = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != _HERE]
    spec = PathFinder.find_spec("sitecustomize", paths)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if os.environ.get("HTTPS_PROXY") and not os.environ.get("WIRETAPE_NO_PRELOAD"):
    import wiretape_clients

    wiretape_clients.install()
_run_the_users_own()
