// Waits of the threads of one process, blocking and by the wait service, for
// ThreadSanitizer above all.

#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <map>
#include <thread>

#include "../../native/core/clock.h"
#include "../../native/core/latch.h"
#include "../../native/core/wait_service.h"
#include "locks.h"

using namespace testing;
using semlock::Grant;
using semlock::Inbox;
using semlock::Mode;
using semlock::Outcome;
using semlock::SysError;
using semlock::WaitRef;
using semlock::WaitService;

constexpr uint16_t kThreads = 4;
constexpr int64_t kForEver = -1;

static void InThreads(const std::function<void(uint16_t thread)>& work) {
  std::vector<std::thread> threads;
  for (uint16_t thread = 1; thread <= kThreads; ++thread) threads.emplace_back(work, thread);
  for (std::thread& each : threads) each.join();
}

static bool Wait(Lock& lock, Mode mode, int64_t timeout_ns, Grant* grant) {
  SysError error;
  const auto goes_on = [] { return true; };
  return semlock::AcquireBlocking(*lock, mode, timeout_ns, goes_on, grant, &error) == Outcome::kDone;
}

TEST("a waiter has its turn beside a program that takes a foreign semaphore again right after each post") {
  const std::string posix_name = "/" + NamespaceId();
  const Kind kind{1, false, posix_name};
  Lock lock("a", kind);
  CHECK(lock.TryAcquire() && lock.Release());
  std::atomic<bool> over{false};
  std::thread hog([&] {
    semlock::NamedSemaphore other;
    CHECK(!other.Open(posix_name.c_str(), semlock::Create::kNever, 0600, 0));
    for (int round = 0; round < 2000 && !over; ++round) {
      while (semlock::TimedWait(other.get(), 1000000000) != 0 && !over) continue;
      semlock::SleepNs(3000000);
      other.Post();
    }
    over = true;
  });
  for (int turns = 0; turns < 10;) {
    Grant grant;
    const bool waits = !lock.TryAcquire();
    if (waits) CHECK(Wait(lock, Mode::kExclusive, kForEver, &grant));
    CHECK(!over);
    CHECK(waits ? (*lock).Release(grant.entry, grant.token) == Outcome::kDone : lock.Release());
    turns += waits;
  }
  over = true;
  hog.join();
  CHECK(lock.Available() == 1);
  CHECK(sem_unlink(posix_name.c_str()) == 0);
}

TEST("threads that wait in turn and add under the lock lose nothing") {
  uint32_t sum = 0;
  InThreads([&](uint16_t thread) {
    Lock lock("a", {}, thread);
    for (int round = 0; round < 300; ++round) {
      Grant grant;
      CHECK(Wait(lock, Mode::kExclusive, kForEver, &grant));
      sum += 1;
      CHECK((*lock).Release(grant.entry, grant.token) == Outcome::kDone);
    }
  });
  CHECK(sum == kThreads * 300);
}

TEST("writers are alone, readers only among themselves") {
  uint32_t sum = 0;
  std::atomic<int> readers{0};
  InThreads([&](uint16_t thread) {
    Lock lock("a", {}, thread);
    const Mode mode = thread % 2 == 0 ? Mode::kShared : Mode::kExclusive;
    for (int round = 0; round < 200; ++round) {
      Grant grant;
      CHECK(Wait(lock, mode, kForEver, &grant));
      if (mode == Mode::kShared) {
        ++readers;
        static_cast<void>(sum);
        --readers;
      } else {
        CHECK(readers == 0);
        sum += 1;
      }
      CHECK((*lock).Release(grant.entry, grant.token) == Outcome::kDone);
    }
  });
  CHECK(sum == kThreads / 2 * 200);
  CHECK(Lock("a").Available() == 1);
}

