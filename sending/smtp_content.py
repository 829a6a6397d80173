"""The content of a message as it comes over the wire (RFC 5321 4.5.2). Pure."""


class Content:
    """The bytes between 354 and the final dot, kept within a limit.

    Beyond the limit they are counted and dropped, so that the client reads its 552; far beyond
    it is a flood.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # As if the line before had ended: a dot may be the very first thing.
        self._kept = bytearray(b"\r\n")
        self._dropped = 0
        self.is_foul = False

    @property
    def is_too_large(self) -> bool:
        return self._dropped > 0 or len(self._kept) - 2 > self._limit

    @property
    def is_flood(self) -> bool:
        return self._dropped > 4 * self._limit

    def feed(self, data: bytes) -> bytes | None:
        """Take more bytes. Once the final dot is there: what came after it, else None."""
        start = max(len(self._kept) - 4, 0)
        self._kept += data
        end = self._kept.find(b"\r\n.\r\n", start)
        rest = bytes(self._kept[end + 5 :]) if end >= 0 else None
        if end >= 0:
            del self._kept[end + 2 :]
        self._check(start)
        if rest is None and len(self._kept) > self._limit + 1_024:
            self._drop()
        return rest

    def unstuffed(self) -> bytes:
        """The message without the dots that the transfer added (RFC 5321 4.5.2)."""
        return bytes(self._kept.replace(b"\r\n.", b"\r\n")[2:])

    def _check(self, start: int) -> None:
        """Whether what is new holds a CR or LF on its own, or a NUL."""
        new = self._kept[start:]
        # A CR at the end waits for its LF; an LF at the start had its CR before.
        if new[:1] == b"\n":
            new = new[1:]
        if new[-1:] == b"\r":
            new = new[:-1]
        ends = new.count(b"\r\n")
        self.is_foul = (
            self.is_foul or b"\0" in new or not new.count(b"\r") == new.count(b"\n") == ends
        )

    def _drop(self) -> None:
        """Keep only what the search for the final dot needs."""
        self._dropped += len(self._kept) - 4
        self._kept = self._kept[-4:]
