"""The plugin: options, and what happens as tests begin and end."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from . import network
from .names import folder_of
from .program import Program, WiretapeProblem, find_program
from .proxy import Environment, Proxy

MODES = ("replay", "record", "auto", "refresh", "once")
VCR_MODES = {"none": "replay", "new_episodes": "auto", "all": "record", "rewrite": "record"}


def _has_pytest_recording() -> bool:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return bool(importlib.metadata.version("pytest-recording"))
    return False


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("wiretape", "wiretape: recorded answers of LLM providers")
    group.addoption(
        "--wiretape",
        metavar="MODE",
        help="replay (default, and always where CI is set), record, auto, refresh or once; VCR's"
        " names too: none, all, new_episodes.",
    )
    group.addoption(
        "--wiretape-live", action="store_true", help="Record even where CI is set, if MODE does."
    )
    group.addoption(
        "--wiretape-unused", action="store_true", help="List recordings that no test asked for."
    )
    if not _has_pytest_recording():
        # As its users know them; where it is installed they are its own.
        group.addoption("--record-mode", metavar="MODE", help="The same as --wiretape.")
        group.addoption(
            "--block-network", action="store_true", help="No connections to other machines."
        )
        group.addoption(
            "--allowed-hosts", metavar="REGEX,…", help="Hosts that --block-network lets through."
        )
    parser.addini("wiretape_mode", "what --wiretape is by itself")
    parser.addini("wiretape_recordings", "folder of the recordings", default="recordings")
    parser.addini("wiretape_all", "every test is a wiretape test", type="bool", default=False)
    parser.addini("wiretape_arguments", "further options of `wiretape MODE`", type="args")
    parser.addini("wiretape_command", "the wiretape program to use")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "wiretape(folder=None, mode=None): answer the test's requests to LLM providers from its"
        " recordings; `folder` is one that tests share.",
    )
    config.addinivalue_line(
        "markers", "block_network(allowed_hosts=()): no connections to other machines."
    )
    config.pluginmanager.register(Run(config), "wiretape_run")


class TestSession:
    """What the `wiretape` fixture gives: the session of one test."""

    __test__ = False

    def __init__(self, proxy: Proxy, name: str, folder: str, recordings: Path) -> None:
        self._proxy = proxy
        self.name = name
        self.folder = folder
        self.recordings = recordings / folder
        """Where the recordings of this test are."""
        self.reported: list[str] = []
        """The problems that the test's reports have shown."""

    @property
    def mode(self) -> str:
        """ "replay", "record", "auto" or "refresh"."""
        return self._proxy.mode

    @property
    def url(self) -> str:
        """What a client has for its proxy that takes none from the environment."""
        return self._proxy.url

    @property
    def headers(self) -> dict[str, str]:
        """What a client sends that has a `base_url`."""
        return self._proxy.headers

    def base_url(self, host: str) -> str:
        """What a client has for its base URL: `wiretape.base_url("api.openai.com/v1")`."""
        return self._proxy.base_url(host)

    def ssl_context(self) -> Any:
        """A context that trusts the proxy."""
        return self._proxy.ssl_context()

    def report(self) -> dict[str, Any]:
        """What the test has asked for by now: `counts`, `used` and `problems`."""
        return self._proxy.state(self.name)

    def new_problems(self, problems: list[str]) -> list[str]:
        """The problems that no report of the test has shown yet."""
        new = [problem for problem in problems if problem not in self.reported]
        self.reported += new
        return new


def _run(config: pytest.Config) -> Run:
    run = config.pluginmanager.get_plugin("wiretape_run")
    assert isinstance(run, Run)
    return run


@pytest.fixture
def wiretape(request: pytest.FixtureRequest) -> TestSession:
    """The test's session; asking for it makes a test a wiretape test, as the marker does."""
    session = _run(request.config).session
    assert session is not None
    return session


@pytest.fixture(scope="session")
def wiretape_proxy(request: pytest.FixtureRequest) -> Proxy:
    """The proxy of this process, for clients that outlive a test: `url`, `headers`, `base_url`."""
    run = _run(request.config)
    return run.proxy(run.mode if run.mode != "once" else "replay")