TEST("a wait whose time is over leaves the queue to those behind it") {
  Lock holder("a");
  CHECK(holder.TryAcquire());
  Lock hasty("a", {}, 2);
  Grant grant;
  CHECK(!Wait(hasty, Mode::kExclusive, 1000000, &grant));
  std::thread patient([] {
    Lock lock("a", {}, 3);
    Grant granted;
    CHECK(Wait(lock, Mode::kExclusive, kForEver, &granted));
    CHECK((*lock).Release(granted.entry, granted.token) == Outcome::kDone);
  });
  CHECK(Eventually([] { return !Query("a").waiters.empty(); }));
  CHECK(holder.Release());
  patient.join();
  CHECK(Lock("a").Available() == 1);
}

TEST(
    "a wait that must not go on ends soon, and leaves the queue to those behind "
    "it") {
  Lock holder("a");
  CHECK(holder.TryAcquire());
  std::atomic<bool> goes_on{true};
  std::thread terminated([&] {
    Lock lock("a", {}, 2);
    Grant grant;
    SysError error;
    const auto asked = [&] { return goes_on.load(); };
    CHECK(semlock::AcquireBlocking(*lock, Mode::kExclusive, kForEver, asked, &grant, &error) == Outcome::kBusy);
  });
  CHECK(Eventually([] { return Query("a").waiters.size() == 1; }));
  goes_on = false;
  terminated.join();
  CHECK(Query("a").waiters.empty());
  CHECK(holder.Release());
  CHECK(Lock("a").Available() == 1);
}

TEST("many readers share one permit, and the last one brings it back") {
  std::vector<std::unique_ptr<Lock>> locks;
  std::vector<Grant> grants;
  for (int reader = 0; reader < 40; ++reader) {
    locks.push_back(std::make_unique<Lock>("a"));
    grants.emplace_back();
    SysError error;
    CHECK((**locks.back()).TryAcquire(Mode::kShared, &grants.back(), &error) == Outcome::kDone);
  }
  Lock writer("a");
  for (size_t reader = 0; reader < grants.size(); ++reader) {
    CHECK(!writer.TryAcquire());
    CHECK((**locks[reader]).Release(grants[reader].entry, grants[reader].token) == Outcome::kDone);
  }
  CHECK(writer.TryAcquire() && writer.Release());
}

static uint32_t OwnSlot() { return semlock::SlotOf(Table()->slot().tag()); }

static WaitService& Service() {
  SysError error;
  WaitService* service = WaitService::Of(Table(), &error);
  CHECK(service != nullptr && !error);
  return *service;
}

// Stands in for an event loop of Node.js.
class Loop {
 public:
  explicit Loop(uint16_t thread) {
    CHECK(!Inbox::Open(
        Table()->member(), thread, [] {}, &inbox_));
  }
  ~Loop() { Service().Withdraw(inbox_.get()); }
  const Inbox* inbox() const { return inbox_.get(); }

  // The event of that id, once it is there.
  semlock::WaitEvent EventOf(int64_t id) {
    CHECK(Eventually([&] {
      pollfd waiting{inbox_->fd(), POLLIN, 0};
      if (events_.count(id) == 0) poll(&waiting, 1, 100);
      std::vector<semlock::WaitEvent> events;
      Service().Take(*inbox_, &events);
      for (const semlock::WaitEvent& event : events) CHECK(events_.emplace(event.id, event).second);
      return events_.count(id) != 0;
    }));
    return events_[id];
  }
  Grant GrantOf(int64_t id) { return EventOf(id).grant; }

 private:
  std::unique_ptr<Inbox> inbox_;
  std::map<int64_t, semlock::WaitEvent> events_;
};

// Stands in the queue of "a" behind the holder; a wait of that id.
static WaitRef Queue(Lock& lock, int64_t id = semlock::kBlocking) {
  Grant grant;
  WaitRef wait;
  SysError error;
  Outcome outcome = Outcome::kBusy;
  // Also where the one that settles this queue sleeps within the latch, on a busy machine.
  CHECK(Eventually([&] {
    outcome = (*lock).Enqueue(Mode::kExclusive, id, semlock::kNoDeadline, &grant, &wait, &error);
    return outcome != Outcome::kBusy;
  }));
  CHECK(outcome == Outcome::kQueued);
  return wait;
}

