#include "inbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash_points.h"

namespace semlock {

// For reading too: a pipe that has a reader raises no SIGPIPE, and one that has a writer is never at its end.
int OpenPipe(const std::string& path) {
  return open(path.c_str(), O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
}

// Whole or not at all, as for all that is shorter than a page. EAGAIN: full.
void WriteMessage(int fd, int32_t message) {
  [[maybe_unused]] const ssize_t written = write(fd, &message, sizeof(message));
}

SysError Inbox::Open(const Membership& member, uint16_t thread, std::unique_ptr<Inbox>* inbox) {
  std::unique_ptr<Inbox> made(new Inbox);
  const std::string path = member.InboxPath(SlotOf(member.slot().tag()), thread);
  unlink(path.c_str());  // of the slot's last process
  if (mkfifo(path.c_str(), 0600) == 0) {
    CRASH_POINT(inbox_made);
    made->read_fd_ = made->write_fd_ = OpenPipe(path);
    made->path_ = path;
  }
  if (made->read_fd_ < 0) {
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return {"pipe", errno};
    made->read_fd_ = ends[0];
    made->write_fd_ = ends[1];
  }
  *inbox = std::move(made);
  return {};
}

Inbox::~Inbox() {
  Unlink();
  if (read_fd_ >= 0) close(read_fd_);
  if (write_fd_ >= 0 && write_fd_ != read_fd_) close(write_fd_);
}

void Inbox::Unlink() {
  if (!path_.empty()) unlink(path_.c_str());
  path_.clear();
}

size_t Inbox::Read(int32_t* messages, size_t room) const {
  const ssize_t length = read(read_fd_, messages, room * sizeof(int32_t));  // EAGAIN: nothing has come
  return length < 0 ? 0 : static_cast<size_t>(length) / sizeof(int32_t);
}

void Inbox::Post(int32_t message) const { WriteMessage(write_fd_, message); }

}  // namespace semlock
