// The invariants of README.md that one record shows. In the builds for tests alone: see CHECK_INVARIANTS.

#include <stdio.h>
#include <stdlib.h>

#include "latched_record.h"

namespace semlock {
namespace {

void Require(bool holds, const char* what, uint64_t one, uint64_t other) {
  if (holds) return;
  fprintf(stderr, "semlock: a record is left that breaks an invariant: %s (%llu, %llu)\n", what,
          static_cast<unsigned long long>(one), static_cast<unsigned long long>(other));
  abort();
}

}  // namespace

void LatchedRecord::CheckInvariants() {
  uint32_t held = 0;
  uint32_t readers = 0;
  table_.AnyEntry(record_, [&](Entry& entry, uint32_t) {
    if (entry.tag.load() == 0) return false;
    ++held;
    readers += entry.mode.load() == Mode::kShared;
    const uint64_t token = entry.token.load() & ~(kReleased | kReleasedAbandoned);
    Require(token <= record_.last_token, "I5, a token is larger than the last one", token, record_.last_token);
    return false;
  });
  Require(held == record_.held, "I2, entries that have a tag, and `held`", held, record_.held);
  Require(readers == 0 || readers == held, "readers beside others", readers, held);
  const uint32_t taken = readers > 0 ? 1 : held;
  Require(taken <= record_.permits, "more holders than permits", taken, record_.permits);

  uint32_t waiting = 0;
  table_.AnyWaiter(record_, [&](Waiter& waiter, uint32_t) {
    if (waiter.tag.load() == 0) return false;
    const uint8_t state = waiter.state.load();
    Require(state != kGranting && state != kReturning, "a grant that is half made", state, 0);
    waiting += IsInLine(state);
    return false;
  });
  Require(waiting == record_.waiting, "I2, cells in line, and `waiting`", waiting, record_.waiting);

  // Somebody may have taken or posted a semaphore that has a name, or may not have it open: see LockRecord::LookUp.
  if ((record_.flags.load() & (kForeign | kNamed)) != 0) return;
  int value = 0;
  sem_getvalue(semaphore_, &value);
  Require(static_cast<uint32_t>(value) + taken == record_.permits, "I1, value + entries, and permits",
          static_cast<uint32_t>(value) + taken, record_.permits);
}

}  // namespace semlock