TEST("no permit is lost between grants and the cancellations that meet them") {
  InThreads([&](uint16_t thread) {
    Loop loop(thread);
    Lock lock("a", {}, thread);
    WaitService& service = Service();
    for (int round = 0; round < 300; ++round) {
      Grant grant;
      WaitRef wait;
      SysError error;
      const int64_t id = WaitService::NewId();
      const Outcome outcome = (*lock).Enqueue(Mode::kExclusive, id, semlock::kNoDeadline, &grant, &wait, &error);
      bool held = outcome == Outcome::kDone;
      if (outcome == Outcome::kQueued) {
        service.Wait(id, *lock, wait, loop.inbox());
        held = round % 3 == 0;
        if (held) {
          grant = loop.GrantOf(id);
        } else {
          CHECK(service.Cancel(id, *lock));  // only the loop of this very thread takes
        }
      }
      if (held) CHECK((*lock).Release(grant.entry, grant.token) == Outcome::kDone);
    }
  });
  CHECK(Eventually([] { return Lock("a").Available() == 1; }));
}

TEST("no permit is lost or had twice between those who collect and those who take back") {
  std::atomic<int> holders{0};
  InThreads([&](uint16_t thread) {
    Lock lock("a", {}, thread);
    for (int round = 0; round < 300; ++round) {
      Grant grant;
      WaitRef wait;
      SysError error;
      const int64_t deadline = semlock::MonotonicNs() + round % 4 * 50000;
      const Outcome outcome = (*lock).Enqueue(Mode::kExclusive, semlock::kBlocking, deadline, &grant, &wait, &error);
      bool held = outcome == Outcome::kDone;
      while (outcome == Outcome::kQueued && !held) {
        (*lock).Settle();
        held = semlock::Collect(*Table(), wait, &grant);
        if (held || semlock::MonotonicNs() < deadline || !semlock::MarkCancelled(*Table(), wait)) continue;
        (*lock).Settle({wait});
        break;
      }
      if (!held) continue;
      CHECK(holders.fetch_add(1) == 0);
      CHECK(holders.fetch_sub(1) == 1);
      CHECK((*lock).Release(grant.entry, grant.token) == Outcome::kDone);
    }
  });
  CHECK(Lock("a").Available() == 1);
  CHECK(Query("a").waiters.empty());
}

TEST("a permit that is not collected goes to another thread, and not to the next wait of the same one") {
  Lock holder("a");
  CHECK(holder.TryAcquire());
  Lock slow("a", {}, 2);
  Lock quick("a", {}, 3);
  const WaitRef first = Queue(slow);
  const WaitRef second = Queue(slow);
  const WaitRef third = Queue(quick);
  CHECK(holder.Release());
  CHECK(semlock::IsGranted(*Table(), first));
  Grant grant;
  CHECK(Eventually([&] {
    (*quick).Settle();
    return semlock::Collect(*Table(), third, &grant);
  }));
  CHECK(semlock::IsPassed(*Table(), first) && semlock::IsPassed(*Table(), second));
  CHECK(Query("a").waiters.size() == 2);
  (*slow).Settle({second, first});
  CHECK((*quick).Release(grant.entry, grant.token) == Outcome::kDone);
  for (const WaitRef& each : {first, second}) {
    CHECK(semlock::Collect(*Table(), each, &grant));
    CHECK((*slow).Release(grant.entry, grant.token) == Outcome::kDone);
  }
  CHECK(Lock("a").Available() == 1);
}

TEST("a grant that nobody collects goes on soon, though those in line are so many that each looks seldom") {
  int attempt = 0;
  CHECK(Eventually([&] {  // on a busy machine it may take longer now and then
    const std::string name = "a" + std::to_string(attempt++);
    Lock holder(name);
    CHECK(holder.TryAcquire());
    Lock slow(name, {}, 2);
    for (int wait = 0; wait < 63; ++wait) Queue(slow);
    Loop loop(3);
    Lock quick(name, {}, 3);
    const int64_t id = WaitService::NewId();
    const WaitRef wait = Queue(quick, id);
    Service().Wait(id, *quick, wait, loop.inbox());
    semlock::SleepNs(50000000);  // it has gone round, and does so again in half a second at the soonest
    const int64_t released = semlock::MonotonicNs();
    CHECK(holder.Release());
    const Grant grant = loop.GrantOf(id);
    const int64_t taken_ms = (semlock::MonotonicNs() - released) / 1000000;
    CHECK(taken_ms >= 99 && (*quick).Release(grant.entry, grant.token) == Outcome::kDone);
    return taken_ms < 440;
  }));
}

