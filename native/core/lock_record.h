// A lock as one thread of this process uses it. It finds the record and its semaphore, gets in and out of the latch,
// and leaves to LatchedRecord what happens inside.

#pragma once

#include <semaphore.h>

#include <memory>
#include <utility>
#include <vector>

#include "latched_record.h"
#include "lock_table.h"
#include "named_semaphore.h"

namespace semlock {

enum class Outcome {
  kDone,
  kBusy,     // all permits are held, or a latch could not be had within its bound
  kQueued,   // Enqueue: in the queue
  kNotHeld,  // release: this entry is not the caller's
  kFailed,   // with an error
};

class LockRecord {
 public:
  LockRecord(std::shared_ptr<LockTable> table, LockIdentity identity, uint16_t thread)
      : table_(std::move(table)),
        identity_(std::make_shared<const LockIdentity>(std::move(identity))),
        thread_(thread) {}

  // kDone, kBusy or kFailed.
  Outcome TryAcquire(Mode mode, Grant* grant, SysError* error);
  // As TryAcquire, but kQueued in place of kBusy; then the thread's inbox is sent `id` when the wait is granted.
  // Not after `deadline_ns`: a grant that is not collected by then is taken back, and the wait has only to be ended.
  Outcome Enqueue(Mode mode, int64_t id, int64_t deadline_ns, Grant* grant, WaitRef* wait, SysError* error);
  // Takes the lock from its holders, and overtakes the queue. kBusy when a foreign program has it.
  Outcome Steal(Grant* grant, SysError* error);
  // Never waits for another process longer than a latch's bound, and is never lost: kDone or kNotHeld.
  Outcome Release(uint32_t entry, uint64_t token, Released how = kReleased);
  // Gives back a grant that its waiter did not come to know of. The next holder is told what that one would have been.
  void Decline(const Grant& grant);
  // For a thread that ends: gives back, as abandoned, all that it holds of this lock.
  void ReleaseAll();
  // How many permits this thread has of it, and how many there are.
  uint32_t Held() const;
  uint32_t permits() const { return identity_->permits; }
  // Frees what the dead hold and the uncollected, and serves the queue; or has it done by the process that is inside
  // the latch. Before, of `changed` waits of this process: frees the cells of those that were cancelled, and lets those
  // be served again that were passed over, as their threads run.
  void Settle(const std::vector<WaitRef>& changed = {});
  // The same for a lock with a foreign semaphore, which other programs may wait for, and which one of them may have
  // replaced under its holder. Where nobody holds it, that is seen at once.
  void LookAfter();
  // Of such a lock: sleeps in its semaphore, for up to `timeout_ns`, until another program gives a permit back, and
  // hands that on. False when there is nothing to sleep for, or nothing came of it: then the caller comes back later.
  bool HandOnForeign(int64_t timeout_ns);
  bool is_foreign() const { return !identity_->posix_name.empty(); }
  // Whether something of this process stands in its queue.
  bool IsWaitedForHere() const;
  // Permits that are free at this moment; -1 with `error`.
  int Available(SysError* error);

  const std::shared_ptr<LockTable>& table() const { return table_; }
  // Where the record is, for a holder: it stays there as long as it is held.
  uint32_t record_index() const { return ref_.index; }

 private:
  // What Retry() deals with: the record was recycled, so it has to be looked up again; no more entries or waiters.
  static constexpr Outcome kStale{-1};
  static constexpr Outcome kNoRoom{-2};

  template <typename F>
  Outcome Retry(Mode mode, SysError* error, F attempt);
  // Whether a record's foreign semaphore is asked for its name.
  enum Look { kNoLook, kLook };
  Outcome Enter(LatchedRecord* under, Look look, SysError* error);
  static Outcome Refused(SysError* error);
  void Leave(LatchedRecord* under);
  void LeaveSettled();
  bool IsSameRecord() const;
  bool IsOwn(const Entry& entry) const;
  SysError LookUp();
  bool HasItsSemaphore(Look look) const;
  SysError OpenForeign(LatchedRecord* under);
  Record& record() const { return table_->record(ref_.index); }

  std::shared_ptr<LockTable> table_;
  std::shared_ptr<const LockIdentity> identity_;
  uint16_t thread_;
  RecordRef ref_;  // index 0 until it is first looked up
  sem_t* semaphore_ =
      nullptr;  // of the record `ref_`: the one inside it, or named_'s; a foreign one once it is entered
  NamedSemaphore named_;
};

// What needs neither latch nor semaphore. All threads of the process may call these.

// Whether that wait was granted its permit. To a wait that somebody else may collect, the answer may be false at once.
bool IsGranted(LockTable& table, const WaitRef& wait);
// The same, and takes the grant: then, or after MarkCancelled, the wait is over. Only for its own thread: that it
// collects shows that it runs.
bool Collect(LockTable& table, const WaitRef& wait, Grant* grant);
// Whether it was passed over, because its thread did not run or its time was over.
bool IsPassed(LockTable& table, const WaitRef& wait);
// False when its grant is on its way there or back, or there. Otherwise LockRecord::Settle must follow, to free the
// cell and for those behind.
bool MarkCancelled(LockTable& table, const WaitRef& wait);
// Ends a wait of this process that is no longer wanted, whether it stands in line or was granted.
enum class Ended {
  kCancelled,  // LockRecord::Settle must follow
  kGranted,    // the permit is the caller's
  kNotYet,     // its grant is on its way there or back
};
Ended EndWait(LockTable& table, const WaitRef& wait, Grant* grant);
// Whether this process still has that permit: not when it was stolen.
bool StillHolds(LockTable& table, uint32_t record, const Grant& grant);

// Posts what the dead took from semaphores of foreign programs: they outlive the table, which knows of it.
void SettleForeignSemaphores(const std::shared_ptr<LockTable>& table);

}  // namespace semlock
