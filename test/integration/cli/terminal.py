"""Runs a command in a terminal of its own, presses a key when it says "ready", and passes on its output and exit code.

Usage: python3 terminal.py <key as a number> <command> [argument ...]
"""

import os
import pty
import sys

key, command = int(sys.argv[1]), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)

said, pressed = b"", False
while True:
    try:
        more = os.read(terminal, 4096)
    except OSError:  # EIO: nobody has the terminal open any more
        break
    if not more:
        break
    said += more
    if not pressed and b"ready" in said:
        os.write(terminal, bytes([key]))
        pressed = True
sys.stdout.write(said.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
