"""A program that leaves many orphans to init, which end all at once.

orphans.py NAME COUNT FIFO     says "NAME ready" when they wait, and they end as soon as somebody
                               writes to FIFO
"""

import os
import signal
import sys


def main() -> None:
    name, count, fifo = sys.argv[1:]
    os.mkfifo(fifo)
    read_fd, write_fd = os.pipe()
    parent = os.fork()
    if parent == 0:
        for _ in range(int(count)):
            if os.fork() == 0:
                os.close(write_fd)
                os.read(read_fd, 1)
                os._exit(0)
        os._exit(0)
    os.waitpid(parent, 0)
    os.write(1, f"{name} ready\n".encode())
    with open(fifo) as told:
        told.read()
    os.close(write_fd)
    signal.pause()


main()
