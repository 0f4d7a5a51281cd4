#include "latch.h"

#include <sched.h>

#include <iterator>

#include "clock.h"
#include "crash_points.h"

namespace semlock {
namespace {

// About one microsecond: ten times as long as an operation takes.
constexpr int kSpins = 40;

// A latch that was found stuck: its owner stayed inside for the whole bound. As long as that very process is found
// there, nobody of this thread waits for it much longer than an operation takes. Otherwise all that a server does for
// many names at once would wait for the same one, each for the whole bound.
struct Stuck {
  const std::atomic<uint64_t>* latch;
  Tag owner;
  int64_t until;
};
constexpr int64_t kStuckNs = 20000000;
// A process that works is inside again and again, and cannot be told from one that stays: so many microseconds do.
constexpr int kRoundsIfStuck = 5;
// A process is inside two at most, and few are stopped.
thread_local Stuck stuck_latches[8];

Stuck& StuckAt(const std::atomic<uint64_t>& latch) {
  return stuck_latches[reinterpret_cast<uintptr_t>(&latch) / sizeof(Record) % std::size(stuck_latches)];
}

}  // namespace

Latched TakeContendedLatch(std::atomic<uint64_t>& latch, const ProcessSlot& me, Tag tag, SysError* error) {
  const auto refuse = [error](const SysError& why) {
    *error = why;
    return Latched::kRefused;
  };
  if (tag == 0) return refuse(kEnded);  // 0 would leave the latch open to all
  const int64_t deadline = MonotonicNs() + kLatchBoundNs;
  Stuck& known = StuckAt(latch);
  Tag first = 0;
  for (int round = 1;; ++round) {
    for (int spin = 0; spin < kSpins; ++spin) {
      uint64_t expected = 0;
      if (latch.load(std::memory_order_relaxed) == 0 && latch.compare_exchange_strong(expected, tag)) {
        if (known.latch == &latch) known = {};
        return Latched::kTaken;
      }
      SpinPause();
    }
    uint64_t word = latch.load();
    if (word == 0) continue;
    const Tag owner = word & ~kAsked;
    switch (me.Check(owner)) {
      case Liveness::kDead:
        // From that very tag: had another taken over meanwhile, the word would hold a tag that never was dead. The
        // bit `asked` is dropped, since the process that takes over sweeps anyway.
        if (latch.compare_exchange_strong(word, tag)) return Latched::kTakenOver;
        continue;
      case Liveness::kSlotLost:
        return refuse(kSlotLost);
      case Liveness::kAlive:
        break;
    }
    const int64_t now = MonotonicNs();
    const bool stuck = known.latch == &latch && known.owner == owner && now < known.until;
    if (stuck && round >= kRoundsIfStuck) return refuse(kBusyLatch);
    if (first == 0) first = owner;
    if (now >= deadline) {
      if (owner == first) known = {&latch, owner, now + kStuckNs};
      return refuse(kBusyLatch);
    }
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
