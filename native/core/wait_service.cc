#include "wait_service.h"

#include <errno.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>

#include "clock.h"
#include "death_watch.h"
#include "foreign_wait.h"
#include "latch.h"
#include "threads.h"

namespace semlock {
namespace {

// How soon the death of a holder is found when nobody else looks and nothing is heard of it, and a grant whose message
// was lost.
constexpr int64_t kRoundNs = 20000000;
// How soon a process first looks for whose death it has to listen, where it has not gone round lately.
constexpr int64_t kFirstLookNs = 3000000;
// Where many processes wait for one lock, each goes round so seldom that together they do so as often as one alone; but
// not more seldom than this, because some of them may be stopped.
constexpr int64_t kLongestRoundNs = 1000000000;
// How soon a theft is found whose thief died before it could tell.
constexpr int64_t kWatchNs = 1000000000;

// Never destroyed: see LockTable's.
struct Services {
  std::mutex mutex;
  std::map<LockTable*, WaitService*> by_table;  // guarded by mutex
};

Services& services() {
  static Services* instance = new Services;
  return *instance;
}

}  // namespace

struct WaitService::Pending {
  LockRecord lock;     // guarded by `finishing`
  const Inbox* inbox;  // null: nobody wants its event any more, so a wait is withdrawn, or its grant given back
  bool runs = false;   // its thread has shown it, since the wait was passed over
  bool watch;          // whether `held` is still held; else a wait
  WaitRef wait;        // of a watch only the record
  Grant held;
};

// What is left to do without the mutex.
struct WaitService::Unfinished {
  // One settling of a lock serves all who wait for it here.
  struct Unsettled {
    std::shared_ptr<Pending> any;
    uint32_t waits = 0;
    std::vector<WaitRef> changed;  // as LockRecord::Settle has it
    bool comes_back = false;       // one that was passed over
  };
  std::unordered_map<uint32_t, Unsettled> unsettled;  // by record
  std::vector<std::pair<std::shared_ptr<Pending>, Grant>> unwanted;
};

struct WaitService::State {
  std::shared_ptr<LockTable> table;
  std::mutex finishing;  // held by Finish()
  std::mutex mutex;
  std::condition_variable changed;
  // All below is guarded by `mutex`.
  PendingMap pending;
  bool runs = false;        // the thread
  int64_t needed_at = 0;    // it was
  int64_t next_round = -1;  // when it goes round by itself; negative: never
  int64_t last_round = 0;
  DeathWatch deaths;       // of those that the waits wait for
  bool listening = false;  // the thread sleeps in `deaths`, not on `changed`
  bool stopped = false;

