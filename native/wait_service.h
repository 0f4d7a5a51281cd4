// Waiting without blocking anybody: one thread for each lock table, started when something first waits, sleeps for all
// who wait in this process and tells them what they were granted. Never a thread of libuv's pool, four of which blocked
// would stop all file I/O.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "lock_record.h"

namespace semlock {

// What a waiter, or a holder who watches its lock, is told.
struct WaitEvent {
  int32_t id = 0;
  bool stolen = false;  // a watched permit is gone; else the grant of a wait
  Grant grant;
};

// One environment's inbox.
class WaitClient {
 public:
  virtual ~WaitClient() = default;
  // What came since the last call.
  std::vector<WaitEvent> Take();
  void Deliver(const WaitEvent& event);

 protected:
  // Called from the service's thread when the inbox is not empty any more. Must not block.
  virtual void Notify() = 0;

 private:
  std::mutex mutex_;
  std::vector<WaitEvent> events_;  // guarded by mutex_
};

class WaitService {
 public:
  // The service of that table; its thread is started with the first call.
  static WaitService& Of(const std::shared_ptr<LockTable>& table);
  // For the end of the process: no thread of ours runs after this.
  static void StopAll();
  // For the end of an environment: it gets no event after this, and its waits are withdrawn or given back.
  static void ForgetEverywhere(const std::shared_ptr<WaitClient>& client);

  // Waits on behalf of `client`, who gets an event of the id that is returned. `lock` is a copy for this service.
  int32_t Wait(LockRecord lock, const WaitRef& wait, std::shared_ptr<WaitClient> client);
  // Tells `client` when that permit is stolen.
  int32_t Watch(LockRecord lock, const Grant& held, std::shared_ptr<WaitClient> client);
  // Gives back what is going to be granted to a wait that nobody has an interest in any more.
  void GiveBackLater(LockRecord lock, const WaitRef& wait);

  enum class Cancelled {
    kYes,        // and Settle() of the lock must follow
    kGranted,    // the permit is there: the caller's now
    kOnItsWay,   // a grant is being written; it will be given back without anybody's doing
    kDelivered,  // the event is in the inbox, or there is no such wait
  };
  Cancelled Cancel(int32_t id, Grant* grant);
  void Unwatch(int32_t id);

 private:
  struct Pending;
  explicit WaitService(std::shared_ptr<LockTable> table);
  void Run();
  int32_t Add(Pending pending);
  void LookSoon();
  void LookAtAll();
  void SettleAll();
  void Forget(const std::shared_ptr<WaitClient>& client);
  void Stop();

  struct State;
  std::unique_ptr<State> state_;
};

// Blocks the calling thread until the lock is granted, at most `timeout_ns` (negative: no limit), and only as long as
// `goes_on` says so, which is asked every 20 ms at least. kDone, kBusy when the wait is over, or an error as
// TryAcquire.
Outcome AcquireBlocking(LockRecord& lock, Mode mode, int64_t timeout_ns, const std::function<bool()>& goes_on,
                        Grant* grant, SysError* error);

}  // namespace semlock
