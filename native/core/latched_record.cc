#include "latched_record.h"

#include <algorithm>
#include <utility>

#include "clock.h"
#include "crash_points.h"
#include "named_semaphore.h"

namespace semlock {
namespace {

// How long a permit lies uncollected while another waits. Longer with each time that the same wait was passed over:
// where the machine is so slow that nobody comes in time, somebody has to get it.
constexpr int64_t kPatienceNs = 100000000;
constexpr int kMostDoublings = 6;

}  // namespace

Waiter* CellOf(const LockTable& table, const WaitRef& wait) {
  Waiter* waiter = table.WaiterAt(wait.number);
  const bool ours = waiter != nullptr && waiter->tag.load() == table.slot().tag() && waiter->ticket == wait.ticket;
  return ours ? waiter : nullptr;
}

bool LatchedRecord::CanTake(Mode mode) const {
  const uint32_t held = record_.held.load(std::memory_order_relaxed);
  if (held == 0) return true;
  if (mode == Mode::kShared) return record_.held_mode == Mode::kShared;
  return held < record_.permits && record_.held_mode == Mode::kExclusive;
}

// Table and semaphore must both agree; where they do not, the table is right. Readers have one permit together.
bool LatchedRecord::TakePermit(Mode mode) {
  if (!CanTake(mode)) return false;
  if (mode == Mode::kShared && record_.held.load(std::memory_order_relaxed) > 0) return true;
  if (in_hand_ || TryWait(semaphore_) == 0 || TakeInHand()) return true;
  PostMissing();
  return TryWait(semaphore_) == 0;
}

// I4: the permit has left the semaphore. The tag makes the entry, so it is written last.
void LatchedRecord::WriteEntry(Entry& entry, Mode mode, Tag tag, uint32_t pid, uint16_t thread, uint64_t token) {
  record_.last_token.store(token, std::memory_order_relaxed);  // I5
  CRASH_POINT(acquire_token_counted);
  entry.token.store(token, std::memory_order_relaxed);
  entry.since_ms.store(CoarseUnixMs(), std::memory_order_relaxed);
  entry.pid.store(pid, std::memory_order_relaxed);
  entry.thread.store(thread, std::memory_order_relaxed);
  entry.mode.store(mode, std::memory_order_relaxed);
  CRASH_POINT(acquire_entry_filled);
  // After all of the above, and that is enough: what a killed process has written others see in its order. To have it
  // seen at once would be one more locked instruction, and the latch is left with one.
  entry.tag.store(tag, std::memory_order_release);
  CRASH_POINT(acquire_tag_written);
  record_.held_mode.store(mode, std::memory_order_relaxed);
  record_.held.store(record_.held.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  CRASH_POINT(acquire_counted);
}

bool LatchedRecord::TryGrant(Mode mode, uint16_t thread, Grant* grant) {
  // Nobody is overtaken.
  return record_.waiting.load(std::memory_order_relaxed) == 0 && GrantNow(mode, thread, grant);
}

bool LatchedRecord::Steal(uint16_t thread, Grant* grant) {
  Sweep();  // what the dead held is not stolen but abandoned
  table_.AnyEntry(record_, [&](Entry& entry, uint32_t) {
    const Tag robbed = entry.tag.load();
    if (robbed == 0) return false;
    CRASH_POINT(steal_found);
    ClearEntry(entry);  // the one exception to I3
    Tell(robbed, entry.thread.load(), kTheft);
    return false;
  });
  return GrantNow(Mode::kExclusive, thread, grant);
}

bool LatchedRecord::GrantNow(Mode mode, uint16_t thread, Grant* grant) {
  if (!TakePermit(mode)) return false;
  CRASH_POINT(acquire_permit_taken);
  grant->entry = 0;
  Entry* entry = &record_.entry;
  if (entry->tag.load(std::memory_order_relaxed) != 0) entry = FreeEntry(&grant->entry);
  if (entry == nullptr) return false;  // as a further reader, who took no permit
  grant->token = record_.last_token + 1;
  WriteEntry(*entry, mode, table_.slot().tag(), table_.slot().pid(), thread, grant->token);
  grant->abandoned = record_.abandoned != 0;
  record_.abandoned.store(0, std::memory_order_relaxed);
  return true;
}

Entry* LatchedRecord::FreeEntry(uint32_t* number) {
  Entry* free = nullptr;
  table_.AnyEntry(record_, [&](Entry& entry, uint32_t at) {
    if (entry.tag.load(std::memory_order_relaxed) != 0) return false;
    free = &entry;
    *number = at;
    return true;
  });
  return free;
}

// I4: the entry is cleared first, then the permit comes back. The last reader brings back that of them all.
void LatchedRecord::ClearEntry(Entry& entry) {
  entry.tag.store(0, std::memory_order_release);
  CRASH_POINT(give_back_tag_cleared);
  const uint32_t left = record_.held.load(std::memory_order_relaxed) - 1;
  record_.held.store(left, std::memory_order_relaxed);
  CRASH_POINT(give_back_counted);
  if (entry.mode == Mode::kExclusive || left == 0) sem_post(semaphore_);  // EOVERFLOW: it has permits enough
  CRASH_POINT(give_back_posted);
}

void LatchedRecord::Repair() {
  CountEntries();
  uint32_t waiting = 0;
  uint32_t uncollected = 0;
  table_.AnyWaiter(record_, [&](Waiter& waiter, uint32_t) {
    if (waiter.tag.load() == 0) return false;
    if (waiter.state.load() == kGranting) SettleGrant(waiter, kWaiting);
    if (waiter.state.load() == kReturning) SettleGrant(waiter, kPassed);
    waiting += IsInLine(waiter.state.load());
    uncollected += waiter.state.load() == kGranted;
    return false;
  });
  record_.waiting.store(waiting);
  record_.uncollected.store(uncollected);
  CRASH_POINT(repair_queue_counted);
  FreeAllCancelled();
  PostMissing();
}

void LatchedRecord::CountEntries() {
  uint32_t held = 0;
  table_.AnyEntry(record_, [&](Entry& entry, uint32_t) {
    if (entry.tag.load() == 0) return false;
    ++held;
    record_.held_mode = entry.mode.load();
    return false;
  });
  record_.held.store(held);
  CRASH_POINT(repair_counted);
}

// That of its grant: no other entry ever has its token. Null where it is not written yet, was cleared, or was stolen.
Entry* LatchedRecord::EntryOf(const Waiter& waiter) {
  Entry* entry = table_.EntryAt(record_, waiter.entry);
  const bool its = entry != nullptr && entry->tag.load() == waiter.tag.load() && entry->token == waiter.token;
  return its ? entry : nullptr;
}

// The process that handed on, or took back, died in between. The entry says whether the waiter has its permit.
void LatchedRecord::SettleGrant(Waiter& waiter, WaitState without_entry) {
  const bool granted = EntryOf(waiter) != nullptr;
  if (!granted && waiter.abandoned != 0) record_.abandoned = 1;
  waiter.state.store(granted ? kGranted : without_entry);
  if (granted) Tell(waiter.tag.load(), waiter.thread.load(), waiter.id.load());
  CRASH_POINT(repair_grant_settled);
}

// What a process has in hand is free until it has an entry: so no try finds the lock busy because somebody was woken
// for whom it came too late.
bool LatchedRecord::TakeInHand() {
  if (!is_foreign()) return false;
  Foreign& foreign = ForeignOf(record_);
  uint64_t in_hand = foreign.in_hand.load();
  if (in_hand == 0 || in_hand != InHand(TagInHand(in_hand), foreign.file.load())) return false;
  return foreign.in_hand.compare_exchange_strong(in_hand, 0);
}

// I1. With foreign programs a missing permit may be theirs, so it is left alone.
void LatchedRecord::PostMissing() {
  if (is_foreign()) return;
  const uint32_t held = record_.held.load();
  const uint32_t taken = std::min(held, record_.permits.load());  // readers have one together
  int value = 0;
  sem_getvalue(semaphore_, &value);
  for (uint32_t there = static_cast<uint32_t>(value) + taken; there < record_.permits; ++there) {
    sem_post(semaphore_);
    CRASH_POINT(repair_posted);
  }
}

// Readers have one permit together. After the permit, so that a kill in between loses one and makes none (I4).
void LatchedRecord::MovePermits() {
  bool readers_have_it = false;
  table_.AnyEntry(record_, [&](Entry& entry, uint32_t) {
    const Tag tag = entry.tag.load();
    const bool is_reader = entry.mode == Mode::kShared;
    if (tag == 0 || (is_reader && readers_have_it)) return false;
    if (TryWait(semaphore_) == 0) {
      readers_have_it = is_reader;
      CRASH_POINT(foreign_permit_moved);
      return false;
    }
    if (ReleasedOf(entry.token.load()) != kReleased && table_.slot().Check(tag) == Liveness::kDead) {
      record_.abandoned = 1;
    }
    entry.tag.store(0, std::memory_order_release);  // an exception to I3, like a theft
    CRASH_POINT(foreign_entry_lost);
    record_.held.store(record_.held.load() - 1);
    Tell(tag, entry.thread.load(), kTheft);
    return false;
  });
}

bool LatchedRecord::Settle() {
  const bool slot_lost = Sweep();
  TakeBackUncollected();
  HandOn();
  return slot_lost;
}

// What lies there for a thread that cannot run: past its deadline, or too long while another could use it.
void LatchedRecord::TakeBackUncollected() {
  if (record_.uncollected.load(std::memory_order_relaxed) == 0) return;
  const int64_t now = MonotonicNs();
  uint32_t left = 0;
  table_.AnyWaiter(record_, [&](Waiter& waiter, uint32_t) {
    if (waiter.tag.load() == 0 || waiter.state.load() != kGranted) return false;
    const bool too_late = now >= waiter.deadline_ns;
    const int64_t patience = kPatienceNs << std::min<int>(waiter.times_passed, kMostDoublings);
    const bool is_kept = now - waiter.granted_at_ns >= patience && IsKeptFromAnother(waiter, now);
    if (!too_late && !is_kept) {
      ++left;
    } else if (table_.slot().Check(waiter.tag.load()) == Liveness::kDead) {
      waiter.tag.store(0);  // to sweep its entry tells of it
    } else {
      TakeBack(waiter);
    }
    return false;
  });
  record_.uncollected.store(left);
}

// Whether another thread waits. If so, its own thread's other waits are passed over too: they would not be collected
// either.
bool LatchedRecord::IsKeptFromAnother(const Waiter& granted, int64_t now) {
  const auto is_of_its_thread = [&](const Waiter& waiter) {
    return waiter.tag.load() == granted.tag.load() && waiter.thread.load() == granted.thread.load();
  };
  const bool is_kept = table_.AnyWaiter(record_, [&](Waiter& waiter, uint32_t) {
    const Tag tag = waiter.tag.load();
    return tag != 0 && waiter.state.load() == kWaiting && !is_of_its_thread(waiter) && now < waiter.deadline_ns &&
           table_.slot().Check(tag) != Liveness::kDead;
  });
  if (!is_kept) return false;
  table_.AnyWaiter(record_, [&](Waiter& waiter, uint32_t) {
    if (is_of_its_thread(waiter)) Pass(waiter);
    return false;
  });
  return true;
}

// Its thread may be collecting it at this moment: the compare-and-swap says who was first. I4 as in any release.
void LatchedRecord::TakeBack(Waiter& waiter) {
  uint8_t granted = kGranted;
  if (!waiter.state.compare_exchange_strong(granted, kReturning)) return;
  CRASH_POINT(take_back_marked);
  if (waiter.abandoned != 0) record_.abandoned = 1;
  if (Entry* entry = EntryOf(waiter)) ClearEntry(*entry);
  waiter.times_passed.store(static_cast<uint8_t>(std::min<int>(waiter.times_passed + 1, kMostDoublings)));
  waiter.state.store(kPassed);
  CRASH_POINT(take_back_passed);
}

// It keeps its place, but counts no more.
void LatchedRecord::Pass(Waiter& waiter) {
  uint8_t waiting = kWaiting;
  if (!waiter.state.compare_exchange_strong(waiting, kPassed)) return;
  CRASH_POINT(pass_marked);
  record_.waiting.store(record_.waiting.load() - 1);
}

bool LatchedRecord::ComeBack(Waiter& waiter) {
  if (waiter.mode == Mode::kShared && !HasRoomForReader()) return false;
  uint8_t passed = kPassed;
  if (!waiter.state.compare_exchange_strong(passed, kWaiting)) return true;  // it gave up meanwhile
  CRASH_POINT(come_back_marked);
  record_.waiting.store(record_.waiting.load() + 1);
  return true;
}

// What a process had in hand when it died. Where it was about to write an entry, that tells whether it came to it: no
// other one ever has its token.
void LatchedRecord::SweepInHand() {
  const Foreign& foreign = ForeignOf(record_);
  const uint64_t in_hand = foreign.in_hand.load();
  if (in_hand == 0) return;
  if ((in_hand & kInEntry) != 0) {
    const bool written = table_.AnyEntry(
        record_, [&](Entry& entry, uint32_t) { return entry.tag.load() != 0 && entry.token == (in_hand & ~kInEntry); });
    written ? ForeignOf(record_).in_hand.store(0) : GiveBackInHand(in_hand);
  } else if (table_.slot().Check(TagInHand(in_hand)) == Liveness::kDead) {
    GiveBackInHand(in_hand);
  }
}

// I4: it is in hand no more, then it comes back.
void LatchedRecord::GiveBackInHand(uint64_t in_hand) {
  Foreign& foreign = ForeignOf(record_);
  const bool is_of_this_file = (in_hand & kInEntry) != 0 || in_hand == InHand(TagInHand(in_hand), foreign.file.load());
  if (!foreign.in_hand.compare_exchange_strong(in_hand, 0)) return;
  CRASH_POINT(in_hand_given_back);
  if (is_of_this_file) sem_post(semaphore_);
}

bool LatchedRecord::Sweep() {
  bool slot_lost = false;
  if (is_foreign()) SweepInHand();
  Tag alive = table_.slot().tag();  // many entries have the same tag, and asking is a system call
  table_.AnyEntry(record_, [&](Entry& entry, uint32_t) {
    const Tag tag = entry.tag.load();
    const Released released = ReleasedOf(entry.token.load());
    if (tag == 0 || (released == kNotReleased && tag == alive)) return false;
    if (released == kNotReleased) {
      const Liveness liveness = table_.slot().Check(tag);
      slot_lost = slot_lost || liveness == Liveness::kSlotLost;
      if (liveness != Liveness::kDead) {
        alive = tag;
        return false;
      }
    }
    CRASH_POINT(sweep_found);
    if (released != kReleased) record_.abandoned = 1;
    ClearEntry(entry);
    return false;
  });
  return slot_lost;
}

// A permit is an entry, and there are as many as permits; readers need one each.
bool LatchedRecord::HasRoomForReader() { return record_.held.load() + record_.waiting.load() < record_.entry_room; }

bool LatchedRecord::Enqueue(Mode mode, uint16_t thread, int64_t id, int64_t deadline_ns, WaitRef* ref) {
  if (mode == Mode::kShared && !HasRoomForReader()) return false;
  Waiter* waiter = FreeWaiter(&ref->number, kDeadOutOfLine);
  if (waiter == nullptr) waiter = FreeWaiter(&ref->number, kAllDead);
  if (waiter == nullptr) return false;
  ref->ticket = ++record_.last_ticket;
  waiter->ticket.store(ref->ticket);
  waiter->token = 0;
  waiter->since_ms = CoarseUnixMs();
  waiter->thread = thread;
  waiter->id = id;
  waiter->deadline_ns = deadline_ns;
  waiter->times_passed = 0;
  waiter->mode = mode;
  waiter->state.store(kWaiting);
  CRASH_POINT(enqueue_filled);
  waiter->tag.store(table_.slot().tag());
  CRASH_POINT(enqueue_tag_written);
  record_.waiting.store(record_.waiting.load() + 1);
  CRASH_POINT(enqueue_counted);
  return true;
}

// One that nobody has, or that a dead process left.
Waiter* LatchedRecord::FreeWaiter(uint32_t* number, Reused reused) {
  Waiter* free = nullptr;
  uint32_t asked = 0;
  Tag alive = table_.slot().tag();
  table_.AnyWaiter(record_, [&](Waiter& waiter, uint32_t at) {
    const Tag tag = waiter.tag.load();
    const bool in_line = IsInLine(waiter.state.load());
    if (tag != 0 && tag != alive && (!in_line || (reused == kAllDead && asked < kAskedAtOnce))) {
      ++asked;
      if (table_.slot().Check(tag) == Liveness::kDead) {
        in_line ? LeaveLine(waiter) : waiter.tag.store(0);
      } else {
        alive = tag;
      }
    }
    if (waiter.tag.load() != 0) return false;
    free = &waiter;
    *number = at;
    return true;
  });
  return free;
}

void LatchedRecord::LeaveLine(Waiter& waiter) {
  waiter.tag.store(0);
  CRASH_POINT(queue_cell_freed);
  record_.waiting.store(record_.waiting.load() - 1);
}

bool LatchedRecord::Update(const WaitRef& wait) {
  Waiter* waiter = CellOf(table_, wait);
  if (waiter == nullptr) return true;
  if (waiter->state.load() == kPassed) return ComeBack(*waiter);
  if (waiter->state.load() == kCancelled) LeaveLine(*waiter);
  return true;
}

void LatchedRecord::FreeAllCancelled() { Head(); }

// The one with the smallest ticket of those that still wait, dead or alive. Frees the cells of those that do not.
Waiter* LatchedRecord::Head() {
  Waiter* head = nullptr;
  table_.AnyWaiter(record_, [&](Waiter& waiter, uint32_t) {
    if (waiter.tag.load() == 0) return false;
    const uint8_t state = waiter.state.load();
    if (state == kCancelled) {
      LeaveLine(waiter);
    } else if (state == kWaiting && (head == nullptr || waiter.ticket < head->ticket)) {
      head = &waiter;
    }
    return false;
  });
  return head;
}

void LatchedRecord::HandOnInHand() {
  in_hand_ = true;
  HandOn();
  if (std::exchange(in_hand_, false)) GiveBackInHand(ForeignOf(record_).in_hand.load());
}

void LatchedRecord::HandOn() {
  Tag dead = 0;  // many waiters may have the same
  while (record_.waiting.load(std::memory_order_relaxed) != 0) {
    // The head is looked for only when something can be granted: that takes as long as the line is, and to ask whether
    // it lives is a system call.
    if (!CanTake(Mode::kExclusive) && !CanTake(Mode::kShared)) return;
    Waiter* head = Head();
    uint32_t number = 0;
    if (head == nullptr) return;
    const Tag tag = head->tag.load();
    if (tag == dead || table_.slot().Check(tag) == Liveness::kDead) {
      dead = tag;
      LeaveLine(*head);
      continue;
    }
    const int64_t now = MonotonicNs();
    if (now >= head->deadline_ns) {
      Pass(*head);  // or it has cancelled, and the search frees its cell
      continue;
    }
    Entry* entry = FreeEntry(&number);
    if (entry == nullptr || !TakePermit(head->mode)) return;
    CRASH_POINT(hand_on_permit_taken);
    const bool takes = head->mode == Mode::kExclusive || record_.held.load() == 0;  // not a further reader
    const uint64_t token = record_.last_token + 1;
    head->entry = number;
    head->token = token;
    head->abandoned = record_.abandoned.load();
    head->granted_at_ns = now;
    uint8_t waiting = kWaiting;
    if (!head->state.compare_exchange_strong(waiting, kGranting)) {
      // Cancelled at the last moment. What was taken for it goes back, and the search frees its cell.
      if (takes && !in_hand_) sem_post(semaphore_);
      continue;
    }
    CRASH_POINT(hand_on_granting);
    const bool from_hand = takes && std::exchange(in_hand_, false);
    if (from_hand) ForeignOf(record_).in_hand.store(kInEntry | token);
    if (from_hand) CRASH_POINT(in_hand_to_entry);
    WriteEntry(*entry, head->mode, tag, table_.slot().PidOf(tag), head->thread, token);
    if (from_hand) CRASH_POINT(in_hand_in_entry);
    if (from_hand) ForeignOf(record_).in_hand.store(0);
    record_.abandoned = 0;
    record_.waiting.store(record_.waiting.load() - 1);
    record_.uncollected.store(record_.uncollected.load() + 1);
    CRASH_POINT(hand_on_entry_written);
    head->state.store(kGranted);
    CRASH_POINT(hand_on_granted);
    Tell(tag, head->thread.load(), head->id.load());
  }
}

void LatchedRecord::Tell(Tag tag, uint16_t thread, int64_t id) {
  if (told_count_ == kToldAtOnce) TellAll();
  told_[told_count_++] = {static_cast<uint16_t>(SlotOf(tag)), thread, id};
}

void LatchedRecord::TellAll() {
  for (uint32_t each = 0; each < told_count_; ++each) {
    const auto& [slot, thread, id] = told_[each];
    if (id == kBlocking) {
      table_.slot().Wake(slot);
    } else {
      table_.outbox().Post(slot, thread, id);
    }
  }
  told_count_ = 0;
}

}  // namespace semlock
