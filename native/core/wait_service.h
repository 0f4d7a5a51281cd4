// Waiting without blocking anybody. A grant comes through the inbox of the thread that waits; one thread for each lock
// table, there while something waits, makes sure that it comes at all: it listens for the deaths of holders, and
// goes round to find who died unheard, without handing on. Never a thread of libuv's pool, four of which blocked would
// stop all file I/O.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "death_watch.h"
#include "inbox.h"
#include "lock_record.h"
#include "mutex.h"

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

  // Ends a wait for `lock`; what was granted to it meanwhile goes back. False: Take() gave its event, or there is no
  // such wait.
  bool Cancel(int64_t id, LockRecord& lock);
  void Unwatch(int64_t id);
  // For the end of a thread with an inbox: nothing comes there after this, and its waits are withdrawn, or what they
  // were granted is given back at once, so that it is not taken for what its thread held as it ended.
  void Withdraw(const Inbox* inbox);

 private:
  struct Pending {
    LockRecord lock;     // guarded by `finishing_`
    const Inbox* inbox;  // null: nobody wants its event any more, so a wait is withdrawn, or its grant given back
    bool runs = false;   // its thread has shown it, since the wait was passed over
    bool watch;          // whether `held` is still held; else a wait
    WaitRef wait;        // of a watch only the record
    Grant held;
  };
  using PendingMap = std::map<int64_t, std::shared_ptr<Pending>>;
  struct Unfinished;

  explicit WaitService(std::shared_ptr<LockTable> table) : table_(std::move(table)) {}
  SysError StartNeeded() REQUIRES(mutex_);
  void WakeThread() REQUIRES(mutex_) { listening_ ? deaths_.Interrupt() : changed_.NotifyAll(); }
  static void* Main(void* service);
  void Run();
  void Sleep(int64_t at_most) REQUIRES(mutex_);
  bool IsOneStuck() REQUIRES(mutex_);
  void GoRound() REQUIRES(mutex_);
  void Add(int64_t id, Pending pending);
  bool GiveUp(PendingMap::iterator at, Unfinished* work) REQUIRES(mutex_);
  void Finish(const Unfinished& work);
  void TakeThefts(const Inbox& inbox, std::vector<WaitEvent>* events) REQUIRES(mutex_);
  void Stop();

  const std::shared_ptr<LockTable> table_;
  Mutex finishing_;  // held by Finish()
  Mutex mutex_;
  Condition changed_;
  DeathWatch deaths_;  // of the thread: of those that the waits wait for
  PendingMap pending_ GUARDED_BY(mutex_);
  // The locks that are waited for, with their last token when one of their grants was seen uncollected, or 0.
  std::unordered_map<uint32_t, uint64_t> records_ GUARDED_BY(mutex_);
  bool runs_ GUARDED_BY(mutex_) = false;        // the thread
  int64_t needed_at_ GUARDED_BY(mutex_) = 0;    // it was
  int64_t next_round_ GUARDED_BY(mutex_) = -1;  // when it goes round by itself; negative: never
  int64_t last_round_ GUARDED_BY(mutex_) = 0;
  bool listening_ GUARDED_BY(mutex_) = false;  // the thread sleeps in `deaths_`, not on `changed_`
  bool stopped_ GUARDED_BY(mutex_) = false;
};

// Blocks the calling thread until the lock is granted, at most `timeout_ns` (negative: no limit), and only as long as
// `goes_on` says so, which is asked every 20 ms at least, and at the end. kDone, kBusy when the wait is over, or an
// error as TryAcquire; DEADLOCK where this very thread has all that it would wait for.
Outcome AcquireBlocking(LockRecord& lock, Mode mode, int64_t timeout_ns, const std::function<bool()>& goes_on,
                        Grant* grant, SysError* error);

}  // namespace semlock
