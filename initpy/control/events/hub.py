"""All pools: which event goes where, and under which number."""

from __future__ import annotations

from initpy.control.events.kinds import types_for
from initpy.control.events.pools import Pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from initpy.control.events.payloads import Event
    from initpy.eventplan import ListenerPlan


class Hub:
    """The pools by name, and the number of the next event."""

    def __init__(self, server: str, say: Callable[[str, str], None]) -> None:
        """See `Pool`."""
        self.serial = 0
        self.pools: dict[str, Pool] = {}
        self._types: dict[str, frozenset[str]] = {}
        self._server = server
        self._say = say
        self._pool_of: dict[str, Pool] = {}

    def set_plan(
        self, plans: Sequence[ListenerPlan], now: float, serials: dict[str, int] | None = None
    ) -> None:
        """These are the pools from now on; `serials` has the numbers of their next events, where
        they are not to begin with 0."""
        pools = {}
        for plan in plans:
            pool = self.pools.get(plan.name)
            if pool is None:
                serial = (serials or {}).get(plan.name, 0)
                pool = Pool(plan, self._server, self._say, serial)
            else:
                pool.set_plan(plan, now)
            pools[plan.name] = pool
        self.pools = pools
        self._types = {plan.name: types_for(plan.events) for plan in plans}
        self._pool_of = {key: pools[plan.name] for plan in plans for key in plan.keys}

    def put(self, event: Event) -> None:
        """An event has happened. It has a number if anybody wants it."""
        takers = [pool for name, pool in self.pools.items() if event.name in self._types[name]]
        for pool in takers:
            pool.put(event, self.serial)
        self.serial += bool(takers)

    def wants(self, name: str) -> bool:
        """Whether any pool wants events of that type."""
        return any(name in types for types in self._types.values())

    def pool_of(self, key: str) -> Pool | None:
        """The pool that a process is a listener of."""
        return self._pool_of.get(key)

    def next_due_at(self) -> float | None:
        """When to look again, by the monotonic clock; None: not before something happens."""
        dues = [due for pool in self.pools.values() if (due := pool.next_due_at()) is not None]
        return min(dues, default=None)
