// Sleeping on a word of shared memory until another process, or another thread, wakes the sleepers.

#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace semlock {

// Sleeps unless the word has changed since it was `seen`, for up to `timeout_ns`; a negative one has no end. It may
// also return at any time: EAGAIN: the word has changed; EINTR; ETIMEDOUT. Every caller looks again in any case.
inline void SleepOn(std::atomic<uint32_t>& word, uint32_t seen, int64_t timeout_ns) {
  timespec timeout{static_cast<time_t>(timeout_ns / 1000000000), static_cast<long>(timeout_ns % 1000000000)};
  syscall(SYS_futex, &word, FUTEX_WAIT, seen, timeout_ns < 0 ? nullptr : &timeout, nullptr, 0);
}

// Up to `count` of those who sleep on it. It fails on a bad address only.
inline void WakeSleepers(std::atomic<uint32_t>& word, int count) {
  syscall(SYS_futex, &word, FUTEX_WAKE, count, nullptr, nullptr, 0);
}

}  // namespace semlock
