#include "owners.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <vector>

namespace semlock {
namespace {

// The user that this process was when it first used a lock: as another one it would find other files, and hold the same
// lock a second time. Negative until then.
std::atomic<int64_t> settled{-1};
std::atomic<bool> changed{false};

uid_t SettledUser() {
  int64_t user = -1;
  settled.compare_exchange_strong(user, int64_t{geteuid()});
  return static_cast<uid_t>(settled.load());
}

bool IsInGroup(gid_t group) {
  if (getegid() == group) return true;
  const int count = getgroups(0, nullptr);
  std::vector<gid_t> groups(static_cast<size_t>(std::max(count, 0)));
  const int got = groups.empty() ? 0 : getgroups(count, groups.data());
  return got > 0 && std::find(groups.begin(), groups.begin() + got, group) != groups.begin() + got;
}

// Of the calling thread alone, unlike all other ids. Gives what it was before, and says nothing of a failure.
uid_t SetFileUser(uid_t user) { return static_cast<uid_t>(syscall(SYS_setfsuid, user)); }

// A change takes the process's core dumps, and the thread's signal at its parent's death. Here is how many threads
// have changed theirs, times two, and in the last bit whether the process had its core dumps before.
constexpr uint32_t kHadDumps = 1;
constexpr uint32_t kOneActs = 2;
std::atomic<uint32_t> acting{0};

void KeepDumps() {
  acting.fetch_add(kOneActs);
  if (prctl(PR_GET_DUMPABLE) == 1) acting.fetch_or(kHadDumps);
}

void RestoreDumps() {
  uint32_t word = acting.load();
  if ((word & kHadDumps) != 0) prctl(PR_SET_DUMPABLE, 1);
  while (!acting.compare_exchange_weak(word, word - kOneActs < kOneActs ? 0 : word - kOneActs)) continue;
}

// Root without CAP_SETUID, as in some containers, may not.
bool CanActAs(uid_t user) {
  const ActAs them({Owners::kUser, user});
  return SetFileUser(user) == user;
}

}  // namespace

Owners Owners::OfThisProcess() { return {kOwn, SettledUser()}; }

SysError Owners::Check() const {
  const uid_t user = geteuid();
  const SysError not_this_user{"geteuid", EPERM, "USER"};
  switch (kind) {
    case kOwn:
      return user == SettledUser() ? SysError{} : not_this_user;
    case kUser:
      if (user == id) return {};
      if (user != 0 || SettledUser() != 0) return not_this_user;
      return CanActAs(id) ? SysError{} : SysError{"setfsuid", EPERM, "USER"};
    case kGroup:
      break;
  }
  return user == 0 || IsInGroup(id) ? SysError{} : SysError{"getgroups", EPERM, "GROUP"};
}

std::string Owners::FolderPath() const {
  return (are_group() ? "/dev/shm/semlock-group-" : "/dev/shm/semlock-") + std::to_string(id);
}

bool Owners::Trust(const struct stat& info) const {
  if (are_group()) return info.st_gid == id && (info.st_mode & 07) == 0;
  return info.st_uid == id && (info.st_mode & 077) == 0;
}

bool HasChangedUser() { return changed.load(std::memory_order_relaxed); }
void NoteChangeOfUser() { changed.store(settled.load() >= 0 && settled.load() != int64_t{geteuid()}); }

ActAs::ActAs(const Owners& owners) {
  if (owners.kind != Owners::kUser || owners.id == geteuid()) return;
  acts_ = true;
  prctl(PR_GET_PDEATHSIG, &parent_death_signal_);
  KeepDumps();
  SetFileUser(owners.id);
}

ActAs::~ActAs() {
  if (!acts_) return;
  // Not what it was before: another thread may have changed the user of all meanwhile, and may just do so.
  uid_t user;
  do {
    user = geteuid();
    SetFileUser(user);
  } while (user != geteuid());
  RestoreDumps();
  if (parent_death_signal_ != 0) prctl(PR_SET_PDEATHSIG, parent_death_signal_);
}

}  // namespace semlock
