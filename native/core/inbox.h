// Where a thread with an event loop is told what became of its waits: a named pipe beside the table. Whoever grants
// writes the wait's id there, and the event loop wakes by itself, whatever process it is in; no thread is in between.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "membership.h"
#include "sys_error.h"

namespace semlock {

class Inbox {
 public:
  // That of a thread of this process. Where no pipe can be made that others find, as when somebody removed the folder,
  // it is one of this process alone.
  static SysError Open(const Membership& member, uint16_t thread, std::unique_ptr<Inbox>* inbox);
  ~Inbox();
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  // Readable when something has come.
  int fd() const { return read_fd_; }
  // Takes what has come, `room` messages at most: how many. Never blocks.
  size_t Read(int32_t* messages, size_t room) const;
  // A message from this process.
  void Post(int32_t message) const;
  // So that nobody finds it any more.
  void Unlink();

 private:
  Inbox() = default;

  std::string path_;  // empty where others cannot find it
  int read_fd_ = -1;
  int write_fd_ = -1;  // the same for a named pipe
};

// For those who write to one: the descriptor of the pipe at that path, negative when there is none, and a message.
int OpenPipe(const std::string& path);
void WriteMessage(int fd, int32_t message);

}  // namespace semlock
