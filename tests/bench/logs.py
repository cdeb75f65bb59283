"""How quickly output gets where it belongs: initpy's relay and its peers, interleaved.

`python3 -m tests.bench.logs` prints the tables of docs/benchmarks.md that are about logs. A program
floods lines of 120 bytes; its own time is what counts, for it waits for whoever is behind the pipe.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.arguments import parser_of
from tests.bench.peers import REPO, install, python_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PIECE_BYTES = 65_520
LINE_BYTES = 120
LINES = "line by line"
SIZES = {"64 KiB pieces": PIECE_BYTES, LINES: LINE_BYTES}
MAX_BYTES = 50 * 2**20
MANY, MANY_PROGRAMS = 200, ", 200 programs"
WITHIN_S = 600.0
AFTERWARDS_S = 0.5
"""From the floods' end until the relay is at rest: nothing tells when it has written the last of it
and given back what it needed for that."""
HONCHO_PART = 16
"""It gets only so small a part of the bytes, for it would take minutes."""

TELLS, TELLS_COUNT = b"tells ", 300
NONE = "-"
MOST_IMPORTANT = -20
BINARY = os.environ.get("INITPY_BINARY")
BASES = {"file": "initpy", "pipe": "cat"}
"""What the others are compared with."""

INHERIT = '"inherit"'
FORMS = {"raw": '{ file = "/dev/stderr" }', "prefix": '"prefix"', "JSON": '"json"'}
"""What a relay does: with the bytes as they are, it is needed only where they go elsewhere."""

Command = list[str]


@dataclass(frozen=True)
class Sample:
    """What became of one flood, or of all those of one moment."""

    mb_per_s: float
    cpu_s_per_gib: float
    """Of all processes but the floods, and but who reads the pipe."""


@dataclass(frozen=True)
class Case:
    """What one peer is to do."""

    figure: str
    peer: str
    start: Callable[[Bench, Flood], Command | None]
    """The command that runs the floods; None: the peer is not there."""
    part: int = 1
    """It gets the bytes divided by that."""
    is_stopped: bool = False
    """It does not end by itself when the floods have."""


@dataclass(frozen=True)
class Flood:
    """The programs that a peer is to run."""

    argv: Command
    programs: int = 1


class Bench:
    def __init__(
        self,
        folder: Path,
        mib: int,
        launchers: dict[str, Command],
        peers: Path,
        *,
        is_first: bool = False,
    ) -> None:
        self.folder = folder
        self.flood = folder / "flood"
        self.result = folder / "result"
        self.bytes = mib * 2**20
        self.launchers = launchers
        """The ways to start initpy."""
        self._peers = peers
        self._is_first = is_first
        source = Path(__file__).parent / "flood.c"
        subprocess.run(["gcc", "-O2", "-o", self.flood, source], check=True)

    def peer(self, name: str) -> str | None:
        path = os.pathsep.join([str(self._peers / "bin"), os.environ.get("PATH", "")])
        return shutil.which(name, path=path)

    def measure(self, case: Case, piece: int, programs: int) -> Sample | None:
        """Run it once, all it does in a folder of its own. None: the peer is not there."""
        total = self.bytes // case.part
        flood = Flood(
            [str(self.flood), str(total // programs), str(piece), str(self.result)], programs
        )
        command = case.start(self, flood)
        if command is None:
            return None
        self.result.unlink(missing_ok=True)
        if case.figure.startswith("file"):
            self._warm(total)
        work = Path(tempfile.mkdtemp(dir=self.folder))
        with self._out(is_pipe=not case.figure.startswith("file")) as out_fd:
            run = subprocess.Popen(command, cwd=work, stdout=out_fd, stderr=out_fd)
            self._wait_for_results(run.pid, programs)
            if case.is_stopped:
                run.terminate()
            _, run.returncode, used = os.wait4(run.pid, 0)
        shutil.rmtree(work)
        begins, ends, cpus_s = zip(*self._results(), strict=True)
        cpu_s = used.ru_utime + used.ru_stime - sum(cpus_s)
        return Sample(total / (max(ends) - min(begins)) / 1e6, cpu_s * 2**30 / total)

    def _results(self) -> list[tuple[float, ...]]:
        lines = self.result.read_text().splitlines() if self.result.exists() else []
        return [tuple(map(float, line.split())) for line in lines]

    def _wait_for_results(self, pid: int, count: int) -> None:
        """Until all floods have ended. Meanwhile what they and their relay began gets its due."""
        until = time.monotonic() + WITHIN_S
        while len(self._results()) < count and time.monotonic() < until:
            for child in _children(pid) if self._is_first else ():
                _put_first(child)
            time.sleep(0.01)

    def _warm(self, count: int) -> None:
        """Write as much, and take it away: a virtual machine may have to get the memory first,
        which would be to the charge of whoever comes first."""
        warm = self.folder / "warm"
        piece = bytes(2**20)
        with warm.open("wb", buffering=0) as file:
            for _ in range(count // len(piece)):
                file.write(piece)
        warm.unlink()

    @contextlib.contextmanager
    def _out(self, *, is_pipe: bool) -> Iterator[int]:
        """stdout of a peer: a pipe that is read as quickly as one can, or /dev/null."""
        if not is_pipe:
            null_fd = os.open(os.devnull, os.O_WRONLY)
            yield null_fd
            os.close(null_fd)
            return
        with subprocess.Popen([self.flood, "sink"], stdin=subprocess.PIPE) as sink:
            assert sink.stdin is not None
            yield sink.stdin.fileno()

    # ------------------------------------------------------------ stages of initpy alone

    def memory(self, log: str, piece: int, programs: int) -> tuple[int, int, int]:
        """The relay's PSS in kB: at rest before a flood, the most of all during it, and at rest
        after it."""
        self.result.unlink(missing_ok=True)
        gate = self.folder / "gate"
        gate.unlink(missing_ok=True)
        share = str(self.bytes // programs)
        argv = [str(self.flood), share, str(piece), str(self.result), str(gate)]
        command = self.initpy("initpy", Flood(argv, programs), log)
        work = Path(tempfile.mkdtemp(dir=self.folder))
        with (
            self._out(is_pipe=True) as out_fd,
            subprocess.Popen(command, cwd=work, stdout=out_fd, stderr=out_fd) as init,
        ):
            relay = self._relay_of(init.pid, programs)
            before = most = _pss_kb(relay)
            gate.touch()
            until = time.monotonic() + WITHIN_S
            while len(self._results()) < programs and time.monotonic() < until:
                most = max(most, _pss_kb(relay))
                time.sleep(0.1)  # to look takes the kernel's time, which is the floods' as well
            time.sleep(AFTERWARDS_S)
            after = _pss_kb(relay)
            init.terminate()
        shutil.rmtree(work)
        return before, max(most, after), after

    def _relay_of(self, init: int, programs: int) -> int:
        """The child that is none of the programs, as soon as all of these are there."""
        until = time.monotonic() + WITHIN_S
        while time.monotonic() < until:
            children = _children(init)
            floods = [it for it in children if _executable(it) == str(self.flood)]
            others = set(children) - set(floods)
            if len(floods) == programs and len(others) == 1:
                return others.pop()
            time.sleep(0.05)
        raise TimeoutError(f"not all of {programs} programs have started")

    def delays_ms(self, log: str, piece: int, programs: int, count: int) -> list[float]:
        """How long each of `count` lines of one program takes to whoever reads stdout, while so
        many others flood."""
        never = self.folder / "never"
        argv = [str(self.flood), str(2**50), str(piece), str(never)]
        command = self.initpy("initpy", Flood(argv, programs), log, tells=count)
        work = Path(tempfile.mkdtemp(dir=self.folder))
        delays: list[float] = []
        rest = b""
        with subprocess.Popen(
            command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as init:
            assert init.stdout is not None
            while raw := os.read(init.stdout.fileno(), 2**20):
                now = time.monotonic_ns()
                for child in _children(init.pid) if self._is_first and not delays else ():
                    _put_first(child)
                rest += raw
                while (at := rest.find(TELLS)) >= 0 and (end := rest.find(b";", at)) >= 0:
                    delays.append((now - int(rest[at + len(TELLS) : end])) / 1e6)
                    rest = rest[end:]
                    if len(delays) == count:
                        init.terminate()
                rest = rest[at:] if at >= 0 else rest[-len(TELLS) :]
        shutil.rmtree(work)
        return delays

    # ------------------------------------------------------------ the peers

    def initpy(self, way: str, flood: Flood, log: str, tells: int = 0) -> Command:
        lines = []
        programs = [(f"flood{number}", flood.argv) for number in range(flood.programs)]
        if tells:
            programs.append(("teller", [str(self.flood), "tell", str(tells)]))
        for name, argv in programs:
            words = ", ".join([f'"{word}"' for word in argv])
            lines += [f"[program.{name}]", 'type = "oneshot"', f"command = [{words}]"]
            lines.append(f"stdout = {log.replace('NAME', name)}")
        config = self.folder / "initpy.toml"
        config.write_text("\n".join(lines) + "\n")
        return [*self.launchers[way], "-c", str(config)]

    def supervisord(self, flood: Flood) -> Command | None:
        executable = self.peer("supervisord")
        if executable is None:
            return None
        lines = ["[supervisord]", "nodaemon=true", "user=root", "logfile=/dev/null"]
        lines += ["logfile_maxbytes=0", "pidfile=%(here)s/pid"]
        for number in range(flood.programs):
            lines += [f"[program:flood{number}]", f"command={' '.join(flood.argv)}"]
            lines += ["autorestart=false", "startsecs=0", "stdout_logfile_maxbytes=50MB"]
            lines += [f"stdout_logfile=flood{number}.log"]
        config = self.folder / "supervisord.conf"
        config.write_text("\n".join(lines) + "\n")
        return [executable, "-c", str(config)]

    def honcho(self, flood: Flood) -> Command | None:
        executable = self.peer("honcho")
        if executable is None:
            return None
        procfile = self.folder / "Procfile"
        lines = [f"flood{n}: exec {' '.join(flood.argv)}\n" for n in range(flood.programs)]
        procfile.write_text("".join(lines))
        return [executable, "start", "-f", str(procfile)]

    def piped(self, flood: Flood, command: str) -> Command | None:
        if self.peer(command.split(maxsplit=1)[0]) is None:
            return None
        one = f"{' '.join(flood.argv)} | {command} & "
        many = [one.replace("NUMBER", str(number)) for number in range(flood.programs)]
        return ["sh", "-c", "".join(many) + "wait"]


FILE = '{ file = "NAME.log", max_bytes = "50MB" }'
S6_LOG = f"s6-log n10 s{MAX_BYTES} ./logs-NUMBER"


def _initpy(way: str, log: str) -> Callable[[Bench, Flood], Command]:
    return lambda bench, flood: bench.initpy(way, flood, log)


def _cases(ways: Sequence[str]) -> list[Case]:
    def ours(figure: str, what: str, log: str) -> list[Case]:
        return [Case(figure, way + what, _initpy(way, log)) for way in ways]

    cases = []
    for figure in ("file", "file" + MANY_PROGRAMS):
        cases += [
            *ours(figure, "", FILE),
            Case(figure, "supervisord", Bench.supervisord, is_stopped=True),
            Case(figure, "s6-log", lambda bench, flood: bench.piped(flood, S6_LOG)),
            Case(figure, "cat", lambda bench, flood: bench.piped(flood, "cat > NUMBER.log")),
        ]
    for figure in ("pipe", "pipe" + MANY_PROGRAMS):
        cases += [
            Case(figure, "cat", lambda bench, flood: bench.piped(flood, "cat")),
            *ours(figure, ", inherit", INHERIT),
            *[case for form, log in FORMS.items() for case in ours(figure, f", {form}", log)],
        ]
    cases.append(Case("pipe", "honcho", Bench.honcho, part=HONCHO_PART))
    return cases


# ---------------------------------------------------------------- what is printed


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the tables on stdout."""
    options = _parser().parse_args(arguments)
    if options.first:
        os.nice(MOST_IMPORTANT)
        _put_first(os.getpid())
    sizes = {name: SIZES[name] for name in SIZES if options.lines in (None, name == LINES)}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        launchers = {"initpy": [str(install(REPO, python_of(options.python), Path(folder)))]}
        if BINARY:
            launchers["initpy, static"] = [str(Path(BINARY).resolve())]
        bench = Bench(
            Path(folder), options.mib, launchers, options.peers_dir, is_first=options.first
        )
        cases = [it for it in _cases([*launchers]) if it.figure.partition(",")[0] in options.only]
        if cases:
            samples = _measure_all(bench, cases, sizes, options.rounds)
            sys.stdout.write(_speeds(cases, sizes, samples))
        if "memory" in options.only:
            sys.stdout.write(_memory(bench))
        if "delay" in options.only:
            sys.stdout.write(_delays(bench))
    return 0


