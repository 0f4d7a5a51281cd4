// What lock_binding.cc and wait_binding.cc share: one environment's locks, and how results go to JavaScript.

#pragma once

#include <atomic>
#include <memory>

#include "binding.h"
#include "lock_record.h"
#include "wait_service.h"

namespace semlock {

// What the hot calls return when they have no entry number for the caller.
inline constexpr int32_t kResultBusy = -1;
inline constexpr int32_t kResultError = -2;      // lockError() throws it
inline constexpr int32_t kResultQueued = -3;     // `result` has the id of the wait
inline constexpr int32_t kResultDelivered = -4;  // the wait's event is on its way to JavaScript

// The inbox of an environment, with a ThreadSafeFunction to empty it from JavaScript's thread.
class EventSink final : public WaitClient {
 public:
  explicit EventSink(Napi::ThreadSafeFunction function) : function_(std::move(function)) {}
  // For the end of the environment, after WaitService::ForgetEverywhere.
  void Close() {
    if (!closed_) function_.Release();
  }
  // Whether this keeps the event loop running: as long as somebody waits.
  void KeepAlive(Napi::Env env, bool alive) { alive ? function_.Ref(env) : function_.Unref(env); }

 private:
  void Notify() override;

  Napi::ThreadSafeFunction function_;
  std::atomic<bool> closed_{false};  // the environment ended first, and has let go of the function
};

// One environment: the main thread, or a worker thread.
struct Locks {
  HandleTable<LockRecord> handles;
  uint16_t thread = 0;
  double* result = nullptr;           // [token or id, abandoned], read by JavaScript right after the call
  const double* arguments = nullptr;  // [handle, mode or entry, token], written by JavaScript right before the call
  SysError error;
  std::shared_ptr<EventSink> sink;  // null until something waits

  // What is no such number reads as -1, which no table has, and as 0, which no acquisition has.
  int32_t IntArgument(size_t index) const {
    const double value = arguments[index];
    return value >= 0 && value <= INT32_MAX ? static_cast<int32_t>(value) : -1;
  }
  uint64_t TokenArgument(size_t index) const {
    const double value = arguments[index];
    return value >= 0 && value < static_cast<double>(kTokenLimit) ? static_cast<uint64_t>(value) : 0;
  }

  // The number to return, with the rest in `result` or `error`.
  int32_t Return(Outcome outcome, const Grant& grant, const SysError& failure);
};

inline Mode ModeOf(int32_t mode) { return mode == 1 ? Mode::kShared : Mode::kExclusive; }

void InitWaiting(Napi::Env env, Napi::Object exports, Locks* locks);

}  // namespace semlock
