#include "lock_record.h"

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "crash_points.h"
#include "latch.h"

namespace semlock {

SysError ErrorOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kSlotLost:
      return LatchError(Latched::kSlotLost);
    case Outcome::kEnded:
      return LatchError(Latched::kEnded);
    case Outcome::kBusy:
      return LatchError(Latched::kTimeout);
    default:
      return {"latch", EBADF};
  }
}

// Under the latch with kDone, and then of this very record with its very semaphore.
Outcome LockRecord::Enter() {
  Record& r = record();
  switch (TakeLatch(r.latch, table_->slot())) {
    case Latched::kTaken:
      if (IsCurrent()) return Outcome::kDone;
      Leave();
      return Outcome::kStale;
    case Latched::kTakenOver:
      CRASH_POINT(repair_taken_over);
      if (IsCurrent()) {
        Repair();
        Sweep();
        return Outcome::kDone;
      }
      // Only who has the record's semaphore can repair it: who comes with it takes the latch over again.
      HandBackUnrepaired(r.latch);
      CRASH_POINT(repair_handed_back);
      return Outcome::kStale;
    case Latched::kTimeout:
      return Outcome::kBusy;
    case Latched::kEnded:
      return Outcome::kEnded;
    case Latched::kSlotLost:
      break;
  }
  return Outcome::kSlotLost;
}

void LockRecord::Leave() {
  Record& r = record();
  if (LeaveLatch(r.latch) && AskToSweep(r.latch, table_->slot())) SweepAndLeave();
}

// Under the latch, though perhaps without the right semaphore.
void LockRecord::SweepAndLeave() {
  if (!IsCurrent()) return HandBackUnrepaired(record().latch);
  Sweep();
  Leave();
}

// Whether `ref_` still is this lock, and `semaphore_` the one that it has, or should have.
bool LockRecord::IsCurrent() const {
  const Record& r = record();
  const bool named = identity_.named || (r.flags & kNamed) != 0;
  return IsSameRecord() && named == (semaphore_ != &r.semaphore);
}

bool LockRecord::IsSameRecord() const {
  const Record& r = record();
  return r.state.load(std::memory_order_relaxed) == State::kLock && r.generation == ref_.generation;
}

// Table and semaphore must both agree; where they do not, the table is right.
bool LockRecord::TakePermit() {
  Record& r = record();
  if (r.held.load(std::memory_order_relaxed) >= r.permits) return false;
  if (TryWait(semaphore_) == 0) return true;
  PostMissing();
  return TryWait(semaphore_) == 0;
}

