// What the bindings of locks share: one environment's locks, and how results go to JavaScript.

#pragma once

#include <errno.h>

#include <memory>
#include <vector>

#include "../core/lock_record.h"
#include "../core/wait_service.h"
#include "binding.h"

namespace semlock {

// What the hot calls return when they have no entry number for the caller.
inline constexpr int32_t kResultBusy = -1;
inline constexpr int32_t kResultError = -2;      // lockError() throws it
inline constexpr int32_t kResultQueued = -3;     // `result` has the id of the wait
inline constexpr int32_t kResultDelivered = -4;  // JavaScript was told of the wait's grant, or is being told

class LoopInbox;

// One environment: the main thread, or a worker thread.
struct Locks {
  HandleTable<LockRecord> handles;
  uint16_t thread = 0;
  static constexpr size_t kEventsAtOnce = 64;
  static constexpr size_t kFieldsPerEvent = 4;

  double* result = nullptr;           // [token or id, abandoned], read by JavaScript right after the call
  const double* arguments = nullptr;  // [handle, mode or entry, token], written by JavaScript right before the call
  double* events = nullptr;           // [id, entry, token, abandoned] each, read by JavaScript when it is called
  SysError error;
  napi_ref on_events = nullptr;     // null until something may wait
  std::vector<LoopInbox*> inboxes;  // one for each table in which something waited; they end by themselves
  bool keeps_alive = false;         // whether they keep the event loop running

  // That of a table, made when it is first needed; null with `error`.
  LoopInbox* InboxOf(napi_env env, const std::shared_ptr<LockTable>& table, SysError* failure);
  // Null where nothing has waited yet.
  LoopInbox* FindInbox(const LockTable& table) const;

  // What is no such number reads as -1, which no table has, and as 0, which no acquisition has.
  int32_t IntArgument(size_t index) const {
    const double value = arguments[index];
    return value >= 0 && value <= INT32_MAX ? static_cast<int32_t>(value) : -1;
  }
  uint64_t TokenArgument(size_t index) const {
    const double value = arguments[index];
    return value >= 0 && value < static_cast<double>(kTokenLimit) ? static_cast<uint64_t>(value) : 0;
  }

  // Calls acquire(lock, &grant, &error) for the lock of that handle. The number to return, with the rest in `result` or
  // `error`.
  template <typename F>
  int32_t Acquire(int32_t handle, F acquire) {
    LockRecord* lock = handles.Get(handle);
    Grant grant;
    error = {"latch", EBADF};
    const Outcome outcome = lock == nullptr ? Outcome::kFailed : acquire(*lock, &grant, &error);
    if (outcome == Outcome::kBusy) return kResultBusy;
    if (outcome == Outcome::kQueued) return kResultQueued;
    if (outcome != Outcome::kDone) return kResultError;
    result[0] = static_cast<double>(grant.token);
    result[1] = grant.abandoned ? 1 : 0;
    return static_cast<int32_t>(grant.entry);
  }
};

inline Mode ModeOf(int32_t mode) { return mode == 1 ? Mode::kShared : Mode::kExclusive; }

// Whether JavaScript can still run here. When its thread is terminated or the process exits, Node.js waits for that
// thread, which has to find out by itself.
bool CanRun(napi_env env);

// As src/native.ts numbers the kinds; what is no such number is this process's own.
Owners OwnersOf(int32_t kind, int64_t id);

void InitOwners(Napi::Object exports);
void InitWaiting(Napi::Object exports, Locks* locks);

}  // namespace semlock
