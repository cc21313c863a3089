"""`wiretape env`."""

import os

import click

from wiretape.core.errors import WiretapeError

from .command import guarded, print_json
from .options import PORT, as_json


@click.command()
@click.option("--port", type=PORT, help="The proxy's port; default: the one serving now.")
@click.option("--shell", type=click.Choice(["sh", "fish", "powershell"]), default="sh")
@click.option("--replay/--no-replay", default=None, help="Also set dummy keys, as replay does.")
@click.option(
    "--base-url", "base_urls", is_flag=True, help="Also set the base-URL variables of SDKs."
)
@as_json("Print the variables as JSON; null is one to remove.")
@guarded
def env(port: int | None, shell: str, replay: bool | None, base_urls: bool, as_json: bool) -> int:
    """Print the export lines a client needs to go through a proxy that is serving.

    \b
    wiretape replay --port 8899 &
    eval "$(wiretape env)"
    """
    from wiretape.config.load import load
    from wiretape.run.client_environment import changed, export_lines
    from wiretape.run.environment import environment_for
    from wiretape.run.serving import ServingProxy, serving_proxies
    from wiretape.state_dir import state_dir
    from wiretape.tls.authority import Authority

    serving = [proxy for proxy in serving_proxies() if port in (None, proxy.port)]
    config = load(None, os.environ)
    if serving:
        proxy = serving[0]
    elif port or config.port:
        proxy = ServingProxy(mode="record", port=port or config.port)
    else:
        raise WiretapeError(
            "no wiretape is serving: start one with `wiretape replay --port 8899`, or name a port"
            " with --port or `listen.port` in config.yaml"
        )
    if base_urls and not serving:
        raise WiretapeError(
            "--base-url: no wiretape is serving, and its port for base URLs is not known before"
        )
    environment = environment_for(
        os.environ,
        proxy,
        config,
        Authority.load_or_create(state_dir()),
        dummies=proxy.mode == "replay" if replay is None else replay,
        base_urls=base_urls,
    )
    changes = changed(os.environ, environment)
    if as_json:
        print_json("env", variables=dict(sorted(changes.items())))
    else:
        click.echo(export_lines(changes, shell), nl=False)
    return 0