// I4: the permit leaves the semaphore first. The tag makes the entry, so it is written last.
Outcome LockRecord::Acquire(Grant* grant, bool again) {
  if (const Outcome entered = Enter(); entered != Outcome::kDone) return entered;
  CRASH_POINT(acquire_latched);
  Record& r = record();
  if (again) r.used.store(1, std::memory_order_relaxed);
  if (!TakePermit()) {
    Sweep();
    if (!TakePermit()) {
      Leave();
      return slot_lost_ ? Outcome::kSlotLost : Outcome::kBusy;
    }
  }
  CRASH_POINT(acquire_permit_taken);
  Entry* entry = &r.entry;
  grant->entry = 0;
  if (entry->tag.load(std::memory_order_relaxed) != 0) {
    table_->AnyEntry(r, [&](Entry& each, uint32_t number) {
      if (each.tag.load(std::memory_order_relaxed) != 0) return false;
      entry = &each;
      grant->entry = number;
      return true;
    });
  }
  grant->token = r.last_token.load(std::memory_order_relaxed) + 1;  // I5
  r.last_token.store(grant->token, std::memory_order_relaxed);
  CRASH_POINT(acquire_token_counted);
  entry->token.store(grant->token, std::memory_order_relaxed);
  entry->since_ms.store(CoarseUnixMs(), std::memory_order_relaxed);
  entry->pid.store(table_->slot().pid(), std::memory_order_relaxed);
  entry->thread.store(thread_, std::memory_order_relaxed);
  entry->mode.store(Mode::kExclusive, std::memory_order_relaxed);
  entry->released.store(kNotReleased, std::memory_order_relaxed);
  CRASH_POINT(acquire_entry_filled);
  entry->tag.store(table_->slot().tag());
  CRASH_POINT(acquire_tag_written);
  r.held.store(r.held.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  CRASH_POINT(acquire_counted);
  grant->abandoned = r.abandoned != 0;
  r.abandoned = 0;
  Leave();
  CRASH_POINT(acquire_left);
  return Outcome::kDone;
}

// I4: the entry is cleared first, then the permit comes back.
void LockRecord::ClearEntry(Entry& entry) {
  Record& r = record();
  entry.tag.store(0);
  CRASH_POINT(give_back_tag_cleared);
  r.held.store(r.held.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
  CRASH_POINT(give_back_counted);
  sem_post(semaphore_);  // EOVERFLOW alone, and then it has permits enough
  CRASH_POINT(give_back_posted);
}

Outcome LockRecord::Release(uint32_t number, uint64_t token, Released how) {
  if (table_->slot().tag() == 0) return Outcome::kEnded;
  if (ref_.index == 0) return Outcome::kNotHeld;
  Record& r = record();
  Entry* entry = number == 0 ? &r.entry : table_->EntryAt(r, number);
  // Readable without the latch: nobody else changes the entry of a live process (I3).
  if (entry == nullptr || !IsOwn(*entry) || entry->token.load() != token) return Outcome::kNotHeld;
  Outcome entered = Enter();
  if (entered == Outcome::kStale && !LookUp()) entered = Enter();  // it has a named semaphore now
  if (entered == Outcome::kDone) {
    CRASH_POINT(release_latched);
    if (how == kReleasedAbandoned) r.abandoned = 1;
    ClearEntry(*entry);
    Leave();
    CRASH_POINT(release_left);
    return Outcome::kDone;
  }
  entry->released.store(how);  // I2: the one change without the latch. From here on the entry is not ours
  CRASH_POINT(release_flagged);
  if (AskToSweep(r.latch, table_->slot())) SweepAndLeave();
  return Outcome::kDone;
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
         entry.released.load() == kNotReleased;
}

bool LockRecord::Holds() const {
  if (ref_.index == 0 || table_->slot().tag() == 0) return false;
  return table_->AnyEntry(record(), [&](Entry& entry, uint32_t) { return IsOwn(entry); });
}

// Only after taking over a dead owner's latch. Idempotent: the repairer may die too.
void LockRecord::Repair() {
  CountEntries();
  PostMissing();
}

void LockRecord::CountEntries() {
  Record& r = record();
  uint32_t held = 0;
  table_->AnyEntry(r, [&](Entry& entry, uint32_t) {
    held += entry.tag.load() != 0;
    return false;
  });
  r.held.store(held);
  CRASH_POINT(repair_counted);
}

// I1. With foreign programs a missing permit may be theirs, so it is left alone.
void LockRecord::PostMissing() {
  Record& r = record();
  if ((r.flags.load() & kForeign) != 0) return;
  int value = 0;
  sem_getvalue(semaphore_, &value);
  for (uint32_t there = static_cast<uint32_t>(value) + r.held.load(); there < r.permits; ++there) {
    sem_post(semaphore_);
    CRASH_POINT(repair_posted);
  }
}

void LockRecord::Sweep() {
  Record& r = record();
  slot_lost_ = false;
  Tag alive = table_->slot().tag();  // many entries have the same tag, and asking is a system call
  table_->AnyEntry(r, [&](Entry& entry, uint32_t) {
    const Tag tag = entry.tag.load();
    const uint8_t released = entry.released.load();
    if (tag == 0 || (released == kNotReleased && tag == alive)) return false;
    if (released == kNotReleased) {
      const Liveness liveness = table_->slot().Check(tag);
      slot_lost_ = slot_lost_ || liveness == Liveness::kSlotLost;
      if (liveness != Liveness::kDead) {
        alive = tag;
        return false;
      }
    }
    CRASH_POINT(sweep_found);
    if (released != kReleased) r.abandoned = 1;
    ClearEntry(entry);
    return false;
  });
}

Outcome LockRecord::TryAcquire(Grant* grant, SysError* error) {
  for (int attempt = 0; attempt < 4; ++attempt) {
    const Outcome outcome = ref_.index == 0 ? Outcome::kStale : Acquire(grant, attempt == 0);
    if (outcome != Outcome::kStale) return outcome;
    if ((*error = LookUp())) return Outcome::kBusy;
  }
  return Outcome::kBusy;  // others recycle faster than we can look
}

// When it fails, `ref_` stays: there may be entries of ours in it, which have to be found to be released. `semaphore_`
// then is not the record's, so that IsCurrent says to look up again.
SysError LockRecord::LookUp() {
  if (SysError error = table_->FindOrCreate(identity_, &ref_)) return error;
  Record& r = record();
  semaphore_ = &r.semaphore;
  const uint32_t flags = r.flags.load();
  if ((flags & kNamed) == 0) return identity_.named ? MakeSemaphore() : SysError{};
  SysError error = named_.Open(table_->SemaphoreNameOf(r).c_str(), Create::kNever, 0, 0);
  if (error.code == ENOENT) return MakeSemaphore();  // somebody unlinked it
  if (!error) semaphore_ = named_.get();
  return error;
}

// Moves the record to a named semaphore, or replaces one that is gone. Under the latch, so that the value is right from
// the start. A record that was recycled meanwhile is left for the caller to find out.
SysError LockRecord::MakeSemaphore() {
  Record& r = record();
  const Latched latched = TakeLatch(r.latch, table_->slot());
  const bool repair = latched == Latched::kTakenOver;
  if (!repair && latched != Latched::kTaken) return LatchError(latched);
  if (!IsSameRecord()) {
    LeaveUnchanged(repair);
    return {};
  }
  CRASH_POINT(upgrade_latched);
  if (repair) CountEntries();
  const bool custom = (r.flags.load() & kCustom) != 0;
  const bool upgrade = (r.flags.load() & kNamed) == 0;
  const std::string name = table_->SemaphoreNameOf(r);
  const uint32_t value = r.permits - r.held.load();
  SysError error = named_.Open(name.c_str(), custom ? Create::kIfMissing : Create::kExclusive, 0600, value);
  if (error.code == EEXIST && upgrade) {  // left by a process that died in here
    error = NamedSemaphore::Unlink(name.c_str());
    if (!error) error = named_.Open(name.c_str(), Create::kExclusive, 0600, value);
  } else if (error.code == EEXIST) {
    error = named_.Open(name.c_str(), Create::kNever, 0, 0);
  }
  CRASH_POINT(upgrade_created);
  if (error) {
    LeaveUnchanged(repair);
    return error;
  }
  r.flags.fetch_or(kNamed);
  CRASH_POINT(upgrade_flagged);
  semaphore_ = named_.get();
  if (repair) {
    PostMissing();
    Sweep();
  }
  Leave();
  return {};
}

void LockRecord::LeaveUnchanged(bool unrepaired) { unrepaired ? HandBackUnrepaired(record().latch) : Leave(); }

void SettleCustomSemaphores(const std::shared_ptr<LockTable>& table) {
  for (uint32_t index = 1; index < table->record_count(); ++index) {
    const Record& record = table->record(index);
    if (record.state.load() != State::kLock || (record.flags.load() & kCustom) == 0) continue;
    LockIdentity identity;
    memcpy(identity.id, record.id, sizeof(identity.id));
    identity.custom_name = table->CustomNameOf(record);
    // One that somebody unlinked has nothing to settle, and must not be made anew.
    if (NamedSemaphore().Open(identity.custom_name.c_str(), Create::kNever, 0, 0).code == ENOENT) continue;
    identity.permits = record.permits;
    identity.named = true;
    identity.foreign = (record.flags.load() & kForeign) != 0;
    SysError ignored;
    LockRecord(table, identity, 0).Available(&ignored);
  }
}

int LockRecord::Available(SysError* error) {
  for (int attempt = 0; attempt < 4; ++attempt) {
    Outcome entered = ref_.index == 0 ? Outcome::kStale : Enter();
    if (entered == Outcome::kDone) {
      Sweep();
      int value = 0;
      sem_getvalue(semaphore_, &value);
      const int free = static_cast<int>(record().permits - record().held.load());
      Leave();
      return value < free ? value : free;
    }
    if (entered != Outcome::kStale) {
      *error = ErrorOf(entered);
      return -1;
    }
    if ((*error = LookUp())) return -1;
  }
  *error = ErrorOf(Outcome::kBusy);
  return -1;
}

}  // namespace semlock
