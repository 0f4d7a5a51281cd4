// The one word under which a record, or the table, is changed: 0, or the tag of the process inside. It survives the
// death of its owner, and nobody waits for a living owner longer than 1 ms.

#pragma once

#include <errno.h>

#include <atomic>

#include "layout.h"
#include "process_slot.h"
#include "sys_error.h"

namespace semlock {

enum class Latched {
  kTaken,
  kTakenOver,  // from a dead owner: repair first what it guards
  kRefused,    // with one of the errors below
};

// A living owner stayed inside for kLatchBoundNs, or was found so before and is still there.
inline constexpr SysError kBusyLatch{"latch", EBUSY, "BUSY"};
inline constexpr SysError kSlotLost{"latch", ESTALE, "SLOT_LOST"};  // see Liveness
// This process has no slot any more: a forked child, or one that exits.
inline constexpr SysError kEnded{"fork", EPERM, "FORKED"};

inline constexpr int64_t kLatchBoundNs = 1000000;

inline void SpinPause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// What TakeLatch does when the first compare-and-swap fails.
Latched TakeContendedLatch(std::atomic<uint64_t>& latch, const ProcessSlot& me, Tag tag, SysError* error);

inline Latched TakeLatch(std::atomic<uint64_t>& latch, const ProcessSlot& me, SysError* error) {
  const Tag tag = me.tag();
  uint64_t expected = 0;
  if (tag != 0 && latch.compare_exchange_strong(expected, tag)) return Latched::kTaken;
  return TakeContendedLatch(latch, me, tag, error);
}

// True when somebody asked to sweep: see AskToSweep.
inline bool LeaveLatch(std::atomic<uint64_t>& latch) { return (latch.exchange(0) & kAsked) != 0; }

// Leaves a record without having repaired or swept it. Where it has to be (`unrepaired`, or somebody asked to sweep),
// the next to come takes the latch over, as after a death.
inline void LeaveToNext(std::atomic<uint64_t>& latch, const ProcessSlot& me, bool unrepaired) {
  uint64_t mine = me.tag();
  if (unrepaired || !latch.compare_exchange_strong(mine, 0)) latch.store(kUnrepaired | kAsked);
}

// Makes sure that the record is swept after this call: true when the caller got the latch and must do it, false when
// the process inside will, or the one that takes over from it. Never waits.
bool AskToSweep(std::atomic<uint64_t>& latch, const ProcessSlot& me);

}  // namespace semlock
