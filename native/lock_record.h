// One lock: taking a permit, giving it back, and putting right what the dead left behind. README.md has the protocol
// and the invariants I1 to I6 that the code cites.

#pragma once

#include <semaphore.h>

#include <memory>
#include <utility>

#include "lock_table.h"
#include "named_semaphore.h"

namespace semlock {

enum class Outcome {
  kDone,
  kBusy,      // all permits are held, or a latch could not be had within its bound
  kStale,     // the record was recycled, or its semaphore is another one now: look it up again
  kNotHeld,   // release: this entry is not the caller's
  kSlotLost,  // a process that is alive has lost the file that proves it
  kEnded,     // in a forked child, or while the process exits
};

// What to say of an outcome that came without an error of its own.
SysError ErrorOf(Outcome outcome);

struct Grant {
  uint32_t entry = 0;
  uint64_t token = 0;
  bool abandoned = false;
};

// A lock as one thread of this process uses it: where its record is, and its semaphore. It looks the record up when it
// is first used, and again when it turns out to have been recycled.
class LockRecord {
 public:
  LockRecord(std::shared_ptr<LockTable> table, LockIdentity identity, uint16_t thread)
      : table_(std::move(table)), identity_(std::move(identity)), thread_(thread) {}

  // kDone, kBusy, or an error of any kind in `error`.
  Outcome TryAcquire(Grant* grant, SysError* error);
  // Never waits for another process longer than a latch's bound, and is never lost: kDone or kNotHeld (or kEnded).
  Outcome Release(uint32_t entry, uint64_t token, Released how = kReleased);
  // For a thread that ends: gives back, as abandoned, all that it holds of this lock.
  void ReleaseAll();
  // Whether this thread has a permit of it.
  bool Holds() const;
  // Permits that are free at this moment; -1 with `error`.
  int Available(SysError* error);

 private:
  Outcome Acquire(Grant* grant, bool again);
  Outcome Enter();
  void Leave();
  void SweepAndLeave();
  void LeaveUnchanged(bool unrepaired);
  bool IsCurrent() const;
  bool IsSameRecord() const;
  void CountEntries();
  void PostMissing();
  void Repair();
  void Sweep();
  bool IsOwn(const Entry& entry) const;
  void ClearEntry(Entry& entry);
  bool TakePermit();
  SysError LookUp();
  SysError MakeSemaphore();
  Record& record() const { return table_->record(ref_.index); }

  std::shared_ptr<LockTable> table_;
  LockIdentity identity_;
  uint16_t thread_;
  RecordRef ref_;               // index 0 until it is first looked up
  sem_t* semaphore_ = nullptr;  // of the record `ref_`: the one inside it, or named_'s
  NamedSemaphore named_;
  bool slot_lost_ = false;  // the last Sweep met Liveness::kSlotLost
};

// Posts what the dead took from semaphores of custom names: they outlive the table, which knows of it.
void SettleCustomSemaphores(const std::shared_ptr<LockTable>& table);

}  // namespace semlock