TEST(
    "a thief gets the lock at once, and the robbed one's release changes "
    "nothing") {
  Lock robbed("a");
  CHECK(robbed.TryAcquire());
  Lock thief("a", {}, 2);
  Grant grant;
  SysError error;
  CHECK((*thief).Steal(&grant, &error) == Outcome::kDone);
  CHECK(grant.token > robbed.grant().token);
  CHECK(!robbed.Release());
  CHECK(!Lock("a", {}, 3).TryAcquire());
  CHECK((*thief).Release(grant.entry, grant.token) == Outcome::kDone);
  CHECK(Lock("a").Available() == 1);
}

// What a thief does that stays inside the latch for so long, while the holder waits there to release.
static void StealDuringRelease(long stay_ns) {
  for (int round = 0; round < 10; ++round) {
    Lock robbed("a");
    CHECK(robbed.TryAcquire());
    semlock::Record& record = RecordOf("a");
    const semlock::ProcessSlot& slot = Table()->slot();
    CHECK(TryLatch(record));
    std::thread release([&] { robbed.Release(); });
    semlock::SleepNs(200000);
    Grant stolen;
    CHECK(semlock::LatchedRecord(*Table(), record, &record.semaphore).Steal(2, &stolen));
    semlock::SleepNs(stay_ns);
    semlock::LeaveToNext(record.latch, slot, false);
    release.join();

    CHECK(!Lock("a", {}, 3).TryAcquire());
    Lock thief("a", {}, 2);
    CHECK(thief.Available() == 0);
    CHECK((*thief).Release(stolen.entry, stolen.token) == Outcome::kDone);
    CHECK(Lock("a", {}, 3).Available() == 1);
    int value = 0;
    sem_getvalue(&record.semaphore, &value);
    CHECK(value == 1);
  }
}

TEST("a release that is overtaken by a theft leaves the thief its permit") { StealDuringRelease(0); }

TEST("so does a release that could not have the latch") { StealDuringRelease(3000000); }

TEST("threads of one process that give the same permit back give it back once") {
  Lock lock("a");
  CHECK(lock.TryAcquire());
  semlock::Record& record = RecordOf("a");
  const semlock::ProcessSlot& slot = Table()->slot();
  CHECK(TryLatch(record));
  std::atomic<int> given_back{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 2; ++thread) {
    threads.emplace_back([&] {
      semlock::LockRecord mine(*lock);
      given_back += mine.Release(lock.grant().entry, lock.grant().token) == Outcome::kDone;
    });
  }
  semlock::SleepNs(200000);
  semlock::LeaveToNext(record.latch, slot, false);
  for (std::thread& each : threads) each.join();
  CHECK(given_back == 1);
  CHECK(Lock("a").Available() == 1);
  int value = 0;
  sem_getvalue(&record.semaphore, &value);
  CHECK(value == 1);
}

PROGRAM(holder) {
  Lock lock("a");
  Say(lock.TryAcquire() ? "held" : "busy");
  Hear();
  return 0;
}

TEST("a grant that its waiter did not want tells the next holder of the death before it") {
  Lock waiter("a", {}, 2);
  Process holder("holder");
  CHECK(holder.Read() == "held");
  const WaitRef wait = Queue(waiter);
  holder.Kill();
  CHECK(Lock("a", {}, 3).Available() == 0);  // the waiter has it now
  Service().GiveBackLater(*waiter, wait);
  Lock next("a", {}, 3);
  CHECK(Eventually([&] { return next.TryAcquire(); }));
  CHECK(next.grant().abandoned);
}

