"""An event listener that writes down what it is sent, and answers some of it badly.

reacting.py FILE [TYPE=REACTION ...]

A line of JSON for each event: its serial in the pool, its name, its payload, the listener's pid.
TYPE is that of a remote event. Reactions:

refuse:N   refuse it N times
hold       answer when there is a file FILE.go
nonsense   answer with something that is no result
chat       accept it, and say something while the next is waited for
die        end, the first time
"""

import json
import os
import sys
import time


def say(text: str) -> None:
    os.write(1, text.encode())


def type_of(name: str, payload: str) -> str:
    is_remote = name == "REMOTE_COMMUNICATION"
    return payload.partition("\n")[0].removeprefix("type:") if is_remote else ""


def main() -> None:
    file = sys.argv[1]
    reactions = dict(pair.split("=") for pair in sys.argv[2:])
    refused = 0
    with open(file, "a", buffering=1) as found:
        say("READY\n")
        while line := sys.stdin.readline():
            header = dict(pair.split(":", 1) for pair in line.split())
            payload = sys.stdin.read(int(header["len"]))
            name = header["eventname"]
            found.write(json.dumps([int(header["poolserial"]), name, payload, os.getpid()]) + "\n")
            reaction = reactions.get(type_of(name, payload), "")
            result, said = "OK", "READY\n"
            if reaction.startswith("refuse:") and refused < int(reaction.partition(":")[2]):
                refused += 1
                result = "FAIL"
            elif reaction == "chat":
                said = "READY\nhow do you do?\n"
            elif reaction == "die" and not os.path.exists(f"{file}.died"):
                with open(f"{file}.died", "w"):
                    os._exit(1)
            while reaction == "hold" and not os.path.exists(f"{file}.go"):
                time.sleep(0.01)
            length = "abc" if reaction == "nonsense" else len(result)
            say(f"RESULT {length}\n{result}{said}")


main()
