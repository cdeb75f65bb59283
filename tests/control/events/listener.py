"""An event listener that writes down, a line of JSON each, the header and the payload of what it is
sent, its pid before them.

listener.py FILE [deaf] [RESULT ...]

deaf: it ignores TERM. The results are what it answers, one after the other; when there is none
left: OK. Of these, "hang" is none at all; "die" is its end; "chat" is nonsense; "close0" and
"close1" close its stdin or its stdout, without an end.
"""

import json
import os
import signal
import sys


def main() -> None:
    results = sys.argv[2:]
    if results[:1] == ["deaf"]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        del results[0]
    memory = f"{sys.argv[1]}.results"  # what is left of the results outlives this instance
    if os.path.exists(memory):
        with open(memory) as left:
            results = json.load(left)
    with open(sys.argv[1], "a", buffering=1) as found:
        while True:
            sys.stdout.write("READY\n")
            sys.stdout.flush()
            line = sys.stdin.readline()
            if not line:
                found.write(json.dumps([os.getpid(), "end of file", ""]) + "\n")
                return
            header = dict(pair.split(":", 1) for pair in line.split())
            payload = sys.stdin.read(int(header["len"]))
            found.write(json.dumps([os.getpid(), line, payload]) + "\n")
            result = results.pop(0) if results else "OK"
            with open(f"{memory}.new", "w") as left:
                json.dump(results, left)
            os.replace(left.name, memory)  # whole, wherever a TERM ends this instance
            if result.startswith("close"):
                os.close(int(result[5:]))
            if result == "hang" or result.startswith("close"):
                signal.pause()
            if result == "die":
                os._exit(1)
            if result == "chat":
                sys.stdout.write("I am busy\n")
            else:
                sys.stdout.write(f"RESULT {len(result)}\n{result}")


main()
