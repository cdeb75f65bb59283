"""An event listener for supervisord: appends to a file what each event says, a line each.

listener.py FILE
"""

import sys


def main() -> None:
    with open(sys.argv[1], "a", buffering=1) as found:
        while True:
            sys.stdout.write("READY\n")
            sys.stdout.flush()
            header = dict(pair.split(":", 1) for pair in sys.stdin.readline().split())
            if not header:
                return  # supervisord is gone
            payload = sys.stdin.read(int(header["len"]))
            found.write(f"{header['eventname']} {payload}\n")
            sys.stdout.write("RESULT 2\nOK")


main()
