#include "process_slot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash_points.h"
#include "futex.h"

namespace semlock {
namespace {

struct flock ByteRange(short type, int64_t byte, int64_t count) {
  struct flock range = {};  // l_pid must be 0 for F_OFD_*
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = byte;
  range.l_len = count;
  return range;
}

struct ProcStat {
  int error = 0;  // errno where it cannot be read
  uint64_t start_time = 0;
  bool exiting = false;  // dead, or past the point where it may run again
};

ProcStat ReadProcStat(const char* path) {
  ProcStat result;
  char text[1024];
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
  if (length <= 0) result.error = length == 0 ? EIO : errno;
  if (fd >= 0) close(fd);
  if (result.error != 0) return result;
  text[length] = '\0';
  // The second field is the command in parentheses and may hold anything, so count from the last one.
  const char* field = strrchr(text, ')');
  char state = 0;
  unsigned flags = 0;
  unsigned long long start = 0;
  if (field == nullptr ||
      sscanf(field + 1, " %c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &state,
             &flags, &start) != 3) {
    result.error = EINVAL;
    return result;
  }
  constexpr unsigned kExitingFlag = 0x4;  // PF_EXITING: files may be closed before the state says zombie
  result.start_time = start;
  result.exiting = state == 'Z' || state == 'X' || state == 'x' || (flags & kExitingFlag) != 0;
  return result;
}

uint64_t PidNamespace() {
  struct stat info;
  return stat("/proc/self/ns/pid", &info) == 0 ? info.st_ino : 0;
}

// Whether /proc speaks of the pids of this process's namespace.
bool ProcIsOurs() {
  char self[32];
  const ssize_t length = readlink("/proc/self", self, sizeof(self) - 1);
  if (length <= 0) return false;
  self[length] = '\0';
  return atol(self) == getpid();
}

void CountGeneration(Slot& slot) {
  const uint32_t next = slot.generation.load() + 1;
  slot.generation.store(next == 0 ? 1 : next);
}

}  // namespace

int LockByte(int fd, short type, int64_t byte) {
  struct flock range = ByteRange(type, byte, 1);
  int result;
  do {
    result = fcntl(fd, F_OFD_SETLK, &range);
  } while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;  // EAGAIN or EACCES: another has it; ENOLCK: the kernel is out of locks
}

ByteState StateOf(int fd, int64_t byte, int64_t count) {
  struct flock range = ByteRange(F_WRLCK, byte, count);
  if (fcntl(fd, F_OFD_GETLK, &range) != 0) return ByteState::kUnknown;
  return range.l_type == F_UNLCK ? ByteState::kUnlocked : ByteState::kLocked;
}

SysError ProcessSlot::Identify() {
  pid_ = static_cast<uint32_t>(getpid());
  pid_namespace_ = PidNamespace();
  start_time_ = 0;
  if (!ProcIsOurs()) return {};
  const ProcStat stat = ReadProcStat("/proc/self/stat");
  start_time_ = stat.start_time;
  // For want of a descriptor: without this nobody could tell later whether we run.
  return stat.error == EMFILE || stat.error == ENFILE ? SysError{"open", stat.error} : SysError{};
}

SysError ProcessSlot::Claim(const OwnFile& table, int64_t first_byte, Slot* slots, std::atomic<uint32_t>* next) {
  Observe(table, first_byte, slots);
  for (uint32_t tries = 0; tries < kMaxProcesses; ++tries) {
    const uint32_t index = next->fetch_add(1) % kMaxProcesses;
    Slot& slot = slots[index];
    if (StateOf(table.fd(), first_byte + index, 1) != ByteState::kUnlocked || MayStillRun(slot)) continue;
    slot.pid.store(0);
    // Before the byte is locked: until here, what the slot's last process left is dead by its unlocked byte, and from
    // here on by its generation, however long we stay in between.
    CountGeneration(slot);
    CRASH_POINT(join_generation_counted);
    const int error = LockByte(table.fd(), F_WRLCK, first_byte + index);
    if (error == EAGAIN || error == EACCES) continue;
    if (error != 0) return {"fcntl", error};
    CRASH_POINT(join_byte_locked);
    tag_.store(MakeTag(index, slot.generation.load()));
    slot.sleepers.store(0);
    slot.start_time.store(start_time_);
    slot.pid_namespace.store(pid_namespace_);
    slot.pid.store(pid_);
    CRASH_POINT(join_pid_written);
    return {};
  }
  return {"fcntl", ENOLCK, "CAPACITY"};
}

void ProcessSlot::Observe(const OwnFile& table, int64_t first_byte, Slot* slots) {
  table_ = &table;
  first_byte_ = first_byte;
  slots_ = slots;
  pid_namespace_ = PidNamespace();
}

// The generation first: with the byte alone, a process that is about to end would be alive but unlocked for a while.
void ProcessSlot::Release() {
  const Tag tag = tag_.exchange(0);
  if (tag == 0) return;
  slots_[SlotOf(tag)].pid.store(0);  // the slot is free, though this process still runs
  CountGeneration(slots_[SlotOf(tag)]);
  if (table_->IsIntact()) LockByte(table_->fd(), F_UNLCK, first_byte_ + SlotOf(tag));
}

void ProcessSlot::Wake(uint32_t index) const {
  std::atomic<uint32_t>& word = slots_[index].wakeup;
  word.fetch_add(1);
  // A thread that counts itself as a sleeper after this was asked finds the word changed.
  if (slots_[index].sleepers.load() == 0) return;
  WakeSleepers(word, INT_MAX);
}

void ProcessSlot::SleepUntilWoken(uint32_t seen, int64_t timeout_ns) const {
  Slot& mine = slots_[SlotOf(tag_)];
  mine.sleepers.fetch_add(1);
  SleepOn(mine.wakeup, seen, timeout_ns);
  mine.sleepers.fetch_sub(1);
}

Liveness ProcessSlot::Check(Tag tag) const {
  if (tag == this->tag()) return Liveness::kAlive;
  if (tag == kUnrepaired) return Liveness::kDead;
  const uint32_t index = SlotOf(tag);
  if (index >= kMaxProcesses) return Liveness::kDead;  // no process ever had it
  const Slot& slot = slots_[index];
  if (slot.generation.load() != GenerationOf(tag)) return Liveness::kDead;
  const ByteState byte = StateOf(table_->fd(), first_byte_ + index, 1);
  if (byte == ByteState::kUnknown) return Liveness::kSlotLost;
  if (slot.generation.load() != GenerationOf(tag)) return Liveness::kDead;  // so that may be the next one's byte
  if (byte == ByteState::kLocked) return Liveness::kAlive;
  return MayStillRun(slot) || !FileIsIntact() ? Liveness::kSlotLost : Liveness::kDead;
}

bool ProcessSlot::KnowsPidOf(Tag tag) const {
  if (SlotOf(tag) >= kMaxProcesses || tag == kUnrepaired) return false;
  const Slot& slot = slots_[SlotOf(tag)];
  return slot.pid.load() != 0 && pid_namespace_ != 0 && slot.pid_namespace.load() == pid_namespace_;
}

// Whether the slot's process may run although its byte is unlocked. What cannot be read is no proof of death.
bool ProcessSlot::MayStillRun(const Slot& slot) const {
  const uint32_t pid = slot.pid.load();
  const uint64_t start_time = slot.start_time.load();
  if (pid == 0 || start_time == 0 || pid_namespace_ == 0) return false;
  if (slot.pid_namespace.load() != pid_namespace_) return false;  // its pid means nothing here
  char path[40];
  snprintf(path, sizeof(path), "/proc/%u/stat", pid);
  const ProcStat stat = ReadProcStat(path);
  if (stat.error == 0) return stat.start_time == start_time && !stat.exiting;
  return kill(static_cast<pid_t>(pid), 0) == 0 || errno != ESRCH;
}

}  // namespace semlock
