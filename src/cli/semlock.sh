#!/bin/sh
# Starts the command. By a shell, because Node.js hides two things from its programs that `semlock run` owes to the command
# that it runs: which signals its caller ignores (as nohup(1) does), and which descriptors its caller gave it.
ignored=0
if [ -r /proc/self/status ]; then
  while read -r field value; do
    if [ "$field" = SigIgn: ]; then
      ignored=$value
      break
    fi
  done </proc/self/status
fi
# In a shell of its own that has given its standard error away for good: to redirect it for a while, a shell keeps a copy of
# it, which would look like one of the caller's.
given=$(
  exec 2>/dev/null
  for link in /proc/self/fd/*; do
    number=${link##*/}
    # Not those of the shell: the one that has read this folder is closed by now, and one has this file open.
    if [ "$number" -gt 2 ] && [ -e "$link" ] && ! [ "$link" -ef "$0" ]; then printf ' %s' "$number"; fi
  done
)
self=$(readlink -f "$0")
SEMLOCK_CALLER="$ignored$given" exec node "${self%/*}/../../dist/command.js" "$@"