Samples = dict[tuple[str, Case], list[Sample]]


def _measure_all(
    bench: Bench, cases: Sequence[Case], sizes: dict[str, int], rounds: int
) -> Samples:
    samples: Samples = {}
    for number in range(rounds):
        sys.stderr.write(f"bench: round {number + 1} of {rounds}\n")
        first = number * 3 % len(cases)
        for size, piece in sizes.items():
            for case in [*cases[first:], *cases[:first]]:
                programs = MANY if MANY_PROGRAMS in case.figure else 1
                if programs > 1 and piece == LINE_BYTES:
                    continue
                sample = bench.measure(case, piece, programs)
                if sample is not None:
                    samples.setdefault((size, case), []).append(sample)
    return samples


def _speeds(cases: Sequence[Case], sizes: dict[str, int], samples: Samples) -> str:
    """A row for each case; what it is compared with is the last `cat` before or behind it."""
    head = ["to", "by"]
    for size in sizes:
        head += [f"{size}: MB/s", "CPU s/GiB", "x"]
    lines = [head, ["---", "---", *["---:"] * (3 * len(sizes))]]
    for case in cases:
        cells = []
        for size in sizes:
            best = _best(samples.get((size, case)))
            base = [
                _best(samples.get((size, it)))
                for it in cases
                if it.figure == case.figure and it.peer == BASES[case.figure.partition(",")[0]]
            ]
            if best is None:
                cells += [NONE] * 3
                continue
            ratio = f"{best.mb_per_s / base[0].mb_per_s:.2f}" if base and base[0] else NONE
            cells += [f"{best.mb_per_s:.0f}", f"{best.cpu_s_per_gib:.2f}", ratio]
        if cells != [NONE] * len(cells):
            lines.append([case.figure, case.peer, *cells])
    return _table(lines)