TEST("who steals from a dead holder is told of its death") {
  Process holder("holder");
  CHECK(holder.Read() == "held");
  holder.Kill();
  Lock thief("a");
  Grant grant;
  SysError error;
  CHECK((*thief).Steal(&grant, &error) == Outcome::kDone && grant.abandoned);
  CHECK((*thief).Release(grant.entry, grant.token) == Outcome::kDone);
}

TEST("a theft of several permits serves those who wait with the others") {
  const Kind kind{3};
  Lock robbed("a", kind);
  CHECK(robbed.TryAcquire() && robbed.TryAcquire() && robbed.TryAcquire());
  Lock waiter("a", kind, 2);
  const WaitRef wait = Queue(waiter);
  Lock thief("a", kind, 3);
  Grant stolen;
  Grant granted;
  SysError error;
  CHECK((*thief).Steal(&stolen, &error) == Outcome::kDone);
  CHECK(semlock::Collect(*Table(), wait, &granted));
  CHECK((*thief).Release(stolen.entry, stolen.token) == Outcome::kDone);
  CHECK((*waiter).Release(granted.entry, granted.token) == Outcome::kDone);
}

TEST("an environment that ends leaves the queue, and its grants to those behind") {
  Lock holder("a");
  CHECK(holder.TryAcquire());
  Lock waiter("a", {}, 2);
  {
    Loop loop(2);
    const int64_t id = WaitService::NewId();
    const WaitRef wait = Queue(waiter, id);
    Service().Wait(id, *waiter, wait, loop.inbox());
  }
  CHECK(Eventually([] { return Query("a").waiters.empty(); }));
  CHECK(holder.Release() && Lock("a", {}, 3).Available() == 1);
}

PROGRAM(waiter) {
  Lock lock("a");
  Queue(lock);
  Say("waits");
  Hear();
  return 0;
}

TEST("the dead who waited take no more room than those who wait at a time, and are passed over") {
  Lock holder("a");
  CHECK(holder.TryAcquire());
  for (int each = 0; each < 50; ++each) {
    Process waiter("waiter");
    CHECK(waiter.Read() == "waits");
    waiter.Kill();
    CHECK(Query("a").waiters.empty());
  }
  uint32_t room = 0;
  Table()->AnyWaiter(RecordOf("a"), [&](semlock::Waiter&, uint32_t) {
    ++room;
    return false;
  });
  CHECK(room == semlock::kWaitersPerExtension);
  Lock waiter("a", {}, 2);
  const WaitRef wait = Queue(waiter);
  Grant granted;
  CHECK(holder.Release());
  CHECK(semlock::Collect(*Table(), wait, &granted) && !granted.abandoned);
  CHECK((*waiter).Release(granted.entry, granted.token) == Outcome::kDone);
}

TEST("a grant whose message was lost is found nevertheless, and told once") {
  Lock holder("a");
  CHECK(holder.TryAcquire());
  Lock waiter("a", {}, 2);
  Loop loop(2);
  const int64_t id = WaitService::NewId();
  const WaitRef wait = Queue(waiter, id);
  Service().Wait(id, *waiter, wait, loop.inbox());
  Table()->member().RemoveInbox(semlock::SlotOf(Table()->slot().tag()), 2);
  CHECK(holder.Release());
  const Grant grant = loop.GrantOf(id);
  CHECK((*waiter).Release(grant.entry, grant.token) == Outcome::kDone);
}

TEST("an inbox that nobody empties keeps nobody from handing on") {
  Loop loop(2);
  for (int message = 0; message < 100000; ++message) {
    Table()->outbox().Post(OwnSlot(), 2, 1);
  }
  Lock holder("a");
  CHECK(holder.TryAcquire());
  Lock waiter("a", {}, 2);
  const int64_t id = WaitService::NewId();
  const WaitRef wait = Queue(waiter, id);
  Service().Wait(id, *waiter, wait, loop.inbox());
  const int64_t start = semlock::MonotonicNs();
  CHECK(holder.Release());
  CHECK(semlock::MonotonicNs() - start < 1000000000);
  const Grant grant = loop.GrantOf(id);
  CHECK((*waiter).Release(grant.entry, grant.token) == Outcome::kDone);
}

