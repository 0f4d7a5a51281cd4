// Joining a namespace: what a newcomer must not take for death, and where other code of the process does what it should
// not.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>
#include <utility>

#include "locks.h"

using namespace testing;

// The descriptors under which this process has what lies in /dev/shm, and that folder itself, open.
static std::vector<int> OwnDescriptors() {
  std::vector<int> found;
  for (int fd = 3; fd < 256; ++fd) {
    char path[256];
    const ssize_t length = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof(path));
    if (length > 0 && std::string(path, static_cast<size_t>(length)).rfind("/dev/shm", 0) == 0) found.push_back(fd);
  }
  return found;
}

static semlock::Header* TableHeader() { return reinterpret_cast<semlock::Header*>(Table()->member().memory()); }

PROGRAM(bystander) {
  Say("replaced");
  for (;;) Hear();
}

// Takes the lock "a", and then replaces itself by another program: it runs on, without its table.
PROGRAM(replaced) {
  Lock lock("a");
  Say(lock.TryAcquire() ? "held" : "busy");
  Hear();
  execl("/proc/self/exe", "/proc/self/exe", "--program", "bystander", nullptr);
  return 1;
}

// Says what comes of a try for the lock "a".
PROGRAM(trying) {
  Lock lock("a");
  const std::string error = lock.ErrorOfTry();
  Say(!error.empty() ? error : (*lock).Held() > 0 ? "held" : "busy");
  Hear();
  return 0;
}

// What a newcomer's try says.
static std::string TryOfNewcomer() {
  Process newcomer("trying");
  const std::string said = newcomer.Read();
  newcomer.Write("end");
  CHECK(newcomer.Wait() == 0);
  return said;
}

// A process that holds "a" and has replaced itself.
struct Replaced {
  Process process{"replaced"};
  Replaced() {
    CHECK(process.Read() == "held");
    process.Write("go on");
    CHECK(process.Read() == "replaced");
  }
};

TEST("a holder that replaced itself by another program keeps out newcomers too, which do not get its slot") {
  Lock lock("b");
  CHECK(lock.TryAcquire());
  const uint32_t next = TableHeader()->next_slot.load();
  Replaced holder;
  TableHeader()->next_slot.store(next);
  CHECK(TryOfNewcomer() == "SLOT_LOST");
  holder.process.Kill();
  TableHeader()->next_slot.store(next);
  CHECK(TryOfNewcomer() == "held");
}

TEST("who cannot look at a process for want of descriptors does not take it for dead, and still sees that it is gone") {
  Lock lock("a");
  RecordOf("a");
  Replaced holder;
  rlimit limit;
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const rlim_t allowed = std::exchange(limit.rlim_cur, 3);
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0 && open("/dev/null", O_RDONLY | O_CLOEXEC) < 0);
  CHECK(lock.ErrorOfTry() == "SLOT_LOST");
  holder.process.Kill();
  CHECK(lock.TryAcquire() && lock.grant().abandoned);
  limit.rlim_cur = allowed;
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

TEST("a holder whose descriptors were all closed keeps newcomers out of a second table when its own was removed") {
  {
    Lock lock("a");
    CHECK(lock.TryAcquire());
    CHECK(OwnDescriptors().size() == 3);
    for (const int fd : OwnDescriptors()) CHECK(close(fd) == 0);
    RemoveFilesLeft();
    CHECK(Process("newcomer").Read() == "TABLE_LOST");
    CHECK((*lock).Held() > 0);
  }
  CHECK(munmap(Table()->member().memory(), semlock::kTableBytes) == 0);
  CHECK(TryOfNewcomer() == "held");
  _exit(0);  // there is no table left to leave
}

