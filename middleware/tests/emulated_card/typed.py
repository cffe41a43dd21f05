"""Runs a program at a new terminal and types: for each pair of arguments, waits for the first and types the second.

Says, as JSON, all that the terminal showed and how the program ended. `--` comes before the program.
"""

import fcntl
import json
import os
import signal
import struct
import sys
import termios

split = sys.argv.index("--")
script, program = sys.argv[1:split], sys.argv[split + 1 :]
master, terminal = os.openpty()
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
child = os.fork()
if child == 0:
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for descriptor in (0, 1, 2):
        os.dup2(terminal, descriptor)
    os.closerange(3, 256)
    os.execvp(program[0], program)
os.close(terminal)

shown = b""
unread = 0


def too_late(*_):
    os.kill(child, signal.SIGKILL)
    sys.exit(f"nothing more came; the terminal showed {shown!r}")


signal.signal(signal.SIGALRM, too_late)
signal.alarm(30)


def read():
    """What the terminal shows next; nothing when the program has ended."""
    global shown
    try:
        more = os.read(master, 4096)
    except OSError:
        more = b""
    shown += more
    return more


for wait_for, answer in zip(script[::2], script[1::2]):
    wanted = wait_for.encode()
    while (found := shown.find(wanted, unread)) < 0:
        if not read():
            sys.exit(f"the program ended before it showed {wait_for!r}; it showed {shown!r}")
    unread = found + len(wanted)
    os.write(master, answer.encode().decode("unicode_escape").encode())
while read():
    pass
ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps({"shown": shown.decode(errors="replace"), "ended": ended}))
