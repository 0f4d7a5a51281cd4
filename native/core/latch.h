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
  kTimeout,    // a living owner stayed inside for kLatchBoundNs, or was found so before and is still there
  kSlotLost,   // see Liveness
  kEnded,      // this process has no slot any more: a forked child, or one that exits
};

inline constexpr int64_t kLatchBoundNs = 1000000;

inline void SpinPause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// What TakeLatch does when the first compare-and-swap fails.
Latched TakeContendedLatch(std::atomic<uint64_t>& latch, const ProcessSlot& me, Tag tag);

inline Latched TakeLatch(std::atomic<uint64_t>& latch, const ProcessSlot& me) {
  const Tag tag = me.tag();
  if (tag == 0) return Latched::kEnded;  // 0 would leave the latch open to all
  uint64_t expected = 0;
  if (latch.compare_exchange_strong(expected, tag)) return Latched::kTaken;
  return TakeContendedLatch(latch, me, tag);
}

// Why a latch that was neither taken nor taken over could not be had.
inline SysError LatchError(Latched outcome) {
  if (outcome == Latched::kEnded) return {"fork", EPERM, "FORKED"};
  if (outcome == Latched::kSlotLost) return {"latch", ESTALE, "SLOT_LOST"};
  return {"latch", EBUSY, "BUSY"};
}
// Whether that was because a living owner stayed inside.
inline bool IsLatchTimeout(const SysError& error) { return error.code == EBUSY; }

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
