"""How quickly output gets where it belongs: initpy's relay and its peers, interleaved.

`python3 -m tests.bench.logs` prints a table: megabytes a second, seconds of processor time for each
GiB, and how many times the first peer's speed that is. A program floods lines of 120 bytes; its own
time is what counts, for it waits for whoever is behind the pipe.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.peers import REPO, python_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PIECE_BYTES = 65_520
LINE_BYTES = 120
MAX_BYTES = 50 * 2**20
WITHIN_S = 600

Command = list[str]


class Bench:
    def __init__(self, folder: Path, mib: int, python: Path, peers: Path) -> None:
        self.folder = folder
        self.python = python
        self.flood = folder / "flood"
        self.bytes = mib * 2**20
        self._peers = peers
        self.samples: dict[tuple[str, str], list[tuple[float, float]]] = {}
        subprocess.run(
            ["gcc", "-O2", "-o", self.flood, Path(__file__).parent / "flood.c"], check=True
        )

    def flooding(self, piece: int) -> Command:
        return [str(self.flood), str(self.bytes), str(piece), str(self.folder / "result")]

    def peer(self, name: str) -> str | None:
        path = os.pathsep.join([str(self._peers / "bin"), os.environ.get("PATH", "")])
        return shutil.which(name, path=path)

    def measure(self, figure: str, peer: str, command: Command, *, to_pipe: bool) -> None:
        """Run it once, all it does in a folder of its own."""
        work = Path(tempfile.mkdtemp(dir=self.folder))
        result = self.folder / "result"
        result.unlink(missing_ok=True)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        sink = None
        if to_pipe:
            sink = subprocess.Popen([self.flood, "sink"], stdin=subprocess.PIPE)
            out = sink.stdin
        with open(os.devnull, "wb") as null:
            run = subprocess.Popen(
                command, cwd=work, stdout=out if sink else null, stderr=subprocess.DEVNULL
            )
            run.wait(WITHIN_S)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        if sink:
            sink.communicate()
        shutil.rmtree(work)
        took_s, flood_s = map(float, result.read_text().split())
        cpu_s = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime - flood_s
        speed = self.bytes / took_s / 1e6
        self.samples.setdefault((figure, peer), []).append((speed, cpu_s * 2**30 / self.bytes))

    def initpy(self, piece: int, log: str) -> Command:
        config = self.folder / f"{abs(hash((piece, log)))}.toml"
        argv = ", ".join([f'"{word}"' for word in self.flooding(piece)])
        config.write_text(
            f'[program.flood]\ntype = "oneshot"\ncommand = [{argv}]\nstdout = {log}\n'
        )
        code = f"import sys; sys.path.append({str(REPO)!r}); from initpy.cli import main; main()"
        return [str(self.python), "-IS", "-c", code, "-c", str(config)]

    def supervisord(self, piece: int) -> Command | None:
        executable = self.peer("supervisord")
        if executable is None:
            return None
        config = self.folder / f"supervisord-{piece}.conf"
        config.write_text(
            "[supervisord]\nnodaemon=true\nuser=root\nlogfile=/dev/null\nlogfile_maxbytes=0\n"
            "pidfile=%(here)s/pid\n"
            f"[program:flood]\ncommand={' '.join(self.flooding(piece))}\nautorestart=false\n"
            "startsecs=0\nstdout_logfile=flood.log\nstdout_logfile_maxbytes=50MB\n"
        )
        # It does not end by itself: it is asked to, as soon as the flood is over.
        script = (
            f"{executable} -c {config} & until [ -s {self.folder}/result ]; do sleep 0.05; done;"
            " sleep 0.3; kill $!; wait"
        )
        return ["sh", "-c", script]

    def honcho(self, piece: int) -> Command | None:
        executable = self.peer("honcho")
        if executable is None:
            return None
        procfile = self.folder / f"Procfile-{piece}"
        procfile.write_text(f"flood: exec {' '.join(self.flooding(piece))}\n")
        return [executable, "start", "-f", str(procfile)]

    def piped(self, piece: int, command: str) -> Command:
        return ["sh", "-c", f"{' '.join(self.flooding(piece))} | {command}"]


FIGURES: dict[str, dict[str, Callable[[Bench, int], Command | None]]] = {
    "file": {
        "cat": lambda bench, piece: bench.piped(piece, "cat > log"),
        "initpy": lambda bench, piece: bench.initpy(piece, '{ file = "log", max_bytes = "50MB" }'),
        "supervisord": lambda bench, piece: bench.supervisord(piece),
        "s6-log": lambda bench, piece: (
            bench.piped(piece, f"s6-log n10 s{MAX_BYTES} ./logs") if bench.peer("s6-log") else None
        ),
    },
    "raw": {
        "cat": lambda bench, piece: bench.piped(piece, "cat"),
        "initpy": lambda bench, piece: bench.initpy(piece, '{ file = "/dev/stdout" }'),
    },
    "prefix": {
        "cat": lambda bench, piece: bench.piped(piece, "cat"),
        "initpy": lambda bench, piece: bench.initpy(piece, '"prefix"'),
        "honcho": lambda bench, piece: bench.honcho(piece),
    },
    "json": {
        "cat": lambda bench, piece: bench.piped(piece, "cat"),
        "initpy": lambda bench, piece: bench.initpy(piece, '"json"'),
    },
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the table on stdout."""
    parser = argparse.ArgumentParser(prog="tests.bench.logs", description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(FIGURES), help="default: %(default)s")
    parser.add_argument("--lines", action="store_true", help="each line with a write of its own")
    parser.add_argument("--folder", help="where the log files are; default: TMPDIR")
    parser.add_argument("--python", help="that runs initpy; default: /usr/bin/python3")
    parser.add_argument("--peers-dir", type=Path, default=REPO / ".venv" / "peers")
    options = parser.parse_args(arguments)
    piece = LINE_BYTES if options.lines else PIECE_BYTES
    figures = {name: FIGURES[name] for name in options.only.split(",")}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        bench = Bench(Path(folder), options.mib, python_of(options.python), options.peers_dir)
        for number in range(options.rounds):
            sys.stderr.write(f"bench: round {number + 1} of {options.rounds}\n")
            for figure, peers in figures.items():
                names = [*peers]
                first = number % len(names)
                for peer in [*names[first:], *names[:first]]:
                    maker = peers[peer]
                    command = maker(bench, piece)
                    if command is not None:
                        bench.measure(figure, peer, command, to_pipe=figure != "file")
    print("| figure | peer | MB/s | CPU s/GiB | times cat |")  # noqa: T201
    print("| --- | --- | ---: | ---: | ---: |")  # noqa: T201
    for (figure, peer), samples in bench.samples.items():
        speed, cpu_s = [statistics.median(column) for column in zip(*samples, strict=True)]
        base = statistics.median([it[0] for it in bench.samples[figure, "cat"]])
        row = f"| {figure} | {peer} | {speed:.0f} | {cpu_s:.2f} | {speed / base:.2f} |"
        print(row)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
