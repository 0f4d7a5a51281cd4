#include "wait_service.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <map>
#include <thread>
#include <utility>

#include "clock.h"
#include "latch.h"

namespace semlock {
namespace {

// How soon the death of a holder is found when nobody else looks.
constexpr int64_t kSettleNs = 20000000;
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

std::atomic<int32_t> last_id{0};

}  // namespace

std::vector<WaitEvent> WaitClient::Take() {
  std::lock_guard<std::mutex> guard(mutex_);
  return std::exchange(events_, {});
}

void WaitClient::Deliver(const WaitEvent& event) {
  bool first;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    first = events_.empty();
    events_.push_back(event);
  }
  if (first) Notify();
}

struct WaitService::Pending {
  LockRecord lock;  // used by the service's thread alone
  std::shared_ptr<WaitClient> client;
  int32_t id;
  bool watch;    // whether `held` is still held; else a wait
  WaitRef wait;  // of a watch only the record
  Grant held;
  bool cancelled;  // nobody wants its event any more: a wait is withdrawn, or its grant given back
};

struct WaitService::State {
  std::shared_ptr<LockTable> table;
  std::mutex mutex;
  std::map<int32_t, std::shared_ptr<Pending>> pending;  // guarded by mutex
  std::atomic<int64_t> sleep_ns{-1};  // how long the thread sleeps by itself, negative: for ever; set under `mutex`
  std::atomic<bool> stopped{false};
  std::thread thread;
};

