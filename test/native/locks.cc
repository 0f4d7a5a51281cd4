#include "locks.h"

#include <errno.h>
#include <string.h>

#include <algorithm>

#include "../../native/core/latch.h"

namespace testing {

using semlock::Grant;
using semlock::LockIdentity;
using semlock::LockTable;
using semlock::Outcome;
using semlock::SysError;

// Any digest will do that tells the names of these tests apart.
LockIdentity Identity(const std::string& name, const Kind& kind) {
  LockIdentity identity;
  uint64_t hash = 0xcbf29ce484222325;
  for (size_t at = 0; at < sizeof(identity.id); ++at) {
    for (const char letter : name) hash = (hash ^ static_cast<uint8_t>(letter)) * 0x100000001b3;
    hash ^= hash >> 29;
    identity.id[at] = static_cast<uint8_t>(hash >> 16);
  }
  identity.name = name;
  identity.posix_name = kind.posix_name;
  identity.permits = kind.permits;
  identity.named = kind.named;
  return identity;
}

std::shared_ptr<LockTable> Table() {
  std::shared_ptr<LockTable> table;
  const SysError error = LockTable::Get(NamespaceId(), Own(), &table);
  if (error) fprintf(stderr, "        %s: %s %s\n", error.call, strerror(error.code), error.kind ? error.kind : "");
  CHECK(!error);
  return table;
}

Lock::Lock(const std::string& name, const Kind& kind, uint16_t thread)
    : record_(Table(), Identity(name, kind), thread) {}

Lock::~Lock() {
  for (const Grant& each : held_) record_.Release(each.entry, each.token);
}

bool Lock::TryAcquire() {
  Grant grant;
  SysError error;
  const Outcome outcome = record_.TryAcquire(semlock::Mode::kExclusive, &grant, &error);
  if (error) fprintf(stderr, "        %s: %s\n", error.call, strerror(error.code));
  CHECK(outcome == Outcome::kDone || outcome == Outcome::kBusy);
  if (outcome != Outcome::kDone) return false;
  grant_ = grant;
  held_.push_back(grant);
  return true;
}

std::string Lock::ErrorOfTry() {
  SysError error;
  const Outcome outcome = record_.TryAcquire(semlock::Mode::kExclusive, &grant_, &error);
  if (outcome == Outcome::kDone) held_.push_back(grant_);
  CHECK((outcome == Outcome::kFailed) == static_cast<bool>(error));
  if (!error) return "";
  return error.kind != nullptr ? error.kind : strerror(error.code);
}

bool Lock::Release() {
  const auto same = [this](const Grant& each) { return each.token == grant_.token; };
  held_.erase(std::remove_if(held_.begin(), held_.end(), same), held_.end());
  return record_.Release(grant_.entry, grant_.token) == Outcome::kDone;
}

int Lock::Available() {
  SysError error;
  int available = -1;
  CHECK(Eventually([&] { return (available = record_.Available(&error)) >= 0; }));
  return available;
}

bool TryLatch(semlock::Record& record) {
  SysError ignored;
  return semlock::TakeLatch(record.latch, Table()->slot(), &ignored) == semlock::Latched::kTaken;
}

semlock::Record& RecordOf(const std::string& name, const Kind& kind) {
  semlock::RecordRef found;
  CHECK(!Table()->FindOrCreate(Identity(name, kind), &found));
  return Table()->record(found.index);
}

semlock::LockInfo Query(const std::string& name) {
  for (const semlock::LockInfo& each : semlock::QueryLocks(*Table())) {
    if (each.name == name) return each;
  }
  return {};
}

}  // namespace testing
