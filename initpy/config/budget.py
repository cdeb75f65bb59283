"""Whether the times that a file sets for stopping fit into `shutdown_timeout`.

In a shutdown the tiers stop one after the other, the last to start first. A tier has what is left
of `shutdown_timeout`, less LATER_TIER_S for each tier that stops after it and REST_S for the rest;
all times of a program that needs more are cut alike. What it needs is known from its settings, what
is left from the tiers before: in the worst case, each program there takes all the time that its
settings name. Defaults are no promise to anybody, so they take nothing, and alone are no cause to
warn; but beside a time that was set they share its cut, so there they count.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from initpy.config.reading import Block

LATER_TIER_S, REST_S = 1.0, 0.5
"""As in the core."""


def _times_set(block: Block) -> list[str]:
    """The keys with which the file sets times for stopping, where they have a meaning."""
    options = block.options
    spans = [span_s for _, span_s in options["stopsignal"]]
    has_waits = None in spans or options["stop_command"] is not None
    meant = {
        "drain": options["drain"] > 0,
        "stopwaitsecs": has_waits and options["stopwaitsecs"] > 0,
        "stopsignal": any(spans),
    }
    return [key for key, is_meant in meant.items() if is_meant and key in block.given]


def warn_of_cuts(tiers: Sequence[Sequence[Block]], timeout_s: float) -> None:
    """A warning for each program that sets times which are more than it gets.

    `tiers` is in the order of starting, `timeout_s` the shutdown_timeout.
    """
    taken_s = wanted_s = 0.0
    for number in reversed(range(len(tiers))):
        left_s = timeout_s - taken_s
        kept_s = number * LATER_TIER_S + REST_S
        # Where nothing remains, because there are many tiers, all of them get equal shares.
        share_s = left_s - kept_s if left_s > kept_s else left_s / (number + 2)
        for block in tiers[number]:
            keys = _times_set(block)
            needed_s = sum(_spans(block).values())
            if keys and needed_s > share_s:
                _warn(block, keys[0], share_s, wanted_s + needed_s + kept_s)
        longest_s = max(map(_promised_s, tiers[number]))
        taken_s += min(longest_s, share_s)
        wanted_s += longest_s


def _spans(block: Block) -> dict[str, float]:
    """The longest that each stage of a stop may take, by its key; defaults count."""
    options = block.options
    wait_s = options["stopwaitsecs"]
    steps = [wait_s if span_s is None else span_s for _, span_s in options["stopsignal"]]
    return {
        "drain": options["drain"],
        "stop_command": wait_s if options["stop_command"] is not None else 0.0,
        "stopsignal": sum(steps),
    }


def _promised_s(block: Block) -> float:
    """The seconds that the file names, defaults apart."""
    spans = [span_s for _, span_s in block.options["stopsignal"]]
    waits = spans.count(None) + (block.options["stop_command"] is not None)
    wait_s = block.options["stopwaitsecs"] if "stopwaitsecs" in block.given else 0.0
    return float(block.options["drain"] + waits * wait_s + sum(filter(None, spans)))


def _warn(block: Block, key: str, share_s: float, timeout_s: float) -> None:
    """`timeout_s` is the shutdown_timeout with which all fits that is set."""
    spans = _spans(block)
    total, share = _seconds(sum(spans.values())), _seconds(share_s)
    parts = [f"{name} {_seconds(span_s)}" for name, span_s in spans.items() if span_s]
    listed, cut = "", ""
    if len(parts) > 1:
        listed, cut = f" ({', '.join(parts)})", ", cutting all of these alike"
    block.at(key).problem(
        f"it may take {total} to stop{listed}, and a shutdown may leave it {share}{cut}; set less,"
        f" or set shutdown_timeout to {_seconds(timeout_s)} and the engine's own limit above that",
        is_warning=True,
    )


def _seconds(span_s: float) -> str:
    return f"{span_s:.3f}".rstrip("0").rstrip(".") + " s"
