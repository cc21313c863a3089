from typing import Any

import pytest

from wiretape.core.recording.given_ids import (
    AnswerId,
    IdSource,
    KnownIds,
    answer_ids,
    is_id_name,
    sent_ids,
    stamp,
)


def texts(document: dict[str, Any]) -> tuple[str, ...]:
    return tuple(answer_id.text for answer_id in answer_ids(document))


def claims(document: dict[str, Any]) -> dict[str, str]:
    ids = answer_ids(document)
    assert ids == answer_ids(document, sent_ids(document["request"]))
    return {answer_id.text: answer_id.claim for answer_id in ids}


def given(*texts: str) -> list[AnswerId]:
    return [AnswerId(text, "created") for text in texts]


def recording(*data: Any, path: str = "/v1/responses", streamed: bool = False) -> dict[str, Any]:
    items = [{"__data__": value} for value in data]
    body: Any = items if streamed else items[0]
    url = f"https://api.openai.com{path}"
    return {
        "request": {"method": "POST", "url": url, "endpoint": path},
        "response": {"status": 200, "is_streaming": streamed, "body": body},
    }


def test_an_mcp_session_and_its_events_come_behind_the_ids_of_the_body() -> None:
    document = recording({"jsonrpc": "2.0", "result": {"file_id": "f1"}}, streamed=True)
    document["response"]["headers"] = {"mcp-session-id": "s1"}
    document["response"]["body"][0]["id"] = "event-0001"
    assert claims(document) == {"f1": "named", "s1": "created", "event-0001": "named"}
    document["request"]["headers"] = {"mcp-session-id": "s1", "last-event-id": "event-0001"}
    assert set(sent_ids(document["request"])) >= {"s1", "event-0001"}
    assert claims(document) == {"f1": "named", "s1": "repeated", "event-0001": "repeated"}


def test_the_ids_of_other_streams_events_are_nobodys() -> None:
    document = recording({"choices": []}, streamed=True)
    document["response"]["body"][0]["id"] = "event-0001"
    assert claims(document) == {}


def request(path: str, body: Any = None) -> dict[str, Any]:
    part = {"method": "POST", "url": f"https://api.openai.com{path}", "headers": {}}
    return part if body is None else {**part, "body": body}


def test_an_answers_own_id_comes_first_and_each_id_once() -> None:
    answer = {"id": "resp_1", "output": [{"type": "message", "id": "msg_1"}], "ref_id": "resp_1"}
    assert texts(recording(answer)) == ("resp_1", "msg_1")


def test_the_ids_of_a_stream_are_told_once_over_its_events() -> None:
    events = [{"response": {"id": "resp_1"}}, {"item": {"id": "msg_1"}}, {"item_id": "msg_1"}]
    assert texts(recording(*events, streamed=True)) == ("resp_1", "msg_1")


@pytest.mark.parametrize(
    "call",
    [
        {"tool_calls": [{"id": "call_1", "function": {"name": "f"}}]},
        {"type": "tool_use", "id": "toolu_1", "name": "f"},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1"},
    ],
)
def test_the_ids_of_tool_calls_are_not_told(call: dict[str, Any]) -> None:
    assert answer_ids(recording(call)) == ()


def test_the_names_of_models_are_no_ids() -> None:
    listing = {"data": [{"id": "gpt-4o"}]}
    assert answer_ids(recording(listing, path="/v1/models")) == ()


def test_geminis_files_are_told_by_name_and_by_what_a_path_says() -> None:
    answer = {"file": {"name": "files/abc", "displayName": "x"}}
    assert texts(recording(answer)) == ("files/abc", "abc")


def test_a_recording_without_an_answer_gives_nothing() -> None:
    assert answer_ids({"request": {}}) == ()
    assert answer_ids(recording("text")) == ()


@pytest.mark.parametrize(
    "name",
    ["id", "file_id", "file_ids", "vectorStoreId", "conversation", "fileUri", "container"],
)
def test_ids_stand_in_members_named_so(name: str) -> None:
    assert is_id_name(name)


@pytest.mark.parametrize("name", ["content", "model", "grid", "void", "identity", "role", "valid"])
def test_other_members_hold_no_ids(name: str) -> None:
    assert not is_id_name(name)


def test_ids_are_sent_back_in_paths_queries_and_bodies() -> None:
    sent = sent_ids(request("/v1/files/file-1/content?after=file-2", {"previous_response_id": "r"}))
    assert sent == ("files", "file-1", "content", "file-2", "r")


def test_a_history_is_compared_as_such_and_a_reference_by_its_origin() -> None:
    body = {
        "input": [
            {"type": "message", "id": "msg_1", "content": "hi"},
            {"type": "item_reference", "id": "msg_2"},
        ],
        "messages": [{"role": "tool", "tool_call_id": "call_1"}],
    }
    assert sent_ids(request("/v1/responses", body)) == ("responses", "msg_2")


