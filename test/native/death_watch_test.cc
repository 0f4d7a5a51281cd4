// Deaths of other processes, as the thread that waits hears of them.

#include "../../native/core/death_watch.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "../../native/core/clock.h"
#include "locks.h"

using namespace testing;
using semlock::DeathWatch;
using semlock::ProcessSlot;
using semlock::Tag;

constexpr int64_t kLongNs = 10000000000;
constexpr int64_t kMomentNs = 50000000;

PROGRAM(member) {
  Say(std::to_string(Table()->slot().tag()));
  Hear();
  return 0;
}

static Tag TagOf(Process& member) { return std::stoull(member.Read()); }
static const ProcessSlot* Slot() { return &Table()->slot(); }

static int NextDescriptor() {
  const int next = dup(0);
  close(next);
  return next;
}

TEST("the death of a process is heard of at once, and once") {
  Process member("member");
  Process other("member");
  const Tag tag = TagOf(member);
  DeathWatch deaths;
  deaths.Watch(Slot(), {tag, TagOf(other)});
  CHECK(deaths.CanHear());
  CHECK(!deaths.Sleep(kMomentNs));
  std::thread killer([&] {
    semlock::SleepNs(20000000);
    member.Kill();
  });
  const int64_t start = semlock::MonotonicNs();
  CHECK(deaths.Sleep(kLongNs));
  CHECK(semlock::MonotonicNs() - start < kLongNs / 2);
  killer.join();
  CHECK(Slot()->Check(tag) == semlock::Liveness::kDead);
  CHECK(deaths.CanHear() && !deaths.Sleep(kMomentNs));
}

TEST("a process that has died before it is watched is told of, once") {
  Process member("member");
  Process other("member");
  const Tag tag = TagOf(member);
  const Tag alive = TagOf(other);
  DeathWatch deaths;
  CHECK(!deaths.Watch(Slot(), {alive}));
  member.Kill();
  CHECK(deaths.Watch(Slot(), {tag, alive}));
  CHECK(!deaths.Watch(Slot(), {tag, alive}));
  CHECK(deaths.CanHear());
}

TEST("of a process that is not watched any more nothing is heard, and no descriptor is left") {
  const int next = NextDescriptor();
  {
    Process member("member");
    Process other("member");
    const Tag tag = TagOf(member);
    DeathWatch deaths;
    deaths.Watch(Slot(), {tag});
    deaths.Watch(Slot(), {TagOf(other)});
    member.Kill();
    CHECK(!deaths.Sleep(kMomentNs));
    deaths.Watch(Slot(), {});
    CHECK(!deaths.CanHear());
  }
  Table();
  CHECK(NextDescriptor() - next <= 2);  // the table's files, which were opened meanwhile
}

TEST("a process that listens can be interrupted") {
  Process member("member");
  DeathWatch deaths;
  deaths.Watch(Slot(), {TagOf(member)});
  std::thread other([&] {
    semlock::SleepNs(20000000);
    deaths.Interrupt();
  });
  const int64_t start = semlock::MonotonicNs();
  CHECK(!deaths.Sleep(kLongNs));
  CHECK(semlock::MonotonicNs() - start < kLongNs / 2);
  other.join();
  CHECK(!deaths.Sleep(kMomentNs));
}

TEST("a process that is dead, or of another pid namespace, is not listened for") {
  Process member("member");
  Process stranger("member");
  const Tag tag = TagOf(member);
  const Tag strange = TagOf(stranger);
  member.Kill();
  auto* slots = reinterpret_cast<semlock::Slot*>(Table()->member().memory() + semlock::kSlotsOffset);
  slots[semlock::SlotOf(strange)].pid_namespace.store(1);
  DeathWatch deaths;
  deaths.Watch(Slot(), {tag, strange, semlock::kUnrepaired});
  CHECK(!deaths.CanHear());
}

// The number of the one pidfd of this process.
static int Pidfd() {
  for (int each = 3; each < 100; ++each) {
    char target[64] = {};
    const std::string path = "/proc/self/fd/" + std::to_string(each);
    if (readlink(path.c_str(), target, sizeof(target) - 1) > 0 && strstr(target, "[pidfd]") != nullptr) return each;
  }
  return -1;
}

TEST("a pidfd that other code closes is not listened for, and its number is left to whoever has it then") {
  Process member("member");
  const Tag tag = TagOf(member);
  DeathWatch deaths;
  deaths.Watch(Slot(), {tag});
  const int number = Pidfd();
  CHECK(number >= 0 && close(number) == 0);
  deaths.Sleep(kMomentNs);
  CHECK(!deaths.CanHear());

  DeathWatch others;
  others.Watch(Slot(), {tag});
  const int taken = Pidfd();
  CHECK(taken >= 0 && close(taken) == 0);
  char path[] = "/tmp/semlock-test-XXXXXX";
  CHECK(mkstemp(path) == taken);
  others.Watch(Slot(), {});
  struct stat info;
  CHECK(fstat(taken, &info) == 0 && S_ISREG(info.st_mode));
  CHECK(unlink(path) == 0 && close(taken) == 0);
}

TEST("a pidfd is closed also where /proc cannot be asked whose it is, as without a descriptor left") {
  Process member("member");
  const Tag tag = TagOf(member);
  DeathWatch deaths;
  deaths.Watch(Slot(), {tag});
  const int number = Pidfd();
  CHECK(number >= 0);
  rlimit limit;
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  rlimit none = limit;
  none.rlim_cur = 3;
  CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
  deaths.Watch(Slot(), {});
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK(Pidfd() < 0);
}

TEST(
    "without its pipe, which other code may have closed, nothing is listened for, and the next time with another one") {
  signal(SIGPIPE, SIG_DFL);
  Process member("member");
  const Tag tag = TagOf(member);
  Table();
  for (const int end : {0, 1}) {
    const int next = NextDescriptor();
    DeathWatch deaths;
    deaths.Watch(Slot(), {tag});
    CHECK(deaths.CanHear());
    CHECK(close(next + end) == 0);
    CHECK(!deaths.CanHear());
    deaths.Interrupt();  // which ends nobody by SIGPIPE
    deaths.Watch(Slot(), {tag});
    CHECK(deaths.CanHear());
    const int64_t start = semlock::MonotonicNs();
    CHECK(!deaths.Sleep(kMomentNs));
    CHECK(semlock::MonotonicNs() - start >= kMomentNs);
  }
}

PROGRAM(listens) {
  Process member("member");
  const Tag tag = TagOf(member);
  DeathWatch deaths;
  deaths.Watch(Slot(), {tag});
  CHECK(deaths.CanHear() && Pidfd() >= 0);
  deaths.Watch(Slot(), {});
  CHECK(Pidfd() < 0);
  return 0;
}

// Runs `listens` as process 1 of a pid namespace, with the /proc of another one.
PROGRAM(listens_elsewhere) {
  CHECK(unshare(CLONE_NEWPID) == 0);
  setenv("ASAN_OPTIONS", "detect_leaks=0", 1);  // which would look into /proc, too
  Process listener("listens");
  _exit(listener.Wait());  // without a look for leaks, which needs a process in the old namespace
}

TEST("no pidfd is left where /proc is that of another pid namespace") {
  if (geteuid() != 0) return;
  Process elsewhere("listens_elsewhere");
  CHECK(elsewhere.Wait() == 0);
}
