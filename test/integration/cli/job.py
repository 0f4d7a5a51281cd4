"""Runs a command as a job of its own, as a shell with job control does: it can be stopped and can go on. Says its pid.

Usage: python3 job.py <command> [argument ...]
"""

import os
import subprocess
import sys

job = subprocess.Popen(sys.argv[1:], preexec_fn=os.setpgrp)
print(f"pid {job.pid}", flush=True)
sys.exit(job.wait())
