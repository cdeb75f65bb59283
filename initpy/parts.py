"""Floor 2: the parts of PID 1 that are there only where the plan wants them: the capture of output,
the control plane, event listeners, and the trace. Where nobody wants one, it is not even loaded.
"""

from __future__ import annotations

from initpy.core.messages import (
    WARN,
    PlanReady,
    PlanRefused,
    Start,
    Stop,
)
from initpy.core.supervisor import Phase
from initpy.core.values import Value
from initpy.linux import native
from initpy.linux.signals import make_room_for_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from initpy.core.supervisor import Supervisor
    from initpy.eventpipes import EventPipes
    from initpy.helpers import Helpers
    from initpy.inputs import Inputs
    from initpy.linux.log import LogWriter
    from initpy.linux.signals import Signals
    from initpy.logging_out import LoggingOut, RunRelay
    from initpy.plan import Plan, ProcessSpec
    from initpy.serving import RunControl, Serving
    from initpy.tracing import Tracing
    from initpy.watches import Watches

FILES_OF_EACH, OTHER_FILES = 7, 64
"""Descriptors where there are pipes to programs: of a process, two ends of two for its output, one
of one for its stdin, and two while it is on its way to exec; and what PID 1 has besides."""

CONFIG_REFUSED, CONFIG_HELPER_DIED = 2, 1
"""Exit codes: the file is no good; the helper that reads it has failed."""


class RelayOutput(Value):
    """The task of a helper: bring the output of programs to where it belongs."""


class ServeControl(Value):
    """The task of a helper: answer the clients of the control plane."""


class TraceFacts(Value):
    """The task of a helper: write down what the core is told and decides."""


