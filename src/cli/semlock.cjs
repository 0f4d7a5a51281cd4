#!/usr/bin/env sh
':' /*; # Node.js reads only this string and the last line; a shell never comes to that.
# Starts the command. By a shell, because Node.js hides two things from its programs that `semlock run` owes to the command
# that it runs: which signals its caller ignores (as nohup(1) does), and which descriptors its caller gave it. Some start
# this by Node.js all the same, as Yarn does with whatever command a package has.
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
  number=${link#/proc/self/fd/}
  case $number in [012] | *[!0-9]*) continue ;; esac
  # Not those of the shell: the one that has read this folder is closed by now, and one has this file open.
  if [ -e "$link" ] && ! [ "$link" -ef "$0" ]; then given="$given $number"; fi
done
# As a rule it is called by a link that npm has made in an app or in the system. Only for others is a process started.
for package in "${0%/*}/../semlock" "${0%/*}/../lib/node_modules/semlock" "${0%/*}/../.."; do
  if [ "$0" -ef "$package/src/cli/semlock.cjs" ]; then break; fi
  package=
done
if [ -z "$package" ]; then
  self=$(readlink -f "$0")
  package=${self%/src/cli/semlock.cjs}
fi
# By this path `semlock ls` knows it again.
SEMLOCK_CALLER="$ignored$given" exec node "$package/src/cli/../../dist/command.js" "$@"
# */
require(require.resolve('../../dist/command.js')); // which tsc does not follow
