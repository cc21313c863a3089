"""Write the placeholder of a redacted value, and tell which values are worth looking for.

    REDACTED-together-key-3f9a1c07     a value that cannot be guessed: equal values, equal digests
    REDACTED-secret                    one that could be: a digest would let it be tried out

A placeholder depends only on the value: it names the pattern that matches the whole value, or
`secret`; where the value was found and what the request carried do not count. It is ASCII and needs
no escape in JSON, in a URL, in a header or in a host name. The digest is four bytes of scrypt (RFC
7914) with a fixed salt, so a value has the same placeholder in every run and on every machine, and
each guess at it costs two milliseconds and two megabytes. The value is protected because only a
value of at least `DIGEST_BITS` bits has a digest, by an estimate that counts a word as a word.
"""

import hashlib
import re
from functools import lru_cache
from typing import Final

PLACEHOLDER: Final = re.compile(r"REDACTED-[a-z0-9]+(?:-[a-z0-9]+)*")
"""A placeholder, its digest included."""

WITH_DIGEST: Final = re.compile(r"REDACTED-([a-z0-9]+(?:-[a-z0-9]+)*?)-([0-9a-f]{8})(?![0-9a-f])")
"""A placeholder with a digest: its label and its digest."""

ENCODED: Final = ("UkVEQUNURUQt", "JFREFDVEVEL", "SRURBQ1RFRC", "52454441435445442")
"""The start of a placeholder in base64, at each alignment, and in hexadecimal digits."""

STARTS_OF_ANY: Final = "|".join(("REDACTED-", *ENCODED))
"""Matches a text for which `may_be_in` holds: for RE2."""

SECRET: Final = "secret"
"""The label of a value that fits no pattern."""

SHORT: Final = 12
"""A value with fewer characters is replaced only where a name marks it as secret."""

DIGEST_BITS: Final = 64

_SALT: Final = b"wiretape placeholder 1"
_COST: Final = 2**11

# Words that people put in place of a key that is not needed, split at the punctuation.
_DUMMY_TEXT: Final = """
    an and anthropic any anything api apikey azure bar basic bearer change changeme client
    cohere credential credentials default demo dummy empty example fake fireworks foo for from
    gemini goes google groq here hf ignored insert invalid is key keys litellm llama lm local
    localhost me mistral mock my name needed no none not null ollama openai openrouter password
    placeholder please pplx proj put random real replace required sample secret sk some
    something studio test tester testing tests the this to together token undefined unused use
    user value vllm with xai xxx your
    filtered hidden mask masked obfuscated redacted removed scrubbed xxxx
"""
_DUMMY_WORDS: Final = frozenset(_DUMMY_TEXT.split())
_RUNS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^A-Za-z0-9]")
_IDENTIFIER: Final = re.compile(r"/?[A-Za-z]+(?:[_./][A-Za-z]+)*/?")
_NUMBER_LENGTH: Final = 20
_WORD_LENGTH: Final = 20
_SECRET_LENGTH: Final = 16


def label(name: str) -> str:
    """The form of a name in a placeholder: "TOGETHER_API_KEY" gives "together-api-key"."""
    return "-".join(re.findall(r"[a-z0-9]+", name.lower())) or "secret"


def placeholder(name: str, value: str) -> str:
    """The placeholder of `value`, which the pattern `name` matches.

    >>> placeholder("together-key", "tgp_v1_3kD9fWq7RzX2mB5nTc8vLj4hGs6pYa1eUoZbNi0KwMx")
    'REDACTED-together-key-d64498b2'
    >>> placeholder("secret", "hunter2")
    'REDACTED-secret'
    """
    digest = digest_of(value)
    return f"REDACTED-{label(name)}-{digest}" if digest else f"REDACTED-{label(name)}"


def exact_placeholder(value: str) -> str:
    """A placeholder that tells a value from any other, also one that could be guessed: for
    comparing in memory alone, never to be shown or written.
    """
    data = value.encode("utf-8", "surrogatepass")
    return f"REDACTED-{SECRET}-{hashlib.blake2b(data, digest_size=4).hexdigest()}"


