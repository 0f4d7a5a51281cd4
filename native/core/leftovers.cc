#include "leftovers.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "clock.h"
#include "crash_points.h"
#include "lock_record.h"
#include "lock_table.h"
#include "membership.h"
#include "named_semaphore.h"

namespace semlock {
namespace {

constexpr uint64_t kOldMs = 24 * 60 * 60 * 1000;
// In one join, whose event loop waits meanwhile.
constexpr size_t kLooks = 16;
constexpr int64_t kLongNs = 2000000;

uint64_t MsOf(const timespec& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1000 + static_cast<uint64_t>(time.tv_nsec) / 1000000;
}

uint64_t BytesOf(const struct stat& info) { return static_cast<uint64_t>(info.st_blocks) * 512; }

// Empty for a file of none: by a shorter id, the semaphores of others would be cleared.
std::string NamespaceOf(const char* name) {
  const char* end = strchr(name, '.');
  return end == nullptr || end < name + kSemaphorePrefix ? std::string() : std::string(name, end);
}

// What lies in the folder of tables: memory, and when somebody came last. What has no table is what a builder has
// begun, and is as old as that.
struct Found {
  uint64_t bytes = 0;
  uint64_t changed_ms = 0;
  bool has_table = false;
};

SysError FindAll(const Owners& owners, std::map<std::string, Found>* all) {
  return ForEachTableFile(owners, [all](int folder, const char* name) {
    const std::string id = NamespaceOf(name);
    struct stat info;
    if (id.empty() || fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return;
    Found& found = (*all)[id];
    found.bytes += BytesOf(info);
    const bool is_table = name == TableName(id);
    if (is_table || !found.has_table) found.changed_ms = MsOf(info.st_mtim);
    found.has_table = found.has_table || is_table;
  });
}

// The processes that live, by the slots that name one. One that has just joined may not have written its own yet; one
// that has replaced itself by another program has lost its byte, and still counts.
uint32_t CountUsers(const Membership& member) {
  const auto* slots = reinterpret_cast<const Slot*>(member.memory() + kSlotsOffset);
  uint32_t users = 0;
  for (uint32_t index = 0; index < kMaxProcesses; ++index) {
    if (slots[index].pid.load() == 0) continue;
    users += member.slot().Check(MakeTag(index, slots[index].generation.load())) != Liveness::kDead;
  }
  return std::max(users, member.OthersHaveSlots() ? 1u : 0u);
}

// The table for reading. Null without one, and without one that can be read: then `users` is 1 where somebody uses it,
// or that cannot be told, and what news it owes nobody of this version can be told.
std::shared_ptr<LockTable> LookAt(const std::string& id, const Owners& owners, uint32_t* users) {
  Patience none{0};
  std::unique_ptr<Membership> observer;
  *users = Membership::Observe(id, owners, &none, &observer) ? 1 : 0;
  return observer == nullptr ? nullptr : std::make_shared<LockTable>(id, std::move(observer));
}

// Whether it can go, as far as a look tells.
Cleared Foresee(const std::string& id, const Owners& owners, bool even_news) {
  uint32_t users = 0;
  const std::shared_ptr<LockTable> table = LookAt(id, owners, &users);
  if (users > 0) return Cleared::kInUse;
  if (table == nullptr) return Cleared::kDone;
  if (table->member().OthersHaveSlots() || CountUsers(table->member()) > 0) return Cleared::kInUse;
  return !even_news && table->CountNews() > 0 ? Cleared::kOwesNews : Cleared::kDone;
}

}  // namespace

SysError ListNamespaces(const Owners& owners, std::vector<NamespaceInfo>* found) {
  std::map<std::string, Found> all;
  if (SysError error = FindAll(owners, &all)) return error;
  std::map<std::string, uint64_t> semaphores;  // bytes, by what their names begin with
  const std::string own = std::string(kSemaphoreFiles) + "semlock.";
  ForEachOwnSemaphore([&](int folder, const char* name) {
    struct stat info;
    if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return;
    semaphores[std::string(name + own.size()).substr(0, kSemaphorePrefix)] += BytesOf(info);
  });
  for (const auto& [id, files] : all) {
    NamespaceInfo info{id, {}, files.bytes, files.has_table ? files.changed_ms : 0, 0, 0};
    info.bytes += semaphores[id.substr(0, kSemaphorePrefix)];
    if (const std::shared_ptr<LockTable> table = LookAt(id, owners, &info.users)) {
      const auto& header = *reinterpret_cast<const Header*>(table->member().memory());
      info.label.assign(header.label, std::min<size_t>(header.label_bytes, kLabelBytes));
      info.users = CountUsers(table->member());
      if (info.users == 0) info.news = table->CountNews();
    }
    found->push_back(std::move(info));
  }
  return {};
}

// By coming and going: a process that joins at the same time finds one that does just that. A look before, so that
// nothing is touched in most cases.
Cleared ClearNamespace(const std::string& id, const Owners& owners, bool even_news) {
  const Cleared foreseen = Foresee(id, owners, even_news);
  if (foreseen != Cleared::kDone) return foreseen;
  CRASH_POINT(clear_found);
  Patience none{0};
  std::unique_ptr<Membership> member;
  if (Membership::Join(id, owners, &none, &member)) return Cleared::kInUse;  // by somebody at its gate
  const auto table = std::make_shared<LockTable>(id, std::move(member));
  CRASH_POINT(clear_joined);
  SettleForeignSemaphores(table);
  Cleared cleared = Cleared::kInUse;
  const auto keeps = [&] {
    const bool kept = !even_news && table->CountNews() > 0;
    cleared = kept ? Cleared::kOwesNews : Cleared::kDone;
    return kept;
  };
  table->member().Leave(keeps, 0);
  return cleared;
}

void ClearOldLeftovers(const Owners& owners) {
  const int64_t start = MonotonicNs();
  std::map<std::string, Found> all;
  if (FindAll(owners, &all)) return;
  const uint64_t now = CoarseUnixMs();
  std::vector<std::string> old;
  for (const auto& [id, files] : all) {
    if (files.changed_ms + kOldMs < now) old.push_back(id);
  }
  // Not always the same ones first: those of servers that run for months are as old.
  size_t at = old.empty() ? 0 : static_cast<size_t>(start / 1000) % old.size();
  for (size_t looks = 0; looks < std::min(old.size(), kLooks); ++looks, ++at) {
    ClearNamespace(old[at % old.size()], owners, false);
    if (MonotonicNs() - start > kLongNs) return;
  }
}

// What uses a semaphore holds a lock of its namespace's bytes, in a file that the kernel lists even without a name. So
// nobody does when all such locks belong to tables that are there. The semaphores are listed first: a namespace that
// comes after that has others.
Strays ClearStraySemaphores(const Owners& owners) {
  struct Stray {
    std::string name;
    uint64_t bytes;
  };
  std::vector<Stray> found;
  const size_t before = strlen(kSemaphoreFiles) + strlen("semlock.");
  ForEachOwnSemaphore([&](int folder, const char* name) {
    // Not one that a program has named itself.
    if (strlen(name) != before + kSemaphorePrefix + kSecretLetters || strchr(name + before, '.') != nullptr) return;
    struct stat info;
    if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode) || !owners.Trust(info)) return;
    found.push_back({name, BytesOf(info)});
  });
  Strays strays;
  if (found.empty()) return strays;

