#include "latch.h"

#include <sched.h>

#include "clock.h"
#include "crash_points.h"

namespace semlock {
namespace {

// About one microsecond: ten times as long as an operation takes.
constexpr int kSpins = 40;

}  // namespace

Latched TakeContendedLatch(std::atomic<uint64_t>& latch, const ProcessSlot& me, Tag tag) {
  const int64_t deadline = MonotonicNs() + kLatchBoundNs;
  for (;;) {
    for (int spin = 0; spin < kSpins; ++spin) {
      uint64_t expected = 0;
      if (latch.load(std::memory_order_relaxed) == 0 && latch.compare_exchange_strong(expected, tag)) {
        return Latched::kTaken;
      }
      SpinPause();
    }
    uint64_t word = latch.load();
    if (word == 0) continue;
    switch (me.Check(word & ~kAsked)) {
      case Liveness::kDead:
        // From that very tag: had another taken over meanwhile, the word would hold a tag that never was dead. The
        // bit `asked` is dropped, since who takes over sweeps anyway.
        if (latch.compare_exchange_strong(word, tag)) return Latched::kTakenOver;
        continue;
      case Liveness::kSlotLost:
        return Latched::kSlotLost;
      case Liveness::kAlive:
        break;
    }
    if (MonotonicNs() >= deadline) return Latched::kTimeout;
    sched_yield();
  }
}

bool AskToSweep(std::atomic<uint64_t>& latch, const ProcessSlot& me) {
  const Tag tag = me.tag();
  if (tag == 0) return false;  // dead to all others, who sweep whatever was ours
  uint64_t word = latch.load();
  for (;;) {
    if (word == 0) {
      if (latch.compare_exchange_weak(word, tag)) return true;
    } else if ((word & kAsked) != 0 || latch.compare_exchange_weak(word, word | kAsked)) {
      CRASH_POINT(release_asked);
      return false;
    }
  }
}

}  // namespace semlock