WaitService::WaitService(std::shared_ptr<LockTable> table) : state_(new State) {
  state_->table = std::move(table);
  // Signals are Node's main thread's business.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  state_->thread = std::thread([this] { Run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

WaitService& WaitService::Of(const std::shared_ptr<LockTable>& table) {
  Services& all = services();
  std::lock_guard<std::mutex> guard(all.mutex);
  WaitService*& service = all.by_table[table.get()];
  if (service == nullptr) service = new WaitService(table);
  return *service;
}

void WaitService::StopAll() {
  Services& all = services();
  std::lock_guard<std::mutex> guard(all.mutex);
  for (auto& [table, service] : all.by_table) service->Stop();
}

void WaitService::ForgetEverywhere(const std::shared_ptr<WaitClient>& client) {
  Services& all = services();
  std::lock_guard<std::mutex> guard(all.mutex);
  for (auto& [table, service] : all.by_table) service->Forget(client);
}

void WaitService::Stop() {
  if (state_->stopped.exchange(true)) return;
  const ProcessSlot& slot = state_->table->slot();
  slot.Wake(SlotOf(slot.tag()));
  state_->thread.join();
}

int32_t WaitService::Wait(LockRecord lock, const WaitRef& wait, std::shared_ptr<WaitClient> client) {
  const int32_t id = Add(Pending{std::move(lock), std::move(client), 0, false, wait, {}, false});
  // Whoever grants it from here on wakes the thread; but that may have to begin with its rounds.
  if (state_->sleep_ns.load() != kSettleNs || IsGranted(*state_->table, wait)) LookSoon();
  return id;
}

int32_t WaitService::Watch(LockRecord lock, const Grant& held, std::shared_ptr<WaitClient> client) {
  const WaitRef record{lock.record_index(), 0, 0};
  const int32_t id = Add(Pending{std::move(lock), std::move(client), 0, true, record, held, false});
  // Whoever steals it from here on wakes the thread, if it can.
  if (state_->sleep_ns.load() < 0 || !StillHolds(*state_->table, record.record, held)) LookSoon();
  return id;
}

void WaitService::GiveBackLater(LockRecord lock, const WaitRef& wait) {
  Add(Pending{std::move(lock), nullptr, 0, false, wait, {}, true});
  LookSoon();
}

int32_t WaitService::Add(Pending pending) {
  const int32_t id = pending.id = ++last_id;
  std::lock_guard<std::mutex> guard(state_->mutex);
  state_->pending.emplace(id, std::make_shared<Pending>(std::move(pending)));
  return id;
}

// What was added may have happened before it was.
void WaitService::LookSoon() {
  const ProcessSlot& slot = state_->table->slot();
  slot.Wake(SlotOf(slot.tag()));
}

WaitService::Cancelled WaitService::Cancel(int32_t id, Grant* grant) {
  std::lock_guard<std::mutex> guard(state_->mutex);
  auto found = state_->pending.find(id);
  if (found == state_->pending.end() || found->second->watch) return Cancelled::kDelivered;
  Pending& pending = *found->second;
  Cancelled result = Cancelled::kYes;
  if (!MarkCancelled(*state_->table, pending.wait)) {
    if (!Collect(*state_->table, pending.wait, grant)) {
      pending.cancelled = true;
      return Cancelled::kOnItsWay;
    }
    result = Cancelled::kGranted;
  }
  state_->pending.erase(found);
  return result;
}

void WaitService::Unwatch(int32_t id) {
  std::lock_guard<std::mutex> guard(state_->mutex);
  state_->pending.erase(id);
}

void WaitService::Forget(const std::shared_ptr<WaitClient>& client) {
  {
    std::lock_guard<std::mutex> guard(state_->mutex);
    for (auto& [id, pending] : state_->pending) {
      if (pending->client == client) pending->cancelled = true;
    }
  }
  LookSoon();
}

void WaitService::Run() {
  const ProcessSlot& slot = state_->table->slot();
  int64_t next_settle = MonotonicNs() + kSettleNs;
  while (!state_->stopped.load()) {
    const uint32_t seen = slot.wakeups();
    LookAtAll();
    bool waits;
    {
      std::lock_guard<std::mutex> guard(state_->mutex);
      waits = std::any_of(state_->pending.begin(), state_->pending.end(),
                          [](const auto& each) { return !each.second->watch; });
      state_->sleep_ns.store(waits ? kSettleNs : state_->pending.empty() ? -1 : kWatchNs);
    }
    slot.SleepUntilWoken(seen, state_->sleep_ns.load());
    if (!waits || MonotonicNs() < next_settle) continue;
    SettleAll();
    next_settle = MonotonicNs() + kSettleNs;
  }
}

void WaitService::LookAtAll() {
  std::vector<std::pair<std::shared_ptr<Pending>, Grant>> unwanted;
  std::vector<std::shared_ptr<Pending>> withdrawn;
  {
    LockTable& table = *state_->table;
    std::lock_guard<std::mutex> guard(state_->mutex);
    for (auto it = state_->pending.begin(); it != state_->pending.end();) {
      Pending& pending = *it->second;
      WaitEvent event{pending.id, pending.watch, pending.held};
      bool done = true;
      if (pending.watch) {
        done = pending.cancelled || !StillHolds(table, pending.wait.record, pending.held);
      } else if (pending.cancelled && MarkCancelled(table, pending.wait)) {
        withdrawn.push_back(it->second);
      } else {
        done = Collect(table, pending.wait, &event.grant);
        if (done && pending.cancelled) unwanted.emplace_back(it->second, event.grant);
      }
      if (done && !pending.cancelled) pending.client->Deliver(event);
      it = done ? state_->pending.erase(it) : std::next(it);
    }
  }
  for (auto& pending : withdrawn) pending->lock.Settle();
  for (auto& [pending, grant] : unwanted) pending->lock.Decline(grant);
}

// Not under the mutex: a latch may take a millisecond each, and the event loop must not wait for that.
void WaitService::SettleAll() {
  std::vector<std::shared_ptr<Pending>> waits;
  {
    std::lock_guard<std::mutex> guard(state_->mutex);
    for (auto& [id, pending] : state_->pending) {
      if (!pending->watch) waits.push_back(pending);
    }
  }
  for (auto& pending : waits) pending->lock.Settle();
}

Outcome AcquireBlocking(LockRecord& lock, Mode mode, int64_t timeout_ns, const std::function<bool()>& goes_on,
                        Grant* grant, SysError* error) {
  WaitRef wait;
  const ProcessSlot& slot = lock.table()->slot();
  const int64_t start = MonotonicNs();
  Outcome outcome;
  // Busy is a latch here, which a process was stopped inside of: the queue cannot even be joined.
  while ((outcome = lock.Enqueue(mode, grant, &wait, error)) == Outcome::kBusy) {
    const bool latch = !*error || IsLatchTimeout(*error);
    if (!latch || !goes_on() || (timeout_ns >= 0 && MonotonicNs() - start >= timeout_ns)) return outcome;
    *error = {};
    SleepNs(1000000);
  }
  if (outcome != Outcome::kQueued) return outcome;
  int64_t settled = start;
  for (;;) {
    const uint32_t seen = slot.wakeups();
    if (Collect(*lock.table(), wait, grant)) return Outcome::kDone;
    const int64_t now = MonotonicNs();
    const int64_t left = timeout_ns < 0 ? kSettleNs : start + timeout_ns - now;
    if (left <= 0) break;
    slot.SleepUntilWoken(seen, std::min(left, kSettleNs));
    if (MonotonicNs() - settled < kSettleNs) continue;
    if (!goes_on()) break;
    lock.Settle();
    settled = MonotonicNs();
  }
  if (MarkCancelled(*lock.table(), wait)) {
    lock.Settle();
    return Outcome::kBusy;
  }
  // Granted at the last moment, or about to be by a process that may be stopped right there.
  const int64_t over = MonotonicNs();
  while (!Collect(*lock.table(), wait, grant)) {
    if (MonotonicNs() - over > kSettleNs) {
      WaitService::Of(lock.table()).GiveBackLater(lock, wait);
      return Outcome::kBusy;
    }
    SleepNs(10000);
  }
  return Outcome::kDone;
}

}  // namespace semlock