// The inbox of a thread of this process, and what is posted to it.
static std::unique_ptr<Inbox> OpenInbox(uint16_t thread) {
  std::unique_ptr<Inbox> inbox;
  CHECK(!Inbox::Open(
      Table()->member(), thread, [] {}, &inbox));
  return inbox;
}
static int64_t MessageIn(const Inbox& inbox) {
  int64_t message = 0;
  return inbox.Read(&message, 1) == 1 ? message : 0;
}

TEST("a message goes to the thread that has the number now") {
  for (int64_t message = 1; message <= 3; ++message) {
    const std::unique_ptr<Inbox> inbox = OpenInbox(2);
    Table()->outbox().Post(OwnSlot(), 2, message);
    CHECK(MessageIn(*inbox) == message);
  }
}

TEST("messages to more threads than pipes are kept open for arrive") {
  std::vector<std::unique_ptr<Inbox>> inboxes;
  for (uint16_t thread = 1; thread <= 40; ++thread) inboxes.push_back(OpenInbox(thread));
  for (int64_t round = 1; round <= 3; ++round) {
    for (uint16_t thread = 1; thread <= 40; ++thread) Table()->outbox().Post(OwnSlot(), thread, round);
    for (const auto& inbox : inboxes) CHECK(MessageIn(*inbox) == round);
  }
}

TEST("a message to nobody is lost, and the next one to a thread that has come meanwhile is not") {
  Table()->outbox().Post(OwnSlot(), 2, 1);
  const std::unique_ptr<Inbox> inbox = OpenInbox(2);
  Table()->outbox().Post(OwnSlot(), 2, 2);
  CHECK(MessageIn(*inbox) == 2);
}

TEST("no message goes into a file that has the descriptor of a pipe which somebody has closed") {
  const std::unique_ptr<Inbox> inbox = OpenInbox(2);
  const int next = dup(0);
  close(next);
  Table()->outbox().Post(OwnSlot(), 2, 1);  // keeps the pipe open as `next`
  close(next);
  char path[] = "/tmp/semlock-test-XXXXXX";
  CHECK(mkstemp(path) == next);
  Table()->outbox().Post(OwnSlot(), 2, 2);
  CHECK(MessageIn(*inbox) == 1 && MessageIn(*inbox) == 2);
  struct stat info;
  CHECK(fstat(next, &info) == 0 && S_ISREG(info.st_mode) && info.st_size == 0);
  CHECK(unlink(path) == 0 && close(next) == 0);
}

TEST("who watches its permit is told of a theft, also of one before it watched") {
  for (const bool before : {false, true}) {
    Lock robbed("a", {}, 2);
    CHECK(robbed.TryAcquire());
    Loop loop(2);
    const int64_t id = WaitService::NewId();
    if (!before) Service().Watch(id, *robbed, robbed.grant(), loop.inbox());
    Lock thief("a", {}, 3);
    Grant grant;
    SysError error;
    CHECK((*thief).Steal(&grant, &error) == Outcome::kDone);
    if (before) Service().Watch(id, *robbed, robbed.grant(), loop.inbox());
    CHECK(loop.EventOf(id).stolen);
    CHECK((*thief).Release(grant.entry, grant.token) == Outcome::kDone);
  }
}

TEST("a thief that takes a grant which would have told of a death leaves the news to the one after it") {
  Process holder("holder");
  CHECK(holder.Read() == "held");
  Lock waiter("a", {}, 2);
  const WaitRef wait = Queue(waiter);
  holder.Kill();
  CHECK(Lock("a", {}, 3).Available() == 0);  // the waiter has it now
  Lock thief("a", {}, 4);
  Grant stolen;
  SysError error;
  CHECK((*thief).Steal(&stolen, &error) == Outcome::kDone && !stolen.abandoned);
  Grant unwanted;
  CHECK(semlock::Collect(*Table(), wait, &unwanted) && unwanted.abandoned);
  (*waiter).Decline(unwanted);
  CHECK((*thief).Release(stolen.entry, stolen.token) == Outcome::kDone);
  Lock next("a", {}, 5);
  CHECK(next.TryAcquire() && next.grant().abandoned);
}

