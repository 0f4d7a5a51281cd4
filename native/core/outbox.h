// What this process has to tell threads of all processes: a message for the inbox of each, see inbox.h.

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <mutex>

#include "membership.h"

namespace semlock {

class Outbox {
 public:
  explicit Outbox(const Membership& member) : member_(member) {}
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // Lost when nobody reads there, or when the pipe is full because its reader has not run for long: what a message is
  // about has to be found without it, too. Never blocks.
  void Post(uint32_t slot, uint16_t thread, int32_t message);

 private:
  // To open a pipe by its path and to close it takes longer than all else that is done to hand a lock on, so those of
  // a few threads stay open.
  static constexpr size_t kKeptOpen = 16;

  struct Pipe {
    uint32_t to = 0;  // whose inbox; no thread has 0
    int fd = -1;
    dev_t device = 0;
    ino_t inode = 0;
  };
  enum class State { kCurrent, kReplaced, kNotOurs };
  static State StateOf(const Pipe& pipe);
  static void Close(const Pipe& pipe);

  const Membership& member_;
  std::mutex mutex_;
  Pipe pipes_[kKeptOpen];  // guarded by mutex_
};

}  // namespace semlock
