"""Recordings to be shown as conversations, well-formed and odd."""

from typing import Any

from hypothesis import strategies as st


def document(body: Any = None, answer: Any = None, **response: Any) -> Any:
    return {
        "wiretape": 1,
        "request": {
            "method": "POST",
            "url": "https://api.openai.com/v1/chat/completions",
            "headers": {},
            **({} if body is None else {"body": body}),
        },
        "response": {
            "status": 200,
            "headers": {"content-type": "application/json"},
            "is_streaming": isinstance(answer, list),
            "body": answer,
            **response,
        },
    }


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    paths = [path] if path else []
    if isinstance(value, dict):
        for name, item in value.items():
            paths += places(item, (*path, name))
    elif isinstance(value, list):
        for number, item in enumerate(value[:3]):
            paths += places(item, (*path, number))
    return paths
