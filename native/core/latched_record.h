// What happens to a record under its latch: permits are taken and given back, the dead are swept, the queue moves on.
// README.md has the protocol and the invariants I1 to I6 that the code cites. The caller is inside the latch, unless
// something else is said.

#pragma once

#include <semaphore.h>

#include "lock_table.h"

namespace semlock {

struct Grant {
  uint32_t entry = 0;
  uint64_t token = 0;
  bool abandoned = false;
};

// A place in a record's queue. The ticket tells it from a later waiter in the same cell.
struct WaitRef {
  uint32_t record = 0;
  uint32_t number = 0;
  uint64_t ticket = 0;
};

// The cell of a wait of this process that is not over; null otherwise.
Waiter* CellOf(const LockTable& table, const WaitRef& wait);

// The id of a wait that blocks its thread.
inline constexpr int64_t kBlocking = 0;
// In place of an id: one of the permits that the thread watches may have been stolen.
inline constexpr int64_t kTheft = -1;

class LatchedRecord {
 public:
  LatchedRecord(LockTable& table, Record& record, sem_t* semaphore)
      : table_(table), record_(record), semaphore_(semaphore) {}

  // After the latch was taken over from a dead owner. Idempotent: the repairer may die too.
  void Repair();
  // Frees what the dead and the released hold, and what was granted to those who do not come for it, then hands on.
  // True when it met a process that is alive but has lost its slot.
  bool Settle();
  // Grants to the queue's head, and to those after it, while there are permits for them.
  void HandOn();
  // The same, first with a permit that this process has in hand, see Foreign. It goes back when nobody wants it.
  void HandOnInHand();

  // Takes a permit if one can be had without overtaking anybody, and writes the entry. False: busy, or no room for
  // one more entry, which only shared holders run out of.
  bool TryGrant(Mode mode, uint16_t thread, Grant* grant);
  void ClearEntry(Entry& entry);
  // Takes the permits of all holders away, alive or not, and grants one to the caller's thread. Overtakes the queue.
  // False when another program has the permit.
  bool Steal(uint16_t thread, Grant* grant);
  // Puts the caller's thread at the end of the queue; its inbox is sent `id` when it is granted. False: no room for one
  // more waiter, or for its entry later.
  bool Enqueue(Mode mode, uint16_t thread, int64_t id, int64_t deadline_ns, WaitRef* ref);

  // For a wait of this process: frees its cell when it was cancelled, and lets it be served again when it was passed
  // over. False: then there would be no room for its entry.
  bool Update(const WaitRef& wait);
  // The cells of all waits that were cancelled.
  void FreeAllCancelled();

  // Posts until table and semaphore agree, where nobody else may have taken the permit.
  void PostMissing();
  void CountEntries();
  // The semaphore is another one by now, put there by another program: takes the permits of the entries from it. Who
  // cannot have one there has lost it, as to a thief.
  void MovePermits();
  // Where it was not open yet.
  void set_semaphore(sem_t* semaphore) { semaphore_ = semaphore; }
  // Not under the latch any more: tells the threads whose waits were granted, or whose permits were stolen.
  void TellAll();

  // Ends the process when the record, which is about to be left, breaks an invariant.
  void CheckInvariants();

 private:
  // More are told under the latch: it takes a crowd of readers to get there.
  static constexpr uint32_t kToldAtOnce = 16;
  // How many waiters are asked whether they live where there is no room: each time it is a system call.
  static constexpr uint32_t kAskedAtOnce = 16;

  bool GrantNow(Mode mode, uint16_t thread, Grant* grant);
  void Tell(Tag tag, uint16_t thread, int64_t id);
  bool CanTake(Mode mode) const;
  bool TakePermit(Mode mode);
  void WriteEntry(Entry& entry, Mode mode, Tag tag, uint32_t pid, uint16_t thread, uint64_t token);
  Entry* FreeEntry(uint32_t* number);
  enum Reused { kDeadOutOfLine, kAllDead };
  Waiter* FreeWaiter(uint32_t* number, Reused reused);
  void LeaveLine(Waiter& waiter);
  Waiter* Head();
  bool HasRoomForReader();
  bool ComeBack(Waiter& waiter);
  void Pass(Waiter& waiter);
  void TakeBackUncollected();
  bool IsKeptFromAnother(const Waiter& granted, int64_t now);
  void TakeBack(Waiter& waiter);
  Entry* EntryOf(const Waiter& waiter);
  void SettleGrant(Waiter& waiter, WaitState without_entry);
  bool Sweep();
  bool TakeInHand();
  void SweepInHand();
  void GiveBackInHand(uint64_t in_hand);
  bool is_foreign() const { return (record_.flags.load(std::memory_order_relaxed) & kForeign) != 0; }

  LockTable& table_;
  Record& record_;
  sem_t* semaphore_;
  bool in_hand_ = false;  // the next permit that is needed is there already
  struct Told {
    uint16_t slot;
    uint16_t thread;
    int64_t id;
  };
  uint32_t told_count_ = 0;
  Told told_[kToldAtOnce];  // the first told_count_ are set
};

}  // namespace semlock

#ifdef SEMLOCK_CHECKED
#define CHECK_INVARIANTS(under) (under).CheckInvariants()
#else
#define CHECK_INVARIANTS(under) static_cast<void>(0)
#endif
