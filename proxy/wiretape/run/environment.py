"""All variables that CMD gets, or that a shell is given for a proxy that serves."""

from collections.abc import Mapping
from pathlib import Path

from wiretape.config.load import Config
from wiretape.config.packs import dummy_keys
from wiretape.state_dir import state_dir
from wiretape.tls.authority import Authority

from .base_urls import through_base_url
from .client_environment import client_environment
from .serving import ServingProxy
from .stubborn_clients import stubborn_clients


def environment_for(
    environ: Mapping[str, str],
    serving: ServingProxy,
    config: Config,
    authority: Authority,
    *,
    host: str = "127.0.0.1",
    dummies: bool = False,
    keep_keys: bool = False,
    base_urls: bool = False,
) -> dict[str, str]:
    """Give the complete environment of a client, from the user's own.

    serving    the proxy, whose own hosts are reached through it too; with `base_url_port` and
               `token` the client is told of them
    host       where the proxy listens, as clients reach it
    dummies    whether dummies take the place of the providers' keys, or with `keep_keys` of those
               that the user has none of
    base_urls  whether the base-URL variables of SDKs lead to the proxy as well

    The files that are named are kept between runs: they are there as long as the proxy serves.
    """
    proxy_url = f"http://{host}:{serving.port}"
    environment = client_environment(
        environ,
        proxy_url=proxy_url,
        ca_cert=authority.cert_path,
        bundle=authority.bundle(serving.upstream_ca, environ),
        dummy_keys=dummy_keys(config.providers.key_names) if dummies else (),
        keep_keys=keep_keys,
        hosts=config.providers.hosts,
        own_hosts=serving.hosts,
    )
    environment |= stubborn_clients(
        environment,
        proxy_url=proxy_url,
        bundle=Path(environment["SSL_CERT_FILE"]),
        folder=state_dir(),
    )
    if not serving.base_url_port:
        return environment
    base_url = f"http://{host}:{serving.base_url_port}"
    if base_urls:
        environment |= through_base_url(environment, base_url)
    return environment | {"WIRETAPE_BASE_URL": base_url, "WIRETAPE_TOKEN": serving.token}
