#include "outbox.h"

#include <sys/stat.h>
#include <unistd.h>

#include "inbox.h"

namespace semlock {

Outbox::~Outbox() {
  for (const Pipe& pipe : pipes_) Close(pipe);
}

void Outbox::Post(uint32_t slot, uint16_t thread, int32_t message) {
  const uint32_t to = slot << 16 | thread;
  // Whoever has it may not be running, and this may be under a latch.
  std::unique_lock<std::mutex> guard(mutex_, std::try_to_lock);
  if (!guard.owns_lock()) {
    const int fd = OpenPipe(member_.InboxPath(slot, thread));
    if (fd < 0) return;
    WriteMessage(fd, message);
    close(fd);
    return;
  }
  Pipe& pipe = pipes_[(slot + thread) % kKeptOpen];
  if (pipe.to != to || StateOf(pipe) != State::kCurrent) {
    Close(pipe);
    pipe = {};
    const int fd = OpenPipe(member_.InboxPath(slot, thread));
    if (fd < 0) return;
    struct stat info = {};
    fstat(fd, &info);
    pipe = {to, fd, info.st_dev, info.st_ino};
  }
  WriteMessage(pipe.fd, message);
}

// An inbox is never renamed. So as long as it has a name, that is the path at which it was opened.
Outbox::State Outbox::StateOf(const Pipe& pipe) {
  struct stat info;
  if (fstat(pipe.fd, &info) != 0 || info.st_dev != pipe.device || info.st_ino != pipe.inode) return State::kNotOurs;
  return info.st_nlink > 0 ? State::kCurrent : State::kReplaced;
}

// Not a descriptor that somebody else has closed and that is another file's by now.
void Outbox::Close(const Pipe& pipe) {
  if (pipe.fd >= 0 && StateOf(pipe) != State::kNotOurs) close(pipe.fd);
}

}  // namespace semlock
