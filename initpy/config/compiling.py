"""From sections to the plan: names are looked up, strings expanded, everything put in order."""

from __future__ import annotations

from initpy.config.accounts import Credentials, credentials, own_credentials
from initpy.config.controlling import control_plan
from initpy.config.expansion import expanded
from initpy.config.outputs import OWN_NAME, TEXT, Defaults, outputs, stream_forms
from initpy.config.paths import dirname, join
from initpy.config.problems import escaped, nearest, shown
from initpy.config.reading import wrong_in_name
from initpy.config.settings import MAX_PROCESSES, ONESHOT, PIPE, SIGNALS
from initpy.config.signalkinds import SignalTable
from initpy.core.ordering import CycleError, tiers, with_first
from initpy.core.values import Value, replace
from initpy.eventplan import ListenerPlan
from initpy.logplan import PREFIX, RAW
from initpy.plan import ALWAYS, FORWARD, IGNORE, Plan, ProcessSpec, SignalRule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from initpy.config.expansion import Expander
    from initpy.config.problems import Place
    from initpy.config.reading import Block, Sections

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

MAX_PLAN_BYTES = 32 * 1024 * 1024
"""Half of what a frame to PID 1 can hold, for this counts the strings alone."""

PROGRAM_PRIORITY = 999
"""That of a listener's process, where the file has none: -1, the default of `priority`, is then its
group's alone, as in supervisord."""

MAX_CYCLES = 10
"""How many circles of `after` are told at once."""


class Group(Value):
    """Programs under one name."""

    name: str
    priority: int
    programs: tuple[str, ...]


