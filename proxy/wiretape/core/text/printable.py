"""Text that cannot steer a terminal: names, paths and prompts may hold anything."""


def printable(text: str, *, one_line: bool = False) -> str:
    """Replace what a terminal would obey; line ends stay, unless it is to be one line.

    >>> printable("a\\x1b[2Jb\\n"), printable("a\\nb", one_line=True)
    ('a\N{REPLACEMENT CHARACTER}[2Jb\\n', 'a\N{REPLACEMENT CHARACTER}b')
    """
    return "".join(
        c if c.isprintable() or (c == "\n" and not one_line) else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )


def escaped(text: str) -> str:
    """Spell what a terminal would obey, so that two names stay two: "a\\n" gives "a\\\\n"."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