  void WakeThread() { listening ? deaths.Interrupt() : changed.notify_all(); }
};

WaitService::WaitService(std::shared_ptr<LockTable> table) : state_(new State) { state_->table = std::move(table); }

WaitService* WaitService::Of(const std::shared_ptr<LockTable>& table, SysError* error) {
  Services& all = services();
  std::lock_guard<std::mutex> guard(all.mutex);
  WaitService*& service = all.by_table[table.get()];
  if (service == nullptr) service = new WaitService(table);
  *error = service->NeedThread();
  return *error ? nullptr : service;
}

SysError WaitService::NeedThread() {
  std::lock_guard<std::mutex> guard(state_->mutex);
  return StartNeeded();
}

// Under the mutex.
SysError WaitService::StartNeeded() {
  state_->needed_at = MonotonicNs();
  if (state_->runs || state_->stopped) return {};
  const int error = StartThread(Main, this);
  state_->runs = error == 0;
  return error == 0 ? SysError{} : SysError{"pthread_create", error};
}

void* WaitService::Main(void* service) {
  static_cast<WaitService*>(service)->Run();
  return nullptr;
}

void WaitService::StopAll() {
  Services& all = services();
  std::lock_guard<std::mutex> guard(all.mutex);
  for (auto& [table, service] : all.by_table) {
    if (service != nullptr) service->Stop();
  }
}

void WaitService::Stop() {
  {
    std::unique_lock<std::mutex> guard(state_->mutex);
    if (std::exchange(state_->stopped, true)) return;
    state_->WakeThread();
    state_->changed.wait(guard, [this] { return !state_->runs; });
  }
  Withdraw(nullptr);
}

int64_t WaitService::NewId() {
  static std::atomic<int64_t> last{0};
  return ++last;  // never kBlocking, kTheft, or an error to JavaScript; nor used twice, in whatever time
}

void WaitService::Wait(int64_t id, LockRecord lock, const WaitRef& wait, const Inbox* inbox) {
  ForeignWait::Begin(lock);
  Add(id, Pending{std::move(lock), inbox, false, false, wait, {}});
}

void WaitService::Watch(int64_t id, LockRecord lock, const Grant& held, const Inbox* inbox) {
  const WaitRef record{lock.record_index(), 0, 0};
  Add(id, Pending{std::move(lock), inbox, false, true, record, held});
  // A thief that came before this did not know whom to tell.
  if (!StillHolds(*state_->table, record.record, held)) inbox->Post(kTheft);
}

void WaitService::GiveBackLater(LockRecord lock, const WaitRef& wait) {
  Add(NewId(), Pending{std::move(lock), nullptr, false, false, wait, {}});
}

void WaitService::Add(int64_t id, Pending pending) {
  const int64_t now = MonotonicNs();
  std::lock_guard<std::mutex> guard(state_->mutex);
  const int64_t round = pending.watch ? now + kWatchNs : std::max(now + kFirstLookNs, state_->last_round + kRoundNs);
  state_->pending.emplace(id, std::make_shared<Pending>(std::move(pending)));
  StartNeeded();  // where it is refused now, the next to wait tries again
  if (state_->next_round >= 0 && round >= state_->next_round) return;
  state_->next_round = round;
  state_->WakeThread();
}

void WaitService::Remove(PendingMap::iterator found) { state_->pending.erase(found); }

void WaitService::Take(const Inbox& inbox, std::vector<WaitEvent>* events) {
  LockTable& table = *state_->table;
  int64_t messages[256];
  size_t count;
  bool thefts = false;
  do {
    count = inbox.Read(messages, std::size(messages));
    std::lock_guard<std::mutex> guard(state_->mutex);
    for (size_t each = 0; each < count; ++each) {
      thefts = thefts || messages[each] == kTheft;
      const auto found = state_->pending.find(messages[each]);
      if (found == state_->pending.end() || found->second->inbox != &inbox) continue;
      WaitEvent event{found->first, false, {}};
      if (IsPassed(table, found->second->wait)) {
        found->second->runs = true;
        state_->next_round = 0;
        state_->WakeThread();
      }
      if (!Collect(table, found->second->wait, &event.grant)) continue;
      events->push_back(event);
      Remove(found);
    }
  } while (count == std::size(messages));
  if (thefts) TakeThefts(inbox, events);
}

void WaitService::TakeThefts(const Inbox& inbox, std::vector<WaitEvent>* events) {
  std::lock_guard<std::mutex> guard(state_->mutex);
  for (auto next = state_->pending.begin(); next != state_->pending.end();) {
    const auto at = next++;
    const Pending& each = *at->second;
    if (!each.watch || each.inbox != &inbox || StillHolds(*state_->table, each.wait.record, each.held)) continue;
    events->push_back({at->first, true, each.held});
    Remove(at);
  }
}

WaitService::Cancelled WaitService::Cancel(int64_t id, Grant* grant, WaitRef* wait) {
  std::lock_guard<std::mutex> guard(state_->mutex);
  const auto found = state_->pending.find(id);
  if (found == state_->pending.end() || found->second->watch) return Cancelled::kTaken;
  Pending& pending = *found->second;
  Cancelled result = Cancelled::kYes;
  *wait = pending.wait;
  if (!MarkCancelled(*state_->table, pending.wait)) {
    if (!Collect(*state_->table, pending.wait, grant)) {
      pending.inbox = nullptr;
      return Cancelled::kOnItsWay;
    }
    result = Cancelled::kGranted;
  }
  Remove(found);
  return result;
}

void WaitService::Unwatch(int64_t id) {
  std::lock_guard<std::mutex> guard(state_->mutex);
  const auto found = state_->pending.find(id);
  if (found != state_->pending.end()) Remove(found);
}

void WaitService::Forget(const Inbox* inbox) { Withdraw(inbox); }

// At once, so that what was granted is not taken for what its thread held as it ended. Of all threads without `inbox`.
void WaitService::Withdraw(const Inbox* inbox) {
  std::vector<int64_t> left;
  for (bool again : {false, true}) {
    Unfinished work;
    {
      std::lock_guard<std::mutex> guard(state_->mutex);
      for (auto next = state_->pending.begin(); next != state_->pending.end();) {
        const auto at = next++;
        const bool ours = again ? std::count(left.begin(), left.end(), at->first) > 0
                                : inbox == nullptr || at->second->inbox == inbox;
        if (!ours) continue;
        at->second->inbox = nullptr;
        if (at->second->watch) {
          Remove(at);
        } else if (!GiveUp(at, &work)) {
          left.push_back(at->first);
        }
      }
    }
    Finish(work);
    if (left.empty()) return;  // else a grant was being written, and is there by now
  }
}

// Under the mutex. A wait that is no longer wanted leaves the queue or, if it was granted, is given back. False: its
// grant is just being written, by a process that may have died over it. That is left for the next round, and to those
// that settle until then.
bool WaitService::GiveUp(PendingMap::iterator at, Unfinished* work) {
  LockTable& table = *state_->table;
  Grant grant;
  const bool cancelled = MarkCancelled(table, at->second->wait);
  const bool granted = !cancelled && Collect(table, at->second->wait, &grant);
  if (granted) {
    work->unwanted.emplace_back(at->second, grant);
  } else {
    Unfinished::Unsettled& lock = work->unsettled[at->second->wait.record];
    lock.any = at->second;
    if (cancelled) lock.changed.push_back(at->second->wait);
  }
  if (cancelled || granted) Remove(at);
  return cancelled || granted;
}

// Takes latches, which may take a millisecond each, so not under the mutex: the event loop needs that, and the other
// one only when it ends.
void WaitService::Finish(const Unfinished& work) {
  std::lock_guard<std::mutex> guard(state_->finishing);
  for (auto& [record, unsettled] : work.unsettled) {
    unsettled.any->lock.Settle(unsettled.changed);
    if (unsettled.comes_back) ForeignWait::Begin(unsettled.any->lock);
  }
  for (auto& [pending, grant] : work.unwanted) pending->lock.Decline(grant);
}

void WaitService::Run() {
  State& state = *state_;
  std::unique_lock<std::mutex> guard(state.mutex);
  while (!state.stopped) {
    const int64_t left = state.next_round - MonotonicNs();
    if (state.next_round >= 0 && left <= 0) {
      GoRound(&guard);
    } else if (state.deaths.CanHear()) {
      const int64_t at_most = state.next_round < 0 ? kWatchNs : left;
      state.listening = true;
      guard.unlock();
      const bool died = state.deaths.Sleep(at_most);
      guard.lock();
      state.listening = false;
      if (died) state.next_round = 0;
    } else if (state.next_round < 0) {
      const int64_t idle = std::max(state.needed_at, state.last_round) + kIdleNs - MonotonicNs();
      if (idle <= 0) break;
      state.changed.wait_for(guard, std::chrono::nanoseconds(idle));
    } else {
      state.changed.wait_for(guard, std::chrono::nanoseconds(left));
    }
  }
  state.runs = false;
  state.changed.notify_all();
}

namespace {

// When to go round again for a lock for which so many waits of this process stand in the queue.
int64_t RoundOf(const Record& record, uint32_t waits) {
  // Other programs tell nobody of their posts.
  if (waits == 0 || (record.flags.load() & kForeign) != 0) return kRoundNs;
  const int64_t share = std::min(kRoundNs * record.waiting.load() / waits, kLongestRoundNs);
  // At random, because all may have gone round at the same time, when a holder died.
  return share <= kRoundNs ? kRoundNs : share / 2 + MonotonicNs() / 16 % (share / 2);
}

}  // namespace

void WaitService::GoRound(std::unique_lock<std::mutex>* guard) {
  State& state = *state_;
  LockTable& table = *state.table;
  Unfinished work;
  int64_t rest = state.pending.empty() ? -1 : kWatchNs;
  for (auto next = state.pending.begin(); next != state.pending.end();) {
    const auto at = next++;
    Pending& each = *at->second;
    if (each.watch) {
      if (!StillHolds(table, each.wait.record, each.held)) each.inbox->Post(kTheft);
    } else if (each.inbox == nullptr) {
      GiveUp(at, &work);
    } else if (IsGranted(table, each.wait) || (IsPassed(table, each.wait) && !each.runs)) {
      each.inbox->Post(at->first);
      rest = kRoundNs;
    } else {
      Unfinished::Unsettled& lock = work.unsettled[each.wait.record];
      lock.any = at->second;
      ++lock.waits;
      if (!std::exchange(each.runs, false)) continue;  // if it is passed over again, it has to show that again
      lock.changed.push_back(each.wait);
      lock.comes_back = true;
    }
  }
  state.next_round = -1;  // from here on Add() may set it
  guard->unlock();
  Finish(work);
  std::set<Tag> holders;
  for (const auto& [index, lock] : work.unsettled) {
    rest = std::min(rest, RoundOf(table.record(index), lock.waits));
    table.AnyEntry(table.record(index), [&](Entry& entry, uint32_t) {
      const Tag tag = entry.tag.load();
      if (tag != 0 && tag != table.slot().tag()) holders.insert(tag);
      return holders.size() == DeathWatch::kMost;
    });
  }
  if (state.deaths.Watch(&table.slot(), holders)) rest = 0;
  guard->lock();
  state.last_round = MonotonicNs();
  const int64_t due = rest < 0 ? -1 : state.last_round + rest;
  if (state.next_round < 0 || (due >= 0 && due < state.next_round)) state.next_round = due;
}

namespace {

// A waiter that is alone in line spins before it sleeps, for about as long as it takes to be woken: most locks come
// sooner, and the process that hands on saves a system call.
constexpr int64_t kSpinNs = 50000;

void SpinForGrant(LockTable& table, const WaitRef& wait) {
  static const bool alone = std::thread::hardware_concurrency() <= 1;
  if (alone || table.record(wait.record).waiting.load() > 1) return;
  const int64_t end = MonotonicNs() + kSpinNs;
  do {
    for (int spin = 0; spin < 40; ++spin) {
      if (IsGranted(table, wait)) return;
      SpinPause();
    }
  } while (MonotonicNs() < end);
}

// A thread that must not go on would end with the grant in hand, and the next holder would be told that it died.
Outcome Keep(LockRecord& lock, const Grant& grant, const std::function<bool()>& goes_on) {
  if (goes_on()) return Outcome::kDone;
  lock.Decline(grant);
  return Outcome::kBusy;
}

}  // namespace

Outcome AcquireBlocking(LockRecord& lock, Mode mode, int64_t timeout_ns, const std::function<bool()>& goes_on,
                        Grant* grant, SysError* error) {
  if (timeout_ns < 0 && lock.HoldsAll()) {
    *error = {"acquire", EDEADLK, "DEADLOCK"};
    return Outcome::kBusy;
  }
  WaitRef wait;
  const ProcessSlot& slot = lock.table()->slot();
  const int64_t start = MonotonicNs();
  Outcome outcome;
  // Busy is a latch here, which a process was stopped inside of: the queue cannot even be joined.
  const int64_t deadline = timeout_ns < 0 ? kNoDeadline : start + timeout_ns;
  while ((outcome = lock.Enqueue(mode, kBlocking, deadline, grant, &wait, error)) == Outcome::kBusy) {
    const bool latch = !*error || IsLatchTimeout(*error);
    if (!latch || !goes_on() || MonotonicNs() >= deadline) return outcome;
    *error = {};
    SleepNs(1000000);
  }
  if (outcome != Outcome::kQueued) return outcome;
  ForeignWait::Begin(lock);
  int64_t settled = start;
  SpinForGrant(*lock.table(), wait);
  for (;;) {
    const uint32_t seen = slot.wakeups();
    if (Collect(*lock.table(), wait, grant)) return Keep(lock, *grant, goes_on);
    const int64_t left = deadline - MonotonicNs();
    if (left <= 0) break;
    if (IsPassed(*lock.table(), wait)) {
      lock.Settle({wait});
      ForeignWait::Begin(lock);
    }
    slot.SleepUntilWoken(seen, std::min(left, kRoundNs));
    if (MonotonicNs() - settled < kRoundNs) continue;
    if (!goes_on()) break;
    lock.Settle();
    settled = MonotonicNs();
  }
  // Where it is neither: its grant is on its way there or back, by a process that may be stopped right there.
  const int64_t over = MonotonicNs();
  while (!Collect(*lock.table(), wait, grant)) {
    if (MarkCancelled(*lock.table(), wait)) {
      lock.Settle({wait});
      return Outcome::kBusy;
    }
    SysError refused;  // then nobody would give it back, and it has to be waited for
    WaitService* service = MonotonicNs() - over > kRoundNs ? WaitService::Of(lock.table(), &refused) : nullptr;
    if (service != nullptr) {
      service->GiveBackLater(lock, wait);
      return Outcome::kBusy;
    }
    SleepNs(10000);
  }
  return Keep(lock, *grant, goes_on);
}

}  // namespace semlock
