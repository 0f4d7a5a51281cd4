// One lock in one process: permits, tokens, names, and what goes wrong between.

#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <set>

#include "../../native/core/latch.h"
#include "locks.h"

using namespace testing;
using semlock::Outcome;

TEST("a held lock is busy, and free after its release") {
  Lock first("a");
  Lock second("a", {}, 2);
  CHECK(first.TryAcquire());
  CHECK(!second.TryAcquire());
  CHECK(first.Release());
  CHECK(second.TryAcquire());
  CHECK(second.Release());
}

TEST("two names are two locks, which differ in nothing but their last letter") {
  Lock one("file:1");
  Lock two("file:2");
  CHECK(one.TryAcquire() && two.TryAcquire());
}

TEST(
    "a second release gives nothing back, nor does one of another thread or "
    "of another token") {
  Lock lock("a");
  Lock other("a", {}, 2);
  CHECK(lock.TryAcquire());
  const semlock::Grant grant = lock.grant();
  CHECK((*other).Release(grant.entry, grant.token) == Outcome::kNotHeld);
  CHECK(!other.TryAcquire());
  CHECK((*other).Release(grant.entry, grant.token) == Outcome::kNotHeld);
  CHECK((*lock).Release(grant.entry, grant.token + 1) == Outcome::kNotHeld);
  CHECK((*lock).Release(grant.entry + 1, grant.token) == Outcome::kNotHeld);
  CHECK((*lock).Release(0xffffffff, grant.token) == Outcome::kNotHeld);
  CHECK(lock.Available() == 0);
  CHECK(lock.Release());
  CHECK((*lock).Release(grant.entry, grant.token) == Outcome::kNotHeld);
  CHECK(lock.Available() == 1);
}

static void HasAsManyPermits(uint32_t permits, bool named) {
  const std::string name = "pool of " + std::to_string(permits);
  Lock lock(name, {permits, named});
  std::set<uint32_t> entries;
  std::vector<semlock::Grant> grants;
  for (uint32_t taken = 0; taken < permits; ++taken) {
    CHECK(lock.TryAcquire());
    CHECK(entries.insert(lock.grant().entry).second);
    grants.push_back(lock.grant());
  }
  CHECK(!lock.TryAcquire());
  CHECK(Query(name).holders.size() == permits);
  for (const semlock::Grant& each : grants) CHECK((*lock).Release(each.entry, each.token) == Outcome::kDone);
  CHECK(lock.Available() == static_cast<int>(permits));
}

TEST("a lock has as many permits as it was made with, from 1 to 1024") {
  for (const uint32_t permits : {1u, 2u, 8u, 9u, 1024u}) HasAsManyPermits(permits, false);
}

TEST("a lock with a named semaphore has as many permits too") {
  for (const uint32_t permits : {1u, 9u, 1024u}) HasAsManyPermits(permits, true);
}

TEST("a lock that others use with other permits, or otherwise, is refused") {
  Lock lock("a", {2});
  CHECK(lock.TryAcquire());
  CHECK(Lock("a", {3}).ErrorOfTry() == "MISMATCH");
  CHECK(Lock("a", {2, true, "/other"}).ErrorOfTry() == "MISMATCH");
  CHECK(Lock("a", {2, true}).ErrorOfTry() == "");
}

TEST(
    "names of 40 000 UTF-16 units are kept whole, and told apart by the last "
    "one") {
  const std::string name(80000, 'n');
  std::string other = name;
  other.back() = 'm';
  Lock lock(name);
  Lock same(name, {}, 2);
  Lock another(other);
  CHECK(lock.TryAcquire());
  CHECK(!same.TryAcquire());
  CHECK(another.TryAcquire());
  CHECK(Query(name).holders.size() == 1 && Query(other).holders.size() == 1);
}

TEST("names of every length up to several extensions come back as they were") {
  for (size_t length = 2; length < 1000; length += 38) {
    std::string name;
    for (size_t at = 0; at < length; ++at) name += static_cast<char>(at * 7 + length);
    Lock lock(name);
    CHECK(lock.TryAcquire());
    CHECK(Query(name).holders.size() == 1);
    CHECK(lock.Release());
  }
}

TEST("tokens grow with each acquisition") {
  Lock lock("a");
  uint64_t last = 0;
  for (int round = 0; round < 1000; ++round) {
    CHECK(lock.TryAcquire() && lock.grant().token > last);
    last = lock.grant().token;
    CHECK(lock.Release());
  }
}

TEST(
    "tokens grow across the recycling of the lock's record, even when they "
    "are ahead of the clock") {
  Lock lock("a");
  CHECK(lock.TryAcquire() && lock.Release());
  semlock::Record& record = RecordOf("a");
  const uint32_t generation = record.generation;
  record.last_token += uint64_t{1} << 40;
  CHECK(lock.TryAcquire() && lock.Release());
  const uint64_t last = lock.grant().token;
  for (int other = 0; record.generation == generation; ++other) {
    CHECK(other < 10000);
    Lock filler("other " + std::to_string(other));
    CHECK(filler.TryAcquire() && filler.Release());
  }
  CHECK(lock.TryAcquire());
  CHECK(lock.grant().token > last);
}

TEST("a lock that is held is never recycled, however many others there are") {
  Lock held("held");
  CHECK(held.TryAcquire());
  for (int other = 0; other < 5000; ++other) {
    Lock filler("other " + std::to_string(other));
    CHECK(filler.TryAcquire() && filler.Release());
  }
  CHECK(Table()->record_count() < 2000);
  CHECK(!Lock("held", {}, 2).TryAcquire());
  CHECK(held.Release());
}

