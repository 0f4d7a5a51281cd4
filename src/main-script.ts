// Which script this program is. process.argv[1] says so only where Node.js itself was told to run it in this thread.

import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

/** Under this key worker threads, whose argv[1] is their own file, are told by the thread that starts them. */
const KEY = 'semlock.mainScript';

const known = (getEnvironmentData(KEY) as string | undefined) ?? ownScript() ?? '';
setEnvironmentData(KEY, known);

/** The path of the main script as it was given; `undefined` in the REPL, with `--eval`, or from standard input. */
export const mainScript = known === '' ? undefined : known;

function ownScript(): string | undefined {
  const script = process.argv[1];
  if (script === undefined || script === '-') return undefined;
  // With --eval, argv[1] is the first argument of the code.
  if (process.execArgv.some((option) => /^(-e|-p|-pe|--eval|--print)(=|$)/.test(option))) return undefined;
  // PM2 runs this file, which loads the app and names it there. Children of the app inherit the variable: only PM2's
  // own file may believe it.
  if (/\/pm2\/lib\/ProcessContainer\w*\.js$/.test(script)) return process.env['pm_exec_path'] ?? script;
  return script;
}

/**
 * App servers that run this file of theirs and load the app from there. The working folder is the app's: Phusion
 * Passenger, LiteSpeed and OpenLiteSpeed, AWS Lambda.
 */
const HOSTS = /\/(passenger[^/]*\/(src\/)?helper-scripts\/node-loader|lsnode|var\/runtime\/index)\.m?js$/;

/** The main script where it is an app server's, and so says nothing about the app. */
export const host = mainScript !== undefined && HOSTS.test(mainScript) ? mainScript : undefined;
