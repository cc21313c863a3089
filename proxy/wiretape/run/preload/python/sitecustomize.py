"""Sends what Python clients would send past HTTPS_PROXY through it.

`wiretape` puts this folder first on CMD's PYTHONPATH; every Python then imports this module as it
starts. Nothing happens until one of three modules is imported, and nothing where
WIRETAPE_NO_PRELOAD is set. It runs in whatever Python CMD uses, and needs the standard library
only:

  aiohttp      ignores the proxy variables without trust_env=True, which becomes the default
  urllib3      alone ignores them: PoolManager asks a ProxyManager
  http.client  ignores them: a connection that is no tunnel yet becomes one

A sitecustomize of the user's own is run after it.
"""

import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _proxy_for(host, scheme="https"):
    """The proxy's URL parts for a host, or None where it is to be asked directly."""
    from urllib.parse import urlsplit
    from urllib.request import getproxies_environment, proxy_bypass_environment

    proxies = getproxies_environment()
    url = proxies.get(scheme)
    if not url or not host or proxy_bypass_environment(host, proxies):
        return None
    return urlsplit(url if "//" in url else "//" + url)


def _authorization(parts):
    from base64 import b64encode
    from urllib.parse import unquote

    if parts.username is None:
        return {}
    login = unquote(parts.username) + ":" + unquote(parts.password or "")
    return {"Proxy-Authorization": "Basic " + b64encode(login.encode()).decode()}


def _aiohttp(module):
    usual = module.ClientSession.__init__

    def __init__(self, *args, **named):
        named.setdefault("trust_env", True)
        usual(self, *args, **named)

    module.ClientSession.__init__ = __init__


def _urllib3(module):
    usual = module.PoolManager.urlopen
    kept = "_wiretape_through"

    def urlopen(self, method, url, *args, **named):
        from urllib.parse import urlsplit

        asked = urlsplit(url)
        parts = _proxy_for(asked.hostname, asked.scheme)
        if type(self) is not module.PoolManager or parts is None:
            return usual(self, method, url, *args, **named)
        through = self.__dict__.get(kept)
        if through is None:
            netloc = parts.netloc.rpartition("@")[2]
            through = self.__dict__[kept] = module.ProxyManager(
                "http://" + netloc,
                headers=self.headers,
                proxy_headers=_authorization(parts),
                **self.connection_pool_kw,
            )
        return through.urlopen(method, url, *args, **named)

    module.PoolManager.urlopen = urlopen


def _http_client(module):
    usual = module.HTTPSConnection.connect

    def connect(self):
        parts = _proxy_for(self.host)
        own = type(self).__module__.partition(".")[0] in ("http", "__main__")
        if own and parts is not None and not self._tunnel_host and parts.hostname != self.host:
            self.set_tunnel(self.host, self.port, _authorization(parts))
            self.host, self.port = parts.hostname, parts.port or 80
        return usual(self)

    module.HTTPSConnection.connect = connect


_PATCHES = {
    "aiohttp.client": _aiohttp,
    "urllib3.poolmanager": _urllib3,
    "http.client": _http_client,
}


class _Loader:
    """Loads a module as ever, then patches it."""

    def __init__(self, loader, patch):
        self._loader, self._patch = loader, patch

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        try:
            self._patch(module)
        except Exception as error:  # a version that is not as known: the client works as without us
            sys.stderr.write(f"wiretape: {module} could not be led to the proxy: {error!r}\n")


class _Finder:
    """Finds the three modules as ever, and has them loaded by `_Loader`."""

    def find_spec(self, name, path=None, target=None):
        patch = _PATCHES.pop(name, None)
        if patch is None:
            return None
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, patch)
        return spec


def _run_the_users_own():
    from importlib.machinery import PathFinder

    paths = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != _HERE]
    spec = PathFinder.find_spec("sitecustomize", paths)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if os.environ.get("HTTPS_PROXY") and not os.environ.get("WIRETAPE_NO_PRELOAD"):
    sys.meta_path.insert(0, _Finder())
    for _name in list(_PATCHES):
        if _name in sys.modules:
            _PATCHES.pop(_name)(sys.modules[_name])
_run_the_users_own()
