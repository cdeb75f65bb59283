"""`initpy replay FILE`: the core decides once more what a trace tells of."""

from __future__ import annotations

import difflib
import time
from dataclasses import dataclass, field

from initpy import __version__, controlplan, eventplan, logplan, plan
from initpy.core import door, messages, orders, states, supervisor
from initpy.core.values import Value
from initpy.ctl import console, exits
from initpy.tracefile import MAGIC
from initpy.tracing import GAP, REPAIRED, Form
from initpy.wire import MAX_FRAME_BYTES, WireError, decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

_MODULES = (controlplan, door, eventplan, logplan, messages, orders, plan, states, supervisor)

MAX_SHOWN = 20
"""Of the differences: those after the first are often its consequences."""

DIFFERENT = exits.FAILED


class TraceError(Exception):
    """The file cannot be replayed; the text is for the operator."""


@dataclass
class Difference:
    """The core has not decided as it had."""

    number: int
    """The fact's, from 1."""
    now: float
    fact: str
    was: list[str]
    """Effects as they were recorded."""
    is_now: list[str]


@dataclass
class Replayed:
    """What a replay has come to."""

    facts: int = 0
    begins: list[tuple[str, int, float, str]] = field(default_factory=list)
    """Where the state is told: why, how many records are missing before, the time of day, and the
    initpy's version."""
    differences: list[Difference] = field(default_factory=list)
    is_cut: bool = False
    """The last record is not whole: the file is still being written, or its writer was killed."""


def main(path: str) -> int:
    console.prepare()
    try:
        with open(path, "rb") as file:
            raw = file.read()
        replayed = replay(raw)
    except OSError as exc:
        console.complain(f"{path}: {exc.strerror}")
        return exits.MISUSED
    except TraceError as exc:
        console.complain(f"{path}: {exc}")
        return exits.MISUSED
    _print(path, replayed)
    return DIFFERENT if replayed.differences else exits.OK


def _print(path: str, replayed: Replayed) -> None:
    for difference in replayed.differences[:MAX_SHOWN]:
        console.say(f"fact {difference.number}, at {difference.now:.6f} s: {difference.fact}")
        for line in difflib.ndiff(difference.was, difference.is_now):
            if line[0] != "?":
                console.say(f"  {line}")
    more = len(replayed.differences) - MAX_SHOWN
    if more > 0:
        console.say(f"… and {more} more")
    gaps = [lost for why, lost, _, _ in replayed.begins if why == GAP]
    said = [f"{replayed.facts} facts"]
    if replayed.begins:
        _, _, wall_s, version = replayed.begins[0]
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(wall_s))
        said.append(f"from {moment} UTC, of initpy {version}")
    if gaps:
        said.append(f"{len(gaps)} gaps, in which at least {sum(gaps)} records are missing")
    if replayed.is_cut:
        said.append("the last record is cut off")
    count = len(replayed.differences)
    verdict = f"initpy {__version__} decides the same"
    if count:
        verdict = f"initpy {__version__} decides otherwise {count} times: - was, + is now"
    console.say(f"{path}: {', '.join(said)}; {verdict}")


def replay(raw: bytes, ignored: tuple[type[Value], ...] = ()) -> Replayed:
    """What comes of a trace's bytes. Effects of the `ignored` classes are not compared.

    Raises:
        TraceError: it is no trace, or is damaged, or of an initpy that this one does not
            understand.
    """
    reader = _Reader(raw)
    run = _Run(ignored)
    try:
        for record in reader.records():
            run.take(record)
    except (TypeError, ValueError, IndexError, KeyError, WireError) as exc:
        raise TraceError(f"it is damaged at byte {reader.at}: {exc}") from None
    if not run.replayed.begins:
        raise TraceError("there is nothing in it")
    run.replayed.is_cut = reader.is_cut
    return run.replayed


class _Reader:
    def __init__(self, raw: bytes) -> None:
        """Raises:
        TraceError: it does not begin as a trace does.
        """
        if not raw.startswith(MAGIC):
            begins_alike = raw.startswith(MAGIC.partition(b" ")[0])
            raise TraceError(
                "it is a trace of another format" if begins_alike else "that is no trace of initpy"
            )
        self._raw = raw
        self.at = len(MAGIC)
        """Where the record that is read begins."""
        self.is_cut = False

    def records(self) -> Iterator[tuple[Any, ...]]:
        while self.at < len(self._raw):
            begin = self.at + 4
            end = begin + int.from_bytes(self._raw[self.at : begin], "big")
            if end - begin > MAX_FRAME_BYTES:
                raise ValueError(f"a record of {end - begin} bytes")
            if end > len(self._raw):
                self.is_cut = True
                return
            record = decode(self._raw[begin:end])
            if type(record) is not tuple or not record:
                raise ValueError("no record")
            yield record
            self.at = end


