"""Finds keys in a stream of bytes, with little memory, however long the stream is. Pure."""

from collections.abc import Iterable, Iterator

from queensmtp import tokens


def find(chunks: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """Each key with the number of its line.

    NULs are left out before looking, so that a key in UTF-16, as PowerShell writes it, is found.
    """
    line, kept = 1, b""
    for chunk in chunks:
        text = kept + chunk.replace(b"\0", b"")
        done, seen = 0, 0
        for match in tokens.PATTERN.finditer(text):
            line += text.count(b"\n", seen, match.start())
            done, seen = match.end(), match.start()
            token = match[0].decode("ascii")
            if tokens.is_sound(token):
                yield line, token
        # A key may go on in the next chunk; one that was found must not be found again.
        rest = max(done, len(text) - tokens.LONGEST + 1)
        line += text.count(b"\n", seen, rest)
        kept = text[rest:]
