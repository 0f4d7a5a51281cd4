// The namespaces of a user or a group, and what the dead have left of them. A killed process leaves its namespace's
// files, and a release of an app with a folder of its own, which never starts again, would leave them forever. So a
// process that joins any namespace clears some others. See README.md, "What the dead leave".

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "owners.h"
#include "sys_error.h"

namespace semlock {

struct NamespaceInfo {
  std::string id;
  std::string label;       // what people call it; empty where its table cannot be read
  uint64_t bytes = 0;      // of memory, with semaphores and all
  uint64_t joined_ms = 0;  // Unix time at which somebody joined it last; 0 without a table
  uint32_t users = 0;      // processes; 1 at least where somebody uses a table that cannot be read
  uint32_t news = 0;       // how many locks owe their next holder the news that the previous one died
};

// All that they have. A look: nothing is changed, and nobody is waited for.
SysError ListNamespaces(const Owners& owners, std::vector<NamespaceInfo>* found);

enum class Cleared {
  kDone,
  kInUse,     // or somebody just joins or leaves it, or it cannot be told
  kOwesNews,  // nobody uses it, but the next holder of some lock is to be told that the previous one died
};

// Clears a namespace away that nobody alive uses, also one that owes news if `even_news`. Never waits.
Cleared ClearNamespace(const std::string& id, const Owners& owners, bool even_news);

// What joining a namespace does for others: clears a few that nobody has joined for a day, that nobody alive uses, and
// that owe no news. It looks at some of them, and stops after some milliseconds.
void ClearOldLeftovers(const Owners& owners);
// The same for all, however old, where there is no room left: whether that has cleared any.
bool ClearAllLeftovers(const Owners& owners);

// Semaphores of theirs whose lock table is gone, as after somebody removed it by hand.
struct Strays {
  uint32_t removed = 0;
  uint32_t kept = 0;   // nothing proves that nobody uses them
  uint64_t bytes = 0;  // of those that were removed
};

// Removes those that provably nobody uses. Never waits.
Strays ClearStraySemaphores(const Owners& owners);

}  // namespace semlock
