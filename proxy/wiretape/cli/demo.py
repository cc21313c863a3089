"""`wiretape demo`."""

import click

from .command import guarded


@click.command()
@click.option("--fast", is_flag=True, help="Do not wait between the words.")
@guarded
def demo(fast: bool) -> int:
    """Show the whole round with no key and no network."""
    from wiretape.demo.demo import run_demo

    return run_demo(fast=fast)