static std::string SemaphorePath(const std::string& name, const Kind& kind) {
  const std::string posix_name = Table()->PosixNameOf(RecordOf(name, kind));
  return posix_name.empty() ? "" : std::string("/dev/shm/") + semlock::kSemaphoreFiles + posix_name.substr(1);
}

TEST("whoever makes a lock settles which semaphore it has, and others use that one") {
  const Kind fixed{2, true};
  for (const bool fixed_first : {true, false}) {
    const std::string name = fixed_first ? "fixed first" : "computed first";
    Lock first(name, fixed_first ? fixed : Kind{2});
    CHECK(first.TryAcquire());
    const std::string path = SemaphorePath(name, fixed);
    CHECK(fixed_first ? access(path.c_str(), F_OK) == 0 : path.empty());
    Lock second(name, fixed_first ? Kind{2} : fixed, 2);
    CHECK(second.TryAcquire());
    CHECK(!first.TryAcquire() && !second.TryAcquire());
    CHECK(first.Release() && second.TryAcquire());
    CHECK(second.Release() && SemaphorePath(name, fixed) == path);
  }
}

TEST("those who cannot open a lock's semaphore any more share the lock with those who have it open") {
  const Kind fixed{2, true};
  Lock first("a", fixed);
  CHECK(first.TryAcquire());
  const std::string path = SemaphorePath("a", fixed);
  CHECK(unlink(path.c_str()) == 0);
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600);
  CHECK(file >= 0 && write(file, "x", 1) == 1 && close(file) == 0);
  Lock second("a", fixed, 2);
  for (int round = 0; round < 5; ++round) {
    CHECK(second.TryAcquire() && !first.TryAcquire() && !second.TryAcquire());
    CHECK(first.Release() && first.Available() == 1 && second.Available() == 1);
    CHECK(first.TryAcquire() && !first.TryAcquire() && !second.TryAcquire());
    CHECK(second.Release() && first.Available() == 1 && second.Available() == 1);
  }
  CHECK(first.Release() && first.Available() == 2 && second.Available() == 2);
  CHECK(unlink(path.c_str()) == 0);
}

TEST("a release that cannot have the latch is finished by whoever comes next") {
  Lock lock("a");
  CHECK(lock.TryAcquire());
  semlock::Record& record = RecordOf("a");
  CHECK(TryLatch(record));
  CHECK(lock.Release());
  CHECK((*lock).Release(lock.grant().entry, lock.grant().token) == Outcome::kNotHeld);
  CHECK(semlock::LeaveLatch(record.latch));  // asked to sweep
  CHECK(lock.TryAcquire() && lock.Release());
}

TEST(
    "a try gives up within milliseconds while a living process stays inside "
    "the latch") {
  Lock lock("a");
  CHECK(lock.TryAcquire() && lock.Release());
  semlock::Record& record = RecordOf("a");
  CHECK(TryLatch(record));
  const auto start = std::chrono::steady_clock::now();
  CHECK(!lock.TryAcquire());
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(200));
  semlock::LeaveLatch(record.latch);
  CHECK(lock.TryAcquire() && lock.Release());
}

TEST(
    "a thread that ends gives back what it holds, and the next holder is "
    "told") {
  Lock ending("a", {3}, 1);
  Lock other("a", {3}, 2);
  CHECK(ending.TryAcquire() && ending.TryAcquire() && other.TryAcquire());
  CHECK((*ending).Held() > 0);
  (*ending).ReleaseAll();
  CHECK((*ending).Held() == 0 && (*other).Held() > 0);
  CHECK(other.Available() == 2);
  CHECK(other.TryAcquire() && other.grant().abandoned);
}

TEST(
    "a permit that is missing without an entry is put back, and with foreign "
    "programs only reported") {
  const std::string posix_name = "/" + NamespaceId();
  Lock own("own", {2, true});
  Lock shared("shared", {2, true, posix_name});
  for (Lock* each : {&own, &shared}) CHECK(each->TryAcquire() && each->Release());
  for (const std::string& name : {Table()->PosixNameOf(RecordOf("own", {2, true})), posix_name}) {
    sem_t* semaphore = sem_open(name.c_str(), 0);
    CHECK(semaphore != SEM_FAILED && sem_trywait(semaphore) == 0 && sem_close(semaphore) == 0);
  }
  CHECK(own.TryAcquire() && own.TryAcquire() && !own.TryAcquire());
  CHECK(shared.TryAcquire() && !shared.TryAcquire());
  CHECK(Query("shared").missing == 1 && Query("own").missing == 0);
  CHECK(sem_unlink(posix_name.c_str()) == 0);
}

TEST(
    "a foreign semaphore stays when the namespace is left, with all its "
    "permits") {
  const std::string name = "/" + NamespaceId();
  Lock lock("a", {2, true, name});
  CHECK(lock.TryAcquire() && lock.Release());
  sem_t* semaphore = sem_open(name.c_str(), 0);
  int value = 0;
  CHECK(semaphore != SEM_FAILED && sem_getvalue(semaphore, &value) == 0 && value == 2);
  CHECK(sem_unlink(name.c_str()) == 0);
}

static void Ignore(int) {}

TEST("signals that arrive while the table grows change nothing") {
  struct sigaction action = {};
  action.sa_handler = Ignore;
  CHECK(sigaction(SIGALRM, &action, nullptr) == 0);
  const itimerval often = {{0, 20}, {0, 20}};
  CHECK(setitimer(ITIMER_REAL, &often, nullptr) == 0);
  std::vector<std::unique_ptr<Lock>> held;
  for (int name = 0; name < 8000; ++name) {
    held.push_back(std::make_unique<Lock>(std::to_string(name)));
    CHECK(held.back()->ErrorOfTry() == "");
  }
  const itimerval never = {};
  CHECK(setitimer(ITIMER_REAL, &never, nullptr) == 0);
}
