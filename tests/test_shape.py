"""The shape of the code: short functions, few parameters, one type to a name.

`STILL_BROKEN` holds what breaks a rule today. It only shrinks: what is mended is removed from it,
and nothing is added.
"""

import ast
import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Final

import pytest
from tests.support import paths
from tests.support.cases import in_one_test
from tests.support.syntax import Statement, kept_trees, statements, tree_of

MOST_LINES: Final = 50
MOST_PARAMETERS: Final = 6
MOST_POSITIONAL_FIELDS: Final = 5

STILL_BROKEN: Final[dict[str, set[str]]] = {
    "long functions": set(),
    "wide constructors": set(),
    "positional fields": set(),
    "shared names": set(),
}

# Words that ask the reader to find out what the thing is. Name the thing instead.
VAGUE_NAMES: Final = frozenset(
    {"asked", "found", "kept", "made", "one", "place", "played", "said", "told"}
)

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@pytest.fixture(scope="module", autouse=True)
def _trees() -> Iterator[None]:
    with kept_trees():
        yield


def definitions(tree: ast.AST, around: str) -> Iterator[tuple[str, Definition]]:
    """Every class and function in a tree, nested ones too, by its full name."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, Statement):
            continue
        name = around
        if isinstance(node, Definition):
            name = f"{around}.{node.name}"
            yield name, node
        yield from definitions(node, name)


def breaks(sources: dict[str, str]) -> dict[str, set[str]]:
    """What breaks a rule in the texts of modules: by rule, the names that do."""
    broken: dict[str, set[str]] = {rule: set() for rule in STILL_BROKEN}
    types: Counter[str] = Counter()
    for module, source in sources.items():
        tree = tree_of(source)
        aliases = (node for node in statements(tree) if isinstance(node, ast.TypeAlias))
        types.update(node.name.id for node in aliases)
        for name, node in definitions(tree, module):
            if isinstance(node, ast.ClassDef):
                types[node.name] += 1
                if _positional_fields(node) > MOST_POSITIONAL_FIELDS:
                    broken["positional fields"].add(name)
                continue
            if (node.end_lineno or 0) - node.lineno + 1 > MOST_LINES:
                broken["long functions"].add(name)
            if node.name == "__init__" and _parameters(node) > MOST_PARAMETERS:
                broken["wide constructors"].add(name.removesuffix(".__init__"))
    broken["shared names"] = {name for name, number in types.items() if number > 1}
    return broken


def vague_names(source: str) -> dict[str, int]:
    """The names of `VAGUE_NAMES` that a module binds, with a line that does.

    >>> vague_names("def f(told): return [one for one in told]")
    {'told': 1, 'one': 1}
    """
    nodes = (node for node in ast.walk(tree_of(source)) if isinstance(node, _NAMING))
    bound = ((name, node) for node in nodes for name in _bound(node))
    return {name: getattr(node, "lineno", 0) for name, node in bound if name in VAGUE_NAMES}


_NAMING: Final = (
    *(ast.Name, ast.Attribute, ast.arg, ast.alias, ast.ExceptHandler),
    *(ast.MatchAs, ast.MatchStar, ast.MatchMapping, ast.ClassDef, ast.FunctionDef),
    *(ast.AsyncFunctionDef, ast.Global, ast.Nonlocal),
)


def _bound(node: ast.AST) -> Iterator[str | None]:
    """What a node of a tree gives a name to."""
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield name
        case ast.arg(arg=name) | ast.alias(asname=name) | ast.ExceptHandler(name=name):
            yield name
        case ast.MatchAs(name=name) | ast.MatchStar(name=name) | ast.MatchMapping(rest=name):
            yield name
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            yield from names


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    arguments = function.args
    return len(arguments.posonlyargs + arguments.args + arguments.kwonlyargs) - len(["self"])


def _positional_fields(node: ast.ClassDef) -> int:
    """How many fields a data class takes by position."""
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    dataclass = next((text for text in decorators if text.startswith("dataclass")), None)
    if dataclass is None or "kw_only=True" in dataclass:
        return 0
    positional = itertools.takewhile(
        lambda statement: "KW_ONLY" not in ast.unparse(statement), node.body
    )
    fields = [
        f"{ast.unparse(statement.annotation)} = {ast.unparse(statement.value or statement.target)}"
        for statement in positional
        if isinstance(statement, ast.AnnAssign)
    ]
    return sum("ClassVar" not in text and "init=False" not in text for text in fields)


def _product(*folders: str) -> dict[str, str]:
    return {
        ".".join(file.relative_to(root).with_suffix("").parts): file.read_text(encoding="utf-8")
        for root in (paths.ROOT / folder for folder in folders or ("proxy", "addons"))
        for file in sorted(root.rglob("*.py"))
    }


def test_variables_name_the_thing() -> None:
    sources = _product("proxy", "addons", "integrations/pytest")
    vague = {module: names for module, text in sources.items() if (names := vague_names(text))}
    assert not vague, f"name the thing, at these lines: {vague}"


@in_one_test(
    "source",
    [
        "told = 1",
        "told: int",
        "told += 1",
        "self.told = 1",
        "def told(): ...",
        "async def told(): ...",
        "class told: ...",
        "def f(a, /, told): ...",
        "def f(*, told): ...",
        "def f(*told): ...",
        "def f(**told): ...",
        "lambda told: 1",
        "for told in a: ...",
        "[1 for a, (b, *told) in c]",
        "if (told := 1): ...",
        "with a as told: ...",
        "import a as told",
        "try: ...\nexcept E as told: ...",
        "match a:\n    case [b, *told]: ...",
        "match a:\n    case {'b': 1, **told}: ...",
        "match a:\n    case B(c=told): ...",
        "match a:\n    case 1 as told: ...",
    ],
)
def test_a_vague_name_is_found_wherever_it_is_bound(source: str) -> None:
    assert list(vague_names(source)) == ["told"]


def test_reading_a_vague_name_is_not_binding_it() -> None:
    source = "import told\nprint(told, a.found, one(kept=1), 'made')  # said"
    assert vague_names(source) == {}


def test_the_code_has_its_shape() -> None:
    broken = breaks(_product())
    new = {rule: sorted(names - STILL_BROKEN[rule]) for rule, names in broken.items()}
    assert not any(new.values()), f"new, to be mended: {new}"
    mended = {rule: sorted(names - broken[rule]) for rule, names in STILL_BROKEN.items()}
    assert not any(mended.values()), f"mended, to be removed from STILL_BROKEN: {mended}"


def test_what_breaks_the_shape_is_found() -> None:
    long = "def long():\n" + "    pass\n" * MOST_LINES
    wide = "class Wide:\n    def __init__(self, a, b, c, *, d, e, f, g): ...\n"
    data = "\n    ".join(["@dataclass(frozen=True)\nclass Data:", *(f"{c}: int" for c in "abcdef")])
    aliases = {"o": "type Alias = int", "p": "class Alias: ..."}
    assert breaks({"m": long + wide + data, "n": "def f():\n    class Wide: ...", **aliases}) == {
        "long functions": {"m.long"},
        "wide constructors": {"m.Wide"},
        "positional fields": {"m.Data"},
        "shared names": {"Wide", "Alias"},
    }


def test_what_keeps_the_shape_is_not_found() -> None:
    short = "def short():\n" + "    pass\n" * (MOST_LINES - 1)
    narrow = "class Narrow:\n    def __init__(self, a, b, c, *, d, e, f): ...\n"
    fields = [*(f"{c}: int" for c in "abcde"), "f: ClassVar[int] = 1", "g: int = field(init=False)"]
    data = "\n    ".join(["@dataclass\nclass Data:", *fields])
    keyword = "\n    ".join(
        ["@dataclass(kw_only=True)\nclass Keyword:", *(f"{c}: int" for c in "abcdef")]
    )
    broken = breaks({"m": "\n".join((short, narrow, data, keyword))})
    assert not any(broken.values())
