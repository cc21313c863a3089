"""What wiretape changes in mitmproxy, in one place.

No hook or option of mitmproxy 12 can do what these do. `PATCHES` says of each what mitmproxy does
by itself, which test fails without it, and what mitmproxy would have to offer to make it go.
`install` puts all of them in place; installing twice is installing once.
"""

from types import ModuleType
from typing import Any, Final, NamedTuple

from mitmproxy.http import MessageData
from mitmproxy.optmanager import _Option
from mitmproxy.proxy import mode_servers
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers import tls, websocket
from mitmproxy.proxy.layers.http import _http1

from . import (
    connection_handler,
    error_answers,
    http1,
    http2,
    listening,
    quick_parts,
    transport,
    websocket_close,
)


class Patch(NamedTuple):
    """One name in mitmproxy that stands for something of ours."""

    owner: ModuleType | type
    name: str
    ours: Any
    changes: str
    """What mitmproxy does without the patch."""
    pinned_by: str
    """A test below tests/ that fails without it: FILE::NAME."""
    upstream: str
    """What mitmproxy would have to offer."""

    @property
    def is_installed(self) -> bool:
        return vars(self.owner).get(self.name) is self.ours

    def install(self) -> None:
        setattr(self.owner, self.name, self.ours)


_TESTS: Final = "addons/patches"

PATCHES: Final = (
    Patch(
        mode_servers,
        "ProxyConnectionHandler",
        connection_handler.PatchedConnectionHandler,
        "A reset reads as any end of a connection, and what came before it is lost; five"
        " connections to one address live at a time; an HTTP/2 client that does not read fills"
        " memory; log lines quote what came on the wire; what passes in a tunnel goes through its"
        " CONNECT's layers too, and each hook is a task (`short_way.py`).",
        f"{_TESTS}/test_connection_handler.py::test_a_provider_s_break_is_told_and_done_as_it_was",
        "Tell hooks how a connection ended; an option for the limit (#8322); back-pressure.",
    ),
    Patch(
        mode_servers.AsyncioServerInstance,
        "listen",
        listening.listen,
        "It opens its ports itself, so clients are refused until mitmproxy is imported.",
        "addons/patches/test_listening.py::test_who_waits_in_the_queue_of_an_open_port_is_served",
        "Take listening sockets.",
    ),
    Patch(
        http_layers,
        "HttpStream",
        transport.PatchedHttpStream,
        "An answer ends with its client; a request is held until it is whole, and an answer that"
        " comes before is not ended until then; an outer proxy is chosen per mode, not per"
        " request.",
        f"{_TESTS}/test_transport.py::test_a_large_upload_goes_out_as_it_comes",
        "Per-flow options for streaming, draining and the way out.",
    ),
    Patch(
        _http1,
        "make_body_reader",
        http1.body_reader,
        "Trailers of a chunked body end in NotImplementedError (#2474); a chunk's first line has no"
        " bound.",
        f"{_TESTS}/test_transport.py::test_a_provider_s_trailers_reach_the_client_and_the_hooks",
        "Support trailers over HTTP/1.",
    ),
    Patch(
        http_layers,
        "Http1Client",
        http1.PatchedHttp1Client,
        "A 103 or any 1xx is the final answer (#2229); heads of answers have no bound; a folded"
        " line or an equal second Content-Length is a 502.",
        f"{_TESTS}/test_transport.py::test_interim_answers_are_passed_over",
        "Pass over 1xx; bound heads.",
    ),
    Patch(
        http_layers,
        "Http1Server",
        http1.PatchedHttp1Server,
        "Heads of requests have no bound; an empty line before a request hangs; what came of a"
        " request that was not ended is logged.",
        f"{_TESTS}/test_transport.py::test_a_request_s_endless_head_is_a_431",
        "Bound heads; log no bytes.",
    ),
    Patch(
        http_layers,
        "Http2Server",
        http2.PatchedHttp2Server,
        "All that an HTTP/2 client does not take is kept; an error before the head resets the"
        " stream, so that the client learns nothing.",
        f"{_TESTS}/test_transport.py::test_a_stream_left_unread_ends_where_others_share_its_connection",
        "Back-pressure on HTTP/2 streams; answer errors over HTTP/2 as over HTTP/1.",
    ),
    Patch(
        _http1,
        "make_error_response",
        error_answers.make_error_response,
        "An error is a page of HTML, which no SDK can read.",
        "end_to_end/test_record.py::test_a_provider_that_is_not_reached_is_a_clear_502_and_no_recording",
        "Let the `error` hook set the answer.",
    ),
    Patch(
        MessageData,
        "__post_init__",
        quick_parts.check_types,
        "The type of each part of each message is looked up in its annotations: a tenth of what a"
        " small exchange takes.",
        f"{_TESTS}/test_quick_parts.py::test_plain_parts_are_not_looked_at_one_by_one",
        "Check types where a user's addon sets them.",
    ),
    Patch(
        Context,
        "fork",
        quick_parts.fork,
        "Each layer's context makes a server connection, with a random id, and throws it away.",
        f"{_TESTS}/test_quick_parts.py::test_a_fork_makes_no_connection",
        "Make none.",
    ),
    Patch(
        http_layers.HttpLayer,
        "handle_event",
        quick_parts.handle_event,
        "All that passes goes through one more generator, which would wait for the reply to a"
        " command of this layer; it has none.",
        f"{_TESTS}/test_quick_parts.py::test_a_layer_of_http_has_no_command_to_wait_for",
        "Let a layer say that it never waits.",
    ),
    Patch(
        tls.TLSLayer,
        "handle_event",
        quick_parts.handle_event_of_tls,
        "The same of TLS, which waits for a command of its own in its handshake alone.",
        f"{_TESTS}/test_quick_parts.py::test_what_is_open_is_not_gone_around",
        "Let a layer say that it never waits.",
    ),
    Patch(
        http_layers.HttpClient,
        "handle_event",
        quick_parts.handle_event_of_client,
        "The same of a connection to a provider, which waits until it is there.",
        f"{_TESTS}/test_quick_parts.py::test_what_is_open_is_not_gone_around",
        "Let a layer say that it never waits.",
    ),
    Patch(
        _Option,
        "current",
        quick_parts.current,
        "Each look at an option copies it twice, a number too; an exchange takes fourteen looks.",
        f"{_TESTS}/test_quick_parts.py::test_an_option_that_nobody_can_change_is_not_copied",
        "Copy lists alone.",
    ),
    Patch(
        websocket.WebsocketConnection,
        "send2",
        websocket_close.send2,
        "A connection that broke without a closing frame is closed with code 1000 towards the other"
        " side: as if it had finished.",
        "addons/test_websocket.py::test_a_provider_that_breaks_off_is_a_cut_for_the_client_too",
        "Break the other side too.",
    ),
)


def install() -> None:
    """Put all patches in the place of what is mitmproxy's."""
    for patch in PATCHES:
        patch.install()
