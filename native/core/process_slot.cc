#include "process_slot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "crash_points.h"

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
  uint64_t start_time = 0;  // 0: cannot be read
  bool exiting = false;     // dead, or past the point where it may run again
};

ProcStat ReadProcStat(const char* path) {
  ProcStat result;
  char text[1024];
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return result;
  const ssize_t length = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (length <= 0) return result;
  text[length] = '\0';
  // The second field is the command in parentheses and may hold anything, so count from the last one.
  const char* field = strrchr(text, ')');
  char state = 0;
  unsigned flags = 0;
  unsigned long long start = 0;
  if (field == nullptr ||
      sscanf(field + 1, " %c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &state,
             &flags, &start) != 3) {
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

// This process's start time, or 0 when /proc speaks of the pids of another namespace.
uint64_t OwnStartTime() {
  char self[32];
  const ssize_t length = readlink("/proc/self", self, sizeof(self) - 1);
  if (length <= 0) return 0;
  self[length] = '\0';
  return atol(self) == getpid() ? ReadProcStat("/proc/self/stat").start_time : 0;
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

SysError ProcessSlot::Claim(int fd, Slot* slots) {
  for (uint32_t index = 0; index < kMaxProcesses; ++index) {
    const int error = LockByte(fd, F_WRLCK, kFirstSlotByte + index);
    if (error == EAGAIN || error == EACCES) continue;
    if (error != 0) return {"fcntl", error};
    CRASH_POINT(join_byte_locked);
    Slot& slot = slots[index];
    // Only now: until the generation counts up, what the slot's last process left is dead by its unlocked byte, and
    // from then on by its generation. The other way round nothing would prove it dead in between.
    slot.pid = 0;
    slot.sleepers.store(0);
    CountGeneration(slot);
    CRASH_POINT(join_generation_counted);
    Use(fd, slots);
    tag_.store(MakeTag(index, slot.generation.load()));
    pid_ = static_cast<uint32_t>(getpid());
    slot.start_time = OwnStartTime();
    slot.pid_namespace = pid_namespace_;
    slot.pid = pid_;
    CRASH_POINT(join_pid_written);
    return {};
  }
  return {"fcntl", ENOLCK, "CAPACITY"};
}

void ProcessSlot::Observe(int fd, Slot* slots) { Use(fd, slots); }

void ProcessSlot::Use(int fd, Slot* slots) {
  fd_ = fd;
  slots_ = slots;
  pid_namespace_ = PidNamespace();
  struct stat info;
  if (fstat(fd, &info) != 0) return;
  device_ = info.st_dev;
  inode_ = info.st_ino;
}

// The generation first: with the byte alone, a process that is about to end would be alive but unlocked for a while.
void ProcessSlot::Release() {
  const Tag tag = tag_.exchange(0);
  if (tag == 0) return;
  CountGeneration(slots_[SlotOf(tag)]);
  LockByte(fd_, F_UNLCK, kFirstSlotByte + SlotOf(tag));
}

bool ProcessSlot::FileIsIntact() const {
  struct stat info;
  return fstat(fd_, &info) == 0 && info.st_dev == device_ && info.st_ino == inode_;
}

void ProcessSlot::Wake(uint32_t index) const {
  std::atomic<uint32_t>& word = slots_[index].wakeup;
  word.fetch_add(1);
  // Whoever counts itself as a sleeper after this was asked finds the word changed.
  if (slots_[index].sleepers.load() == 0) return;
  syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);  // fails on a bad address only
}

void ProcessSlot::SleepUntilWoken(uint32_t seen, int64_t timeout_ns) const {
  Slot& mine = slots_[SlotOf(tag_)];
  timespec timeout{static_cast<time_t>(timeout_ns / 1000000000), static_cast<long>(timeout_ns % 1000000000)};
  // EAGAIN: woken since; EINTR, ETIMEDOUT: the caller looks again in any case.
  mine.sleepers.fetch_add(1);
  syscall(SYS_futex, &mine.wakeup, FUTEX_WAIT, seen, timeout_ns < 0 ? nullptr : &timeout, nullptr, 0);
  mine.sleepers.fetch_sub(1);
}

Liveness ProcessSlot::Check(Tag tag) const {
  if (tag == this->tag()) return Liveness::kAlive;
  if (tag == kUnrepaired) return Liveness::kDead;
  const uint32_t index = SlotOf(tag);
  if (index >= kMaxProcesses) return Liveness::kDead;  // no process ever had it
  const Slot& slot = slots_[index];
  if (slot.generation.load() != GenerationOf(tag)) return Liveness::kDead;
  const ByteState byte = StateOf(fd_, kFirstSlotByte + index, 1);
  if (byte == ByteState::kLocked) return Liveness::kAlive;
  if (byte == ByteState::kUnknown) return Liveness::kSlotLost;
  if (slot.generation.load() != GenerationOf(tag)) return Liveness::kDead;
  return ProcessStillRuns(slot) || !FileIsIntact() ? Liveness::kSlotLost : Liveness::kDead;
}

bool ProcessSlot::ProcessStillRuns(const Slot& slot) const {
  if (slot.pid == 0 || slot.start_time == 0 || pid_namespace_ == 0) return false;
  if (slot.pid_namespace != pid_namespace_) return false;  // its pid means nothing here
  char path[40];
  snprintf(path, sizeof(path), "/proc/%u/stat", slot.pid);
  const ProcStat stat = ReadProcStat(path);
  return stat.start_time == slot.start_time && !stat.exiting;
}

}  // namespace semlock
