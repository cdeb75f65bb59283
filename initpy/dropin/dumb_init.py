"""initpy under the name dumb-init."""

from __future__ import annotations

import posix

from initpy.dropin.getopt import Options
from initpy.single import SIGCHLD, SIGSTOP, SIGTERM, STDERR, SUSPENDING, OneCommand, exit_code, put

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Sequence
else:
    import _signal

MAX_SIGNAL = 31
MAX_DIGITS = 20
"""More would make no number any smaller."""

LETTERS = "hvVcr:"
NAMES = (
    ("help", "h"),
    ("single-child", "c"),
    ("rewrite", "r"),
    ("verbose", "v"),
    ("version", "V"),
)


def main(argv: list[str], mask: tuple[int, ...]) -> int:
    """What the whole process does; returns the exit code. The first of `argv` is the name."""
    init = DumbInit([], mask)
    options = Options(argv, LETTERS, NAMES, permute=False)
    for letter, value in options:
        if letter == "v":
            init.is_verbose = True
        elif letter == "c":
            init.own_session = False
        elif letter == "r":
            rewrite = _rewrite(value)
            if rewrite is None:
                return _print_text(argv[0], "r", "")
            signum, sent = rewrite
            init.rewrites[signum] = sent
        else:
            return _print_text(argv[0], letter, value)
    if not options.rest:
        return _print_text(argv[0], "", "")
    init.argv = options.rest
    if posix.environ.get(b"DUMB_INIT_DEBUG") == b"1":
        init.is_verbose = True
        init.debug("Running in debug mode.")
    if posix.environ.get(b"DUMB_INIT_SETSID") == b"0":
        init.own_session = False
        init.debug("Not running in setsid mode.")
    init.to_group = init.own_session
    if init.own_session:
        for signum in SUSPENDING:
            init.rewrites.setdefault(signum, SIGSTOP)
    return init.run()


class DumbInit(OneCommand):
    """The command as dumb-init runs it: in a session of its own, which gets the signals."""

    handed_off: Sequence[int] = ()
    """Signals that came of giving up the terminal."""

    def prepare(self) -> int:
        if not self.own_session:
            return 0
        try:
            self.handed_off = self.detach()
        except OSError as exc:
            self.debug(f"Unable to detach from controlling tty ({_why(exc.errno)}).")
        else:
            if posix.getsid(0) == posix.getpid():
                self.debug(
                    "Detached from controlling tty, ignoring the first SIGHUP and SIGCONT we"
                    " receive."
                )
            else:
                self.debug("Detached from controlling tty, but was not session leader.")
        return 0

    def place(self) -> int | None:
        return None if self.is_verbose else super().place()

    def isolate(self) -> None:
        if not self.own_session:
            return
        try:
            posix.setsid()
        except OSError as exc:
            self.complain(f"Unable to setsid ({_why(exc.errno)}). Exiting.")
            self.give_up(1)
        why_not = self.take_terminal()
        if why_not:
            self.debug(f"Unable to attach to controlling tty ({_why(why_not)}).")
        self.debug("setsid complete.")

    def look_at_dispositions(self) -> None:
        """In the command, none is blocked, and none below 32 ignored, whatever we were given."""
        super().look_at_dispositions()
        self.mask = ()
        for signum in range(1, MAX_SIGNAL + 1):
            if _signal.getsignal(signum) == _signal.SIG_IGN:
                self.dispositions[signum] = _signal.SIG_DFL
        self.dispositions[SIGCHLD] = _signal.SIG_DFL

    def exec_failed(self, why: OSError) -> int:
        self.complain(f"{self.argv[0]}: {why.strerror}")
        return 2

    def fork_failed(self, _why: OSError) -> int:
        self.complain("Unable to fork. Exiting.")
        return 1

    def spawned(self) -> None:
        self.debug(f"Child spawned with PID {self.child}.")
        for signum in self.handed_off:
            self.debug(f"Received signal {signum}.")
            self.debug(f"Ignoring tty hand-off signal {signum}.")
        try:
            posix.chdir("/")
        except OSError as exc:
            self.debug(f'Unable to chdir("/") ({_why(exc.errno)})')

    def received(self, signum: int, _si_code: int) -> None:
        self.debug(f"Received signal {signum}.")
        self._forward(signum)
        if signum in SUSPENDING:
            self.debug("Suspending self due to TTY signal.")
            self.suspend()

    def children_died(self) -> None:
        self.debug("Received signal 17.")

    def reaped(self, pid: int, wait_status: int) -> None:
        self._tell_death(pid, wait_status)

    def ended(self, wait_status: int) -> int:
        self._tell_death(self.child, wait_status)
        self._forward(SIGTERM)  # to what is left of its process group
        code = exit_code(wait_status)
        self.debug(f"Child exited with status {code}. Goodbye.")
        return code

    def finish(self, code: int) -> int:
        return code

    def _forward(self, signum: int) -> None:
        sent = self.rewrites.get(signum)
        if sent is None:
            sent = signum
        else:
            self.debug(f"Translating signal {signum} to {sent}.")
        if sent:
            self.send(sent)
            self.debug(f"Forwarded signal {sent} to children.")
        else:
            self.debug("Not forwarding signal 0 to children (ignored).")

    def _tell_death(self, pid: int, wait_status: int) -> None:
        code = exit_code(wait_status)
        if posix.WIFSIGNALED(wait_status):
            self.debug(f"A child with PID {pid} was terminated by signal {code - 128}.")
        else:
            self.debug(f"A child with PID {pid} exited with exit status {code}.")

    def debug(self, text: str) -> None:
        """Print a message, if it is to be verbose."""
        if self.is_verbose:
            self.complain(text)

    def complain(self, text: str) -> None:
        """Print a message."""
        put(STDERR, f"[dumb-init] {text}\n")


def _print_text(name: str, letter: str, complaint: str) -> int:
    from initpy.dropin import texts  # noqa: PLC0415

    if letter == "h":
        put(STDERR, f"{texts.DUMB_INIT_VERSION}\n{texts.DUMB_INIT_HELP.replace('NAME', name)}")
        return 0
    if letter == "V":
        put(STDERR, f"{texts.DUMB_INIT_VERSION}\n")
        return 0
    if letter == "r":
        put(STDERR, texts.DUMB_INIT_REWRITE_HELP)
    elif complaint:
        put(STDERR, f"{complaint}\n")
    else:
        put(STDERR, texts.DUMB_INIT_USAGE.replace("NAME", name))
    return 1


def _why(number: int | None) -> str:
    return f"errno={number} {posix.strerror(number or 0)}"


def _rewrite(text: str) -> tuple[int, int] | None:
    """What C's sscanf with "%d:%d" makes of it, if that is a signal and a signal or 0."""
    signum, rest = _leading_number(text)
    if not rest.startswith(":"):
        return None
    sent, _ = _leading_number(rest[1:])
    if signum is None or sent is None or not (1 <= signum <= MAX_SIGNAL >= sent >= 0):
        return None
    return signum, sent


def _leading_number(text: str) -> tuple[int | None, str]:
    """The number that the text begins with (None: with none), and what comes behind it."""
    text = text.lstrip(" \t\n\v\f\r")
    start = end = 1 if text[:1] in ("+", "-") else 0
    while text[end : end + 1].isascii() and text[end : end + 1].isdigit():
        end += 1
    digits = text[: min(end, MAX_DIGITS)]
    return (int(digits) if end > start else None), text[end:]
