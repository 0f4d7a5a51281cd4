// What root keeps when it acts as a user whose locks it takes, and what of that other threads see. As root alone.

#include "../../native/core/owners.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "harness.h"

using namespace testing;
using semlock::ActAs;
using semlock::Owners;

static const Owners kThem{Owners::kUser, 1000};

// Whose a file is that the calling thread makes.
static uid_t OwnerOfNewFile() {
  char path[] = "/dev/shm/semlock-test-XXXXXX";
  const int fd = mkstemp(path);
  struct stat info;
  CHECK(fd >= 0 && fstat(fd, &info) == 0 && unlink(path) == 0 && close(fd) == 0);
  return info.st_uid;
}

TEST("who acts as a user does so alone of all threads, and until it ends") {
  if (geteuid() != 0) return;
  std::atomic<bool> acts{false};
  std::thread other([&] {
    CHECK(Eventually([&] { return acts.load(); }));
    CHECK(OwnerOfNewFile() == 0);
    acts.store(false);
  });
  {
    const ActAs them(kThem);
    CHECK(OwnerOfNewFile() == kThem.id);
    acts.store(true);
    CHECK(Eventually([&] { return !acts.load(); }));
  }
  other.join();
  CHECK(OwnerOfNewFile() == 0);
}

TEST("who has acted as a user still dumps core, and is still told of its parent's death") {
  if (geteuid() != 0) return;
  CHECK(prctl(PR_SET_DUMPABLE, 1) == 0 && prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0);
  CHECK(!kThem.Check());
  std::vector<std::thread> others;
  for (int each = 0; each < 4; ++each) {
    others.emplace_back([] {
      for (int times = 0; times < 1000; ++times) const ActAs them(kThem);
    });
  }
  for (int times = 0; times < 1000; ++times) const ActAs them(kThem);
  for (std::thread& each : others) each.join();
  int signal = 0;
  CHECK(prctl(PR_GET_PDEATHSIG, &signal) == 0 && signal == SIGUSR1);
  CHECK(prctl(PR_GET_DUMPABLE) == 1);
}

TEST("who dumps no core does not begin to by acting as a user") {
  if (geteuid() != 0) return;
  CHECK(prctl(PR_SET_DUMPABLE, 0) == 0);
  { const ActAs them(kThem); }
  CHECK(prctl(PR_GET_DUMPABLE) == 0);
}
