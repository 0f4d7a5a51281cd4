#include "foreign_wait.h"

#include <stdlib.h>

#include <map>
#include <memory>
#include <vector>

#include "clock.h"
#include "mutex.h"
#include "threads.h"

namespace semlock {
namespace {

// How long it sleeps in the semaphore without a look: whether it still has its name, and whether anybody waits.
constexpr int64_t kSleepNs = 20000000;
// How long the end of the process waits for one that sleeps there. Without sem_clockwait(3), a clock that is set back
// keeps it longer.
constexpr int64_t kStopNs = 200000000;

// How soon another program is given what somebody died with while nobody here waits for it.
constexpr int64_t kLookNs = 100000000;

// Of all that follows, and never destroyed, as the tables are not.
Mutex& mutex = *new Mutex;

struct Sleeper {
  explicit Sleeper(const LockRecord& of) : lock(of), looked_after(of) {}
  LockRecord lock;          // of its thread; a copy, as whoever began it may go
  LockRecord looked_after;  // of the caretaker
  bool runs GUARDED_BY(mutex) = false;
  bool begun GUARDED_BY(mutex) = false;  // by somebody, since the thread last looked
};

struct Sleepers {
  Condition changed;
  std::map<const LockTable*, std::unique_ptr<Sleeper>> by_table;  // each such lock has a table for itself
  bool caretaker_runs = false;
  bool stopped = false;
};

Sleepers& all GUARDED_BY(mutex) = *new Sleepers;

void* Main(void* sleeper) {
  auto& self = *static_cast<Sleeper*>(sleeper);
  mutex.Lock();
  while (!all.stopped) {
    self.begun = false;
    mutex.Unlock();
    const bool wanted = self.lock.IsWaitedForHere();
    const bool slept = wanted && self.lock.HandOnForeign(kSleepNs);
    mutex.Lock();
    if (slept) continue;
    const int64_t end = MonotonicNs() + (wanted ? kSleepNs : kIdleNs);
    for (int64_t left; !all.stopped && !self.begun && (left = end - MonotonicNs()) > 0;) {
      all.changed.WaitFor(mutex, left);
    }
    if (!wanted && !self.begun) break;
  }
  self.runs = false;
  all.changed.NotifyAll();
  mutex.Unlock();
  return nullptr;
}

void* LookAfterAll(void*) {
  mutex.Lock();
  while (!all.stopped) {
    std::vector<Sleeper*> each;
    for (const auto& [table, one] : all.by_table) each.push_back(one.get());
    mutex.Unlock();
    for (Sleeper* one : each) one->looked_after.LookAfter();
    mutex.Lock();
    if (!all.stopped) all.changed.WaitFor(mutex, kLookNs);
  }
  all.caretaker_runs = false;
  all.changed.NotifyAll();
  mutex.Unlock();
  return nullptr;
}

Sleeper& SleeperOf(const LockRecord& lock) REQUIRES(mutex) {
  std::unique_ptr<Sleeper>& one = all.by_table[lock.table().get()];
  if (one == nullptr) one = std::make_unique<Sleeper>(lock);
  return *one;
}

bool IsAnyoneUp() REQUIRES(mutex) {
  if (all.caretaker_runs) return true;
  for (const auto& [table, each] : all.by_table) {
    if (each->runs) return true;
  }
  return false;
}

}  // namespace

void ForeignWait::LookAfter(const LockRecord& lock) {
#ifdef SEMLOCK_CRASH_POINTS
  // Tests that leave something to a certain process must not find it done.
  if (getenv("SEMLOCK_LOOK_AFTER_NOTHING") != nullptr) return;
#endif
  if (!lock.is_foreign()) return;
  const Guard guard(mutex);
  if (all.stopped) return;
  SleeperOf(lock);
  if (!all.caretaker_runs) all.caretaker_runs = StartThread(LookAfterAll, nullptr) == 0;
}

void ForeignWait::Begin(const LockRecord& lock) {
  if (!lock.is_foreign()) return;
  const Guard guard(mutex);
  if (all.stopped) return;
  Sleeper& one = SleeperOf(lock);
  one.begun = true;
  if (one.runs) return all.changed.NotifyAll();
  one.lock = lock;  // which knows the record
  one.runs = StartThread(Main, &one) == 0;
}

void ForeignWait::StopAll() {
  const Guard guard(mutex);
  all.stopped = true;
  all.changed.NotifyAll();
  const int64_t end = MonotonicNs() + kStopNs;
  for (int64_t left; IsAnyoneUp() && (left = end - MonotonicNs()) > 0;) all.changed.WaitFor(mutex, left);
}

}  // namespace semlock
