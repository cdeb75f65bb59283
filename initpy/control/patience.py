"""How long a thread waits on behalf of its client: until that has gone, or the helper has to.

A thread that answers a client has one `Patience`; whatever waits in it says how it is woken.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Patience:
    """Of one client. Other threads hurry it, and end it; both for good."""

    def __init__(self, watch: Callable[[bool], None] = lambda _: None) -> None:
        """`watch` is called with True when something is waited for, so that it is noticed if the
        client goes away, and with False when it is not any more."""
        self.is_hurried = False
        """Who can give an answer at once, is to give it."""
        self.has_ended = False
        """What is waited for is to be given up."""
        self._watch = watch
        self._lock = threading.Lock()
        self._wake: Callable[[], None] | None = None
        self._hurries = False

    def hurry(self) -> None:
        self.is_hurried = True
        with self._lock:
            wake = self._wake if self._hurries else None
        if wake is not None:
            wake()

    def end(self) -> None:
        self.is_hurried = self.has_ended = True
        with self._lock:
            wake = self._wake
        if wake is not None:
            wake()

    def _set(self, wake: Callable[[], None] | None, *, hurries: bool) -> None:
        with self._lock:
            self._wake, self._hurries = wake, hurries


_threads = threading.local()


def use(patience: Patience) -> None:
    """This thread's from now on."""
    _threads.patience = patience


@contextmanager
def waiting(wake: Callable[[], None], *, hurries: bool) -> Iterator[Patience]:
    """While this thread waits: `wake` is called, from another, when its patience has ended, or (if
    it `hurries`) is hurried. Look whether it is so already before you begin to wait."""
    patience: Patience = getattr(_threads, "patience", None) or Patience()
    patience._set(wake, hurries=hurries)
    patience._watch(True)
    try:
        yield patience
    finally:
        patience._watch(False)
        patience._set(None, hurries=False)
