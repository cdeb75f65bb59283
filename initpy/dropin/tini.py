"""initpy under the names tini and docker-init.

What tini does with the signals that it gets is done better where nobody can have relied on it:
those that tini dies of, or ignores, are passed on as well.
"""

from __future__ import annotations

import errno
import posix

from initpy.dropin.getopt import BAD, Options
from initpy.linux.native import OWN_GROUP
from initpy.single import (
    ALL,
    BY_THE_KERNEL,
    SIGCHLD,
    SIGTTIN,
    SIGTTOU,
    STDERR,
    STDIN,
    OneCommand,
    put,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal

STDOUT = 1

MAX_DIGITS = 20
"""A number that has more is cut to what a long can hold, which these make as well."""

FATAL, WARN, INFO, DEBUG, TRACE = range(5)
"""A message is printed when the verbosity is at least that."""

TITLES = ("FATAL", "WARN ", "INFO ", "DEBUG", "TRACE")

NOT_WITH_P = ("SIGSTKFLT", "SIGIO", "SIGPOLL", "SIGPWR", "SIGCLD", "SIGRTMIN", "SIGRTMAX")
"""Signals that Python has names for, and tini has not."""

REAPER_WARNING = """\
Tini is not running as PID 1 and isn't registered as a child subreaper.
Zombie processes will not be re-parented to Tini, so zombie reaping won't work.
To fix the problem, use the -s option or set the environment variable TINI_SUBREAPER to register \
Tini as a child subreaper, or run Tini as PID 1."""


def main(argv: list[str], mask: tuple[int, ...]) -> int:
    """What the whole process does; returns the exit code. The first of `argv` is the name."""
    if argv[1:] == ["--version"]:
        from initpy.dropin.texts import TINI_VERSION  # noqa: PLC0415

        put(STDOUT, TINI_VERSION + "\n")
        return 0
    tini = Tini([], mask)
    permute = b"POSIXLY_CORRECT" not in posix.environ
    options = Options(argv, "p:hvwgle:s", permute=permute)
    for letter, value in options:
        if letter == "v":
            tini.verbosity += 1
        elif letter == "s":
            tini.needs_subreaper = True
        elif letter == "w":
            tini.warns_on_reap = True
        elif letter == "g":
            tini.to_group = True
        elif letter == "p":
            signum = getattr(_signal, value, None) if value.startswith("SIG") else None
            if not isinstance(signum, int) or value.startswith("SIG_") or value in NOT_WITH_P:
                tini.tell(FATAL, f"Not a valid option for -p: {value}")
                return 1
            tini.pdeathsig = int(signum)
        elif letter == "e":
            code = _strtol(value)
            if code is None or not 0 <= code <= 255:
                tini.tell(FATAL, f"Not a valid option for -e: {value}")
                return 1
            tini.exit_codes[code] = 0
        else:
            return _usage(argv[0], letter, value)
    if not options.rest:
        return _usage(argv[0], BAD, "")
    tini.argv = options.rest
    tini.needs_subreaper |= b"TINI_SUBREAPER" in posix.environ
    tini.to_group |= b"TINI_KILL_PROCESS_GROUP" in posix.environ
    verbosity = posix.environ.get(b"TINI_VERBOSITY")
    if verbosity is not None:
        tini.verbosity = _atoi(verbosity.decode(errors="replace")) % 2**32  # it is unsigned there
    return tini.run()


class Tini(OneCommand):
    """The command as tini runs it: in a process group of its own, with the terminal."""

    verbosity = WARN

    def prepare(self) -> int:
        from initpy.linux import native, syscalls  # noqa: PLC0415

        if self.pdeathsig and syscalls.set_pdeathsig(self.pdeathsig):
            return self.refuse("Failed to set up parent death signal")
        if self.needs_subreaper:
            why_not = syscalls.become_subreaper()
            if why_not:
                return self.refuse(f"Failed to register as child subreaper: {why_not}")
            self.tell(TRACE, "Registered as child subreaper")
        elif posix.getpid() != 1 and self.verbosity >= WARN and not native.is_subreaper():
            self.tell(WARN, REAPER_WARNING)
        return 0

    def place(self) -> int | None:
        try:
            posix.tcgetpgrp(STDIN)
        except OSError as exc:
            if exc.errno == errno.ENOTTY and not posix.isatty(STDIN) and self.verbosity < DEBUG:
                return OWN_GROUP
        return None

    def isolate(self) -> None:
        try:
            posix.setpgid(0, 0)
        except OSError as exc:
            self.tell(FATAL, f"setpgid failed: {exc.strerror}")
            self.give_up(1)
        try:
            posix.tcsetpgrp(STDIN, posix.getpgrp())
        except OSError as exc:
            if exc.errno == errno.ENOTTY:
                self.tell(DEBUG, "tcsetpgrp failed: no tty (ok to proceed)")
            elif exc.errno == errno.ENXIO:
                self.tell(DEBUG, "tcsetpgrp failed: no such device (ok to proceed)")
            else:
                self.tell(FATAL, f"tcsetpgrp failed: {exc.strerror}")
                self.give_up(1)

    def exec_failed(self, why: OSError) -> int:
        self.tell(FATAL, f"exec {self.argv[0]} failed: {why.strerror}")
        return {errno.ENOENT: 127, errno.EACCES: 126}.get(why.errno or 0, 1)

    def fork_failed(self, why: OSError) -> int:
        return self.refuse(f"fork failed: {why.strerror}")

    def spawned(self) -> None:
        self.tell(INFO, f"Spawned child process '{self.argv[0]}' with pid '{self.child}'")

    def received(self, signum: int, si_code: int) -> None:
        if signum in (SIGTTIN, SIGTTOU) and si_code == BY_THE_KERNEL:
            return  # to our process group, which the terminal has been taken from
        if self.verbosity >= DEBUG:
            self.tell(DEBUG, f"Passing signal: '{_signal.strsignal(signum)}'")
        why_not = self.send(signum)
        if why_not == errno.ESRCH:
            self.tell(WARN, "Child was dead when forwarding signal")
        elif why_not:
            text = posix.strerror(why_not)
            self.end_with(self.refuse(f"Unexpected error when forwarding signal: '{text}'"))

    def plain_signals(self) -> frozenset[int]:
        return ALL - {SIGCHLD, SIGTTIN, SIGTTOU} if self.verbosity < DEBUG else frozenset()

    def children_died(self) -> None:
        self.tell(DEBUG, "Received SIGCHLD")

    def reaped(self, pid: int, _wait_status: int) -> None:
        self.tell(DEBUG, f"Reaped child with pid: '{pid}'")
        if self.warns_on_reap:
            self.tell(WARN, f"Reaped zombie process with pid={pid}")

    def nothing_to_reap(self, has_children: bool) -> None:
        self.tell(TRACE, "No child to reap" if has_children else "No child to wait")

    def ended(self, wait_status: int) -> int:
        self.tell(DEBUG, f"Reaped child with pid: '{self.child}'")
        if posix.WIFSIGNALED(wait_status):
            code = 128 + posix.WTERMSIG(wait_status)
            what = _signal.strsignal(code - 128)
            self.tell(INFO, f"Main child exited with signal (with signal '{what}')")
        else:
            code = posix.WEXITSTATUS(wait_status)
            self.tell(INFO, f"Main child exited normally (with status '{code}')")
        return self.exit_codes.get(code, code)

    def finish(self, code: int) -> int:
        self.tell(TRACE, "Exiting: child has exited")
        return code

    def refuse(self, text: str) -> int:
        self.tell(FATAL, text)
        return 1

    def tell(self, level: int, text: str) -> None:
        """Print a message, if the verbosity is such."""
        if self.verbosity >= level:
            fd = STDERR if level <= WARN else STDOUT
            put(fd, f"[{TITLES[level]} tini ({posix.getpid()})] {text}\n")


def _usage(name: str, letter: str, complaint: str) -> int:
    from initpy.dropin import texts  # noqa: PLC0415

    if letter == "l":
        put(STDOUT, texts.LICENSE)
        return 0
    usage = texts.TINI_USAGE.replace("NAME", name.rpartition("/")[2])
    if letter == "h":
        put(STDOUT, usage)
        return 0
    put(STDERR, f"{complaint}\n{usage}" if complaint else usage)
    return 1


def _strtol(text: str) -> int | None:
    """C's strtol of all of the text; None: that is no number."""
    if not text:
        return 0
    digits = text.lstrip(" \t\n\v\f\r")
    unsigned = digits[1:] if digits[:1] in ("+", "-") else digits
    if not (unsigned.isascii() and unsigned.isdigit()):
        return None
    return int(digits[:MAX_DIGITS])


def _atoi(text: str) -> int:
    text = text.lstrip(" \t\n\v\f\r")
    end = 1 if text[:1] in ("+", "-") else 0
    while text[end : end + 1].isascii() and text[end : end + 1].isdigit():
        end += 1
    return _strtol(text[:end]) or 0
