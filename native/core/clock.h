// The three times that the core needs.

#pragma once

#include <time.h>

#include <cstdint>

namespace semlock {

// Never jumps: for deadlines.
inline int64_t MonotonicNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

// For people, and a base of tokens.
inline uint64_t UnixUs() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(int64_t{now.tv_sec} * 1000000 + now.tv_nsec / 1000);
}

// Four times as cheap, exact to some 4 ms.
inline uint64_t CoarseUnixMs() {
  timespec now;
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return static_cast<uint64_t>(int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000);
}

inline void SleepNs(long ns) {
  timespec duration{0, ns};
  nanosleep(&duration, nullptr);  // a signal may cut it short: every caller looks at the clock again
}

}  // namespace semlock
