#include "query.h"

#include <utility>

#include "named_semaphore.h"

namespace semlock {
namespace {

// True, and one more holder, when the entry was the same before and after it was read.
bool ReadEntry(const LockTable& table, const Entry& entry, std::vector<HolderInfo>* holders) {
  const Tag tag = entry.tag.load();
  if (tag == 0 || entry.released.load() != kNotReleased) return false;
  HolderInfo holder{entry.pid, entry.since_ms, entry.token, entry.mode, true};
  if (entry.tag.load() != tag || entry.token != holder.token) return false;  // released while we looked
  holder.alive = table.slot().Check(tag) != Liveness::kDead;
  holders->push_back(holder);
  return true;
}

uint32_t MissingPermits(const LockTable& table, const Record& record, uint32_t held) {
  if ((record.flags.load() & kForeign) == 0) return 0;
  NamedSemaphore semaphore;
  if (semaphore.Open(table.SemaphoreNameOf(record).c_str(), Create::kNever, 0, 0)) return 0;
  const uint32_t there = held + static_cast<uint32_t>(semaphore.Value());
  return there < record.permits ? record.permits - there : 0;
}

}  // namespace

std::vector<LockInfo> QueryLocks(LockTable& table) {
  std::vector<LockInfo> locks;
  for (uint32_t index = 1; index < table.record_count(); ++index) {
    Record& record = table.record(index);
    if (record.state.load() != State::kLock) continue;
    const bool foreign = (record.flags.load() & kForeign) != 0;
    if (record.held.load() == 0 && !foreign) continue;
    const uint32_t generation = record.generation;
    LockInfo lock{table.NameOf(record), record.permits, 0, {}};
    table.AnyEntry(record, [&](Entry& entry, uint32_t) {
      ReadEntry(table, entry, &lock.holders);
      return false;
    });
    lock.missing = MissingPermits(table, record, static_cast<uint32_t>(lock.holders.size()));
    if (record.state.load() != State::kLock || record.generation != generation) continue;  // recycled while we looked
    if (!lock.holders.empty() || lock.missing > 0) locks.push_back(std::move(lock));
  }
  return locks;
}

}  // namespace semlock
