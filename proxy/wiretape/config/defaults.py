"""The defaults of config.yaml as values, for a run without that file: pydantic, which checks one,
takes a sixth of a run's start.

`schema.py` is where keys and defaults are defined; a test holds these to it.
"""

from types import SimpleNamespace as Section
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from .schema import File

RECORDINGS: Final = "recordings"
STALE_AFTER: Final = "90d"


def default_file() -> "File":
    """The file in which every key has its default."""
    from wiretape.core.playback.pace import Pace
    from wiretape.core.playback.policy import MISS_STATUS

    file = Section(
        version=1,
        recordings=RECORDINGS,
        pace=Pace(),
        other_hosts=None,
        on_miss=None,
        http2=False,
        stale_after=STALE_AFTER,
        upstream_proxy=None,
        sequences=None,
        listen=Section(host="127.0.0.1", names=[], port=0, base_url_port=None),
        record=Section(errors=False, mode="replace", max_body=64, drain=False, folders=True),
        replay=Section(repeat="last", miss_status=MISS_STATUS),
        providers={},
        match=Section(headers=[], without_headers=[], without=[], rules=[]),
        redact=Section(
            **{name: [] for name in ("headers", "query", "env", "dotenv", "json_", "patterns")},
            keep_request_headers=[],
            keep_response_headers=[],
            drop_response_headers=[],
            gate="refuse",
            unsearched=[],
        ),
        faults=[],
        drift=Section(usage=1.5, similar=0.5, timing=3.0, rules=[]),
        prices=[],
        telemetry=Section(metrics=False, traces=False, content=False),
    )
    return cast("File", file)
