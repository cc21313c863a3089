"""The command line: the program, and where each of its commands is.

A command's module is imported when the command is run, and what it needs then: a shell's
completion waits for neither. Commands parse, call and print.
"""

import gc
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final

import click

from .command import report_wrong_usage

_CONTEXT: Final[dict[str, Any]] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "record": ("running:record", "Go to the provider and record every exchange."),
    "replay": (
        "running:replay",
        "Answer from the recordings only: no provider is connected to, no name resolved.",
    ),
    "auto": (
        "running:auto",
        "Replay what is recorded, record the rest; where CI is set, replay only.",
    ),
    "refresh": (
        "running:refresh",
        "Record anew what CMD asks for, or a part of it; replay the rest.",
    ),
    "mcp": (
        "running:mcp",
        "Record or replay an MCP server that speaks on standard input and output.",
    ),
    "demo": ("demo:demo", "Show the whole round with no key and no network."),
    "env": (
        "env:env",
        "Print the export lines a client needs to go through a proxy that is serving.",
    ),
    "pipe": (
        "running:pipe",
        "Run proxies for the program that starts this one, controlled by lines of JSON on stdin.",
    ),
    "calibrate": (
        "calibrate:calibrate",
        "Run CMD twice or more, and find the rules under which it replays.",
    ),
    "doctor": (
        "doctor:doctor",
        "Say what goes through the proxy on this machine, and what is not in order.",
    ),
    "init": (
        "init:init",
        "Write config.yaml, .gitattributes, a pre-commit hook and an example test.",
    ),
    "rules": (
        "rules:rules",
        "List the rules of matching: what is not compared, where, and where the rule is written.",
    ),
    "schema": ("schema:schema", "Print the JSON Schema of config.yaml, or of a recording."),
    "ls": (
        "library:list_",
        "List recordings: provider, model, prompt, tokens, cost, chunks, age, size, status, name.",
    ),
    "show": ("library:show", "Show recordings as conversations."),
    "diff": (
        "library:diff",
        "Compare two recordings: the requests by path, the answers by text and by tool call.",
    ),
    "ui": (
        "ui:ui",
        "Look at recordings in a browser: what was asked, what came back, when, what changed.",
    ),
    "verify": (
        "maintenance:verify",
        "Check that every recording loads, replays, answers its own request, is named by its key,"
        " is laid out as wiretape does it, and holds no secret.",
    ),
    "rekey": (
        "maintenance:rekey",
        "Name recordings by the keys they have under the rules of today.",
    ),
    "completion": (
        "maintenance:completion",
        "Print the script that makes a shell complete commands and options.",
    ),
    "drift": (
        "drift:drift",
        "Send recorded requests again and tell what has changed at the provider.",
    ),
    "migrate": (
        "drift:migrate",
        "Ask another model, or another provider of the same dialect, what was recorded.",
    ),
    "edit": (
        "edit:edit",
        "Edit what a recorded answer says, in $EDITOR; it is written back into its chunks.",
    ),
    "unused": ("prune:unused", "List the recordings that no run answered from or recorded."),
    "prune": (
        "prune:prune",
        "Delete the recordings that `unused` lists, and side files that no recording names.",
    ),
    "stale": ("prune:stale", "List the recordings that were made long ago, the oldest first."),
    "scan": (
        "scan:scan",
        "Search files for secrets: recordings, vcrpy's, HAR, any text; default: recordings.",
    ),
    "redact": (
        "scan:redact",
        "Take secrets out of recordings in place, and prove that they answer as before.",
    ),
    "push": (
        "stores:push",
        "Upload what a folder has and the store has otherwise; nothing that holds a secret.",
    ),
    "pull": ("stores:pull", "Download what the store has and the folder has otherwise."),
    "sync": (
        "stores:sync",
        "Copy what is missing both ways; files that differ are listed, not changed.",
    ),
    "report": ("reports:report", "Work with the reports that runs wrote."),
    "import": (
        "importing:import_",
        "Turn what other tools recorded into recordings, without their secrets.",
    ),
    "export": (
        "exporting:export",
        "Write recordings in another tool's format, in the order they were made.",
    ),
}
"""Each command: its module and function, and the first sentence of its help."""


class Commands(Mapping[str, click.Command]):
    """The commands by name, each imported when it is looked up."""

    def __getitem__(self, name: str) -> click.Command:
        module, _, function = COMMANDS[name][0].partition(":")
        command: click.Command = getattr(import_module(f"wiretape.cli.{module}"), function)
        if not gc.isenabled():
            # `start.py` has put it off; what is imported by now stays, and is never looked through.
            gc.freeze()
            gc.enable()
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Program(click.Group):
    """The commands; with --json, wrong usage is reported as JSON, too."""

    def main(self, args: Any = None, *more: Any, **options: Any) -> Any:
        """See `click.Group`."""
        return report_wrong_usage(super().main, args, *more, **options)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands into the help, without importing any."""
        limit = formatter.width - 6 - max(map(len, COMMANDS))
        rows = [
            (name, click.Command(name, help=COMMANDS[name][1]).get_short_help_str(limit))
            for name in sorted(COMMANDS)
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=Program, context_settings=_CONTEXT, commands=Commands())
@click.version_option(None, "-V", "--version", package_name="wiretape", prog_name="wiretape")
def main() -> None:
    """Record LLM-provider traffic once, replay it in every test.

    \b
    wiretape record -- pytest tests/        records what the tests ask of a provider
    wiretape replay -- pytest tests/        answers from disk: no network, no key
    wiretape demo                           shows both, with no key and no network
    """
