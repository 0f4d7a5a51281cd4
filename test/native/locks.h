// Locks of the core as the tests use them.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "../../native/core/lock_record.h"
#include "../../native/core/query.h"
#include "harness.h"

namespace testing {

struct Kind {
  uint32_t permits = 1;
  bool named = false;
  std::string posix_name = "";
};

semlock::LockIdentity Identity(const std::string& name, const Kind& kind = {});
std::shared_ptr<semlock::LockTable> Table();
inline semlock::Owners Own() { return semlock::Owners::OfThisProcess(); }

// A lock as thread `thread` of this process has it, or a failed check. Its end releases what it still holds; the end of
// the process alone does not.
class Lock {
 public:
  explicit Lock(const std::string& name, const Kind& kind = {}, uint16_t thread = 1);
  ~Lock();
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  bool TryAcquire();
  // The kind of error that a try gives; "" when it gave none.
  std::string ErrorOfTry();
  bool Release();
  int Available();

  semlock::LockRecord& operator*() { return record_; }
  // Of the last permit that was taken.
  const semlock::Grant& grant() const { return grant_; }

 private:
  semlock::LockRecord record_;
  semlock::Grant grant_;
  std::vector<semlock::Grant> held_;
};

// The record of a lock that exists.
semlock::Record& RecordOf(const std::string& name, const Kind& kind = {});
// Whether its latch was free, and is this process's now.
bool TryLatch(semlock::Record& record);

// What QueryLocks says of one lock; with no name when it says nothing.
semlock::LockInfo Query(const std::string& name);

}  // namespace testing
