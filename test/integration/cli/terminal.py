"""Runs a command in a terminal of its own, presses a key when it says "ready", and passes on its output and exit code.

Usage: python3 terminal.py <key as a number>[,<the next key> ...] <command> [argument ...]
The next key is pressed when it has said "ready" again. After Ctrl-Z the command has to stop; then it is told to go on. The
terminal has as many columns and rows as TERMINAL_SIZE says, as in 40x10.
"""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios

CTRL_Z = 26
keys, command = [int(key) for key in sys.argv[1].split(",")], sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    columns, rows = map(int, os.environ.get("TERMINAL_SIZE", "80x24").split("x"))
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    os.execvp(command[0], command)

said, since = b"", 0
while True:
    try:
        more = os.read(terminal, 4096)
    except OSError:  # EIO: nobody has the terminal open any more
        break
    if not more:
        break
    said += more
    if keys and b"ready" in said[since:]:
        key = keys.pop(0)
        os.write(terminal, bytes([key]))
        if key == CTRL_Z:
            if not os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1]):
                sys.exit("it did not stop")
            while select.select([terminal], [], [], 0)[0]:
                said += os.read(terminal, 4096)
            said += b"(stopped)"
            os.kill(pid, signal.SIGCONT)
        since = len(said)
sys.stdout.write(said.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
