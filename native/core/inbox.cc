#include "inbox.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace semlock {
namespace {

// Whole or not at all, as for all that is shorter than a page. EAGAIN: full.
void WriteMessage(int fd, int64_t message) {
  [[maybe_unused]] const ssize_t written = write(fd, &message, sizeof(message));
}

}  // namespace

Inbox::Inbox(const Membership& member, uint16_t thread, std::function<void()> wake)
    : member_(member), slot_(SlotOf(member.slot().tag())), thread_(thread), wake_(std::move(wake)) {}

SysError Inbox::Open(const Membership& member, uint16_t thread, std::function<void()> wake,
                     std::unique_ptr<Inbox>* inbox) {
  std::unique_ptr<Inbox> made(new Inbox(member, thread, std::move(wake)));
  if (SysError error = made->Reopen()) return error;
  *inbox = std::move(made);
  return {};
}

SysError Inbox::Reopen() {
  const Guard guard(mutex_);
  write_.Close();
  named_ = read_.Adopt(member_.MakeInbox(slot_, thread_));
  if (named_) return {};
  int ends[2];
  if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return {"pipe", errno};
  read_.Adopt(ends[0]);
  write_.Adopt(ends[1]);
  return {};
}

void Inbox::Unlink() {
  if (std::exchange(named_, false)) member_.RemoveInbox(slot_, thread_);
}

size_t Inbox::Read(int64_t* messages, size_t room) const {
  if (!IsIntact()) return 0;
  const ssize_t length = read(read_.fd(), messages, room * sizeof(*messages));  // EAGAIN: nothing has come
  return length < 0 ? 0 : static_cast<size_t>(length) / sizeof(*messages);
}

void Inbox::Post(int64_t message) const {
  const Guard guard(mutex_);
  const OwnFile& end = write_.IsOpen() ? write_ : read_;
  if (end.IsIntact()) WriteMessage(end.fd(), message);
  if (!read_.IsIntact() || !end.IsIntact()) wake_();
}

void Outbox::Post(uint32_t slot, uint16_t thread, int64_t message) {
  const uint32_t to = slot << 16 | thread;
  // The thread that has the mutex may not be running, and this may be under a latch.
  if (!mutex_.TryLock()) {
    OwnFile once;
    if (once.Adopt(member_.OpenInbox(slot, thread))) WriteMessage(once.fd(), message);
    return;
  }
  const Guard guard(mutex_, std::adopt_lock);
  Pipe& pipe = pipes_[(slot + thread) % kKeptOpen];
  // An inbox is never renamed: as long as it has a name, that is the path at which it was opened.
  if (pipe.to != to || !pipe.file.IsLinked()) {
    pipe.to = to;
    if (!pipe.file.Adopt(member_.OpenInbox(slot, thread))) return;
  }
  WriteMessage(pipe.file.fd(), message);
}

}  // namespace semlock
