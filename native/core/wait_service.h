// Waiting without blocking anybody. A grant comes through the inbox of the thread that waits; one thread for each lock
// table, there while something waits, makes sure that it comes at all: it listens for the deaths of holders, and
// goes round to find who died unheard, without handing on. Never a thread of libuv's pool, four of which blocked would
// stop all file I/O.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "inbox.h"
#include "lock_record.h"

namespace semlock {

// What became of a wait, or of a permit that its holder watches.
struct WaitEvent {
  int64_t id = 0;
  bool stolen = false;  // a watched permit is gone; else the grant of a wait
  Grant grant;
};

class WaitService {
 public:
  // The service of that table, whose thread is needed: null when the system refuses one.
  static WaitService* Of(const std::shared_ptr<LockTable>& table, SysError* error);
  // To be called before something waits: its thread is there, and stays for another second at least.
  SysError NeedThread();
  // For the end of the process: no thread of ours runs after this.
  static void StopAll();
  // For a wait or a watch, unique in this process.
  static int64_t NewId();

  // Waits on behalf of the thread with that inbox, until Take() gives the grant. `lock` is a copy for this service, and
  // `wait` was put into its queue under that id.
  void Wait(int64_t id, LockRecord lock, const WaitRef& wait, const Inbox* inbox);
  // Watches until Take() tells that this permit was stolen.
  void Watch(int64_t id, LockRecord lock, const Grant& held, const Inbox* inbox);
  // Gives back what is going to be granted to a wait that nobody has an interest in any more.
  void GiveBackLater(LockRecord lock, const WaitRef& wait);
  // What the messages in an inbox are about. Each event comes once.
  void Take(const Inbox& inbox, std::vector<WaitEvent>* events);

  enum class Cancelled {
    kYes,       // and Settle() of the lock must follow, with `wait`
    kGranted,   // the permit is there: the caller's now
    kOnItsWay,  // a grant is being written; it will be given back without anybody's doing
    kTaken,     // Take() gave its event, or there is no such wait
  };
  Cancelled Cancel(int64_t id, Grant* grant, WaitRef* wait);
  void Unwatch(int64_t id);
  // For the end of a thread with an inbox: nothing comes there after this, and its waits are withdrawn or given back.
  void Forget(const Inbox* inbox);

 private:
  struct Pending;
  struct State;
  struct Unfinished;
  using PendingMap = std::map<int64_t, std::shared_ptr<Pending>>;
  explicit WaitService(std::shared_ptr<LockTable> table);
  SysError StartNeeded();
  static void* Main(void* service);
  void Run();
  void GoRound(std::unique_lock<std::mutex>* guard);
  void Add(int64_t id, Pending pending);
  void Remove(PendingMap::iterator found);
  void Withdraw(const Inbox* inbox);
  bool GiveUp(PendingMap::iterator at, Unfinished* work);
  void Finish(const Unfinished& work);
  void TakeThefts(const Inbox& inbox, std::vector<WaitEvent>* events);
  void Stop();

  std::unique_ptr<State> state_;
};

// Blocks the calling thread until the lock is granted, at most `timeout_ns` (negative: no limit), and only as long as
// `goes_on` says so, which is asked every 20 ms at least, and at the end. kDone, kBusy when the wait is over, or an
// error as TryAcquire; DEADLOCK where this very thread has all that it would wait for.
Outcome AcquireBlocking(LockRecord& lock, Mode mode, int64_t timeout_ns, const std::function<bool()>& goes_on,
                        Grant* grant, SysError* error);

}  // namespace semlock
