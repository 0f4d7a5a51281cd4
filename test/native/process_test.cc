// Locks between processes: exclusion, death, fork, and what others can do to
// the files.

#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "locks.h"

using namespace testing;
using semlock::Outcome;

// The descriptor under which this process has the table open.
static int TableDescriptor() {
  const std::string wanted = NamespaceId() + ".table";
  for (int fd = 3; fd < 256; ++fd) {
    char path[256];
    const ssize_t length = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof(path));
    if (length > 0 && std::string(path, static_cast<size_t>(length)).find(wanted) != std::string::npos) return fd;
  }
  return -1;
}

// Ends when this process does, and does nothing else meanwhile.
static void StayUntilKilled() {
  for (;;) pause();
}

// Obeys one order a line. The lock is "a".
PROGRAM(obedient) {
  const bool named = !arguments.empty() && arguments[0] == "named";
  Lock lock("a", {1, named});
  for (;;) {
    const std::string order = Hear();
    if (order == "try") Say(lock.TryAcquire() ? (lock.grant().abandoned ? "abandoned" : "held") : "busy");
    if (order == "error") Say("error: " + lock.ErrorOfTry());
    if (order == "release") Say(lock.Release() ? "released" : "not held");
    if (order == "exit") exit(7);
    if (order == "close the table") Say(close(TableDescriptor()) == 0 ? "closed" : "not closed");
    if (order == "unmap the table") {
      Say(munmap(Table()->member().memory(), semlock::kTableBytes) == 0 ? "unmapped" : "not unmapped");
      StayUntilKilled();
    }
    if (order == "fork") {
      const pid_t child = fork();
      if (child == 0) StayUntilKilled();
      Say(std::to_string(child));
    }
    // As fork(), but the handlers of pthread_atfork do not run: what would
    // happen without them.
    if (order == "clone") {
      const auto child = static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
      if (child == 0) StayUntilKilled();
      Say(std::to_string(child));
    }
    // What the child of a fork finds when it tries to use locks.
    if (order == "use in a child") {
      Lock unused("new");
      if (fork() == 0) {
        Say("error: " + lock.ErrorOfTry() + ", " + unused.ErrorOfTry() + (lock.Release() ? ", released" : ""));
        exit(0);
      }
      wait(nullptr);
    }
  }
}

static std::string Ask(Process& process, const std::string& order) {
  process.Write(order);
  return process.Read();
}

TEST("a lock excludes other processes until it is released") {
  for (const char* kind : {"unnamed", "named"}) {
    Process first("obedient", {kind});
    Process second("obedient", {kind});
    CHECK(Ask(first, "try") == "held");
    CHECK(Ask(second, "try") == "busy");
    CHECK(Ask(first, "release") == "released");
    CHECK(Ask(second, "try") == "held");
    CHECK(Ask(second, "release") == "released");
    first.Write("exit");
    second.Write("exit");
    CHECK(first.Wait() == 7 && second.Wait() == 7);
  }
}

TEST(
    "the permit of a killed process is free at once, and the next holder is "
    "told") {
  Process victim("obedient");
  Lock lock("a");
  CHECK(Ask(victim, "try") == "held");
  CHECK(!lock.TryAcquire());
  victim.Kill();
  CHECK(lock.TryAcquire() && lock.grant().abandoned);
  CHECK(lock.Release() && lock.TryAcquire() && !lock.grant().abandoned);
}

// Stays in exit() after it has left the namespace: its handler was registered first, so it runs last.
PROGRAM(slow_leaver) {
  atexit([] {
    Say("left");
    StayUntilKilled();
  });
  Lock lock("a");
  Say(lock.TryAcquire() ? "held" : "busy");
  Hear();
  return 0;
}

TEST("the permit of a process that exits without releasing is free as soon as it has left, though it still runs") {
  Process leaver("slow_leaver");
  Lock lock("a");
  CHECK(leaver.Read() == "held");
  CHECK(!lock.TryAcquire());
  CHECK(Ask(leaver, "exit") == "left");
  CHECK(lock.ErrorOfTry().empty() && (*lock).Held() > 0);
}

