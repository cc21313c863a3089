"""Make text safe to print: names, paths and prompts may hold control characters."""


def printable(text: str, *, one_line: bool = False) -> str:
    """Replace control characters; line ends stay, unless `one_line`.

    >>> printable("a\\x1b[2Jb\\n"), printable("a\\nb", one_line=True)
    ('a\N{REPLACEMENT CHARACTER}[2Jb\\n', 'a\N{REPLACEMENT CHARACTER}b')
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or (c == "\n" and not one_line) else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )


def escaped(text: str) -> str:
    """Escape control characters, so that different names stay different: "a\\n" gives "a\\\\n"."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def count(number: int, noun: str) -> str:
    """A number with its noun: "1 file", "2 files"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size(number: int) -> str:
    """A number of bytes: "512 B", "12 kB", "3.4 MB"."""
    if number < 1000:
        return f"{number} B"
    if number < 999_500:
        return f"{number / 1000:.0f} kB"
    return f"{number / 1_000_000:.1f} MB"