def test_lists_of_ids_are_found() -> None:
    body = {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1", "vs_2"]}]}
    assert sent_ids(request("/v1/responses", body))[1:] == ("vs_1", "vs_2")


def test_what_was_given_is_stamped_with_where_it_came_from() -> None:
    known = KnownIds()
    known.learn(given("resp_1", "msg_1"), "3f2a00112233")
    sending = request("/v1/responses", {"previous_response_id": "resp_1", "input": "resp_1"})
    assert stamp(sending, known) == {**sending, "ids": {"resp_1": "3f2a00112233#0"}}


def test_the_latest_that_created_an_id_counts() -> None:
    known = KnownIds()
    known.learn(given("resp_1"), "aaaaaaaaaaaa")
    known.learn(given("resp_1"), "bbbbbbbbbbbb.2")
    assert known.origins(["resp_1", "resp_2"]) == {"resp_1": IdSource("bbbbbbbbbbbb.2#0", True)}


def test_an_id_stays_with_who_created_it_or_else_with_who_named_it_first() -> None:
    known = KnownIds()
    for recording, claim in (("a", "named"), ("b", "named"), ("c", "repeated")):
        known.learn([AnswerId("id", claim)], recording)  # type: ignore[arg-type]  # claims
        assert known.origins(["id"]) == {"id": IdSource("a#0", False)}
    known.learn([AnswerId("other"), AnswerId("id", "created")], "d")
    known.learn([AnswerId("id")], "e")
    assert known.origins(["id"]) == {"id": IdSource("d#1", True)}


def test_an_answer_does_not_give_what_its_request_sent() -> None:
    known = KnownIds()
    known.learn([AnswerId("id", "repeated")], "a")
    assert len(known) == 0


def document_of(method: str, path: str, answer: Any, body: Any = None) -> dict[str, Any]:
    document = recording(answer, path=path)
    document["request"] |= {"method": method} | ({} if body is None else {"body": body})
    return document


BATCH = {"id": "b1", "input_file_id": "f1", "errors": None, "output": {"id": "o1", "file_id": "f2"}}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            document_of("POST", "/v1/batches", BATCH, {"input_file_id": "f1"}),
            {"b1": "created", "f1": "repeated", "o1": "created", "f2": "named"},
        ),
        (
            document_of("GET", "/v1/batches/b1", BATCH),
            {"b1": "repeated", "f1": "named", "o1": "named", "f2": "named"},
        ),
        (document_of("POST", "/v1/batches/b1/cancel", {"id": "b1"}), {"b1": "repeated"}),
        (document_of("GET", "/v1/batches", {"data": [{"id": "b1"}]}), {"b1": "named"}),
        (document_of("POST", "/v1/search", {"data": [{"id": "b1"}]}), {"b1": "named"}),
        (document_of("GET", "/v1/batches?after=b1", {"data": [{"id": "b1"}]}), {"b1": "repeated"}),
        (document_of("PUT", "/v1/things/mine", {"id": "mine"}), {"mine": "repeated"}),
        (document_of("DELETE", "/v1/files/f1", {"id": "f1", "deleted": True}), {"f1": "repeated"}),
        (
            document_of("POST", "/v1beta/batches/x:cancel", {"name": "batches/x"}),
            {"batches/x": "repeated", "x": "repeated"},
        ),
        (
            document_of("GET", "/v1beta/files/x", {"name": "files/x"}),
            {"files/x": "repeated", "x": "repeated"},
        ),
        (
            document_of("POST", "/upload/v1beta/files", {"file": {"name": "files/x"}}),
            {"files/x": "created", "x": "created"},
        ),
        (
            document_of("POST", "/v1/responses", {"id": "r2"}, {"previous_response_id": "r1"}),
            {"r2": "created"},
        ),
    ],
)
def test_what_an_answer_has_to_do_with_its_ids(
    document: dict[str, Any], expected: dict[str, str]
) -> None:
    assert claims(document) == expected


def test_what_a_stream_creates_is_in_its_events() -> None:
    events = [{"response": {"id": "r1"}}, {"item": {"id": "m1"}}, {"response": {"id": "r1"}}]
    assert claims(recording(*events, streamed=True)) == {"r1": "created", "m1": "created"}


def test_a_request_that_sends_nothing_back_stays_the_same_object() -> None:
    known = KnownIds()
    sending = request("/v1/responses", {"input": "hi"})
    assert stamp(sending, known) is sending
    known.learn(given("resp_1"), "aaaaaaaaaaaa")
    assert stamp(sending, known) is sending


def test_a_session_that_starts_over_knows_no_ids() -> None:
    known = KnownIds()
    known.learn(given("resp_1"), "aaaaaaaaaaaa")
    known.clear()
    assert len(known) == 0
    assert "resp_1" not in known


def test_what_is_remembered_is_bounded() -> None:
    known = KnownIds()
    for number in range(1100):
        known.learn(given(*(f"{number}-{n}" for n in range(100))), "aaaaaaaaaaaa")
    assert len(known) == 100_000
    assert "0-0" not in known
    assert "1099-99" in known


def test_what_a_websockets_client_made_up_was_given_by_nobody() -> None:
    document = recording({"id": "a"}, {"id": "b"}, streamed=True)
    document["response"]["body"][0]["from"] = "client"
    document["response"]["body"][1]["from"] = "server"
    assert texts(document) == ("b",)


def test_a_type_that_is_no_text_is_none() -> None:
    answer = {"id": "resp_1", "type": {"a": ["b"]}}
    assert texts(recording(answer)) == ("resp_1",)
