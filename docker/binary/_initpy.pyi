"""The static executable's own module, for the type checker; see module.c and spawn.c."""

inherited_mask: tuple[int, ...]
started: int
helper_pid: int
helper_fd: int

def complete() -> None: ...
def handle_sent(signum: int, /) -> None: ...
def is_subreaper() -> bool: ...
def map_file(fd: int, length: int, offset: int, /) -> memoryview: ...
def pass_on(pid: int, signals: int, /) -> tuple[int, int]: ...
def spawn(words: int, place: int, mask: int, defaults: int, /) -> int: ...
def prctl(option: int, argument: int, /) -> int: ...
def release() -> None: ...
def start(
    argv: tuple[bytes, ...],
    paths: tuple[bytes, ...],
    environment: dict[bytes, bytes],
    name: bytes,
    directory: bytes,
    fds: tuple[int, int, int, int],
    ours: tuple[tuple[int, int, int], ...],
    limits: tuple[tuple[int, int, int], ...],
    umask: int,
    nice: int | None,
    no_new_privs: bool,
    handled: int,
    ignored: int,
    mask: int,
    /,
) -> int: ...