  std::map<std::string, Found> all;
  if (FindAll(owners, &all)) return strays;
  std::set<std::string> prefixes;
  std::set<int64_t> gates;
  for (const auto& [id, files] : all) {
    prefixes.insert(id.substr(0, kSemaphorePrefix));
    gates.insert(LockedBytesOf(id).gate);
  }
  const ActAs them(owners);
  const int shm = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat device;
  bool all_known = shm >= 0 && fstat(shm, &device) == 0;
  if (all_known) {
    const int pieces = ForEachLockedByte(device.st_dev, [&](int64_t byte) {
      all_known = all_known && (byte < kFirstGate || gates.count(byte / kGateStep * kGateStep) != 0);
    });
    all_known = all_known && pieces > 0;
  }
  for (const Stray& each : found) {
    if (prefixes.count(each.name.substr(before, kSemaphorePrefix)) != 0) continue;
    if (all_known && unlinkat(shm, each.name.c_str(), 0) == 0) {
      strays.removed += 1;
      strays.bytes += each.bytes;
    } else if (!all_known || errno != ENOENT) {  // not one that another process has just removed
      strays.kept += 1;
    }
  }
  if (shm >= 0) close(shm);
  return strays;
}

bool ClearAllLeftovers(const Owners& owners) {
  std::map<std::string, Found> all;
  if (FindAll(owners, &all)) return false;
  bool cleared = false;
  for (const auto& [id, files] : all) cleared = ClearNamespace(id, owners, false) == Cleared::kDone || cleared;
  return cleared;
}

}  // namespace semlock