TEST("a stopped holder keeps its lock") {
  Process holder("obedient");
  Lock lock("a");
  CHECK(Ask(holder, "try") == "held");
  holder.Signal(SIGSTOP);
  usleep(100000);
  CHECK(!lock.TryAcquire());
  holder.Signal(SIGCONT);
  CHECK(Ask(holder, "release") == "released" && lock.TryAcquire());
}

TEST("a holder's death is seen although a child that it forked lives on") {
  Process holder("obedient");
  Lock lock("a");
  CHECK(Ask(holder, "try") == "held");
  const int child = std::stoi(Ask(holder, "fork"));
  CHECK(!lock.TryAcquire());
  usleep(50000);  // the child has run its handler
  holder.Kill();
  const bool acquired = lock.TryAcquire();
  CHECK(kill(child, 0) == 0 && kill(child, SIGKILL) == 0);
  CHECK(acquired && lock.grant().abandoned);
}

TEST(
    "control: without the handler the forked child keeps its dead parent's "
    "lock") {
  Process holder("obedient");
  Lock lock("a");
  CHECK(Ask(holder, "try") == "held");
  const int child = std::stoi(Ask(holder, "clone"));
  holder.Kill();
  const bool busy = !lock.TryAcquire();
  CHECK(kill(child, SIGKILL) == 0);
  CHECK(busy);
  CHECK(Eventually([&] { return lock.TryAcquire(); }));
}

TEST("a forked child may neither take nor release a lock, and changes nothing") {
  Process parent("obedient");
  CHECK(Ask(parent, "try") == "held");
  CHECK(Ask(parent, "use in a child") == "error: FORKED, FORKED");
  CHECK(Ask(parent, "release") == "released");
  CHECK(Ask(parent, "use in a child") == "error: FORKED, FORKED");
  CHECK(Ask(parent, "try") == "held");
  CHECK(Ask(parent, "release") == "released");
  parent.Write("exit");
  CHECK(parent.Wait() == 7);
}

TEST(
    "a holder whose table was closed behind its back keeps its lock, and no "
    "longer knows who lives") {
  Process holder("obedient");
  Lock lock("a");
  CHECK(Ask(holder, "try") == "held");
  CHECK(Ask(holder, "close the table") == "closed");
  CHECK(!lock.TryAcquire());
  CHECK(Ask(holder, "release") == "released");
  CHECK(lock.TryAcquire());
  CHECK(Ask(holder, "error") == "error: SLOT_LOST");
}

TEST(
    "a holder that runs without its table is an error, not a death, until it "
    "ends") {
  Process holder("obedient");
  Lock lock("a");
  CHECK(Ask(holder, "try") == "held");
  CHECK(Ask(holder, "close the table") == "closed");
  CHECK(Ask(holder, "unmap the table") == "unmapped");
  CHECK(lock.ErrorOfTry() == "SLOT_LOST");
  holder.Kill();
  CHECK(lock.TryAcquire() && lock.grant().abandoned);
}

TEST(
    "who lost its own table to another file takes nobody for dead, and lets "
    "no other file grow") {
  Process holder("obedient");
  Lock lock("a");
  CHECK(Ask(holder, "try") == "held");
  const int table = TableDescriptor();
  const int other = open("/dev/shm", O_RDWR | O_TMPFILE, 0600);
  const int kept = dup(table);
  CHECK(table >= 0 && other >= 0 && kept >= 0 && dup2(other, table) == table);
  RecordOf("a");  // the table's latch works without the file
  // As if it were of another pid namespace, where nothing but the file tells
  // who lives.
  semlock::Slot* slots = reinterpret_cast<semlock::Slot*>(Table()->member().memory() + semlock::kSlotsOffset);
  for (uint32_t slot = 0; slot < semlock::kMaxProcesses; ++slot) slots[slot].pid_namespace = 1;
  CHECK(lock.ErrorOfTry() == "SLOT_LOST");
  std::vector<std::unique_ptr<Lock>> held;
  std::string error;
  for (int name = 0; name < 1000 && error.empty(); ++name) {
    held.push_back(std::make_unique<Lock>("name " + std::to_string(name)));
    error = held.back()->ErrorOfTry();
  }
  struct stat info;
  CHECK(error == "SLOT_LOST" && fstat(other, &info) == 0 && info.st_size == 0);
  CHECK(dup2(kept, table) == table);
  holder.Kill();
  CHECK(lock.TryAcquire() && lock.grant().abandoned);
}

