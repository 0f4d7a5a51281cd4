// Who holds what in a namespace, for people who look. It reads without any latch, so that looking never delays a lock.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lock_table.h"

namespace semlock {

struct HolderInfo {
  uint32_t pid;
  uint64_t since_ms;
  uint64_t token;
  Mode mode;
  bool alive;
};

struct LockInfo {
  std::string name;  // UTF-16
  uint32_t permits;
  // With foreign programs: permits that neither the semaphore nor an entry has. The other program's, or lost.
  uint32_t missing;
  std::vector<HolderInfo> holders;
};

// All locks of the namespace that somebody holds, or that miss a permit.
std::vector<LockInfo> QueryLocks(const LockTable& table);

}  // namespace semlock