def _best(samples: Sequence[Sample] | None) -> Sample | None:
    """What else runs on the machine only ever slows down: the greatest speed, the least time."""
    if not samples:
        return None
    return Sample(max(it.mb_per_s for it in samples), min(it.cpu_s_per_gib for it in samples))


def _memory(bench: Bench) -> str:
    lines = [["PSS of the relay, kB", "before", "greatest", "after"], ["---", *["---:"] * 3]]
    for form, log in FORMS.items():
        for programs in (1, MANY):
            figures = bench.memory(log, PIECE_BYTES, programs)
            lines.append([f"{form}, {programs} programs", *[f"{it:,}" for it in figures]])
    return _table(lines)


def _delays(bench: Bench) -> str:
    lines = [["a line's way while others flood, ms", "median", "99 %", "greatest"]]
    lines.append(["---", *["---:"] * 3])
    for form, log in FORMS.items():
        for programs in (1, 8, MANY):
            told = sorted(bench.delays_ms(log, PIECE_BYTES, programs, TELLS_COUNT))
            figures = statistics.median(told), told[len(told) * 99 // 100], told[-1]
            lines.append([f"{form}, {programs} programs", *[f"{it:.1f}" for it in figures]])
    return _table(lines)


def _table(lines: Sequence[Sequence[str]]) -> str:
    return "".join([f"| {' | '.join(cells)} |\n" for cells in lines]) + "\n"


def _put_first(pid: int) -> None:
    """Where the kernel groups processes by sessions, each of these has a niceness."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(MOST_IMPORTANT))


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(it) for it in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _pss_kb(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    (pss,) = re.findall(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)
    return int(pss)


def _executable(pid: int) -> str:
    with contextlib.suppress(OSError):
        return str(Path(f"/proc/{pid}/exe").readlink())
    return ""


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("logs", __doc__, ["file", "pipe", "memory", "delay"])
    parser.add_argument("--mib", type=int, default=1024, help="default: %(default)s")
    parser.add_argument(
        "--lines",
        action=argparse.BooleanOptionalAction,
        help="each line with a write of its own; --no-lines: 64 KiB at once; default: both",
    )
    parser.add_argument(
        "--first", action="store_true", help="before all else that runs on the machine"
    )
    parser.add_argument("--folder", help="where the log files are; default: TMPDIR")
    parser.add_argument("--python", help="that runs initpy; default: /usr/bin/python3")
    parser.add_argument("--peers-dir", type=Path, default=REPO / ".venv" / "peers")
    return parser


if __name__ == "__main__":
    sys.exit(main())
