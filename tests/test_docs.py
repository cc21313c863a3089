"""The pages of docs/: their commands, options, keys, links and quotes are of things that exist."""

import re
import shlex
from pathlib import Path

import click
import pytest
from tests.support import paths

from wiretape.cli.main import main

PAGES = [paths.ROOT / "README.md", *sorted((paths.ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"(?:^\$ (?:[A-Z_]+=\S+ )*|`)wiretape ([a-z]+)( [^`\n]*)?", re.M)
QUOTE = re.compile(r'"([^"]+)"')


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_have_these_names_and_options(page: Path) -> None:
    wrong = []
    for name, rest in COMMAND.findall(text_of(page)):
        command = main.commands.get(name)
        if command is None:
            wrong.append(name)
            continue
        ours = rest.partition(" -- ")[0].partition(" | ")[0].partition(" # ")[0]
        given = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]*|-[a-z])(?![\w-])", ours))
        wrong += [f"{name} {option}" for option in given - options(command)]
    assert wrong == []


def options(command: click.Command) -> set[str]:
    known = {"-h", "--help"}
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        known |= options(below)
    for parameter in command.params:
        known |= {*parameter.opts, *parameter.secondary_opts}
    return known


def anchors(page: Path) -> set[str]:
    """The names by which GitHub links to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.M)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    wrong = []
    for target in re.findall(r"\]\(([^)#\s]*(?:#[^)\s]*)?)\)", text_of(page)):
        name, _, anchor = target.partition("#")
        if "://" in target:
            continue
        file = page.parent / name if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            wrong.append(target)
    assert wrong == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached, rest = set[Path](), [PAGES[0]]
    while rest:
        page = rest.pop()
        for name in re.findall(r"\]\(([\w/.-]+\.md)", text_of(page)):
            target = (page.parent / name).resolve()
            if target not in reached and target.exists():
                reached.add(target)
                rest.append(target)
    assert set(PAGES[1:]) <= reached


def product() -> str:
    """All texts of the program and the plugin, as they are printed: pieces joined."""
    files = [*(paths.ROOT / "proxy").rglob("*.py"), *(paths.ROOT / "integrations").rglob("*.py")]
    text = "\n".join(text_of(file) for file in files)
    return re.sub(r'"\s*\n\s*f?"', "", text)


def test_the_architecture_names_every_package_and_only_files_that_are_there() -> None:
    text = text_of(paths.ROOT / "docs" / "architecture.md")
    product = paths.ROOT / "proxy" / "wiretape"
    rooms = [path for folder in (product, product / "core") for path in folder.iterdir()]
    names = {
        path.name
        for path in rooms
        if not path.name.startswith(("_", ".")) and path.name not in ("core", "py.typed")
    }
    missing = {name for name in names if not re.search(rf"`(?:core/)?{re.escape(name)}`", text)}
    assert not missing, "add them to the table"
    folders = ("proxy", "addons", "tests", "benchmarks")
    files = {path.as_posix() for name in folders for path in (paths.ROOT / name).rglob("*.py")}
    named = set(re.findall(r"`([a-z_0-9/]+\.py)`", text))
    gone = {name for name in named if not any(file.endswith(f"/{name}") for file in files)}
    assert not gone, "these files are not there any more"


def test_what_the_page_of_symptoms_quotes_is_said_by_the_program() -> None:
    page = text_of(paths.ROOT / "docs" / "troubleshooting.md")
    headings = re.findall(r"^### (.*)$", page, re.M)
    quotes = [quote for heading in headings for quote in QUOTE.findall(heading)]
    assert len(quotes) >= 12
    said = product()
    missing = [
        quote
        for quote in quotes
        for part in quote.split("…")
        if part.strip().removesuffix("POST").strip() not in said
    ]
    assert missing == []


def test_the_page_of_symptoms_names_keys_that_the_configuration_has() -> None:
    keys = re.findall(r"^\| `([^`]+)` \|", text_of(paths.ROOT / "docs/configuration.md"), re.M)
    known = {key for key in keys if "." in key}
    sections = {key.partition(".")[0] for key in known}
    page = text_of(paths.ROOT / "docs" / "troubleshooting.md")
    named = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", page))
    assert {key for key in named if key.partition(".")[0] in sections} <= known
    assert len(named) >= 4


def test_a_row_of_the_comparison_has_a_cell_for_each_tool() -> None:
    page = text_of(paths.ROOT / "docs" / "comparison.md")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1


def test_commands_of_pages_can_be_read_by_a_shell() -> None:
    for page in PAGES:
        for block in re.findall(r"```console\n(.*?)```", text_of(page), re.S):
            lines = re.sub(r"\\\n", " ", block).splitlines()
            for line in lines:
                if line.startswith("$ ") and "<<" not in line:
                    shlex.split(line[2:], comments=True)
