"""An operator at a terminal: runs the program after `--` there, waits for each first word and types each second.

Prints JSON: what the terminal showed, and the exit status. What is typed may hold the escapes of Python's strings.
A file named in SHOWN gets what is shown as it comes, for whoever waits for it.
"""

import json
import os
import pty
import select
import sys
import time

PATIENCE = 60


def main(script, program):
    child, master = pty.fork()
    if child == 0:
        os.execvp(program[0], program)
    shown, seen = b"", 0
    for expected, typed in zip(script[::2], script[1::2]):
        while (place := shown.find(expected.encode(), seen)) < 0:
            more = read(master)
            if more is None:
                sys.exit(f"{expected!r} never came; shown: {shown[seen:]!r}")
            shown += more
        seen = place + len(expected.encode())
        os.write(master, typed.encode("raw_unicode_escape").decode("unicode_escape").encode())
    while (more := read(master)) is not None:
        shown += more
    _, status = os.waitpid(child, 0)
    print(json.dumps({"shown": shown.decode(errors="replace"), "status": os.waitstatus_to_exitcode(status)}))


def read(master):
    """What came since, perhaps nothing yet; None when nothing more will."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ready, _, _ = select.select([master], [], [], 1)
        if ready:
            try:
                return noted(os.read(master, 65536)) or None
            except OSError:
                return None
    return None


def noted(more):
    if "SHOWN" in os.environ:
        with open(os.environ["SHOWN"], "ab") as file:
            file.write(more)
    return more


split = sys.argv.index("--")
main(sys.argv[1:split], sys.argv[split + 1 :])
