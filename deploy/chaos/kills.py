"""Kills processes of a running platform with SIGKILL; its own supervisor starts them again."""

import os
import random
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress

from deploy.local import process_table
from deploy.local.checkout import Checkout
from deploy.local.children import MARK

# What each target's command line says. The whole group of a postmaster falls with it.
TARGETS: Mapping[str, Callable[[list[str]], bool]] = {
    "web": lambda words: any("granian" in word for word in words),
    "send worker": lambda words: "send@localhost" in words,
    "valkey": lambda words: words[0].endswith("valkey-server"),
    "postgres": lambda words: words[0].endswith("/postgres") and "-D" in words,
}


class Killer:
    """Takes the targets in turn, so that a short run meets each of them."""

    def __init__(self, checkout: Checkout, *, chance: random.Random) -> None:
        self._checkout = checkout
        self._chance = chance
        self._left: list[str] = []
        self.kills: dict[str, int] = dict.fromkeys(TARGETS, 0)

    def kill_one(self) -> str | None:
        """The target that was killed; None when it is not running just now."""
        if not self._left:
            self._left = self._chance.sample(sorted(TARGETS), len(TARGETS))
        name = self._left.pop()
        pids = self._pids(name)
        if not pids:
            self._left.insert(0, name)
            return None
        with suppress(ProcessLookupError):
            os.kill(self._chance.choice(pids), signal.SIGKILL)
            self.kills[name] += 1
            return name
        return None

    def _pids(self, name: str) -> list[int]:
        running = process_table.started_with(MARK, self._checkout.fingerprint)
        return [
            pid
            for pid in running
            if (words := process_table.arguments(pid)) and TARGETS[name](words)
        ]