TEST("the last process that leaves removes the table and the semaphores") {
  {
    Process first("obedient", {"named"});
    Process second("obedient", {"named"});
    CHECK(Ask(first, "try") == "held");
    CHECK(Ask(second, "try") == "busy");
    CHECK(Ask(first, "release") == "released");
    CHECK(FilesLeft().size() == 2);
    first.Write("exit");
    CHECK(first.Wait() == 7);
    CHECK(FilesLeft().size() == 2);
    second.Write("exit");
    CHECK(second.Wait() == 7);
  }
  CHECK(FilesLeft().empty());
}

// Starts a process that makes the lock "a" and ends with it in hand, the last of its namespace.
static void EndHolding(const char* kind) {
  Process holder("obedient", {kind});
  holder.Write("try");
  const std::string had = holder.Read();
  CHECK(had == "held" || had == "abandoned");
  holder.Write("exit");
  CHECK(holder.Wait() == 7);
}

TEST("the last process that leaves keeps the table until the next holder was told that it had died") {
  for (const char* kind : {"unnamed", "named"}) {
    EndHolding(kind);
    const size_t kept = FilesLeft().size();
    CHECK(kept > 0);
    EndHolding(kind);
    Process idle("newcomer");  // has no use for the lock
    CHECK(idle.Read() == "joined" && idle.Wait() == 0);
    CHECK(FilesLeft().size() == kept);

    Process told("obedient", {kind});
    CHECK(Ask(told, "try") == "abandoned" && Ask(told, "release") == "released");
    CHECK(Ask(told, "try") == "held" && Ask(told, "release") == "released");
    told.Write("exit");
    CHECK(told.Wait() == 7 && FilesLeft().empty());
  }
}

// Uses the lock "a" with two permits, whatever it had before.
PROGRAM(changed) {
  Lock lock("a", {2, arguments.at(0) == "named"});
  const std::string error = lock.ErrorOfTry();
  Say(!error.empty() ? error : lock.grant().abandoned ? "abandoned" : "held");
  if (!error.empty()) return 0;
  Hear();
  Say(lock.TryAcquire() && !lock.TryAcquire() ? "both" : "not both");
  return 0;
}

TEST(
    "a lock that nobody alive has used may come back with other permits, and tells of its holder's death all the "
    "same") {
  for (const char* kind : {"unnamed", "named"}) {
    for (const bool killed : {false, true}) {
      Process holder("obedient", {kind});
      CHECK(Ask(holder, "try") == "held");
      killed ? holder.Signal(SIGKILL) : holder.Write("exit");
      CHECK(holder.Wait() == (killed ? -SIGKILL : 7));

      Process idle("newcomer");
      CHECK(idle.Read() == "joined" && idle.Wait() == 0);
      Process next("changed", {kind});
      CHECK(next.Read() == "abandoned");
      CHECK(Ask(next, "go on") == "both" && next.Wait() == 0);
      CHECK(FilesLeft().empty());
    }
  }
}

TEST("control: the permits of a lock that somebody alive has used are not changed under it, though another one died") {
  EndHolding("unnamed");
  Process user("obedient");
  CHECK(Ask(user, "try") == "abandoned" && Ask(user, "release") == "released");
  Process changed("changed", {"unnamed"});
  CHECK(changed.Read() == "MISMATCH");
  CHECK(Ask(user, "try") == "held" && Ask(user, "release") == "released");
  Process holder("obedient");
  CHECK(Ask(holder, "try") == "held");
  holder.Kill();
  CHECK(Process("changed", {"unnamed"}).Read() == "MISMATCH");
  CHECK(Ask(user, "try") == "abandoned" && Ask(user, "release") == "released");
  user.Write("exit");
  CHECK(user.Wait() == 7);
}