TEST("what an environment is granted as it ends is no news of a death") {
  Lock holder("a");
  CHECK(holder.TryAcquire());
  Lock waiter("a", {}, 2);
  {
    Loop loop(2);
    const int64_t id = WaitService::NewId();
    const WaitRef wait = Queue(waiter, id);
    Service().Wait(id, *waiter, wait, loop.inbox());
    CHECK(holder.Release());
  }
  (*waiter).ReleaseAll();
  Lock next("a", {}, 3);
  CHECK(next.TryAcquire());
  CHECK(!next.grant().abandoned);
}

TEST("settling a lock whose record is another one's by now leaves that one alone") {
  Lock first("first");
  CHECK(first.TryAcquire() && first.Release());
  semlock::LockRecord stale(*first);
  const uint32_t index = stale.record_index();
  semlock::Record& record = Table()->record(index);
  const uint32_t generation = record.generation;
  for (int number = 0; record.generation == generation || record.state != semlock::State::kLock; ++number) {
    CHECK(number < 10000);
    Lock other("other " + std::to_string(number));
    CHECK(other.TryAcquire() && other.Release());
  }

  // One that was released without the latch, and is not swept yet.
  Lock other(Table()->NameOf(record));
  CHECK(other.TryAcquire() && (*other).record_index() == index);
  const semlock::ProcessSlot& slot = Table()->slot();
  CHECK(TryLatch(record));
  std::thread([&] { CHECK(other.Release()); }).join();
  semlock::LeaveToNext(record.latch, slot, false);

  stale.Settle();
  CHECK(record.entry.tag != 0);
  CHECK(Lock(Table()->NameOf(record)).Available() == 1 && Lock("first").Available() == 1);
}

TEST("an inbox whose descriptor became another file's leaves that file alone, and goes on with another pipe") {
  int woken = 0;
  std::unique_ptr<Inbox> inbox;
  CHECK(!Inbox::Open(
      Table()->member(), 2, [&woken] { ++woken; }, &inbox));
  const int number = inbox->fd();
  CHECK(close(number) == 0);
  char path[] = "/tmp/semlock-test-XXXXXX";
  CHECK(mkstemp(path) == number && write(number, "12345678", 8) == 8 && lseek(number, 0, SEEK_SET) == 0);
  inbox->Post(1);
  CHECK(woken == 1 && !inbox->IsIntact() && MessageIn(*inbox) == 0);
  struct stat info;
  CHECK(fstat(number, &info) == 0 && info.st_size == 8 && lseek(number, 0, SEEK_CUR) == 0);

  CHECK(!inbox->Reopen() && inbox->IsIntact() && inbox->fd() != number);
  inbox->Post(2);
  Table()->outbox().Post(OwnSlot(), 2, 3);
  CHECK(MessageIn(*inbox) == 2 && MessageIn(*inbox) == 3 && woken == 1);
  inbox.reset();
  CHECK(fstat(number, &info) == 0 && S_ISREG(info.st_mode));
  CHECK(unlink(path) == 0 && close(number) == 0);
}

TEST("a wait after more than 2^32 others is told of its grant, and only of its own") {
  Loop loop(2);
  Lock holder("a");
  CHECK(holder.TryAcquire());
  Lock early("a", {}, 2);
  Lock late("a", {}, 2);
  const int64_t first = WaitService::NewId();
  const int64_t second = first + (int64_t{1} << 32);
  Service().Wait(first, *early, Queue(early, first), loop.inbox());
  Service().Wait(second, *late, Queue(late, second), loop.inbox());
  CHECK(holder.Release());
  const Grant grant = loop.GrantOf(first);
  CHECK((*early).Release(grant.entry, grant.token) == Outcome::kDone);
  const Grant after = loop.GrantOf(second);
  CHECK(after.token > grant.token && (*late).Release(after.entry, after.token) == Outcome::kDone);
}

