// The binaries that the package carries, one for each kind of machine, and the target that Zig compiles it for.
// CentOS 7 has glibc 2.17, and no Node.js that can load this runs on less.

export const MAX_GLIBC = 17;

export const BINARIES = [
  { file: 'prebuilds/linux-x64/semlock.glibc.node', target: `x86_64-linux-gnu.2.${MAX_GLIBC}` },
  { file: 'prebuilds/linux-x64/semlock.musl.node', target: 'x86_64-linux-musl' },
  { file: 'prebuilds/linux-arm64/semlock.glibc.node', target: `aarch64-linux-gnu.2.${MAX_GLIBC}` },
  { file: 'prebuilds/linux-arm64/semlock.musl.node', target: 'aarch64-linux-musl' },
];

const libc = process.report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';

/** Where the binary for this machine belongs. */
export const hostFile = `prebuilds/${process.platform}-${process.arch}/semlock.${libc}.node`;