// What the last one leaves behind, which dies in the middle of something.
PROGRAM(last_one) {
  const std::string& how = arguments.at(0);
  Lock several("several", {3});
  if (how == "with one of several permits") CHECK(several.TryAcquire());
  Lock reader("read");
  semlock::Grant grant;
  semlock::SysError error;
  if (how == "reading") CHECK((*reader).TryAcquire(semlock::Mode::kShared, &grant, &error) == Outcome::kDone);
  Lock thread("thread");
  if (how == "after a thread of it") CHECK(thread.TryAcquire());
  (*thread).ReleaseAll();
  Lock done("done");
  CHECK(done.TryAcquire() && done.Release());
  exit(7);
}

TEST("a table is kept for a permit of several, for a reader and for a thread that ended, and not for nothing") {
  const auto files_after = [](const char* how) {
    CHECK(Process("last_one", {how}).Wait() == 7);
    return FilesLeft().size();
  };
  CHECK(files_after("holding nothing") == 0);
  CHECK(files_after("with one of several permits") == 1);
  CHECK(files_after("reading") == 1);
  CHECK(files_after("after a thread of it") == 1);
  for (const char* name : {"read", "thread"}) {
    Lock next(name);
    CHECK(next.TryAcquire() && next.grant().abandoned);
  }
  Lock next("several", {3});
  CHECK(next.Available() == 3 && next.TryAcquire() && next.grant().abandoned);
}

TEST(
    "what a namespace leaves behind when all its processes are killed is put "
    "right by the next one") {
  for (int round = 0; round < 5; ++round) {
    Process first("obedient", {"named"});
    Process second("obedient", {"named"});
    CHECK(Ask(first, "try") == (round == 0 ? "held" : "abandoned"));
    CHECK(Ask(second, "try") == "busy");
    first.Kill();
    second.Kill();
  }
  CHECK(FilesLeft().size() == 2);
  CHECK(Lock("a", {1, true}).TryAcquire());
}

TEST(
    "after the table was removed under them, the processes go on and "
    "newcomers are refused") {
  Lock lock("a");
  Process fellow("obedient");
  CHECK(Ask(fellow, "try") == "held");
  for (const std::string& file : FilesLeft()) CHECK(unlink(file.c_str()) == 0);
  CHECK(!lock.TryAcquire());
  CHECK(Ask(fellow, "release") == "released" && lock.TryAcquire());
  Process newcomer("newcomer");
  CHECK(newcomer.Read() == "TABLE_LOST");
  CHECK(FilesLeft().empty());
}

PROGRAM(newcomer) {
  std::shared_ptr<semlock::LockTable> table;
  const semlock::SysError error = semlock::LockTable::Get(NamespaceId(), Own(), &table);
  Say(!error ? "joined" : error.kind != nullptr ? error.kind : "failed");
  return 0;
}

static std::string TablePath() {
  return "/dev/shm/semlock-" + std::to_string(geteuid()) + "/" + NamespaceId() + ".table";
}

TEST(
    "a table of another layout or another libc is refused while it is used, and "
    "replaced when nobody uses it") {
  Lock lock("a");
  CHECK(lock.TryAcquire());
  auto* header = reinterpret_cast<semlock::Header*>(Table()->member().memory());
  for (uint32_t* field : {&header->layout_version, &header->libc}) {
    *field += 1;
    CHECK(Process("newcomer").Read() == "LAYOUT");
    *field -= 1;
  }
  CHECK(Process("newcomer").Read() == "joined");
}

