"""Runs a command in a terminal of its own, presses a key when it says "ready", and passes on its output and exit code.

Usage: python3 terminal.py <key as a number> <command> [argument ...]
The terminal has as many columns and rows as TERMINAL_SIZE says, as in 40x10.
"""

import fcntl

import os
import pty
import struct
import sys
import termios

key, command = int(sys.argv[1]), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    columns, rows = map(int, os.environ.get("TERMINAL_SIZE", "80x24").split("x"))
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
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