class _Run:
    """The core, and what the trace has said so far."""

    def __init__(self, ignored: tuple[type[Value], ...]) -> None:
        self.replayed = Replayed()
        self._ignored = {cls.__name__ for cls in ignored}
        self._known = _classes()
        self._form = Form()
        self._state: supervisor.Supervisor | None = None
        """None: it is not known."""
        self._why = ""
        self._fact: tuple[float, Value] | None = None
        """Recorded without its effects so far."""

    def take(self, record: tuple[Any, ...]) -> None:
        match record:
            case ("begin", str(why), int(lost), float(), float(wall_s), str(version)):
                self.replayed.begins.append((why, lost, wall_s, version))
                self._why = why
                if why == REPAIRED:
                    self._see_failure()
                self._fact = None
                self._form = Form()
            case ("class", str(name), tuple(fields)):
                self._learn(name, fields)
            case ("core", tuple(specs), flat):
                self._begin(self._built(specs, flat))
            case ("fact", float(now), tuple(specs), flat):
                self._fact = now, self._built(specs, flat)
                self.replayed.facts += 1
            case ("effects", *effects):
                self._compare(effects)
            case _:
                raise ValueError(f"no record is {str(record[0])[:40]!r}")

    def _learn(self, name: str, fields: tuple[str, ...]) -> None:
        cls = self._known.get(name)
        unknown = [it for it in fields if cls is None or it not in cls.__match_args__]
        if cls is None or unknown:
            version = self.replayed.begins[-1][3] if self.replayed.begins else "?"
            what = f"a {unknown[0]} of {name}" if cls is not None else f"a {name}"
            raise TraceError(
                f"it is of initpy {version}, and has {what} in it, of which initpy {__version__}"
                " knows nothing"
            )
        self._form.classes[name] = fields

    def _built(self, specs: Sequence[Any], flat: Any) -> Any:
        return _Builder(self._known, self._form.classes, specs).built(flat)

    def _begin(self, state: Any) -> None:
        if not isinstance(state, supervisor.Supervisor):
            raise TypeError("the state is none")
        if self._why == REPAIRED and self._state is not None and self._state != state:
            was, is_now = ([f"the state: {it}"] for it in (state, self._state))
            self._differ(0.0, "PID 1 has executed itself anew", was, is_now)
        self._state = state

    def _see_failure(self) -> None:
        """PID 1 has executed itself anew. If that was because of the core, this one is to fail
        alike."""
        if self._fact is None or self._state is None:
            return
        now, fact = self._fact
        try:
            _, effects = supervisor.step(self._state, fact, now)
        except Exception:
            return
        self._differ(now, repr(fact), ["it failed"], self._said(map(self._form.flat, effects)))

    def _compare(self, recorded: Sequence[object]) -> None:
        if self._fact is None:
            raise ValueError("effects of nothing")
        (now, fact), self._fact = self._fact, None
        if self._state is None:
            return
        was = self._said(recorded)
        try:
            self._state, effects = supervisor.step(self._state, fact, now)
        except Exception as exc:
            self._state = None
            self._differ(now, repr(fact), was, [f"it fails: {exc!r}"])
            return
        is_now = self._said(map(self._form.flat, effects))
        if was != is_now:
            self._differ(now, repr(fact), was, is_now)

    def _differ(self, now: float, fact: str, was: list[str], is_now: list[str]) -> None:
        self.replayed.differences.append(Difference(self.replayed.facts, now, fact, was, is_now))

    def _said(self, effects: Iterable[object]) -> list[str]:
        return [
            self._words(effect)
            for effect in effects
            if not (isinstance(effect, tuple) and effect[0] in self._ignored)
        ]

    def _words(self, flat: Any) -> str:
        """A flat value, as it would print itself."""
        if type(flat) is not tuple:
            return repr(flat)
        kind, items = flat[0], [self._words(item) for item in flat[1:]]
        if kind in ("t", "d"):
            return f"({', '.join(items)})"
        if kind == "s":
            return str(flat[1])
        names = self._form.classes[kind]
        return f"{kind}({', '.join([f'{name}={it}' for name, it in zip(names, items)])})"  # noqa: B905


def _classes() -> dict[str, type[Value]]:
    return {
        name: member
        for module in _MODULES
        for name, member in vars(module).items()
        if isinstance(member, type) and issubclass(member, Value)
    }


class _Builder:
    """From what is in a record to values."""

    def __init__(
        self,
        known: dict[str, type[Value]],
        classes: dict[str, tuple[str, ...]],
        specs: Sequence[Any],
    ) -> None:
        self._known = known
        self._classes = classes
        self._specs: list[object] = []
        for spec in specs:
            self._specs.append(self.built(spec))

    def built(self, flat: Any) -> Any:
        if type(flat) is not tuple:
            return flat
        kind, items = flat[0], flat[1:]
        if kind == "s":
            return self._specs[items[0]]
        built = [self.built(item) for item in items]
        if kind == "t":
            return tuple(built)
        if kind == "d":
            return dict(zip(built[::2], built[1::2], strict=True))
        return self._known[kind](**dict(zip(self._classes[kind], built, strict=True)))