static void IsReplaced(off_t size) {
  mkdir(("/dev/shm/semlock-" + std::to_string(geteuid())).c_str(), 0700);
  const int file = open(TablePath().c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  CHECK(file >= 0 && ftruncate(file, size) == 0 && close(file) == 0);
  Process newcomer("newcomer");
  CHECK(newcomer.Read() == "joined" && newcomer.Wait() == 0);
  CHECK(FilesLeft().empty());
}

TEST(
    "a truncated table, and one full of holes, is replaced when nobody uses "
    "it") {
  for (const off_t size : {off_t{0}, off_t{100}, off_t{semlock::kTableBytes - 1}, off_t{semlock::kTableBytes}}) {
    IsReplaced(size);
  }
}

TEST("a table that was cut off after its header is replaced when nobody uses it") {
  Process victim("obedient");
  CHECK(Ask(victim, "try") == "held");
  victim.Kill();
  CHECK(truncate(TablePath().c_str(), 4096) == 0);
  Process newcomer("newcomer");
  CHECK(newcomer.Read() == "joined" && newcomer.Wait() == 0);
}

TEST(
    "a table that others may write to, and a link in its place, is not "
    "trusted") {
  mkdir(("/dev/shm/semlock-" + std::to_string(geteuid())).c_str(), 0700);
  const int file = open(TablePath().c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  CHECK(file >= 0 && fchmod(file, 0666) == 0);
  CHECK(Process("newcomer").Read() == "UNTRUSTED");
  CHECK(unlink(TablePath().c_str()) == 0 && symlink("/dev/null", TablePath().c_str()) == 0);
  CHECK(Process("newcomer").Read() == "UNTRUSTED");
  RemoveFilesLeft();
}

// Takes the lock "a" once, says its token and whether it was told of a death, and ends in the way that it was told.
PROGRAM(passer_by) {
  const std::string& end = arguments.at(0);
  Lock lock("a", {1, true});
  while (!lock.TryAcquire()) sched_yield();
  Say(std::to_string(lock.grant().token) + (lock.grant().abandoned ? " told" : " not told"));
  if (end == "killed") raise(SIGKILL);
  if (end == "exits") exit(0);
  return 0;
}

TEST("of many that come and go, and some that die holding, each is told of the death of the one before, and no other") {
  const char* const kEnds[] = {"releases", "exits", "releases", "killed", "releases"};
  struct Visit {
    uint64_t token;
    bool told;
    bool released;
  };
  std::vector<Visit> visits;
  uint32_t random = 1;
  for (int round = 0; round < 30; ++round) {
    std::vector<std::pair<std::unique_ptr<Process>, std::string>> crowd;
    for (uint32_t size = 1 + random % 4; size > 0; --size) {
      random = random * 1103515245 + 12345;
      const std::string end = kEnds[(random >> 16) % 5];
      crowd.emplace_back(std::make_unique<Process>("passer_by", std::vector<std::string>{end}), end);
    }
    for (auto& [process, end] : crowd) {
      const std::string said = process->Read();
      CHECK(process->Wait() == (end == "killed" ? -SIGKILL : 0));
      visits.push_back({std::stoull(said), said.find("not told") == std::string::npos, end == "releases"});
    }
  }
  std::sort(visits.begin(), visits.end(), [](const Visit& one, const Visit& other) { return one.token < other.token; });
  bool released = true;
  uint64_t token = 0;
  for (const Visit& each : visits) {
    CHECK(each.token > token && each.told == !released);
    token = each.token;
    released = each.released;
  }
  Process last("passer_by", {"releases"});
  CHECK((last.Read().find("not told") == std::string::npos) == !released && last.Wait() == 0);
}

// Adds to a number in shared memory, each time in three steps that another
// process may come between.
static void AddUnprotected(volatile uint32_t* number) {
  const uint32_t old = *number;
  for (int other_work = 0; other_work < 50; ++other_work) static_cast<void>(number[1 + other_work]);
  *number = old + 1;
}

static uint32_t* SharedNumber() {
  const std::string path = "/dev/shm/semlock-number-" + NamespaceId();
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  CHECK(file >= 0 && ftruncate(file, 4096) == 0);
  void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  CHECK(memory != MAP_FAILED);
  close(file);
  return static_cast<uint32_t*>(memory);
}

constexpr uint32_t kRounds = 5000;

PROGRAM(adder) {
  const std::string kind = arguments.at(0);
  uint32_t* number = SharedNumber();
  Lock lock("adder", {1, kind == "named"});
  Say("ready");
  Hear();
  for (uint32_t round = 0; round < kRounds; ++round) {
    if (kind == "without a lock") {
      AddUnprotected(number);
      continue;
    }
    while (!lock.TryAcquire()) sched_yield();
    AddUnprotected(number);
    CHECK(lock.Release());
  }
  return 0;
}

static uint32_t SumOfAdders(const std::string& kind) {
  uint32_t* number = SharedNumber();
  *number = 0;
  std::vector<std::unique_ptr<Process>> adders;
  for (int process = 0; process < 4; ++process) {
    adders.push_back(std::make_unique<Process>("adder", std::vector<std::string>{kind}));
    CHECK(adders.back()->Read() == "ready");
  }
  for (auto& each : adders) each->Write("go");
  for (auto& each : adders) CHECK(each->Wait() == 0);
  unlink(("/dev/shm/semlock-number-" + NamespaceId()).c_str());
  return *number;
}

TEST(
    "four processes that add under a lock lose nothing, with a named "
    "semaphore and without") {
  CHECK(SumOfAdders("named") == 4 * kRounds);
  CHECK(SumOfAdders("unnamed") == 4 * kRounds);
}

TEST("control: four processes that add without a lock lose something") {
  CHECK(Eventually([] { return SumOfAdders("without a lock") < 4 * kRounds; }));
}

TEST(
    "more processes than there are slots are refused, and welcome when one "
    "has left") {
  const int table = TableDescriptor();
  CHECK(table < 0);
  Lock lock("a");
  // As many processes would: each slot's byte is locked by an open file of its
  // own.
  std::vector<int> files;
  for (uint32_t slot = 1; slot < semlock::kMaxProcesses; ++slot) {
    files.push_back(open(TablePath().c_str(), O_RDWR | O_CLOEXEC));
    CHECK(files.back() >= 0);
    CHECK(semlock::LockByte(files.back(), F_WRLCK, semlock::LockedBytesOf(NamespaceId()).first_slot + slot) == 0);
  }
  CHECK(Process("newcomer").Read() == "CAPACITY");
  close(files.back());
  CHECK(Process("newcomer").Read() == "joined");
  for (const int each : files) close(each);
}

TEST(
    "who becomes another user after joining makes no folder of that user and "
    "removes none of its files") {
  if (geteuid() != 0) return;
  setenv("ASAN_OPTIONS", "detect_leaks=0",
         1);  // which would need the rights that are given up
  Process former("former_root");
  CHECK(former.Read() == "held");
  CHECK(former.Wait() == 0);
  CHECK(access("/dev/shm/semlock-65534", F_OK) != 0);
  CHECK(FilesLeft().size() == 2);
  CHECK(Lock("a", {1, true}).TryAcquire());
}

PROGRAM(former_root) {
  Lock lock("a", {1, true});
  CHECK(lock.TryAcquire());
  CHECK(seteuid(65534) == 0);
  Say(lock.Release() && lock.TryAcquire() ? "held" : "not held");
  return 0;
}

PROGRAM(breaker) {
  const std::string& what = arguments.at(0);
  Lock lock(what, {2});
  CHECK(lock.TryAcquire());
  semlock::Record& record = RecordOf(what, {2});
  if (what == "held") ++record.held;
  if (what == "waiting") ++record.waiting;
  if (what == "value") sem_post(&record.semaphore);
  if (what == "token") record.last_token = 0;
  if (what == "half made") {
    semlock::WaitRef wait;
    semlock::SysError error;
    semlock::Grant grant;
    CHECK(lock.TryAcquire());
    CHECK((*lock).Enqueue(semlock::Mode::kExclusive, 1, semlock::kNoDeadline, &grant, &wait, &error) ==
          Outcome::kQueued);
    Table()->WaiterAt(wait.number)->state = semlock::kGranting;
  }
  lock.TryAcquire();
  return 0;
}

TEST("the builds for tests end where a record is left that breaks an invariant") {
  for (const char* what : {"held", "waiting", "value", "token", "half made"}) {
    Process breaker("breaker", {what});
    CHECK(breaker.Wait() == -SIGABRT);
  }
  Process sound("breaker", {"nothing"});
  CHECK(sound.Wait() == 0);
  RemoveFilesLeft();
}
