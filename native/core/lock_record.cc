#include "lock_record.h"

#include <errno.h>
#include <string.h>

#include "crash_points.h"
#include "latch.h"

namespace semlock {

// With kDone: inside the latch of this very record, and nothing left to repair.
Outcome LockRecord::Enter(LatchedRecord* under, Look look, SysError* error) {
  const ProcessSlot& me = table_->slot();
  Record& r = record();
  const Latched latched = TakeLatch(r.latch, me, error);
  if (latched == Latched::kRefused) return Refused(error);
  const bool taken_over = latched == Latched::kTakenOver;
  if (taken_over) CRASH_POINT(repair_taken_over);
  if (!IsSameRecord()) {
    LeaveToNext(r.latch, me, taken_over);
    return kStale;
  }
  if (taken_over) under->Repair();  // which posts nothing to a foreign semaphore
  if (!HasItsSemaphore(look) && (*error = OpenForeign(under))) {
    LeaveToNext(r.latch, me, taken_over);
    return Outcome::kFailed;
  }
  if (taken_over) under->Settle();
  return Outcome::kDone;
}

// Busy is no error to a caller.
Outcome LockRecord::Refused(SysError* error) {
  if (error->code != kBusyLatch.code) return Outcome::kFailed;
  *error = {};
  return Outcome::kBusy;
}

void LockRecord::Leave(LatchedRecord* under) {
  Record& r = record();
  CHECK_INVARIANTS(*under);
  if (LeaveLatch(r.latch) && AskToSweep(r.latch, table_->slot())) LeaveSettled();
  under->TellAll();
}

// Inside the latch, though perhaps of what is another lock's record by now.
void LockRecord::LeaveSettled() {
  if (!IsSameRecord() || !HasItsSemaphore(kLook)) return LeaveToNext(record().latch, table_->slot(), true);
  LatchedRecord under(*table_, record(), semaphore_);
  under.FreeAllCancelled();  // of those who asked
  under.Settle();
  Leave(&under);
}

// While something of ours is in the record, it is not recycled.
bool LockRecord::IsSameRecord() const {
  const Record& r = record();
  return r.state.load(std::memory_order_relaxed) == State::kLock && r.generation.load() == ref_.generation;
}

// Calls `attempt`, with whether the record was remembered, until it is neither stale nor out of room. It looks the
// record up and makes room in between.
template <typename F>
Outcome LockRecord::Retry(Mode mode, SysError* error, F attempt) {
  if (HasChangedUser() && (*error = table_->owners().Check())) return Outcome::kFailed;
  for (int tries = 0; tries < 6; ++tries) {
    const Outcome outcome = ref_.index == 0 ? kStale : attempt(tries == 0);
    if (outcome != kStale && outcome != kNoRoom) return outcome;
    *error = outcome == kStale ? LookUp() : table_->MakeRoom(ref_, mode);
    if (*error) return Refused(error);
  }
  return Outcome::kBusy;  // others recycle faster than we can look
}

Outcome LockRecord::TryAcquire(Mode mode, Grant* grant, SysError* error) {
  return Retry(mode, error, [&](bool remembered) {
    LatchedRecord under(*table_, record(), semaphore_);
    if (const Outcome entered = Enter(&under, kLook, error); entered != Outcome::kDone) return entered;
    CRASH_POINT(acquire_latched);
    Record& r = record();
    if (remembered) r.used.store(1, std::memory_order_relaxed);
    bool slot_lost = false;
    bool granted = under.TryGrant(mode, thread_, grant);
    if (!granted) {
      slot_lost = under.Settle();
      granted = under.TryGrant(mode, thread_, grant);
    }
    const bool crowded = !granted && mode == Mode::kShared && r.held_mode == Mode::kShared && r.waiting.load() == 0 &&
                         r.held.load() >= r.entry_room;
    Leave(&under);
    CRASH_POINT(acquire_left);
    if (granted) return Outcome::kDone;
    if (crowded) return kNoRoom;
    if (!slot_lost) return Outcome::kBusy;
    *error = kSlotLost;
    return Outcome::kFailed;
  });
}

Outcome LockRecord::Enqueue(Mode mode, int64_t id, int64_t deadline_ns, Grant* grant, WaitRef* wait, SysError* error) {
  return Retry(mode, error, [&](bool remembered) {
    LatchedRecord under(*table_, record(), semaphore_);
    if (const Outcome entered = Enter(&under, kLook, error); entered != Outcome::kDone) return entered;
    CRASH_POINT(enqueue_latched);
    Record& r = record();
    if (remembered) r.used.store(1, std::memory_order_relaxed);
    bool granted = under.TryGrant(mode, thread_, grant);
    if (!granted) {
      under.Settle();
      granted = under.TryGrant(mode, thread_, grant);
    }
    wait->record = ref_.index;
    const bool queued = !granted && under.Enqueue(mode, thread_, id, deadline_ns, wait);
    Leave(&under);
    CRASH_POINT(enqueue_left);
    return granted ? Outcome::kDone : queued ? Outcome::kQueued : kNoRoom;
  });
}

Outcome LockRecord::Steal(Grant* grant, SysError* error) {
  return Retry(Mode::kExclusive, error, [&](bool remembered) {
    LatchedRecord under(*table_, record(), semaphore_);
    if (const Outcome entered = Enter(&under, kLook, error); entered != Outcome::kDone) return entered;
    if (remembered) record().used.store(1, std::memory_order_relaxed);
    const bool stolen = under.Steal(thread_, grant);
    under.HandOn();  // the other permits, where there are several
    Leave(&under);
    return stolen ? Outcome::kDone : Outcome::kBusy;
  });
}

Outcome LockRecord::Release(uint32_t number, uint64_t token, Released how) {
  if (table_->slot().tag() == 0 || ref_.index == 0) return Outcome::kNotHeld;
  Record& r = record();
  Entry* entry = number == 0 ? &r.entry : table_->EntryAt(r, number);
  const auto is_held = [&] { return IsOwn(*entry) && entry->token.load() == token; };
  if (entry == nullptr || !is_held()) return Outcome::kNotHeld;
  LatchedRecord under(*table_, r, semaphore_);
  SysError ignored;
  if (Enter(&under, r.waiting.load() > 0 ? kLook : kNoLook, &ignored) == Outcome::kDone) {
    CRASH_POINT(release_latched);
    const bool held = is_held();  // a thief may have been faster, and have it by now
    if (held) {
      if (how == kReleasedAbandoned) r.abandoned = 1;
      under.ClearEntry(*entry);
      under.HandOn();
    }
    Leave(&under);
    CRASH_POINT(release_left);
    return held ? Outcome::kDone : Outcome::kNotHeld;
  }
  // I2: the one change without the latch. From here on the entry is not ours; after a theft it was not any more.
  uint64_t unflagged = token;
  if (!entry->token.compare_exchange_strong(unflagged, token | how)) return Outcome::kNotHeld;
  CRASH_POINT(release_flagged);
  if (AskToSweep(r.latch, table_->slot())) LeaveSettled();
  return Outcome::kDone;
}

void LockRecord::Decline(const Grant& grant) {
  const Outcome outcome = Release(grant.entry, grant.token, grant.abandoned ? kReleasedAbandoned : kReleased);
  if (outcome != Outcome::kNotHeld || !grant.abandoned) return;
  // A thief was first, and did not learn what this grant would have told. The holder after the thief does.
  LatchedRecord under(*table_, record(), semaphore_);
  SysError ignored;
  if (Enter(&under, kNoLook, &ignored) != Outcome::kDone) return;
  record().abandoned = 1;
  CRASH_POINT(decline_told_on);
  Leave(&under);
}

void LockRecord::ReleaseAll() {
  if (table_->slot().tag() == 0 || ref_.index == 0) return;
  Record& r = record();
  // A record that this thread holds is not recycled, so one of another generation has nothing of ours.
  if (r.generation != ref_.generation || r.held.load() == 0) return;
  table_->AnyEntry(r, [&](Entry& entry, uint32_t number) {
    if (IsOwn(entry)) Release(number, entry.token.load(), kReleasedAbandoned);
    return false;
  });
}

bool LockRecord::IsOwn(const Entry& entry) const {
  return entry.tag.load() == table_->slot().tag() && entry.thread.load() == thread_ &&
         ReleasedOf(entry.token.load()) == kNotReleased;
}

uint32_t LockRecord::Held() const {
  uint32_t held = 0;
  if (ref_.index == 0 || table_->slot().tag() == 0 || !IsSameRecord()) return held;
  table_->AnyEntry(record(), [&](Entry& entry, uint32_t) {
    held += IsOwn(entry);
    return false;
  });
  return held;
}

void LockRecord::Settle(const std::vector<WaitRef>& changed) {
  LatchedRecord under(*table_, record(), semaphore_);
  SysError ignored;
  const Outcome entered = Enter(&under, kLook, &ignored);
  if (entered == Outcome::kDone) {
    bool has_room = true;
    for (const WaitRef& each : changed) has_room = under.Update(each) && has_room;
    under.Settle();
    Leave(&under);
    if (!has_room) table_->MakeRoom(ref_, Mode::kShared);  // for the next time
  } else if (entered != kStale && AskToSweep(record().latch, table_->slot())) {
    LeaveSettled();
  }
}

// When it fails, nothing of ours is in any record: what is stale has none of it.
SysError LockRecord::LookUp() {
  RecordRef found;
  ref_ = {};
  named_.Close();
  if (SysError error = table_->FindOrCreate(*identity_, &found)) return error;
  ref_ = found;
  Record& r = record();
  semaphore_ = &r.semaphore;
  if ((r.flags.load() & kForeign) != 0) semaphore_ = nullptr;  // until it is entered
  if ((r.flags.load() & kNamed) == 0) return {};
  // Where it cannot be opened, because somebody unlinked it or this process has no descriptor left, the one inside the
  // record does as well: the table alone decides, and makes either agree.
  if (!named_.Open(table_->PosixNameOf(r).c_str(), Create::kNever, table_->owners(), 0)) semaphore_ = named_.get();
  return {};
}

// Whether this process has the semaphore open that the record's permits are in. With a look: and whether that one still
// has its name. Another program may unlink it and make a new one, as is often done against what an earlier run has
// left; then that program and we would hold the lock at once.
bool LockRecord::HasItsSemaphore(Look look) const {
  Record& r = record();
  if ((r.flags.load(std::memory_order_relaxed) & kForeign) == 0) return true;
  if (named_.get() == nullptr || ForeignOf(r).file.load() != named_.file()) return false;
  return look == kNoLook || named_.HasName(identity_->posix_name.c_str());
}

// Opens the semaphore, or makes it. Under the latch, so that the value is right from the start, also where somebody
// unlinked it while it was held.
SysError LockRecord::OpenForeign(LatchedRecord* under) {
  Record& r = record();
  CRASH_POINT(foreign_latched);
  const uint32_t held = r.held.load();
  const uint32_t value = held < r.permits ? r.permits - held : 0;
  std::atomic<uint64_t>& file = ForeignOf(r).file;
  const uint64_t before = file.load();
  // A new semaphore has the permits of the entries taken already. So the record says whose it is before it has its
  // name: a process that comes after a kill in between would take them once more, from holders that live.
  const SysError error = named_.Open(identity_->posix_name.c_str(), Create::kIfMissing, table_->owners(), value, &file);
  CRASH_POINT(foreign_opened);
  if (error) return error;
  semaphore_ = named_.get();
  under->set_semaphore(semaphore_);
  if (before == named_.file()) {
    file.store(before);
    return {};
  }
  ForeignOf(r).in_hand.store(0);  // of the one before
  if (before != 0 && !named_.was_made()) under->MovePermits();
  file.store(named_.file());
  CRASH_POINT(foreign_moved);
  return {};
}

void LockRecord::LookAfter() {
  if (ref_.index == 0 || !IsSameRecord()) ref_ = table_->Peek(identity_->id);
  if (ref_.index == 0 || HasChangedUser()) return;
  if (record().held.load() > 0 || ForeignOf(record()).in_hand.load() != 0) Settle();
}

// The permit leaves the semaphore without the latch. So the record says at once that it is in hand: a process that
// finds that one dead gives it back. What was taken from a semaphore that has been replaced goes back there.
bool LockRecord::HandOnForeign(int64_t timeout_ns) {
  if (HasChangedUser()) return false;
  if (!HasItsSemaphore(kLook)) Settle();
  const Record& r = record();
  if (!HasItsSemaphore(kNoLook) || r.held.load() >= r.permits) return false;
  const NamedSemaphore taken = named_;
  if (TimedWait(taken.get(), timeout_ns) != 0) return true;
  CRASH_POINT(foreign_post_taken);
  std::atomic<uint64_t>& in_hand = ForeignOf(record()).in_hand;
  const Tag tag = table_->slot().tag();
  const uint64_t mine = InHand(tag, taken.file());
  uint64_t expected = 0;
  if (tag == 0 || !in_hand.compare_exchange_strong(expected, mine)) {  // another process has one in hand
    sem_post(taken.get());
    return false;
  }
  CRASH_POINT(in_hand_written);
  LatchedRecord under(*table_, record(), semaphore_);
  SysError ignored;
  const bool entered = Enter(&under, kLook, &ignored) == Outcome::kDone;
  const bool replaced = entered && named_.file() != taken.file();
  const bool handed_on = entered && !replaced && in_hand.load() == mine;
  expected = mine;
  if (handed_on) {
    under.HandOnInHand();
  } else if (in_hand.compare_exchange_strong(expected, 0) || replaced) {  // otherwise somebody has it by now
    sem_post(taken.get());
  }
  if (entered) Leave(&under);
  return handed_on;
}

bool LockRecord::IsWaitedForHere() const {
  if (ref_.index == 0 || !IsSameRecord()) return false;
  return table_->AnyWaiter(record(), [&](Waiter& waiter, uint32_t) {
    return waiter.tag.load() == table_->slot().tag() && waiter.state.load() == kWaiting;
  });
}

int LockRecord::Available(SysError* error) {
  int available = -1;
  const Outcome outcome = Retry(Mode::kExclusive, error, [&](bool) {
    LatchedRecord under(*table_, record(), semaphore_);
    if (const Outcome entered = Enter(&under, kLook, error); entered != Outcome::kDone) return entered;
    under.Settle();
    under.PostMissing();
    const Record& r = record();
    int value = 0;
    sem_getvalue(semaphore_, &value);
    const int free = static_cast<int>(r.permits) - static_cast<int>(r.held.load());
    available = value < free ? value : free;
    if (available < 0) available = 0;  // several readers
    Leave(&under);
    return Outcome::kDone;
  });
  if (outcome == Outcome::kBusy) *error = kBusyLatch;
  return available;
}

bool IsGranted(LockTable& table, const WaitRef& wait) {
  const Waiter* waiter = CellOf(table, wait);
  return waiter != nullptr && waiter->state.load() == kGranted;
}

bool Collect(LockTable& table, const WaitRef& wait, Grant* grant) {
  Waiter* waiter = CellOf(table, wait);
  uint8_t granted = kGranted;
  // What is being taken back at this moment is lost to one of the two.
  if (waiter == nullptr || !waiter->state.compare_exchange_strong(granted, kOver)) return false;
  CRASH_POINT(collect_marked);
  *grant = {waiter->entry, waiter->token, waiter->abandoned != 0};
  waiter->tag.store(0);  // others leave such a cell of a live process alone
  CRASH_POINT(collect_freed);
  return true;
}

bool IsPassed(LockTable& table, const WaitRef& wait) {
  const Waiter* waiter = CellOf(table, wait);
  return waiter != nullptr && waiter->state.load() == kPassed;
}

bool MarkCancelled(LockTable& table, const WaitRef& wait) {
  Waiter* waiter = CellOf(table, wait);
  if (waiter == nullptr) return false;
  for (uint8_t state = waiter->state.load(); state == kWaiting || state == kPassed;) {
    const bool counts = state == kWaiting;
    if (!waiter->state.compare_exchange_strong(state, counts ? kCancelled : kOver)) continue;
    CRASH_POINT(cancel_marked);
    if (!counts) waiter->tag.store(0);
    return true;
  }
  return false;
}

Ended EndWait(LockTable& table, const WaitRef& wait, Grant* grant) {
  if (MarkCancelled(table, wait)) return Ended::kCancelled;
  return Collect(table, wait, grant) ? Ended::kGranted : Ended::kNotYet;
}

bool StillHolds(LockTable& table, uint32_t record, const Grant& grant) {
  const Entry* entry = table.EntryAt(table.record(record), grant.entry);
  return entry != nullptr && entry->tag.load() == table.slot().tag() && entry->token.load() == grant.token;
}

void SettleForeignSemaphores(const std::shared_ptr<LockTable>& table) {
  for (uint32_t index = 1; index < table->record_count(); ++index) {
    const Record& record = table->record(index);
    if (record.state.load() != State::kLock || (record.flags.load() & kForeign) == 0) continue;
    LockIdentity identity;
    const auto id = IdOf(record);
    memcpy(identity.id, id.data(), sizeof(identity.id));
    identity.posix_name = table->PosixNameOf(record);
    identity.permits = record.permits;
    identity.claims = false;
    // One that somebody unlinked has nothing to settle, and must not be made anew.
    if (NamedSemaphore().Open(identity.posix_name.c_str(), Create::kNever, table->owners(), 0).code == ENOENT) continue;
    SysError ignored;
    LockRecord(table, identity, 0).Available(&ignored);
  }
}

}  // namespace semlock