TEST("a wait for an exclusive lock takes room to wait, and none for a holder more") {
  Lock holder("a");
  CHECK(holder.TryAcquire());
  Lock waiter("a", {}, 2);
  const WaitRef wait = Queue(waiter);
  const semlock::Record& record = RecordOf("a");
  CHECK(record.more_waiters != 0 && record.more_entries == 0 && record.entry_room == 1);
  CHECK(semlock::MarkCancelled(*Table(), wait));
  (*waiter).Settle({wait});
}

static int64_t ProcessorNs() {
  timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return int64_t{used.tv_sec} * 1000000000 + used.tv_nsec;
}

TEST("a thousand waits for a lock that is held cost no processor time to speak of") {
  Lock holder("a");
  CHECK(holder.TryAcquire());
  Loop loop(2);
  Lock waiter("a", {}, 2);
  for (int wait = 0; wait < 1000; ++wait) {
    const int64_t id = WaitService::NewId();
    Service().Wait(id, *waiter, Queue(waiter, id), loop.inbox());
  }
  semlock::SleepNs(100000000);
  CHECK(Eventually([] {  // on a busy machine the same work takes longer
    const int64_t before = ProcessorNs();
    semlock::SleepNs(500000000);
    return ProcessorNs() - before < 100000000;
  }));
}

TEST("the cell of a cancelled wait is free at once, though its lock is held, also when another was inside the latch") {
  Lock holder("a");
  CHECK(holder.TryAcquire());
  Lock waiter("a", {}, 2);
  const semlock::Record& record = RecordOf("a");
  for (const bool inside : {false, true}) {
    const WaitRef wait = Queue(waiter);
    CHECK(record.waiting == 1);
    CHECK(semlock::MarkCancelled(*Table(), wait));
    if (inside) {
      semlock::Record& latched = RecordOf("a");
      const semlock::ProcessSlot& slot = Table()->slot();
      CHECK(TryLatch(latched));
      (*waiter).Settle({wait});
      CHECK(record.waiting == 1);
      semlock::LeaveToNext(latched.latch, slot, false);
      CHECK(!Lock("a", {}, 3).TryAcquire());
    } else {
      (*waiter).Settle({wait});
    }
    CHECK(record.waiting == 0 && semlock::CellOf(*Table(), wait) == nullptr);
  }
}

TEST("a latch that was found stuck is not waited for again as long as the same process is inside") {
  Lock lock("a");
  CHECK(lock.TryAcquire() && lock.Release());
  semlock::Record& record = RecordOf("a");
  CHECK(TryLatch(record));
  const auto tries_take = [&](int tries) {
    const int64_t start = semlock::MonotonicNs();
    while (tries-- > 0) CHECK(!lock.TryAcquire());
    return semlock::MonotonicNs() - start;
  };
  CHECK(tries_take(1) >= semlock::kLatchBoundNs);
  CHECK(Eventually([&] { return tries_take(10) < 5 * semlock::kLatchBoundNs; }));
  semlock::LeaveLatch(record.latch);
  CHECK(lock.TryAcquire() && lock.Release());
}

TEST("the death of a holder is heard of long before the next round") {
  int heard = 0;
  for (int round = 0; round < 5; ++round) {
    Process holder("holder");
    CHECK(holder.Read() == "held");
    Lock waiter("a", {}, 2);
    Loop loop(2);
    const int64_t id = WaitService::NewId();
    // Among so many the service goes round each 100 to 200 ms.
    const WaitRef wait = Queue(waiter, id);
    std::vector<WaitRef> others;
    while (others.size() < 40) others.push_back(Queue(waiter));
    Service().Wait(id, *waiter, wait, loop.inbox());
    semlock::SleepNs(30000000);
    const int64_t start = semlock::MonotonicNs();
    holder.Kill();
    const Grant grant = loop.GrantOf(id);
    heard += semlock::MonotonicNs() - start < 50000000;
    for (const WaitRef& each : others) CHECK(semlock::MarkCancelled(*Table(), each));
    (*waiter).Settle(others);
    CHECK((*waiter).Release(grant.entry, grant.token) == Outcome::kDone);
  }
  CHECK(heard >= 3);
}
