"""The end of a run: what it has to say of what did not happen, and its report file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from secrets import token_hex

from wiretape.config.load import Config
from wiretape.config.packs import base_urls
from wiretape.core.errors import ConfigError, WiretapeError, reason_of
from wiretape.core.providers.lookalikes import looks_like_provider
from wiretape.core.text.printable import count
from wiretape.files import write_output
from wiretape.report.console import line, stale_lines
from wiretape.report.report import Report
from wiretape.state_dir import state_dir

from .client_hints import base_url_example, ignoring_clients
from .settings import Settings
from .stubborn_clients import OPT_OUT


def check_report(settings: Settings) -> None:
    """ConfigError where the report could not be written when the run is over."""
    if settings.as_json and str(settings.report) == "-":
        raise ConfigError("--json and --report - both write to standard output")
    for option, path in (("--report", settings.report), ("--html-report", settings.html_report)):
        if isinstance(path, str):
            from wiretape.stores.reports import check

            check(path, settings.environ)
        elif path is not None and not path.absolute().parent.is_dir():
            raise ConfigError(f"{option} {path}: its folder is not there; nothing was started")


def conclude(settings: Settings, report: Report, command: Sequence[str] = ()) -> None:
    """Say what did not happen, and write the report file."""
    explain(settings, report, command)
    if isinstance(settings.report, str):
        _push_report(settings.report, settings.environ, report)
    elif settings.report is not None:
        write_report(settings.report, report)
    if settings.as_json:
        write_report(Path("-"), report)
    if settings.html_report is not None:
        # Templates take a tenth of a second to import: only who wants a page pays for it.
        from wiretape.ui.page import one_file, write_page
        from wiretape.ui.run_view import run_view

        page = one_file("run.html", folder="", view="run", run=run_view(report.as_json()))
        write_page(settings.html_report, page)


def explain(settings: Settings, report: Report, command: Sequence[str] = ()) -> None:
    """Say what did not happen though it should have, and what can be done."""
    if report.expects_requests or report.command_status is not None:
        _explain_silence(settings, report, command)
    _explain_tunnels(report)
    _explain_hosts(report)
    _explain_rules(settings.config, report)
    if report.old:
        name, days = max(report.old.items(), key=lambda item: item[1])
        report.notice(
            f"{count(len(report.old), 'recording')} that answered"
            f" {'is' if len(report.old) == 1 else 'are'} older than {settings.max_age}, such as"
            f" {name} ({days} days): `wiretape drift --only older-than:{settings.max_age}` tells"
            " whether it is still true"
        )
    if report.isolated and report.command_status and settings.isolate is None:
        report.notice(
            "CMD failed, and had a network with loopback only, since CI is set: what it needs"
            " beyond the recordings it could not reach. --no-isolate gives it the machine's network"
        )


def problems(report: Report) -> list[str]:
    """What a run fails for, each once: misses, what could not be recorded or served."""
    texts = [
        row.miss.message if row.miss else line(row)
        for row in report.rows
        if row.outcome in ("missed", "refused")
        or (row.outcome == "failed" and report.mode == "replay")
    ]
    return list(dict.fromkeys([*texts, *(stale_lines(report) if report.strict_ignored else ())]))


def _explain_silence(settings: Settings, report: Report, command: Sequence[str]) -> None:
    if report.is_reached:
        return
    if report.command_status is None and not report.client_connections:
        report.notice(
            "nothing reached the proxy: the program made no request, or its client was made before"
            " the proxy was opened, or it ignores HTTPS_PROXY. Such a client can be given the"
            " proxy's URL, or a base URL; allow_none is for a program that makes no request"
        )
        return
    fails = (
        "; this run fails: --allow-none is for a CMD that makes no request"
        if report.expects_requests
        else ""
    )
    if not report.client_connections:
        report.notice(
            "nothing reached the proxy. CMD made no request, or its client ignores HTTPS_PROXY."
            f" With {OPT_OUT} set, or an environment or settings of their own, these do:"
            f" {ignoring_clients(command)}. Such a client can be given a base URL instead:"
            f" {base_url_example(settings.recordings, base_urls())}{fails}"
        )
    elif report.tunnels:
        hosts = ", ".join(sorted(report.tunnels)[:5])
        report.notice(f"no request came through the tunnels to {hosts}{fails}")
    else:
        hosts = ", ".join(sorted(report.other_hosts)[:5]) or "none that it named"
        report.notice(
            f"{count(report.client_connections, 'connection')} reached the proxy but no request to"
            f" a configured provider host (seen: {hosts}). --host HOST adds one, as `providers` in"
            f" config.yaml does{fails}"
        )


def _explain_tunnels(report: Report) -> None:
    """Name the hosts to which a client opened a tunnel and then asked nothing."""
    for host in sorted(report.tunnels):
        if not report.tunnels[host] and host not in report.untrusting:
            report.notice(
                f"a client opened a tunnel to {host} and closed it without a request, as clients"
                " built with GnuTLS do that do not trust wiretape's certificate:"
                f" {report.trust_remedy.replace('HOST', host)}"
            )


def _explain_hosts(report: Report) -> None:
    likely = [host for host in sorted(report.other_hosts) if looks_like_provider(host)]
    if likely:
        report.notice(
            f"not recorded, and looks like an LLM provider: {', '.join(likely)};"
            f" `--host {likely[0]}` makes it one"
        )


def _explain_rules(config: Config, report: Report) -> None:
    own = (rule.name for rule in config.matcher.rules if rule.own)
    names = [name for name in own if name not in report.applied] if report.exchanges else []
    if names:
        report.notice(
            f"rules of {config.source} that applied to no request of this run: {', '.join(names)}"
        )


def _push_report(url: str, environ: Mapping[str, str], report: Report) -> None:
    from wiretape.stores.reports import push

    try:
        push(url, environ, _json(report))
    except WiretapeError as error:
        path = state_dir() / f"report-{token_hex(4)}.json"
        write_report(path, report)
        raise WiretapeError(f"--report {error}; it is in {path}") from error


def _json(report: Report) -> bytes:
    text = json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n"
    # A lone surrogate of a request has no UTF-8; this is the escape JSON has for it.
    return text.encode("utf-8", "backslashreplace")


def write_report(path: Path, report: Report) -> None:
    """Write the report as JSON, or as JUnit's XML where the file's name ends so; "-" is standard
    output.
    """
    try:
        if path.suffix.lower() == ".xml":
            from wiretape.report import junit  # late: XML takes 10 ms

            data = junit.dumps(report).encode("utf-8", "backslashreplace")
        else:
            data = _json(report)
        write_output(path, data)
    except OSError as error:
        raise WiretapeError(f"--report {path}: cannot be written: {reason_of(error)}") from error
