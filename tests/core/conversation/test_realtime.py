"""WebSocket connections as turns: OpenAI's realtime API, Gemini's live API, JSON-RPC."""

import base64

from wiretape.core.conversation.realtime import turns
from wiretape.core.conversation.turns import Part, Turn

SOUND = base64.b64encode(bytes(3000)).decode()


def test_sound_of_a_run_of_messages_is_one_part() -> None:
    append = {"type": "input_audio_buffer.append", "audio": SOUND}
    delta = {"type": "response.output_audio.delta", "delta": SOUND}
    chunk = {"realtimeInput": {"mediaChunks": [{"data": SOUND}]}}
    assert turns([("client", append), ("client", chunk), ("server", delta), ("server", 3000)]) == (
        Turn("user", (Part("media", "[audio 6 kB]"),)),
        Turn("assistant", (Part("media", "[audio 6 kB]"),)),
    )


def test_the_clients_settings_items_and_results() -> None:
    messages = [
        {"type": "session.update", "session": {"instructions": "Be brief."}},
        {"type": "conversation.item.create", "item": {"role": "user", "content": "hi"}},
        {"toolResponse": {"functionResponses": [{"id": "c1", "response": "5"}]}},
        {"clientContent": {"turns": [{"role": "user", "parts": [{"text": "now"}]}]}},
    ]
    assert turns([("client", each) for each in messages]) == (
        Turn("system", (Part("text", "Be brief."),)),
        Turn("user", (Part("text", "hi"),)),
        Turn("tool", (Part("result", "5", "", "c1"),)),
        Turn("user", (Part("text", "now"),)),
    )


def test_geminis_text_is_joined_and_its_calls_stay() -> None:
    def words(text: str) -> tuple[str, object]:
        return "server", {"serverContent": {"modelTurn": {"parts": [{"text": text}]}}}

    calls = {"toolCall": {"functionCalls": [{"id": "c1", "name": "now", "args": {"a": 1}}]}}
    result = turns([words("Hel"), words("lo"), ("server", calls)])
    expected = (Part("text", "Hello"), Part("call", '{"a": 1}', "now", "c1"))
    assert result == (Turn("assistant", expected),)


def test_json_rpc_and_text_are_shown_as_they_are_in_their_order() -> None:
    ask = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    answer = {"jsonrpc": "2.0", "id": 1, "result": {}}
    roles = [turn.role for turn in turns([("client", ask), ("server", answer), ("client", "x")])]
    assert roles == ["request", "answer", "user"]
