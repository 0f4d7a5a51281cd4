#include "foreign_wait.h"

#include <stdlib.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

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

struct Sleeper {
  explicit Sleeper(const LockRecord& of) : lock(of), looked_after(of) {}
  LockRecord lock;          // of its thread; a copy, as whoever began it may go
  LockRecord looked_after;  // of the caretaker
  // What follows is guarded by the mutex of them all.
  bool runs = false;
  bool begun = false;  // by somebody, since the thread last looked
};

// Never destroyed, like the tables.
struct Sleepers {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<const LockTable*, std::unique_ptr<Sleeper>> by_table;  // each such lock has a table for itself
  bool caretaker_runs = false;
  bool stopped = false;
};

Sleepers& sleepers() {
  static Sleepers* instance = new Sleepers;
  return *instance;
}

void* Main(void* sleeper) {
  auto& self = *static_cast<Sleeper*>(sleeper);
  Sleepers& all = sleepers();
  std::unique_lock<std::mutex> guard(all.mutex);
  const auto is_asked = [&] { return all.stopped || self.begun; };
  while (!all.stopped) {
    self.begun = false;
    guard.unlock();
    const bool wanted = self.lock.IsWaitedForHere();
    const bool slept = wanted && self.lock.HandOnForeign(kSleepNs);
    guard.lock();
    if (slept) continue;
    all.changed.wait_for(guard, std::chrono::nanoseconds(wanted ? kSleepNs : kIdleNs), is_asked);
    if (!wanted && !self.begun) break;
  }
  self.runs = false;
  all.changed.notify_all();
  return nullptr;
}

void* LookAfterAll(void*) {
  Sleepers& all = sleepers();
  std::unique_lock<std::mutex> guard(all.mutex);
  while (!all.stopped) {
    std::vector<Sleeper*> each;
    for (const auto& [table, one] : all.by_table) each.push_back(one.get());
    guard.unlock();
    for (Sleeper* one : each) one->looked_after.LookAfter();
    guard.lock();
    all.changed.wait_for(guard, std::chrono::nanoseconds(kLookNs), [&] { return all.stopped; });
  }
  all.caretaker_runs = false;
  all.changed.notify_all();
  return nullptr;
}

// Under the mutex.
Sleeper& SleeperOf(const LockRecord& lock) {
  std::unique_ptr<Sleeper>& one = sleepers().by_table[lock.table().get()];
  if (one == nullptr) one = std::make_unique<Sleeper>(lock);
  return *one;
}

}  // namespace

void ForeignWait::LookAfter(const LockRecord& lock) {
#ifdef SEMLOCK_CRASH_POINTS
  // Tests that leave something to a certain process must not find it done.
  if (getenv("SEMLOCK_LOOK_AFTER_NOTHING") != nullptr) return;
#endif
  if (!lock.is_foreign()) return;
  Sleepers& all = sleepers();
  std::lock_guard<std::mutex> guard(all.mutex);
  if (all.stopped) return;
  SleeperOf(lock);
  if (!all.caretaker_runs) all.caretaker_runs = StartThread(LookAfterAll, nullptr) == 0;
}

void ForeignWait::Begin(const LockRecord& lock) {
  if (!lock.is_foreign()) return;
  Sleepers& all = sleepers();
  std::lock_guard<std::mutex> guard(all.mutex);
  if (all.stopped) return;
  Sleeper& one = SleeperOf(lock);
  one.begun = true;
  if (one.runs) return all.changed.notify_all();
  one.lock = lock;  // which knows the record
  one.runs = StartThread(Main, &one) == 0;
}

void ForeignWait::StopAll() {
  Sleepers& all = sleepers();
  std::unique_lock<std::mutex> guard(all.mutex);
  all.stopped = true;
  all.changed.notify_all();
  all.changed.wait_for(guard, std::chrono::nanoseconds(kStopNs), [&] {
    for (const auto& [table, each] : all.by_table) {
      if (each->runs) return false;
    }
    return !all.caretaker_runs;
  });
}

}  // namespace semlock
