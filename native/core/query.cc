#include "query.h"

#include <algorithm>
#include <utility>

#include "clock.h"
#include "named_semaphore.h"

namespace semlock {
namespace {

// True, and one more holder, when the entry was the same before and after it was read.
bool ReadEntry(const LockTable& table, const Entry& entry, std::vector<HolderInfo>* holders) {
  const Tag tag = entry.tag.load();
  const uint64_t token = entry.token.load();
  if (tag == 0 || ReleasedOf(token) != kNotReleased) return false;
  HolderInfo holder{{tag, entry.pid, entry.thread}, entry.since_ms, token, entry.mode, true};
  if (entry.tag.load() != tag || entry.token.load() != token) return false;  // released while we looked
  holder.alive = table.slot().Check(tag) != Liveness::kDead;
  holders->push_back(holder);
  return true;
}

// Those that stand in the queue and may be served yet, in their order.
void ReadQueue(const LockTable& table, Record& record, std::vector<WaiterInfo>* waiters) {
  const int64_t now = MonotonicNs();
  table.AnyWaiter(record, [&](Waiter& waiter, uint32_t) {
    const Tag tag = waiter.tag.load();
    const uint8_t state = waiter.state.load();
    if (tag == 0 || (state != kWaiting && state != kGranting && state != kPassed)) return false;
    if (now >= waiter.deadline_ns) return false;
    const WaiterInfo info{{tag, table.slot().PidOf(tag), waiter.thread},
                          waiter.since_ms.load(),
                          waiter.ticket.load(),
                          waiter.mode.load()};
    // Served, or given up, while we looked; or dead, so that it is never served.
    if (waiter.ticket.load() != info.ticket || waiter.tag.load() != tag || waiter.state.load() != state) return false;
    if (table.slot().Check(tag) != Liveness::kDead) waiters->push_back(info);
    return false;
  });
  std::sort(waiters->begin(), waiters->end(),
            [](const WaiterInfo& one, const WaiterInfo& other) { return one.ticket < other.ticket; });
}

// Nobody, or nobody alive, is changing the record: what is missing then stays missing.
bool IsAtRest(const LockTable& table, const Record& record) {
  const Tag owner = record.latch.load() & ~kAsked;
  return owner == 0 || table.slot().Check(owner) == Liveness::kDead;
}

uint32_t MissingPermits(const LockTable& table, Record& record, uint32_t entries) {
  if ((record.flags.load() & kForeign) == 0) return 0;
  NamedSemaphore semaphore;
  if (semaphore.Open(table.PosixNameOf(record).c_str(), Create::kNever, table.owners(), 0)) return 0;
  const uint32_t in_hand = ForeignOf(record).in_hand.load() != 0;
  const uint32_t there = entries + in_hand + static_cast<uint32_t>(semaphore.Value());
  return there < record.permits ? record.permits - there : 0;
}

// The holders, and with them the permits that are missing. A permit that just changes hands is neither, so the two
// count together only when the record was at rest all the while.
bool ReadPermits(const LockTable& table, Record& record, LockInfo* lock) {
  lock->holders.clear();
  const bool at_rest = IsAtRest(table, record);
  const uint64_t token = record.last_token;
  const uint32_t held = record.held.load();
  uint32_t entries = 0;  // also those that are released and not swept yet: their permits are not back
  table.AnyEntry(record, [&](Entry& entry, uint32_t) {
    entries += entry.tag.load() != 0;
    ReadEntry(table, entry, &lock->holders);
    return false;
  });
  lock->missing = MissingPermits(table, record, entries);
  return lock->missing == 0 ||
         (at_rest && IsAtRest(table, record) && record.last_token == token && record.held.load() == held);
}

// A lock so busy that it is never found at rest has its permits: otherwise it could not be busy.
constexpr int kReads = 100;

}  // namespace

std::vector<LockInfo> QueryLocks(const LockTable& table) {
  std::vector<LockInfo> locks;
  for (uint32_t index = 1; index < table.record_count(); ++index) {
    Record& record = table.record(index);
    if (record.state.load() != State::kLock) continue;
    const bool foreign = (record.flags.load() & kForeign) != 0;
    if (record.held.load() == 0 && record.more_waiters.load() == 0 && !foreign) continue;
    const uint32_t generation = record.generation;
    LockInfo lock{table.NameOf(record), record.permits, 0, {}, {}};
    int reads = 1;
    while (!ReadPermits(table, record, &lock)) {
      if (reads++ < kReads) continue;
      lock.missing = 0;
      break;
    }
    ReadQueue(table, record, &lock.waiters);
    if (record.state.load() != State::kLock || record.generation != generation) continue;  // recycled while we looked
    if (!lock.holders.empty() || !lock.waiters.empty() || lock.missing > 0) locks.push_back(std::move(lock));
  }
  return locks;
}

}  // namespace semlock
