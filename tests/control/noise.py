"""An event listener that talks nonsense: each instance says something else, and ends soon.

noise.py SEED
"""

import os
import random
import sys
import time

WORDS = [
    b"READY\n", b"RESULT 2\nOK", b"RESULT 4\nFAIL", b"RESULT ", b"RESULT 99\n", b"RESULT -1\n",
    b"\n", b"\0", b"\xff", b"READ", b"OK", b"RESULT 1000000\n", b"x" * 200,
]  # fmt: skip


def main() -> None:
    source = random.Random(f"{sys.argv[1]} {os.getpid()}")
    if source.randrange(2):
        os.write(1, b"READY\n")
        os.read(0, 65536)
    for _ in range(source.randrange(1, 6)):
        os.write(1, source.choice(WORDS))
    time.sleep(source.random() * 0.05)


main()