// Other code has closed our descriptors, and its own file has their numbers by now.
PROGRAM(number_reused) {
  static std::vector<int> numbers;
  static int other;
  atexit([] {  // registered first, so it runs last
    for (const int fd : numbers) {
      struct flock range = {};
      range.l_type = F_WRLCK;
      CHECK(fcntl(fd, F_GETFD) >= 0);
      CHECK(fcntl(other, F_OFD_GETLK, &range) == 0 && range.l_type == F_UNLCK);
    }
    Say("intact");
  });
  Lock lock("a");
  CHECK(lock.TryAcquire());
  numbers = OwnDescriptors();
  CHECK(numbers.size() == 3);
  const int file = open("/dev/shm", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
  other = open(("/proc/self/fd/" + std::to_string(file)).c_str(), O_RDWR | O_CLOEXEC);
  CHECK(file >= 0 && other >= 0);
  for (const int fd : numbers) CHECK(dup2(file, fd) == fd);
  const pid_t child = fork();
  if (child == 0) {
    for (const int fd : numbers) CHECK(fcntl(fd, F_GETFD) >= 0);
    _exit(0);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(lock.Release());
  return 0;
}

TEST("a file that got the number of a descriptor of ours is neither closed nor locked, by a child or at the end") {
  Process process("number_reused");
  CHECK(process.Read() == "intact" && process.Wait() == 0);
  CHECK(TryOfNewcomer() == "held");
}

// Keeps the gate of a namespace shut until it is told to open it.
PROGRAM(gate_keeper) {
  std::shared_ptr<semlock::LockTable> table;
  CHECK(!semlock::LockTable::Get(arguments.at(0), Own(), &table));
  const int64_t gate = semlock::LockedBytesOf(arguments.at(0)).gate;
  CHECK(semlock::LockByte(table->member().fd(), F_WRLCK, gate) == 0);
  Say("shut");
  Hear();
  CHECK(semlock::LockByte(table->member().fd(), F_UNLCK, gate) == 0);
  Hear();
  return 0;
}

static bool SleepsOnFutex(pid_t thread) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/wchan");
  std::string where;
  return std::getline(file, where) && where.find("futex") != std::string::npos;
}

TEST("a thread that waits at the gate of a namespace holds up no thread that wants another one") {
  const std::string shut = NamespaceId() + "shut";
  Process keeper("gate_keeper", {shut});
  CHECK(keeper.Read() == "shut");
  std::atomic<pid_t> id{0};
  std::atomic<bool> is_over{false};
  std::thread waiting([&] {
    std::shared_ptr<semlock::LockTable> table;
    id = static_cast<pid_t>(syscall(SYS_gettid));
    CHECK(!semlock::LockTable::Get(shut, Own(), &table));
    is_over = true;
  });
  CHECK(Eventually([&] { return id != 0 && SleepsOnFutex(id); }));
  std::shared_ptr<semlock::LockTable> other;
  CHECK(!semlock::LockTable::Get(NamespaceId(), Own(), &other));
  CHECK(!is_over);
  keeper.Write("open");
  waiting.join();
  keeper.Write("end");
  CHECK(keeper.Wait() == 0);
}

// Waits until the other end of a pipe is closed, or says something.
static void ReadOne(int fd) {
  char byte;
  CHECK(read(fd, &byte, 1) >= 0);
}

TEST("many that join at the same moment all get in, each with a slot of its own") {
  constexpr int kProcesses = 200;
  int go[2];
  int joined[2];
  int leave[2];
  CHECK(pipe2(go, O_CLOEXEC) == 0 && pipe2(joined, O_CLOEXEC) == 0 && pipe2(leave, O_CLOEXEC) == 0);
  std::vector<pid_t> children;
  for (int number = 0; number < kProcesses; ++number) {
    children.push_back(fork());
    if (children.back() != 0) continue;
    close(go[1]);
    close(leave[1]);
    ReadOne(go[0]);
    std::shared_ptr<semlock::LockTable> table;
    const bool refused = static_cast<bool>(semlock::LockTable::Get(NamespaceId(), Own(), &table));
    const semlock::Tag tag = refused ? 0 : table->slot().tag();
    CHECK(write(joined[1], &tag, sizeof(tag)) == sizeof(tag));
    ReadOne(leave[0]);
    if (!refused) table->member().Leave([] { return false; });
    _exit(0);  // without a search for leaks in each of them
  }
  close(go[1]);
  std::vector<bool> taken(semlock::kMaxProcesses);
  for (int number = 0; number < kProcesses; ++number) {
    semlock::Tag tag = 0;
    CHECK(read(joined[0], &tag, sizeof(tag)) == sizeof(tag) && tag != 0);
    CHECK(!taken[semlock::SlotOf(tag)]);
    taken[semlock::SlotOf(tag)] = true;
  }
  close(leave[1]);
  for (const pid_t each : children) {
    int status = -1;
    CHECK(waitpid(each, &status, 0) == each && status == 0);
  }
}

constexpr uid_t kSomebody = 65533;

// Takes the lock "a" as another user, started with a umask.
PROGRAM(with_umask) {
  CHECK(setgid(kSomebody) == 0 && setuid(kSomebody) == 0);
  umask(static_cast<mode_t>(std::stoul(arguments.at(0), nullptr, 8)));
  Lock lock("a", {1, true});
  Say(!lock.TryAcquire() ? "busy" : lock.grant().abandoned ? "abandoned" : "held");
  Hear();
  return 0;
}

TEST("an odd umask locks nobody out of the locks of its user, then or later") {
  if (geteuid() != 0) return;
  setenv("ASAN_OPTIONS", "detect_leaks=0", 1);  // which would need the rights that are given up
  for (const char* odd : {"0177", "0277", "0377", "0777"}) {
    Process first("with_umask", {odd});
    CHECK(first.Read() == "held");
    Process second("with_umask", {"0022"});
    CHECK(second.Read() == "busy");
    first.Kill();
    second.Write("end");
    CHECK(second.Wait() == 0);
    // What an older version has left.
    const std::string folder = "/dev/shm/semlock-" + std::to_string(kSomebody);
    CHECK(chmod((folder + "/" + NamespaceId() + ".table").c_str(), 0400) == 0 && chmod(folder.c_str(), 0) == 0);
    Process third("with_umask", {"0022"});
    CHECK(third.Read() == "abandoned");
    third.Write("end");
    CHECK(third.Wait() == 0 && access(folder.c_str(), F_OK) != 0);
  }
}

// Uses a lock, becomes another user, and uses that lock and a new one.
PROGRAM(changes_user) {
  Lock lock("a");
  CHECK(lock.TryAcquire());
  CHECK(seteuid(kSomebody) == 0);
  std::shared_ptr<semlock::LockTable> table;
  const semlock::SysError error = semlock::LockTable::Get(NamespaceId(), Own(), &table);
  Say(error.kind != nullptr ? error.kind : "joined");
  CHECK(seteuid(0) == 0 && !semlock::LockTable::Get(NamespaceId(), Own(), &table) && lock.Release());
  return 0;
}

TEST("a process that becomes another user after its first lock is told so, and holds nothing a second time") {
  if (geteuid() != 0) return;
  Process process("changes_user");
  CHECK(process.Read() == "USER" && process.Wait() == 0);
}
