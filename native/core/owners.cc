#include "owners.h"

#include <errno.h>
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

// Root without CAP_SETUID, as in some containers, may not.
bool CanActAs(uid_t user) {
  const uid_t before = SetFileUser(user);
  const bool can = SetFileUser(before) == user;
  return can;
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
  SetFileUser(owners.id);
  acts_ = true;
}

ActAs::~ActAs() {
  if (acts_) SetFileUser(geteuid());
}

}  // namespace semlock
