"""What the end-to-end tests share: a clean environment, the command line, an HTTPS upstream."""

import gc
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings
from tests.support import commands
from tests.support.commands import Wiretape
from tests.support.limits import PATIENCE
from tests.support.upstream import Upstream

# How long an example takes says how busy the machine is; the whole test has a timeout.
settings.register_profile("wiretape", deadline=None)
settings.register_profile("fast", deadline=None, max_examples=10)

SLOW: Final = (
    "end_to_end/",
    *("addons/test_few_addons.py", "addons/test_mitmdump.py"),
    "addons/patches/test_transport.py::test_a_closed_window_slows_the_provider_until_it_opens",
    "api/test_proxy.py",
    *("cli/test_stores.py", "cli/test_ui.py"),
    "cli/test_command.py::test_a_proxy_that_serves_prints_it_when_it_ends",
    "cli/test_command.py::test_the_output_of_cmd_is_kept_out_of_it",
    "config/test_load.py::test_jsonpath_is_imported_only_where_a_path_is_configured",
    "config/test_load.py::test_ruamel_is_imported_only_where_there_is_a_file",
    *(
        "core/capture/test_recorder.py::test_a_stream_without_an_end_in_it_takes_time_in_proportion",
        "core/capture/test_recorder.py::test_an_answer_of_too_many_reads_is_let_go",
        "core/matching/test_matcher.py::test_a_body_of_twenty_megabytes_is_matched",
        "core/matching/test_structural_diff.py"
        "::test_long_lists_do_not_take_the_square_of_their_length",
        "core/matching/test_rule.py::test_rules_take_their_time_in_proportion_to_a_large_body",
        "core/recording/test_given_ids.py::test_what_is_remembered_is_bounded",
        "core/recording/test_llamastack.py"
        "::test_the_stock_anthropic_client_gets_the_recorded_answer",
        "core/recording/test_llamastack.py::test_the_stock_openai_client_gets_the_recorded_objects",
        "core/recording/test_llamastack.py"
        "::test_the_stock_together_client_gets_the_recorded_objects",
        "core/redaction/test_agreement.py::test_a_large_side_file_is_searched_to_its_end",
        "core/redaction/test_key_patterns.py"
        "::test_a_search_for_keys_is_linear_in_what_almost_is_one",
        "core/redaction/test_redactor.py::test_any_document_loses_the_key_and_nothing_else",
        "core/redaction/test_streams.py::test_nor_does_it_in_the_corpus",
        "core/redaction/test_text_search.py::test_time_is_in_proportion_to_the_text",
        "core/text/test_located_yaml.py::test_list_without_end_is_refused_before_it_is_read",
    ),
    *("demo/test_demo.py", "doctor/test_doctor.py"),
    *(
        "demo/test_local_provider.py::test_openais_client_reads_every_kind_of_answer",
        "demo/test_local_provider.py::test_togethers_client_reads_streams_and_tool_calls",
    ),
    *(
        "drift/test_measure.py::test_a_faithful_provider_has_no_regression",
        "drift/test_measure.py::test_two_versions_of_a_provider_differ_as_they_were_made_to",
    ),
    *(
        "engine/test_misses.py",
        "engine/test_next_take.py",
        "engine/test_protocol.py::test_many_clients_may_leave_at_once",
        "engine/test_replayer.py",
        "engine/test_rule_trials.py",
        "engine/test_sender.py::test_who_stays_where_a_client_had_left_is_cut_off_in_the_end",
        "engine/test_sequences.py",
        "engine/test_verdict.py",
        "engine/test_websocket.py::test_a_large_message_of_the_client_is_met",
    ),
    "exchange_formats/test_importing.py::test_real_cassettes_are_carried_over_byte_for_byte",
    *(
        "integrations/test_container.py::test_its_command_serves_and_its_health_check_passes",
        "integrations/test_github.py",
        "integrations/test_node.py",
        "integrations/test_plugin.py",
        "integrations/test_program.py::test_its_wheel_holds_the_plugin_and_needs_pytest_alone",
    ),
    *(
        "library/test_library.py::test_a_batch_that_is_killed_at_any_step_leaves_each_old_or_new",
        "library/test_library.py"
        "::test_a_run_killed_while_it_replaces_takes_leaves_the_old_or_the_new",
        "library/test_library.py::test_two_runs_at_once_lose_nothing_of_one_another",
        "library/test_replace_files.py"
        "::test_a_crash_at_any_step_leaves_all_of_the_old_or_all_of_the_new",
        "library/test_replace_set.py"
        "::test_a_crash_at_any_step_leaves_all_of_the_old_or_all_of_the_new",
        "library/test_scanned_folder.py::test_files_read_in_several_processes_give_the_same_index",
        "library/test_scanned_folder.py::test_several_processes_fill_one_cache",
    ),
    *("run/test_ending.py", "run/test_run.py", "run/test_stubborn_clients.py"),
    *(
        "run/test_late_values.py",
        "run/test_open_library.py::test_a_run_reads_many_new_recordings_in_several_processes",
        "run/test_stdio.py::test_a_client_that_reads_no_more_does_not_keep_its_server",
        "run/test_workers.py::test_workers_give_each_take_once_and_a_killed_one_is_replaced",
    ),
    "starter/test_files.py::test_the_example_test_is_recorded_and_replays",
    *(
        "stores/test_store.py",
        "stores/test_mirror.py::test_writers_of_one_request_give_each_take_a_number_of_its_own",
    ),
    "support/test_fork_server.py",
    "telemetry/test_traces.py::test_a_collector_that_is_down_is_told_once_and_breaks_nothing",
    *("test_doc_examples.py", "test_hot_paths.py", "test_packaging.py", "test_setup.py"),
    *("test_public.py::test_a_package_takes_no_public_name", "test_startup.py"),
    *(
        "tls/test_authority.py::test_contexts_kept_are_bounded",
        "tls/test_authority.py::test_eight_processes_at_once_end_with_one_authority",
    ),
    "ui/test_server.py::test_a_page_is_bounded_whatever_the_recording",
)
"""What takes more than half a second, whole runs of wiretape above all: `make test-fast` leaves it
out. Folders, files and functions, by how the name of a test begins."""

