#include "death_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

namespace semlock {
namespace {

// The pid that /proc shows for a pidfd, which may be in another pid namespace's numbers than ours. -1 once that process
// was waited for; 0 for what is no pidfd. False where /proc says nothing.
bool ReadShownPid(int fd, long* shown) {
  char path[40];
  snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
  FILE* file = fopen(path, "re");
  if (file == nullptr) return false;
  char line[64];
  *shown = 0;
  while (fgets(line, sizeof(line), file) != nullptr) sscanf(line, "Pid: %ld", shown);
  fclose(file);
  return true;
}

}  // namespace

bool DeathWatch::Watch(const ProcessSlot* slot, const std::set<Tag>& tags) {
  for (auto next = watched_.begin(); next != watched_.end();) {
    const auto at = next++;
    if (tags.count(at->first) != 0) continue;
    Close(&at->second);
    watched_.erase(at);
  }
  bool is_late = false;
  for (const Tag tag : tags) {
    if (!PreparePipe() || watched_.count(tag) != 0 || watched_.size() >= kMost) continue;
    const bool is_heard_of = Open(*slot, tag, &watched_[tag]);
    heard_of_ += is_heard_of;
    is_late = is_late || (!is_heard_of && slot->Check(tag) == Liveness::kDead);
  }
  return is_late;
}

// The tag lives behind the call, so its pid was nobody else's at the call.
bool DeathWatch::Open(const ProcessSlot& slot, Tag tag, Watched* watched) {
  if (!slot.KnowsPidOf(tag)) return false;
  // ESRCH: it has just ended; EMFILE, ENFILE; ENOSYS before Linux 5.3, EPERM by a filter of the container.
  if (!watched->pidfd.Adopt(static_cast<int>(syscall(SYS_pidfd_open, slot.PidOf(tag), 0)))) return false;
  ReadShownPid(watched->pidfd.fd(), &watched->shown);
  if (slot.Check(tag) == Liveness::kAlive) return true;
  watched->pidfd.Close();
  return false;
}

// Other code may have closed ours, and have another file there by now; before Linux 6.9 fstat() does not tell a pidfd
// from an eventfd.
void DeathWatch::Close(Watched* watched) {
  if (!watched->pidfd.IsOpen()) return;
  long shown = 0;
  const bool is_known = watched->shown != 0 && ReadShownPid(watched->pidfd.fd(), &shown);
  if (is_known && shown != watched->shown && shown != -1) watched->pidfd.Abandon();
  watched->pidfd.Close();
  --heard_of_;
}

bool DeathWatch::PreparePipe() {
  if (CanInterrupt()) return true;
  interrupt_.Close();
  interrupted_.Close();
  int ends[2];
  if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return false;
  interrupted_.Adopt(ends[0]);
  interrupt_.Adopt(ends[1]);
  return true;
}

void DeathWatch::Interrupt() {
  // EAGAIN: it is full of others' interruptions. Without its other end it would raise SIGPIPE.
  if (CanInterrupt()) [[maybe_unused]]
    const ssize_t written = write(interrupt_.fd(), "", 1);
}

bool DeathWatch::Sleep(int64_t timeout_ns) {
  pollfd polled[kMost + 1] = {{interrupted_.fd(), POLLIN, 0}};
  Watched* whose[kMost + 1];
  nfds_t count = 1;
  for (auto& [tag, watched] : watched_) {
    if (!watched.pidfd.IsOpen()) continue;
    whose[count] = &watched;
    polled[count++] = {watched.pidfd.fd(), POLLIN, 0};
  }
  const int64_t timeout_ms = std::min<int64_t>((timeout_ns + 999999) / 1000000, INT_MAX);
  if (poll(polled, count, static_cast<int>(timeout_ms)) <= 0) return false;  // EINTR, ENOMEM
  if (polled[0].revents != 0 && interrupted_.IsIntact()) {
    char bytes[64];
    while (read(interrupted_.fd(), bytes, sizeof(bytes)) > 0) continue;
  }
  bool died = false;
  for (nfds_t each = 1; each < count; ++each) {
    if (polled[each].revents == 0) continue;
    died = true;  // or somebody has closed the descriptor: then nothing is found dead, and no harm is done
    Close(whose[each]);
  }
  return died;
}

}  // namespace semlock
