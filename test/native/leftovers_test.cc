// What is left of a namespace, as the core tells it, and what a cleaner must not take for left behind.

#include "../../native/core/leftovers.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "locks.h"

using namespace testing;
using semlock::Cleared;
using semlock::ClearNamespace;
using semlock::NamespaceInfo;

// What is said of the test's namespace; with no id when nothing is.
static NamespaceInfo Info() {
  std::vector<NamespaceInfo> all;
  CHECK(!semlock::ListNamespaces(Own(), &all));
  for (const NamespaceInfo& each : all) {
    if (each.id == NamespaceId()) return each;
  }
  return {};
}

// Takes the lock "a", gives it back if it is told so, and waits for its end.
PROGRAM(user_of_a) {
  Lock lock("a", {1, true});
  CHECK(lock.TryAcquire());
  if (arguments.at(0) == "release") CHECK(lock.Release());
  Say("ready");
  Hear();
  return 0;
}

// Holds the lock "a" on as another program, which has lost its table.
PROGRAM(replaced_user) {
  Lock lock("a");
  CHECK(lock.TryAcquire());
  execl("/proc/self/exe", "/proc/self/exe", "--program", "says_replaced", nullptr);
  return 1;
}

PROGRAM(says_replaced) {
  Say("ready");
  Hear();
  return 0;
}

TEST("a namespace is listed with its users, and with the news that they leave") {
  CHECK(Info().id.empty());
  Process one("user_of_a", {"release"});
  CHECK(one.Read() == "ready");
  Process other("user_of_a", {"hold"});
  CHECK(other.Read() == "ready");
  const NamespaceInfo used = Info();
  CHECK(used.users == 2 && used.news == 0 && used.joined_ms > 0 && used.bytes > 4096);
  one.Kill();
  CHECK(Info().users == 1);
  other.Kill();
  CHECK(Info().users == 0 && Info().news == 1);
  CHECK(ClearNamespace(NamespaceId(), Own(), false) == Cleared::kOwesNews);
  CHECK(ClearNamespace(NamespaceId(), Own(), true) == Cleared::kDone);
  CHECK(Info().id.empty() && FilesLeft().empty());
}

TEST("it is called what it was called by whoever came first") {
  std::shared_ptr<semlock::LockTable> table;
  CHECK(!semlock::LockTable::Get(NamespaceId(), Own(), &table, "the app"));
  CHECK(Info().label == "the app");
  const std::string endless(5000, 'x');
  CHECK(!semlock::LockTable::Get(NamespaceId() + "2", Own(), &table, endless));
  std::vector<NamespaceInfo> all;
  CHECK(!semlock::ListNamespaces(Own(), &all));
  bool found = false;
  for (const NamespaceInfo& each : all) found = found || each.label == endless.substr(0, semlock::kLabelBytes);
  CHECK(found);
}

TEST("a process that replaced itself by another program still counts, and nothing is cleared under it") {
  Process holder("replaced_user");
  CHECK(holder.Read() == "ready");
  CHECK(Info().users == 1);
  CHECK(ClearNamespace(NamespaceId(), Own(), true) == Cleared::kInUse);
  holder.Kill();
  CHECK(Info().users == 0);
  CHECK(ClearNamespace(NamespaceId(), Own(), true) == Cleared::kDone);
}

TEST("a table that nobody can read goes when nobody uses it") {
  {
    Process dead("user_of_a", {"release"});
    CHECK(dead.Read() == "ready");
    dead.Kill();
  }
  CHECK(truncate(("/dev/shm/semlock-" + std::to_string(geteuid()) + "/" + NamespaceId() + ".table").c_str(), 100) == 0);
  CHECK(Info().users == 0 && Info().label.empty());
  CHECK(ClearNamespace(NamespaceId(), Own(), false) == Cleared::kDone);
  CHECK(FilesLeft().empty());
}

TEST("an old file of no namespace stays, and no semaphore goes that is called as it is") {
  Process user("user_of_a", {"release"});
  CHECK(user.Read() == "ready");
  const std::string stray =
      "/dev/shm/semlock-" + std::to_string(geteuid()) + "/" + NamespaceId().substr(0, 4) + ".stray";
  const int fd = open(stray.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  const timespec long_ago[2] = {};
  CHECK(fd >= 0 && futimens(fd, long_ago) == 0 && close(fd) == 0);
  Table();  // joins, and clears what the dead have left
  const std::vector<std::string> files = FilesLeft();
  CHECK(std::any_of(files.begin(), files.end(),
                    [](const std::string& each) { return each.find("semlock.") != std::string::npos; }));
  CHECK(unlink(stray.c_str()) == 0);
}

TEST("two that clear semaphores without a table at once count each of them once, as removed") {
  constexpr int kAll = 500;
  for (int number = 0; number < kAll; ++number) {
    std::string letters = std::to_string(number);
    letters.insert(0, semlock::kSemaphorePrefix + semlock::kSecretLetters - letters.size(), '-');
    const std::string file = std::string("/dev/shm/") + semlock::kSemaphoreFiles + "semlock." + letters;
    const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && close(fd) == 0);
  }
  semlock::Strays found[2];
  std::thread other([&] { found[1] = semlock::ClearStraySemaphores(Own()); });
  found[0] = semlock::ClearStraySemaphores(Own());
  other.join();
  CHECK(found[0].removed + found[1].removed == kAll);
  CHECK(found[0].kept + found[1].kept == 0);
}