class Compiler:
    """Makes a plan of what the files say; what is wrong is reported, and the rest made."""

    def __init__(self, sections: Sections, environ: Mapping[str, str]) -> None:
        self._sections = sections
        self._programs = sections.programs
        self._environ = environ
        self._own = own_credentials()
        self._credentials: dict[tuple[str | int | None, str | int | None], Credentials] = {}
        self._env_files: dict[str, dict[str, str]] = {}
        """What each file that could be read says."""
        self._places: dict[str, Place] = {}
        """Where each process, by its key, got its name."""
        self._keys_by_name: dict[str, list[str]] = {}
        self._has_all_names = True
        """No process is missing in these two."""
        self._has_listeners = any(
            block.is_listener and block.options["enabled"] for block in self._programs.values()
        )
        self._bytes = 0
        self._output_defaults = Defaults(
            sections.init["log"][0] or (),
            sections.init["childlogdir"],
            environ.get("TMPDIR") or "/tmp",  # noqa: S108 - no symbolic link there is followed
            {},
        )
        self._groups = self._read_groups()
        self._group_of = {name: group for group in self._groups for name in group.programs}
        self._members_of = {group.name: group.programs for group in self._groups}

    def plan(self) -> Plan:
        """The plan; of use only if there was no problem."""
        after = self._read_after()
        specs = self._enabled(self._compile_programs())
        keys = {name: tuple([spec.key for spec in specs.get(name, ())]) for name in self._programs}
        processes: list[ProcessSpec] = []
        for group in sorted(self._groups, key=lambda it: (it.priority, it.name)):
            for name in group.programs:
                earlier = tuple([key for other in after[name] for key in keys[other]])
                processes += [replace(spec, after=earlier) for spec in specs.get(name, ())]
                self._count_bytes(sum(map(len, earlier)) * len(keys[name]))
        timeout_s, _ = self._sections.init["shutdown_timeout"]
        log_format = self._log_format()
        listeners = self._listeners(keys)
        self._warn_of_cuts({name: after[name] for name in specs}, timeout_s)
        return Plan(
            processes=tuple(processes),
            signals=self._signal_rules(keys),
            shutdown_timeout_s=timeout_s,
            exit_code_from=self._exit_code_from(keys),
            log_format=log_format,
            prefix_width=_prefix_width(processes, log_format),
            listeners=listeners,
            control=control_plan(
                self._sections.control, self._environ, has_listeners=bool(listeners)
            ),
            trace=_bytes(str(self._sections.init["trace"][0] or "")),
        )

    def _listeners(self, keys: Mapping[str, tuple[str, ...]]) -> tuple[ListenerPlan, ...]:
        """What the event listeners are to be told."""
        found = []
        for block in self._programs.values():
            if not block.is_listener or not keys[block.name]:
                continue
            events = tuple(dict.fromkeys([name for name, _ in block.options["events"] or ()]))
            in_bytes = block.options["len_in"] == "bytes"
            found.append(
                ListenerPlan(
                    block.name, keys[block.name], events, block.options["buffer_size"], in_bytes
                )
            )
        return tuple(found)

    def _log_format(self) -> str:
        """That of initpy's own lines: if nothing is said, as programs have theirs on the stream."""
        given, _ = self._sections.init["log_format"]
        if given is not None:
            return str(given)
        forms = stream_forms(self._sections.init["log"][0] or ())
        return forms[0] if len(forms) == 1 and forms[0] != RAW else TEXT

    # Groups, and who comes after whom.

    def _read_groups(self) -> list[Group]:
        groups: list[Group] = []
        owners: dict[str, Block] = {}
        for block in self._sections.groups.values():
            programs = tuple(self._members(block, owners))
            groups.append(Group(block.name, block.options["priority"], programs))
        for block in self._sections.groups.values():
            if block.name in self._programs and owners.get(block.name) is not block:
                other = self._programs[block.name].place
                block.place.problem(f"a program that is not in it has the same name, in {other}")
        for block in self._programs.values():
            if block.name not in owners:
                groups.append(Group(block.name, block.options["priority"], (block.name,)))
        return groups

    def _members(self, group: Block, owners: dict[str, Block]) -> Iterable[str]:
        """The programs that a [group.NAME] can have; each gets an owner."""
        for text, place in group.options["programs"] or ():
            name = expanded(text, place, place.expander)
            if name is None:
                continue
            if name not in self._programs:
                place.problem(f"no program {shown(name)}{nearest(name, self._programs)}")
            elif self._programs[name].is_listener:
                place.problem(f"{shown(name)} is an event listener: that is a group of its own")
            elif owners.get(name) is group:
                place.problem(f"{shown(name)} is in it twice")
            elif name in owners:
                other = owners[name]
                place.problem(f"{shown(name)} is already in group {other.name}, in {other.place}")
            else:
                owners[name] = group
                yield name

    def _read_after(self) -> dict[str, tuple[str, ...]]:
        """For each program, the programs it comes after."""
        after = {}
        for block in self._programs.values():
            names: dict[str, None] = {}
            expander = self._program_expander(block)
            for text, place in block.options["after"] or ():
                name = expanded(text, place, expander)
                if name is not None:
                    names |= dict.fromkeys(self._earlier(name, place, block))
            after[block.name] = tuple(names)
        return self._without_cycles(after)

    def _earlier(self, name: str, place: Place, block: Block) -> tuple[str, ...]:
        """The programs that a name in a program's `after` stands for."""
        if name == block.name:
            place.problem("a program cannot come after itself")
            return ()
        if name in self._programs:
            names: tuple[str, ...] = (name,)
        elif block.name in self._members_of.get(name, ()):
            place.problem(f"a program cannot come after its own group {shown(name)}")
            return ()
        elif name in self._members_of:
            names = self._members_of[name]
        else:
            known = nearest(name, (*self._programs, *self._members_of))
            place.problem(f"no program or group {shown(name)}{known}")
            return ()
        for other in names:
            if block.options["autostart"] and not self._programs[other].options["autostart"]:
                place.problem(f"it would never start: {shown(other)} has autostart = false")
        return names

    def _without_cycles(self, after: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """`after`, each circle in it reported and cut."""
        for _ in range(MAX_CYCLES):
            try:
                tiers(after)
                return after
            except CycleError as exc:
                names = " -> ".join([escaped(name) for name in exc.names])
                last, first = exc.names[-2:]
                after[last] = tuple([name for name in after[last] if name != first])
                place = self._programs[first].at("after")
                place.problem(f"they wait for each other: {names}")
        return after

    # Programs and their processes.

    def _compile_programs(self) -> dict[str, list[ProcessSpec]]:
        """The specs of each program's processes; `after` is not in them yet."""
        count = sum([block.options["numprocs"] for block in self._programs.values()])
        if count > MAX_PROCESSES:
            self._has_all_names = False
            self._sections.main.problem(f"expected at most {MAX_PROCESSES} processes, not {count}")
            return {}
        return {block.name: self._compile_program(block) for block in self._programs.values()}

    def _enabled(self, specs: dict[str, list[ProcessSpec]]) -> dict[str, list[ProcessSpec]]:
        """Without the programs that are not enabled."""
        enabled = [block.name for block in self._programs.values() if block.options["enabled"]]
        programs = [block.name for block in self._programs.values() if not block.is_listener]
        if programs and not set(enabled) & set(programs):
            self._sections.main.problem("no program in it is enabled: nothing to run")
        return {name: specs[name] for name in enabled if name in specs}

    def _compile_program(self, block: Block) -> list[ProcessSpec]:
        options = block.options
        numprocs = options["numprocs"]
        if options["stopasgroup"] and not options["killasgroup"]:
            block.at("killasgroup").problem("expected true, as stopasgroup is true")
        _check_oneshot(block)
        _check_stop(block)
        if numprocs > 1 and "%(process_num)" not in options["process_name"]:
            wanted = '"%(process_num)" in it'
            block.at("process_name").problem(f"expected {wanted}, as numprocs is {numprocs}")
            numprocs = 1  # the others would be called the same
        specs: list[ProcessSpec] = []
        for number in range(options["numprocs_start"], options["numprocs_start"] + numprocs):
            spec = self._compile_process(block, number)
            if spec is None or self._bytes > MAX_PLAN_BYTES:  # the others would only repeat it
                self._has_all_names = self._has_all_names and numprocs == 1
                break
            specs.append(spec)
        return specs

    def _compile_process(self, block: Block, number: int) -> ProcessSpec | None:
        """The spec of a process; None: it has a problem."""
        options = block.options
        failures = block.place.report.failures
        outer = self._program_expander(block, process_num=number)
        environment = self._variables(block, outer)
        expander = outer.with_environ(environment)
        name = self._process_name(block, expander)
        argv = _expanded_command(block, "command", expander)
        stop_argv = _expanded_command(block, "stop_command", expander)
        directory = _expanded_option(block, "directory", expander)
        user = _expanded_option(block, "user", expander)
        unix_group = _expanded_option(block, "group", expander)
        if block.place.report.failures > failures or not argv:
            return None
        group = self._group_of[block.name]
        told_as = _key(group.name, name) if self._has_listeners else ""
        output = outputs(block, name, self._output_defaults, expander, told_as)
        identity = self._identity(user, unix_group)
        key = _key(group.name, name)
        path = environment.get("PATH")
        if path is None and options["clean_environment"]:
            path = environment["PATH"] = DEFAULT_PATH
        elif path is None:
            path = self._environ.get("PATH", DEFAULT_PATH)
        variables = {**dict(identity.environment), **environment}
        spec = ProcessSpec(
            key=key,
            name=name,
            group=group.name,
            program=block.name,
            argv=tuple([_bytes(word) for word in argv]),
            paths=_paths(argv, path),
            environment=tuple([(_bytes(key), _bytes(it)) for key, it in variables.items()]),
            clean_environment=options["clean_environment"],
            directory=_bytes(str(directory or "")),
            uid=identity.uid,
            gid=identity.gid,
            groups=identity.groups,
            umask=-1 if options["umask"] is None else options["umask"],
            rlimits=options["rlimits"] or (),
            unspawnable=identity.unspawnable,
            group_priority=group.priority,
            oneshot=options["type"] == ONESHOT,
            stdout=None if block.is_listener else output.stdout,
            stderr=output.stderr,
            redirect_stderr=options["redirect_stderr"],
            stdin_pipe=options.get("stdin") == PIPE,
            is_listener=block.is_listener,
            drain_s=options["drain"],
            stop_command=tuple([_bytes(word) for word in stop_argv]),
            stop_paths=_paths(stop_argv, path),
            stop_command_s=options["stopwaitsecs"],
            stopsteps=tuple(
                [
                    (signum, options["stopwaitsecs"] if span_s is None else span_s)
                    for signum, span_s in options["stopsignal"]
                ]
            ),
            **{option: options[option] for option in _COPIED},
        )
        if block.is_listener and "priority" not in block.given:
            spec = replace(spec, priority=PROGRAM_PRIORITY)
        pairs = [part for pair in spec.environment for part in pair]
        commands = (*spec.argv, *spec.paths, *spec.stop_command, *spec.stop_paths)
        self._count_bytes(sum(map(len, (*commands, *pairs))))
        return spec

    def _variables(self, block: Block, outer: Expander) -> dict[str, str]:
        """What [init], a program's files and its `environment` say; it may refer to the others."""
        found = dict(self._sections.variables)
        for text, place in block.options["env_file"] or ():
            file = _expanded_text(text, place, outer)
            found |= self._read_env_file(file, place) if file is not None else {}
        expander = outer.with_environ(found)
        return found | {
            name: expanded(text, place, expander) or ""
            for name, (text, place) in (block.options["environment"] or {}).items()
        }

    def _read_env_file(self, file: str, place: Place) -> dict[str, str]:
        """Read once, however many processes it is for."""
        from initpy.config.env_files import read_env_file  # noqa: PLC0415 - few programs have any

        path = join(dirname(place.document.file), file)
        if path not in self._env_files:
            variables = read_env_file(path, place)
            if variables is None:
                return {}
            self._env_files[path] = variables
        return self._env_files[path]

    def _process_name(self, block: Block, expander: Expander) -> str:
        """The name of a process, which no other in its group may have."""
        place = block.at("process_name")
        name: str | None = block.name  # which is what the default comes to
        if "process_name" in block.given:
            name = expanded(block.options["process_name"], place, expander)
        reason = "" if name is None else wrong_in_name(name)
        if reason:
            place.problem(f"{reason}: {shown(name)}")
        if name is None or reason:
            self._has_all_names = False
            return ""
        key = _key(self._group_of[block.name].name, name)
        if key in self._places:
            other = self._places[key]
            where = "" if other.path == place.path else f"; the other is in {other}"
            place.problem(f"two processes are called {shown(key)}{where}")
        self._places[key] = place
        self._keys_by_name.setdefault(name, []).append(key)
        return name

    def _identity(self, user: str | int | None, group: str | int | None) -> Credentials:
        """Looked up once for each pair."""
        if (user, group) not in self._credentials:
            self._credentials[user, group] = credentials(user, group, self._own)
        return self._credentials[user, group]

    def _count_bytes(self, count: int) -> None:
        """PID 1 takes a plan of bounded size, and so does our memory."""
        self._bytes += count
        if self._bytes > MAX_PLAN_BYTES:
            text = f"all processes together take more than {MAX_PLAN_BYTES} bytes"
            self._sections.main.problem(text)

    # What refers to processes.

    def _signal_rules(self, keys: Mapping[str, tuple[str, ...]]) -> tuple[SignalRule, ...]:
        table, place = self._sections.init["signals"]
        defaults = {setting.key: setting.default for setting in SIGNALS.settings}
        actions = {**(SignalTable().read(defaults, place) or {}), **(table or {})}
        rules = []
        for signum, (action, at) in sorted(actions.items(), key=lambda it: it[0]):
            if action.action == FORWARD:
                targets = self._targets(action.target, at, keys)
                send = action.send or signum
                if action.target and not targets:  # not enabled; and no targets would mean all
                    rules.append(SignalRule(signum, IGNORE))
                else:
                    rules.append(SignalRule(signum, FORWARD, keys=targets, send=send))
            else:
                rules.append(SignalRule(signum, action.action))
        return tuple(rules)

    def _targets(
        self, target: str, place: Place, keys: Mapping[str, tuple[str, ...]]
    ) -> tuple[str, ...]:
        """The keys of what a signal is forwarded to: a program, else a group, else a process."""
        if not target:
            return ()
        if target in self._programs:
            return keys[target]
        if target in self._members_of:
            return tuple([key for name in self._members_of[target] for key in keys[name]])
        found = [target] if target in self._places else self._keys_by_name.get(target, [])
        if len(found) > 1:
            place.problem(f"expected one of {', '.join(found)}, not {shown(target)}")
        elif not found and self._has_all_names:
            names = (*self._programs, *self._members_of, *self._places, *self._keys_by_name)
            known = nearest(target, names)
            place.problem(f"no program, group or process {shown(target)}{known}")
        enabled = {key for enabled_keys in keys.values() for key in enabled_keys}
        return tuple([key for key in found if key in enabled])

    def _exit_code_from(self, keys: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        text, place = self._sections.init["exit_code_from"]
        name = expanded(text or "", place, place.expander)
        if not text or name is None:
            return ()
        if name not in self._programs:
            place.problem(f"no program {shown(name)}{nearest(name, self._programs)}")
        elif not self._programs[name].options["enabled"]:
            text = f"{shown(name)} is not enabled: the container's exit code will be the culprit's"
            place.problem(text, is_warning=True)
        return keys.get(name, ())

    def _warn_of_cuts(self, after: Mapping[str, tuple[str, ...]], timeout_s: float) -> None:
        """Where a stop may take longer than a shutdown leaves to it; `after` has the enabled."""
        has_times = any(_STOP_TIMES & self._programs[name].given for name in after)
        if self._sections.main.report.failures or not has_times:
            return
        from initpy.config.budget import warn_of_cuts  # noqa: PLC0415 - few files set times

        among = {name: [it for it in after[name] if it in after] for name in after}
        listeners = [name for name in among if self._programs[name].is_listener and not among[name]]
        tiered = with_first(tiers(among), tuple(listeners))
        warn_of_cuts([[self._programs[name] for name in tier] for tier in tiered], timeout_s)

    def _program_expander(self, block: Block, **names: int) -> Expander:
        group = self._group_of[block.name].name
        numprocs = block.options["numprocs"]
        return block.place.expander.with_names(group_name=group, numprocs=numprocs, **names)


_STOP_TIMES = {"drain", "stopsignal", "stopwaitsecs"}
"""The options that may say how long a stop takes."""

_COPIED = (
    "priority",
    "autostart",
    "startsecs",
    "startretries",
    "autorestart",
    "backoff",
    "restart_limit",
    "exitcodes",
    "nice",
    "oom_score_adj",
    "no_new_privs",
    "stopasgroup",
    "killasgroup",
    "critical",
)
"""The options that PID 1 gets as they are."""


def _prefix_width(processes: Iterable[ProcessSpec], log_format: str) -> int:
    """How wide the names before lines are."""
    names = [OWN_NAME] if log_format == PREFIX else []
    for spec in processes:
        for channel in (spec.stdout, spec.stderr):
            if channel is not None and any(sink.form == PREFIX for sink in channel.sinks):
                names.append(channel.process)
    return max(map(len, names), default=0)


def _key(group: str, name: str) -> str:
    return name if group == name else f"{group}:{name}"


def _check_oneshot(block: Block) -> None:
    """What cannot be together with type = "oneshot", and what has no meaning beside it."""
    if block.options["type"] != ONESHOT:
        return
    if block.options["autorestart"] == ALWAYS:
        text = f"with type = {shown(ONESHOT)} it would never be done"
        block.at("autorestart").problem(f'expected false or "unexpected": {text}')
    for key in ("startsecs", "restart_limit"):
        if key in block.given:
            text = f"it has no meaning with type = {shown(ONESHOT)}"
            block.at(key).problem(text, is_warning=True)


def _check_stop(block: Block) -> None:
    """Seconds that nothing uses would only look as if they were in force."""
    has_use = block.options["stop_command"] is not None or None in [
        span_s for _, span_s in block.options["stopsignal"]
    ]
    if "stopwaitsecs" in block.given and not has_use:
        text = "it has no meaning where every step of stopsignal has its own seconds"
        block.at("stopwaitsecs").problem(text, is_warning=True)


def _expanded_command(block: Block, key: str, expander: Expander) -> list[str]:
    """The words of a command; those that cannot be expanded are reported and empty."""
    words = block.options[key] or ()
    text = block.place.document.value(block.at(key).path)
    if block.options["expand_first"] and isinstance(text, str):
        argv = _split_last(text, block.at(key), expander)
    else:
        argv = [expanded(word, place, expander) for word, place in words]
    if argv and argv[0] == "":
        block.at(key).problem("command is empty")
    return [word or "" for word in argv]


def _split_last(text: str, place: Place, expander: Expander) -> list[str | None]:
    """The words of a command that is expanded first; none, if it is wrong, which is reported."""
    import shlex  # noqa: PLC0415

    line = expanded(text, place, expander)
    if line is None:
        return []
    try:
        words: list[str | None] = [*shlex.split(line)]
    except ValueError as exc:  # without the line: variables hold secrets
        place.problem(f"can't parse command, once it is expanded: {exc}")
        return []
    if not words:
        place.problem("command is empty, once it is expanded")
    return words


def _expanded_option(block: Block, key: str, expander: Expander) -> str | int | None:
    """An option that is a text, expanded; a number, or None for an option that is not set."""
    value: str | int | None = block.options[key]
    return _expanded_text(value, block.at(key), expander) if isinstance(value, str) else value


def _expanded_text(text: str, place: Place, expander: Expander) -> str | None:
    """A text of which something has to be left when it is expanded."""
    value = expanded(text, place, expander)
    if value == "":
        place.problem(f"nothing is left of {shown(text)}")
    return value or None


def _paths(argv: list[str], path: str) -> tuple[bytes, ...]:
    """Where a command may be, as execvp would look for it; without a command, nowhere."""
    if not argv or "/" in argv[0]:
        return tuple([_bytes(word) for word in argv[:1]])
    return tuple([_bytes(f"{directory or '.'}/{argv[0]}") for directory in path.split(":")])


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
