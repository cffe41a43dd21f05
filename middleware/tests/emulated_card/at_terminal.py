"""Runs a program at a new terminal, ends its first question, and says how both look afterwards."""

import fcntl
import json
import os
import signal
import sys
import termios

how, *program = sys.argv[1:]
signal.alarm(60)  # the deadline of everything below
os.setsid()
master, terminal = os.openpty()
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
# The terminal is this process's, so that it outlives the program; signals typed at it are for the program alone.
for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    signal.signal(ignored, signal.SIG_IGN)


def echoes():
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


assert echoes()
child = os.fork()
if child == 0:
    for restored in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(restored, signal.SIG_DFL)
    for descriptor in (0, 1, 2):
        os.dup2(terminal, descriptor)
    os.execv(program[0], program)

said = b""
while b"PIN" not in said or not said.endswith(b": "):
    said += os.read(master, 1024)
while echoes():
    pass
if how == "C":
    os.write(master, b"\x03")
elif how == "D":
    os.write(master, b"\x04")
else:
    os.kill(child, getattr(signal, "SIG" + how))
ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
echo = echoes()
os.set_blocking(master, False)
try:
    while True:
        said += os.read(master, 1024)
except BlockingIOError:
    pass
print(json.dumps({"said": said.decode(), "ended": ended, "echo": echo}))
