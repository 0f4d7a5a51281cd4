// The holders and the waiters of a namespace, for people who look at them. It reads without any latch, so that looking
// never delays a lock.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lock_table.h"

namespace semlock {

// One thread of one process: the same in everything that it holds or waits for.
struct ClientInfo {
  Tag tag;
  uint32_t pid;
  uint16_t thread;
};

struct HolderInfo {
  ClientInfo client;
  uint64_t since_ms;
  uint64_t token;
  Mode mode;
  bool alive;
};

struct WaiterInfo {
  ClientInfo client;
  uint64_t since_ms;
  uint64_t ticket;
  Mode mode;
};

struct LockInfo {
  std::string name;  // UTF-16
  uint32_t permits;
  // With foreign programs: permits that neither the semaphore nor an entry has. The other program's, or lost.
  uint32_t missing;
  std::vector<HolderInfo> holders;
  std::vector<WaiterInfo> waiters;  // the next one to be served first; none that is dead
};

// All locks of the namespace that somebody holds or waits for, or that miss a permit.
std::vector<LockInfo> QueryLocks(const LockTable& table);

}  // namespace semlock