def may_be_in(text: str) -> bool:
    """Whether a text could hold a placeholder, plain or encoded; False is certain."""
    return "REDACTED-" in text or is_encoded_in(text)


def is_encoded_in(text: str) -> bool:
    """Whether a text could hold a placeholder in base64 or hexadecimal digits."""
    return any(start in text for start in ENCODED)


def digest_of(value: str) -> str | None:
    """The digest in a value's placeholder, or in `value` if it is one; None without a digest."""
    if match := WITH_DIGEST.fullmatch(value):
        return match[2]
    if PLACEHOLDER.fullmatch(value):
        return None
    return hard_digest(value) if _is_hard_to_guess(value) else None


@lru_cache(maxsize=4096)
def hard_digest(value: str) -> str:
    """Eight hexadecimal digits of a text that cannot be guessed; each guess takes 2 ms."""
    data = value.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(data, salt=_SALT, n=_COST, r=8, p=1, dklen=4).hex()


def is_strong(value: str) -> bool:
    """Whether a known value may be replaced wherever it occurs, not only where a name marks it.

    It may not if other texts could hold it by chance: shorter than `SHORT`; one or two characters
    repeated; a number of fewer than 20 digits; a word or an identifier made of words
    (`response_format`, `application/json`); only words that stand for a missing key
    (`your-api-key-here`, `sk-no-key-required`). A placeholder is not strong either.
    """
    if len(value) < SHORT or PLACEHOLDER.fullmatch(value):
        return False
    marks = [character for character in value if character.isalnum()]
    if len(set(marks)) < 3:
        return False
    if value.isdecimal():
        return len(value) >= _NUMBER_LENGTH
    if _IDENTIFIER.fullmatch(value) and all(map(_reads_as_word, re.findall(r"[A-Za-z]+", value))):
        return False
    return not all(map(_is_dummy, re.findall(r"[^\W_]+", value)))


def looks_random(value: str) -> bool:
    """Whether a part of the value is long and cannot be guessed, unlike those of model names."""
    return any(map(_is_hard_to_guess, re.findall(r"[A-Za-z0-9]{16,}", value)))


def looks_like_secret(value: str) -> bool:
    """Whether a value named as a secret could be one: long, without spaces, hard to guess."""
    return (
        len(value) >= _SECRET_LENGTH
        and re.search(r"\s", value) is None
        and is_strong(value)
        and _is_hard_to_guess(value)
    )


def _is_dummy(part: str) -> bool:
    """Whether a part is only a filler: "key", "fakeKey", "test12", "0000", "xxxxxxxx"."""
    *words, last = _RUNS.findall(part)
    if not last.isdecimal():
        words.append(last)
    elif len(last) > 4 and len(set(last)) > 1:
        return False
    return len(set(part)) == 1 or all(word.lower() in _DUMMY_WORDS for word in words)


def _reads_as_word(part: str) -> bool:
    """Whether letters could be a word of a language, which random letters rarely could."""
    if part not in (part.lower(), part.upper(), part.capitalize()) or len(part) > _WORD_LENGTH:
        return False
    lower = part.lower()
    if len(lower) <= 3:
        return True
    vowels = sum(character in "aeiouy" for character in lower)
    rare = sum(character in "jqxz" for character in lower)
    return (
        0.2 <= vowels / len(lower) <= 0.7
        and rare <= 1
        and not re.search(r"[^aeiouy]{5}|[aeiouy]{4}", lower)
    )


def _is_hard_to_guess(value: str) -> bool:
    """Whether a low estimate of a value's entropy is `DIGEST_BITS` or more.

    A run of letters of one case counts as a word out of sixteen thousand, unless it is too long for
    a word.
    """
    if len(set(value)) < 8:
        return False
    bits = 0.0
    for run in _RUNS.finditer(value):
        bits += _run_bits(run[0])
        if bits >= DIGEST_BITS:
            return True
    return False


def _run_bits(run: str) -> float:
    if run.isdecimal():
        return 4.0 if run in "01234567890123456789" else 3.3 * len(run)
    if not run.isalpha():
        return 1.0
    if run.lower() in _DUMMY_WORDS:
        return 4.0
    return min(4.7 * len(run), 14.0) + 4.7 * max(0, len(run) - _WORD_LENGTH)
