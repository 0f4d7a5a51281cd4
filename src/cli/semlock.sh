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
given=
for link in /proc/self/fd/*; do
  number=${link##*/}
  case $number in [012] | *[!0-9]*) continue ;; esac
  # Not those of the shell: the one that has read this folder is closed by now, and one has this file open.
  if [ -e "$link" ] && ! [ "$link" -ef "$0" ]; then given="$given $number"; fi
done
self=$(readlink -f "$0")
SEMLOCK_CALLER="$ignored$given" exec node "${self%/*}/../../dist/command.js" "$@"