class Run:
    """One pytest process: alone, xdist's controller, or one of its workers."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.worker: dict[str, Any] | None = getattr(config, "workerinput", None)
        self.client = f"pytest-{self.worker['workerid'] if self.worker else 'main'}"
        self.recordings = config.rootpath / config.getini("wiretape_recordings")
        self.given, self.mode = self._mode()
        self.session: TestSession | None = None
        self._proxies: dict[str, Proxy] = {}
        self._failure: WiretapeProblem | None = None
        self._environment = Environment()
        self._finished: dict[str, Any] | None = None
        self._results: list[dict[str, Any]] = []
        self._unreported: list[str] = []

    def _mode(self) -> tuple[bool, str]:
        option = self.config.getoption
        given = option("--wiretape") or option("--record-mode", None)
        if option("--record-mode", None) and _has_pytest_recording():
            given = option("--wiretape")
        mode = self.checked(given or self.config.getini("wiretape_mode") or "replay")
        return bool(given), mode

    def checked(self, mode: str) -> str:
        """A mode by any of its names, as it is here and now; UsageError for another."""
        if mode not in MODES and mode not in VCR_MODES:
            names = ", ".join([*MODES, *VCR_MODES])
            raise pytest.UsageError(f"--wiretape={mode}: expected one of {names}")
        in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
        if in_ci and not self.config.getoption("--wiretape-live"):
            return "replay"
        return VCR_MODES.get(mode, mode)

    # ---------------------------------------------------------------- proxies

    def proxy(self, mode: str) -> Proxy:
        """The proxy of a mode: the controller's, or one that this process starts."""
        if mode not in self._proxies:
            opened = (self.worker or {}).get("wiretape")
            if opened and opened["asked_mode"] == mode:
                self._proxies[mode] = Proxy(opened, self.client)
            else:
                self._proxies[mode] = self._started(mode)
        return self._proxies[mode]

    def _started(self, mode: str) -> Proxy:
        if self._failure is not None:
            raise self._failure
        try:
            program = Program(find_program(self.config.getini("wiretape_command")))
            live = ["--live"] if mode == "auto" and self.config.getoption("--wiretape-live") else []
            arguments = [mode, *live, "--recordings", str(self.recordings)]
            try:
                opened = program.ask(
                    "open",
                    {
                        "arguments": [*arguments, *self.config.getini("wiretape_arguments")],
                        "directory": str(self.config.rootpath),
                        "environment": dict(os.environ),
                    },
                )
            except WiretapeProblem:
                program.end()
                raise
        except WiretapeProblem as problem:
            self._failure = problem
            raise
        return Proxy({**opened, "asked_mode": mode}, self.client, program)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """One proxy for all of xdist's workers, where tests are to be expected that need it."""
        if self.mode != "once" and (self.given or self.recordings.is_dir()):
            # A worker that needs one says so in the test that does.
            with contextlib.suppress(WiretapeProblem):
                node.workerinput["wiretape"] = self.proxy(self.mode).opened

    def pytest_report_header(self) -> str | None:
        if not (self.given or self.recordings.is_dir()):
            return None
        why = " (CI is set)" if self.checked("record") == "replay" else ""
        return (
            f"wiretape: {self.mode}{why}, recordings in {self.config.getini('wiretape_recordings')}"
        )

    # ---------------------------------------------------------------- tests

    def _is_wanted(self, item: pytest.Item | None) -> bool:
        return item is not None and (
            item.get_closest_marker("wiretape") is not None
            or "wiretape" in getattr(item, "fixturenames", ())
            or bool(self.config.getini("wiretape_all"))
        )

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            marker = item.get_closest_marker("block_network")
            if marker or self.config.getoption("--block-network", False):
                allowed = marker.kwargs.get("allowed_hosts", ()) if marker else ()
                option = self.config.getoption("--allowed-hosts", None)
                more = option.split(",") if isinstance(option, str) else ()
                stack.enter_context(network.blocked([*allowed, *more]))
            yield

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.session = self._finished = None
        if self._is_wanted(item):
            try:
                self._begin(item)
            except WiretapeProblem as problem:
                pytest.fail(f"wiretape: {problem}", pytrace=False)
        else:
            self._environment.leave()

    def _begin(self, item: pytest.Item) -> None:
        marker = item.get_closest_marker("wiretape")
        given = marker.kwargs if marker else {}
        name = folder_of(item.nodeid)
        folder = str(given.get("folder") or (marker.args[0] if marker and marker.args else name))
        mode = self.checked(given["mode"]) if given.get("mode") else self.mode
        if mode == "once":
            mode = "replay" if any((self.recordings / folder).rglob("*.json")) else "record"
        proxy = self.proxy(mode)
        proxy.start(name, folder)
        self.session = TestSession(proxy, name, folder, self.recordings)
        self._environment.enter(proxy)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            if self.session is not None:
                parts = urlsplit(self.session._proxy.opened["url"])
                port = int(parts.port or 80)
                stack.enter_context(network.reachable(str(parts.hostname), port))
            yield

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Iterator[None]:
        yield
        if self.session is not None:
            try:
                self._finished = self.session._proxy.finish(self.session.name)
            except WiretapeProblem as problem:
                self._finished = {"problems": [str(problem)], "used": [], "counts": {}}
        if not self._is_wanted(nextitem):
            self._environment.leave()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: Any) -> Iterator[None]:
        outcome: Any = yield
        report = outcome.get_result()
        session = self.session
        # What a fixture's set-up has missed is shown with the test, unless that does not come.
        if session is None or (report.when == "setup" and report.outcome == "passed"):
            return
        if report.when == "teardown":
            state = self._finished or {"problems": [], "used": [], "counts": {}}
        else:
            state = self._state(session)
        problems = session.new_problems(state["problems"])
        if problems:
            again = f"Record this test: pytest --wiretape=record '{item.nodeid}'"
            _tell(report, "\n\n".join([*problems, again]))
        if report.when == "teardown":
            report.wiretape = {
                "folder": session.folder,
                "used": [f"{session.folder}/{name}" for name in state["used"]],
                "problems": session.reported,
                "counts": state["counts"],
            }

    def _state(self, session: TestSession) -> dict[str, Any]:
        try:
            return session.report()
        except WiretapeProblem as problem:
            return {"problems": [str(problem)]}

    # ---------------------------------------------------------------- the end

    def pytest_runtest_logreport(self, report: Any) -> None:
        if hasattr(report, "wiretape"):
            self._results.append(report.wiretape)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._environment.leave()
        problems = {problem for result in self._results for problem in result["problems"]}
        for proxy in self._proxies.values():
            if proxy.program is None:
                continue
            try:
                closed = proxy.program.ask("close")
            except WiretapeProblem as problem:
                self._unreported.append(str(problem))
                continue
            finally:
                proxy.program.end()
            others = [problem for problem in closed["problems"] if problem not in problems]
            # Where no test came to it there is nothing that it could have answered.
            if others or (closed["status"] and self._results and not closed["problems"]):
                self._unreported += [closed["summary"], *others, *closed["report"]["notices"]]
        if self._unreported and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._unreported:
            terminalreporter.section("wiretape: the run fails", red=True)
            for text in self._unreported:
                terminalreporter.line(text)
        if self.config.getoption("--wiretape-unused"):
            self._list_unused(terminalreporter)

    def _list_unused(self, terminalreporter: Any) -> None:
        files = self.recordings.rglob("*.json") if self.recordings.is_dir() else ()
        names = {path.relative_to(self.recordings).as_posix() for path in files}
        unused = sorted(names - {name for result in self._results for name in result["used"]})
        folders = tuple(f"{result['folder']}/" for result in self._results)
        ran = [name for name in unused if name.startswith(folders)]
        others = [name for name in unused if not name.startswith(folders)]
        terminalreporter.section("wiretape: recordings that no test asked for")
        for title, group in {
            "of tests that ran": ran,
            "in folders of no test that ran": others,
        }.items():
            if group:
                terminalreporter.line(f"{title}:")
            for name in group:
                terminalreporter.line(f"  {self.recordings / name}")
        if not unused:
            terminalreporter.line("none")


def _tell(report: Any, text: str) -> None:
    """Fail a report that is well; put the text to one that is not."""
    if report.outcome == "passed":
        report.outcome = "failed"
        report.longrepr = f"wiretape: the test asked for what is not recorded, or cannot be\n{text}"
    else:
        report.sections.append(("wiretape", text))