SLOW_FILES: Final = frozenset(name.removesuffix("/") for name in SLOW if "::" not in name)


def is_fast(config: pytest.Config) -> bool:
    """Whether this is `make test-fast`."""
    return bool(config.getoption("markexpr") == "not slow")


def pytest_configure(config: pytest.Config) -> None:
    """Look for fewer examples of a property in `make test-fast`, before properties are defined."""
    settings.load_profile("fast" if is_fast(config) else "wiretape")


def pytest_xdist_auto_num_workers() -> int:
    """Three workers for two cores: a fifth of the time a worker waits for disks, clients and times
    that have to pass.
    """
    return 3 * (os.cpu_count() or 1) // 2


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no file of slow tests where none of them runs."""
    path = collection_path.relative_to(config.rootpath).as_posix()
    return True if is_fast(config) and path.removeprefix("tests/") in SLOW_FILES else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep the hundreds of thousands of objects of a collection out of the garbage collector.

    They live until the end; to look through them again and again took a tenth of the time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `SLOW` names."""
    for item in items:
        if item.nodeid.removeprefix("tests/").startswith(SLOW):
            item.add_marker(pytest.mark.slow)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes that are no text by their length.

    Compressed bytes may hold the time they were made at, and workers that name a test differently
    run none at all.
    """
    if not isinstance(val, bytes):
        return None
    try:
        val.decode()
    except UnicodeDecodeError:
        return f"{len(val)} bytes"
    return None


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """wiretape's own folder for these tests: its CA is made once."""
    return tmp_path_factory.mktemp("wiretape-home")


@pytest.fixture(scope="session", autouse=True)
def runtime(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the keys of journals are kept. The machine's own folders stay as they are: locks and
    indexes of what tests read in their own process are in `state`.
    """
    folders = {"WIRETAPE_RUNTIME_DIR": tmp_path_factory.mktemp("runtime"), "WIRETAPE_HOME": state}
    with pytest.MonkeyPatch.context() as patch:
        for name, folder in folders.items():
            patch.setenv(name, str(folder))
        yield folders["WIRETAPE_RUNTIME_DIR"]


@pytest.fixture(scope="session")
def clean_env(
    state: Path, runtime: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """An environment with no trust, no proxy and no key in it, whatever the shell exports."""
    return {
        "WIRETAPE_RUNTIME_DIR": str(runtime),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "HOME": str(tmp_path_factory.mktemp("home")),
        "LANG": "C.UTF-8",
        "WIRETAPE_HOME": str(state),
    }


@pytest.fixture
def wiretape(clean_env: dict[str, str], tmp_path: Path) -> Wiretape:
    def run(
        *args: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = PATIENCE,
    ) -> subprocess.CompletedProcess[str]:
        return commands.run(args, {**clean_env, **(env or {})}, cwd or tmp_path, timeout)

    return run


@pytest.fixture(scope="session", autouse=True)
def _fork_server() -> Iterator[None]:
    yield
    commands.SERVER.close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A scripted provider on 127.0.0.1, with TLS for the usual hosts."""
    with Upstream() as started:
        yield started
