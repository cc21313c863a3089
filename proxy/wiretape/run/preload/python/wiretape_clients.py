"""Sends what Python clients would send past HTTPS_PROXY through it.

  aiohttp      ignores the proxy variables without trust_env=True, which becomes the default
  urllib3      alone ignores them: PoolManager asks a ProxyManager
  http.client  ignores them: a connection that is not a tunnel yet becomes one

Nothing happens until one of three modules is imported. `sitecustomize.py` installs it in the
programs that CMD starts, `wiretape.api` in a process that opens a proxy, where `uninstall` takes it
back. It runs in whatever Python CMD uses, and needs the standard library only.
"""

import importlib.util
import sys

_replaced = []  # object, name, what was there before


def _replace(owner, name, value):
    _replaced.append((owner, name, getattr(owner, name)))
    setattr(owner, name, value)


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

    _replace(module.ClientSession, "__init__", __init__)


def _urllib3(module):
    usual = module.PoolManager.urlopen
    attribute = "_wiretape_through"

    def urlopen(self, method, url, *args, **named):
        from urllib.parse import urlsplit

        parsed = urlsplit(url)
        parts = _proxy_for(parsed.hostname, parsed.scheme)
        if type(self) is not module.PoolManager or parts is None:
            return usual(self, method, url, *args, **named)
        managers = self.__dict__.setdefault(attribute, {})
        through = managers.get(parts.netloc)
        if through is None:
            netloc = parts.netloc.rpartition("@")[2]
            through = managers[parts.netloc] = module.ProxyManager(
                "http://" + netloc,
                headers=self.headers,
                proxy_headers=_authorization(parts),
                **self.connection_pool_kw,
            )
        return through.urlopen(method, url, *args, **named)

    _replace(module.PoolManager, "urlopen", urlopen)


def _http_client(module):
    usual = module.HTTPSConnection.connect

    def connect(self):
        parts = _proxy_for(self.host)
        own = type(self).__module__.partition(".")[0] in ("http", "__main__")
        if own and parts is not None and not self._tunnel_host and parts.hostname != self.host:
            self.set_tunnel(self.host, self.port, _authorization(parts))
            self.host, self.port = parts.hostname, parts.port or 80
        return usual(self)

    _replace(module.HTTPSConnection, "connect", connect)


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

    def __init__(self):
        self.seen = set()

    def find_spec(self, name, path=None, target=None):
        patch = _PATCHES.get(name)
        if patch is None or name in self.seen:
            return None
        self.seen.add(name)  # it is to be found by the finders after this one
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, patch)
        return spec


_finders = []


def install():
    """Patch the modules that are loaded, and the others when they are."""
    if _finders:
        return
    finder = _Finder()
    for name in _PATCHES:
        if name in sys.modules:
            finder.seen.add(name)
            _PATCHES[name](sys.modules[name])
    sys.meta_path.insert(0, finder)
    _finders.append(finder)


def uninstall():
    """Give the modules back what they had."""
    while _finders:
        sys.meta_path.remove(_finders.pop())
    while _replaced:
        owner, name, value = _replaced.pop()
        setattr(owner, name, value)


def forget_environment():
    """Make clients read the variables again that they read once: whom to trust, and which proxy."""
    connector = sys.modules.get("aiohttp.connector")
    if hasattr(connector, "_SSL_CONTEXT_VERIFIED") and hasattr(connector, "_make_ssl_context"):
        connector._SSL_CONTEXT_VERIFIED = connector._make_ssl_context(True)
    request = sys.modules.get("urllib.request")
    opener = getattr(request, "_opener", None)
    # One that the user has installed is his own affair.
    if opener is not None and type(opener) is request.OpenerDirector:
        request._opener = None
