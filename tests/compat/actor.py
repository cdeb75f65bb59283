"""Programs of the conversations, each with one thing to show.

actor.py tick SPAN             says "line N" all the time, every SPAN seconds
actor.py fill LOG COUNT MAX    says COUNT lines of 101 bytes, each when the one before is in LOG, or
                               in LOG.1, and whoever writes LOG has had the time to put away a file
                               that has reached MAX bytes
actor.py tell PART ...         says these parts, a moment after each other
actor.py grow MARKER MIB       takes so much memory, unless there is a file MARKER: it makes one
"""

import os
import signal
import sys
import time

MOMENT_S = 0.2


def say(text: str) -> None:
    os.write(1, text.encode())


def tick(span_s: str) -> None:
    number = 0
    while True:
        number += 1
        say(f"line {number}\n")
        time.sleep(float(span_s))


def text_of(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def fill(log: str, count: str, most: str) -> None:
    for number in range(int(count)):
        line = f"{number:03}" + "x" * 97 + "\n"
        say(line)
        while True:
            current = text_of(log)
            if len(current) < int(most) and line in current + text_of(f"{log}.1"):
                break
            time.sleep(0.005)
    signal.pause()


def tell(*parts: str) -> None:
    for part in parts:
        say(part)
        time.sleep(MOMENT_S)


def grow(marker: str, mib: str) -> None:
    grown = b""
    if not os.path.exists(marker):
        with open(marker, "w"):
            grown = b"x" * (int(mib) * 2**20)
    signal.pause()
    del grown


def main() -> None:
    name, *words = sys.argv[1:]
    if name == "tick":
        tick(*words)
    elif name == "fill":
        fill(*words)
    elif name == "tell":
        tell(*words)
    elif name == "grow":
        grow(*words)


main()
