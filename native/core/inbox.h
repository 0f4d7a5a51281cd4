// Where a thread with an event loop is told what became of its waits: a named pipe beside the table. The process that
// grants writes the wait's id there, and the event loop wakes by itself, in any process; no thread is in between.
//
// Other code of a process may close a descriptor of ours, whose number then is another file's: so each is asked whose
// it is before anything is written to it, read from it, or closed.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "membership.h"
#include "mutex.h"
#include "own_file.h"
#include "sys_error.h"

namespace semlock {

// The end of the thread that is told.
class Inbox {
 public:
  // That of a thread of this process. Where no pipe can be made that others find, as when somebody removed the folder,
  // it is one of this process alone. `wake` is called by another thread where the pipe cannot tell: its descriptor was
  // lost, and Reopen() must be called.
  static SysError Open(const Membership& member, uint16_t thread, std::function<void()> wake,
                       std::unique_ptr<Inbox>* inbox);
  ~Inbox() { Unlink(); }
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  // Readable when something has come.
  int fd() const { return read_.fd(); }
  bool IsIntact() const { return read_.IsIntact(); }
  // Another pipe in place of one that was lost, with what had come there.
  SysError Reopen();
  // Takes what has come, `room` messages at most: how many. Never blocks.
  size_t Read(int64_t* messages, size_t room) const;
  // A message from this process, by any of its threads.
  void Post(int64_t message) const;
  // So that nobody finds it any more.
  void Unlink();

 private:
  Inbox(const Membership& member, uint16_t thread, std::function<void()> wake);

  const Membership& member_;
  const uint32_t slot_;
  const uint16_t thread_;
  bool named_ = false;  // else others cannot find it
  const std::function<void()> wake_;
  mutable Mutex mutex_;  // held to write, and by the thread that is told to change the two below
  OwnFile read_;
  OwnFile write_;  // where it has no name; else it is written to by `read_`
};

// The way to the inboxes of all threads of all processes.
class Outbox {
 public:
  explicit Outbox(const Membership& member) : member_(member) {}
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // Lost when nobody reads there, or when the pipe is full because its reader has not run for long: what a message is
  // about has to be found without it, too. Never blocks.
  void Post(uint32_t slot, uint16_t thread, int64_t message);

 private:
  // To open a pipe by its path and to close it takes longer than all else that is done to hand a lock on, so those of
  // a few threads stay open.
  static constexpr size_t kKeptOpen = 16;

  struct Pipe {
    uint32_t to = 0;  // whose inbox; no thread has 0
    OwnFile file;
  };

  const Membership& member_;
  Mutex mutex_;
  Pipe pipes_[kKeptOpen] GUARDED_BY(mutex_);
};

}  // namespace semlock
