#include "wait_service.h"

#include <errno.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>

#include "clock.h"
#include "death_watch.h"
#include "foreign_wait.h"
#include "latch.h"
#include "shared.h"
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
// How soon it is seen at least that a lock was granted to somebody who does not come for it. Only a word is read for
// that, but to wake up for it takes some 40 us: of 60 processes nearly 2 % of a core.
constexpr int64_t kLookNs = 250000000;
// How soon a theft is found whose thief died before it could tell.
constexpr int64_t kWatchNs = 1000000000;

struct Services {
  Mutex mutex;
  std::map<LockTable*, WaitService*> by_table GUARDED_BY(mutex);
};

// Up to half of it less, because all may have begun at the same time, when a holder died.
int64_t AtRandom(int64_t at_most) { return at_most / 2 + MonotonicNs() / 16 % (at_most / 2); }

Services& services() { return OfProcess<Services>(); }

}  // namespace

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

WaitService* WaitService::Of(const std::shared_ptr<LockTable>& table, SysError* error) {
  Services& all = services();
  const Guard guard(all.mutex);
  WaitService*& service = all.by_table[table.get()];
  if (service == nullptr) service = new WaitService(table);
  *error = service->NeedThread();
  return *error ? nullptr : service;
}

SysError WaitService::NeedThread() {
  const Guard guard(mutex_);
  return StartNeeded();
}

SysError WaitService::StartNeeded() {
  needed_at_ = MonotonicNs();
  if (runs_ || stopped_) return {};
  const int error = StartThread(Main, this);
  runs_ = error == 0;
  return error == 0 ? SysError{} : SysError{"pthread_create", error};
}

void* WaitService::Main(void* service) {
  static_cast<WaitService*>(service)->Run();
  return nullptr;
}

void WaitService::StopAll() {
  Services& all = services();
  const Guard guard(all.mutex);
  for (auto& [table, service] : all.by_table) service->Stop();
}