class Parts:
    """Each of them, or None."""

    def __init__(
        self,
        state: Callable[[], Supervisor],
        tell: Callable[[Value], None],
        ended: Callable[[], None],
        signals: Signals,
        log: LogWriter,
        watches: Watches,
        helpers: Helpers,
        run_relay: RunRelay,
        run_control: RunControl,
    ) -> None:
        """`state` is the core's; `tell` takes facts; `ended` is called when they have done all that
        is to be done at the end. `run_relay` is the relay of the logs, `run_control` the server of
        the control plane, each run in a helper."""
        self._state = state
        self._tell = tell
        self._ended = ended
        self._signals = signals
        self._log = log
        self._watches = watches
        self._helpers = helpers
        self._run_relay = run_relay
        self._run_control = run_control
        self.output: LoggingOut | None = None
        """None: all output is inherited."""
        self.serving: Serving | None = None
        """None: there is no control plane."""
        self.events: EventPipes | None = None
        """None: there have never been event listeners."""
        self.inputs: Inputs | None = None
        """None: there has never been a program whose stdin is a pipe."""
        self.tracing: Tracing | None = None
        """None: nothing has ever been traced."""

    # ------------------------------------------------------------ beginning

    def begin_output(self) -> LoggingOut:
        """Be ready to capture output: where nobody wants that, nothing of it is even loaded.

        Raises:
            ImportError: it cannot be.
        """
        from initpy.logging_out import LoggingOut  # noqa: PLC0415

        if self.output is None:
            self.output = LoggingOut(
                lambda body: self._helpers.fork("logs", body, RelayOutput()),
                self._run_relay,
                self._log.line,
                self._end,
            )
        return self.output

    def begin_serving(self) -> Serving:
        """As `begin_output`, for the control plane."""
        from initpy.serving import Serving  # noqa: PLC0415

        if self.serving is None:
            self.serving = Serving(
                lambda body: self._helpers.fork("control", body, ServeControl()),
                self._run_control,
                self._log.line,
                self._watches.watch,
                self._watches.watch_room,
                self._watches.unwatch,
                self._state,
                lambda: (-1, ()) if self.output is None else self.output.captured(),
            )
        return self.serving

    def begin_events(self) -> EventPipes:
        """As `begin_output`, for event listeners."""
        from initpy.eventpipes import EventPipes  # noqa: PLC0415

        if self.events is None:
            self.events = EventPipes(is_boot=self._state().phase == Phase.BOOT)
        return self.events

    def begin_inputs(self) -> Inputs:
        """As `begin_output`, for programs whose stdin is a pipe."""
        from initpy.inputs import Inputs  # noqa: PLC0415

        if self.inputs is None:
            self.inputs = Inputs()
        return self.inputs

    def begin_tracing(self) -> Tracing:
        """As `begin_output`, for the trace."""
        from initpy.tracing import Tracing  # noqa: PLC0415

        if self.tracing is None:
            self.tracing = Tracing(
                lambda body: self._helpers.fork("trace", body, TraceFacts()),
                self._log.line,
                self._watches.watch_room,
                self._watches.unwatch,
                self._ended,
            )
        return self.tracing

    # ------------------------------------------------------------ the plan

    def take_plan(self, plan: Plan, environment: Mapping[bytes, bytes]) -> None:
        """A plan has been read: be ready for it, and tell the core of it. `environment` is PID 1's,
        which may name sockets."""
        try:
            if _captures(plan):
                self.begin_output()
            if plan.control is not None:
                self.begin_serving()
            if plan.listeners:
                self.begin_events()
            if _has_inputs(plan):
                self.begin_inputs()
            if plan.trace:
                self.begin_tracing()
        except ImportError as exc:
            reason = f"the files of initpy are gone: {exc}"
            self._tell(PlanRefused(CONFIG_HELPER_DIED, reason))
            return
        if self.serving is not None:
            self._log.keep = self.serving.keep_own_log()
            why_not = self.serving.set_plan(plan.control, environment)
            if why_not:
                self._tell(PlanRefused(CONFIG_REFUSED, why_not))
                return
        self._set_output(plan)
        self._log.set_form(plan.log_format, plan.prefix_width)
        if self.tracing is not None:
            self.tracing.set_file(plan.trace)
        self._tell(PlanReady(plan))
        native.drop_pages()

    def use_plan(self) -> None:
        """The core has taken groups into its plan, or out of it."""
        plan = self._state().plan
        try:
            if _captures(plan):
                self.begin_output()
            if plan.listeners:
                self.begin_events()
            if _has_inputs(plan):
                self.begin_inputs()
        except ImportError as exc:
            text = (
                f"cannot do what is new in the configuration: the files of initpy are gone: {exc}"
            )
            self._log.line(WARN, text)
        self._set_output(plan)

    def _set_output(self, plan: Plan) -> None:
        """Have its output captured, and then its listeners told: the control helper that is started
        for these is to know where output is found."""
        if self.events is not None:
            self.events.set_plan(plan)
        if self.output is not None or self.inputs is not None:
            count = len(plan.processes) * FILES_OF_EACH + OTHER_FILES
            self._signals.inherited = make_room_for_files(self._signals.inherited, count)
        if self.output is not None:
            if self.events is not None:
                self.output.events_fd = self.events.relay_fd
            self.output.set_plan(plan.processes, plan.prefix_width)
            if self.serving is not None:
                self.serving.capture()
        if self.inputs is not None and self.serving is not None:
            self.serving.set_inputs(self.inputs)  # first, for the next may start the helper
        if self.events is not None and self.serving is not None:
            self.serving.set_listeners(self.events)

    # ------------------------------------------------------------ programs

    def url(self) -> bytes:
        """Where programs find the control plane; empty: nowhere."""
        return self.serving.url() if self.serving is not None else b""

    def output_fds(self, spec: ProcessSpec) -> tuple[int, int]:
        """What an instance's stdout and stderr are to be.

        Raises:
            SpawnError: there are no descriptors for its pipes.
        """
        if self.output is None:
            return (1, 1 if spec.redirect_stderr else 2)
        return self.output.fds_for(spec)

    def restart_orphaned_listeners(self) -> None:
        """Event listeners that spoke with a control helper that is gone are started anew."""
        if self.events is None or self._state().phase != Phase.UP:
            return
        for key in self.events.orphaned():
            self._tell(Stop(key))
            self._tell(Start(key))

    # ------------------------------------------------------------ from image to image

    def fds(self) -> list[int]:
        """All that the next image of PID 1 has to have open."""
        return [
            *(self.output.fds() if self.output is not None else ()),
            *(self.serving.fds() if self.serving is not None else ()),
            *(self.inputs.fds() if self.inputs is not None else ()),
            *(self.tracing.fds() if self.tracing is not None else ()),
        ]

    def heal(self, live: dict[int, str], *, is_new: bool) -> None:
        """After a fault, half-way through something, or a hand-over. `live` are the programs, pid
        to key. `is_new`: this is another initpy than the one before it."""
        if self.output is not None:
            self.output.heal(self._helpers_with(RelayOutput), live, is_new=is_new)
        if self.inputs is not None:
            self.inputs.heal({*live.values()})
        if self.serving is not None:
            self.serving.inputs = self.inputs
            if self.events is not None:
                self.serving.events = self.events
                self.events.heal(live)
            self.serving.heal(self._helpers_with(ServeControl), is_new=is_new)
            self.restart_orphaned_listeners()
        if self.tracing is not None:
            self.tracing.heal(self._helpers_with(TraceFacts), is_new=is_new)

    def _helpers_with(self, task: type[Value]) -> list[int]:
        return [it.pid for it in self._helpers.by_pid.values() if isinstance(it.task, task)]

    # ------------------------------------------------------------ the end

    def stay_away(self) -> None:
        """Everybody is being killed: start none of their helpers any more."""
        if self.output is not None:
            self.output.stay_away()
        if self.serving is not None:
            self.serving.stay_away()
        if self.tracing is not None:
            self.tracing.stay_away()

    def drain(self, until: float) -> None:
        """Have all output brought through, until that time, and then what else there is to do."""
        if self.output is None:
            self._end()
        else:
            last_s = self.tracing.LAST_S if self.tracing is not None else 0.0
            self.output.drain(until - last_s)

    def _end(self) -> None:
        """All that was to be done is done."""
        if self.serving is not None:
            self.serving.close()
        if self.tracing is not None:
            self.tracing.end()
        else:
            self._ended()


def _captures(plan: Plan) -> bool:
    return any(spec.stdout is not None or spec.stderr is not None for spec in plan.processes)


def _has_inputs(plan: Plan) -> bool:
    return any(spec.stdin_pipe for spec in plan.processes)
