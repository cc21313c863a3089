"""The formats of wiretape's files, for editors and other programs: `wiretape schema`."""

import json
from importlib.resources import files

import click

from .command import guarded
from .options import as_json


@click.command()
@click.argument("kind", type=click.Choice(["config", "recording"]))
@as_json("Tell errors in JSON, too; what is printed is JSON anyway.")
@guarded
def schema(kind: str, as_json: bool) -> int:
    """Print the JSON Schema of config.yaml, or of a recording.

    An editor with a YAML language server completes and checks config.yaml after its first line has
    been made `# yaml-language-server: $schema=config.schema.json`.

    \b
    wiretape schema config > config.schema.json
    """
    if kind == "config":
        # pydantic takes a tenth of a second to import.
        from wiretape.config.json_schema import config_schema

        text = json.dumps(config_schema(), indent=2)
    else:
        text = files("wiretape.core.recording").joinpath("recording.schema.json").read_text("utf-8")
    click.echo(text.rstrip("\n"))
    return 0