void WaitService::Stop() {
  {
    const Guard guard(mutex_);
    if (std::exchange(stopped_, true)) return;
    WakeThread();
    while (runs_) changed_.Wait(mutex_);
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
  if (!StillHolds(*table_, record.record, held)) inbox->Post(kTheft);
}

void WaitService::GiveBackLater(LockRecord lock, const WaitRef& wait) {
  Add(NewId(), Pending{std::move(lock), nullptr, false, false, wait, {}});
}

void WaitService::Add(int64_t id, Pending pending) {
  const int64_t now = MonotonicNs();
  const Guard guard(mutex_);
  const int64_t round = pending.watch ? now + kWatchNs : std::max(now + kFirstLookNs, last_round_ + kRoundNs);
  pending_.emplace(id, std::make_shared<Pending>(std::move(pending)));
  StartNeeded();  // where it is refused now, the next to wait tries again
  if (next_round_ >= 0 && round >= next_round_) return;
  next_round_ = round;
  WakeThread();
}

void WaitService::Take(const Inbox& inbox, std::vector<WaitEvent>* events) {
  int64_t messages[256];
  size_t count;
  bool thefts = false;
  const Guard guard(mutex_);
  do {
    count = inbox.Read(messages, std::size(messages));
    for (size_t each = 0; each < count; ++each) {
      thefts = thefts || messages[each] == kTheft;
      const auto found = pending_.find(messages[each]);
      if (found == pending_.end() || found->second->inbox != &inbox) continue;
      WaitEvent event{found->first, false, {}};
      if (IsPassed(*table_, found->second->wait)) {
        found->second->runs = true;
        next_round_ = 0;
        WakeThread();
      }
      if (!Collect(*table_, found->second->wait, &event.grant)) continue;
      events->push_back(event);
      pending_.erase(found);
    }
  } while (count == std::size(messages));
  if (thefts) TakeThefts(inbox, events);
}

void WaitService::TakeThefts(const Inbox& inbox, std::vector<WaitEvent>* events) {
  for (auto next = pending_.begin(); next != pending_.end();) {
    const auto at = next++;
    const Pending& each = *at->second;
    if (!each.watch || each.inbox != &inbox || StillHolds(*table_, each.wait.record, each.held)) continue;
    events->push_back({at->first, true, each.held});
    pending_.erase(at);
  }
}

bool WaitService::Cancel(int64_t id, LockRecord& lock) {
  WaitRef wait;
  Grant grant;
  Ended ended;
  {
    const Guard guard(mutex_);
    const auto found = pending_.find(id);
    if (found == pending_.end() || found->second->watch) return false;
    wait = found->second->wait;
    ended = EndWait(*table_, wait, &grant);
    if (ended == Ended::kNotYet) {
      found->second->inbox = nullptr;  // a round gives it back
    } else {
      pending_.erase(found);
    }
  }
  if (ended == Ended::kCancelled) lock.Settle({wait});
  if (ended == Ended::kGranted) lock.Decline(grant);
  return true;
}

void WaitService::Unwatch(int64_t id) {
  const Guard guard(mutex_);
  pending_.erase(id);
}

void WaitService::Withdraw(const Inbox* inbox) {
  std::vector<int64_t> left;
  for (bool again : {false, true}) {
    Unfinished work;
    {
      const Guard guard(mutex_);
      for (auto next = pending_.begin(); next != pending_.end();) {
        const auto at = next++;
        const bool ours = again ? std::count(left.begin(), left.end(), at->first) > 0
                                : inbox == nullptr || at->second->inbox == inbox;
        if (!ours) continue;
        at->second->inbox = nullptr;
        if (at->second->watch) {
          pending_.erase(at);
        } else if (!GiveUp(at, &work)) {
          left.push_back(at->first);
        }
      }
    }
    Finish(work);
    if (left.empty()) return;  // else a grant was being written, and is there by now
  }
}

// A wait that is no longer wanted leaves the queue or, if it was granted, is given back. False: its grant is just being
// written, by a process that may have died over it. That is left for the next round, and to those that settle until
// then.
bool WaitService::GiveUp(PendingMap::iterator at, Unfinished* work) {
  const std::shared_ptr<Pending> pending = at->second;
  Grant grant;
  const Ended ended = EndWait(*table_, pending->wait, &grant);
  if (ended == Ended::kGranted) {
    work->unwanted.emplace_back(pending, grant);
  } else {
    Unfinished::Unsettled& lock = work->unsettled[pending->wait.record];
    lock.any = pending;
    if (ended == Ended::kCancelled) lock.changed.push_back(pending->wait);
  }
  if (ended == Ended::kNotYet) return false;
  pending_.erase(at);
  return true;
}

// Takes latches, which may take a millisecond each, so not under the mutex: the event loop needs that, and the other
// one only when it ends.
void WaitService::Finish(const Unfinished& work) {
  const Guard guard(finishing_);
  for (auto& [record, unsettled] : work.unsettled) {
    unsettled.any->lock.Settle(unsettled.changed);
    if (unsettled.comes_back) ForeignWait::Begin(unsettled.any->lock);
  }
  for (auto& [pending, grant] : work.unwanted) pending->lock.Decline(grant);
}

void WaitService::Run() {
  mutex_.Lock();
  while (!stopped_) {
    const int64_t now = MonotonicNs();
    const int64_t idle = std::max(needed_at_, last_round_) + kIdleNs - now;
    if (next_round_ < 0) {
      if (idle <= 0 && !deaths_.CanHear()) break;
      Sleep(deaths_.CanHear() ? kWatchNs : idle);
    } else if (next_round_ <= now) {
      GoRound();
    } else if (records_.empty() || next_round_ - now <= kLookNs) {
      Sleep(next_round_ - now);
    } else {
      Sleep(AtRandom(kLookNs));
      if (IsOneStuck()) next_round_ = 0;
    }
  }
  runs_ = false;
  changed_.NotifyAll();
  mutex_.Unlock();
}

void WaitService::Sleep(int64_t at_most) {
  if (!deaths_.CanHear()) return changed_.WaitFor(mutex_, at_most);
  listening_ = true;
  mutex_.Unlock();
  const bool died = deaths_.Sleep(at_most);
  mutex_.Lock();
  listening_ = false;
  if (died) next_round_ = 0;
}

// Whether a lock was seen with a grant that is not collected twice in a row, and granted nothing in between.
bool WaitService::IsOneStuck() {
  bool is_stuck = false;
  for (auto& [index, seen] : records_) {
    const Record& record = table_->record(index);
    const uint64_t token = record.uncollected.load() == 0 ? 0 : record.last_token.load();
    is_stuck = is_stuck || (token != 0 && token == seen);
    seen = token;
  }
  return is_stuck;
}

namespace {

// When to go round again for a lock for which so many waits of this process stand in the queue.
int64_t RoundOf(const Record& record, uint32_t waits) {
  // Other programs tell nobody of their posts.
  if (waits == 0 || (record.flags.load() & kForeign) != 0) return kRoundNs;
  const int64_t longest = record.uncollected.load() != 0 ? kLookNs : kLongestRoundNs;
  const int64_t share = std::min(kRoundNs * record.waiting.load() / waits, longest);
  return share <= kRoundNs ? kRoundNs : AtRandom(share);
}

}  // namespace

void WaitService::GoRound() {
  Unfinished work;
  int64_t rest = pending_.empty() ? -1 : kWatchNs;
  for (auto next = pending_.begin(); next != pending_.end();) {
    const auto at = next++;
    Pending& each = *at->second;
    if (each.watch) {
      if (!StillHolds(*table_, each.wait.record, each.held)) each.inbox->Post(kTheft);
    } else if (each.inbox == nullptr) {
      GiveUp(at, &work);
    } else if (IsGranted(*table_, each.wait) || (IsPassed(*table_, each.wait) && !each.runs)) {
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
  records_.clear();
  for (const auto& [index, lock] : work.unsettled) records_[index] = 0;
  next_round_ = -1;  // from here on Add() may set it
  mutex_.Unlock();
  Finish(work);
  std::set<Tag> holders;
  for (const auto& [index, lock] : work.unsettled) {
    rest = std::min(rest, RoundOf(table_->record(index), lock.waits));
    table_->AnyEntry(table_->record(index), [&](Entry& entry, uint32_t) {
      const Tag tag = entry.tag.load();
      if (tag != 0 && tag != table_->slot().tag()) holders.insert(tag);
      return holders.size() == DeathWatch::kMost;
    });
  }
  if (deaths_.Watch(&table_->slot(), holders)) rest = 0;
  mutex_.Lock();
  last_round_ = MonotonicNs();
  const int64_t due = rest < 0 ? -1 : last_round_ + rest;
  if (next_round_ < 0 || (due >= 0 && due < next_round_)) next_round_ = due;
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
  if (timeout_ns < 0 && lock.Held() >= lock.permits()) {
    *error = {"acquire", EDEADLK, "DEADLOCK"};
    return Outcome::kFailed;
  }
  WaitRef wait;
  const ProcessSlot& slot = lock.table()->slot();
  const int64_t start = MonotonicNs();
  Outcome outcome;
  // Busy is a latch here, which a process was stopped inside of: the queue cannot even be joined.
  const int64_t deadline = timeout_ns < 0 ? kNoDeadline : start + timeout_ns;
  while ((outcome = lock.Enqueue(mode, kBlocking, deadline, grant, &wait, error)) == Outcome::kBusy) {
    if (!goes_on() || MonotonicNs() >= deadline) return outcome;
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
  const int64_t over = MonotonicNs();
  for (Ended ended; (ended = EndWait(*lock.table(), wait, grant)) != Ended::kGranted;) {
    if (ended == Ended::kCancelled) {
      lock.Settle({wait});
      return Outcome::kBusy;
    }
    // Its grant is on its way there or back, by a process that may be stopped right there.
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
