// What proves that a process lives: it holds the lock of its slot's byte in the table's file, and the kernel unlocks
// that at death.

#pragma once

#include <sys/types.h>

#include <atomic>

#include "layout.h"
#include "own_file.h"
#include "sys_error.h"

namespace semlock {

enum class Liveness {
  kAlive,
  kDead,
  kSlotLost,  // it runs, or may run, but has lost the file that proves it lives; or we have, and nothing is known
};

// Locks and unlocks bytes for this open file description, which all threads of the process share. 0 or errno.
int LockByte(int fd, short type, int64_t byte);

// Whether another open file description has a lock on one of `count` bytes. Unknown on a bad descriptor alone.
enum class ByteState { kUnlocked, kLocked, kUnknown };
ByteState StateOf(int fd, int64_t byte, int64_t count);

class ProcessSlot {
 public:
  // Finds out what a slot says of this process. Before Claim; it may take longer than others should wait.
  SysError Identify();
  // Takes a free slot: from the one on that `next` says, which goes on. CAPACITY when none is free. Under the gate, so
  // that nobody else takes one meanwhile. `first_byte` is that of slot 0.
  SysError Claim(const OwnFile& table, int64_t first_byte, Slot* slots, std::atomic<uint32_t>* next);
  // Takes none, and only tells which other processes live.
  void Observe(const OwnFile& table, int64_t first_byte, Slot* slots);
  // From here on this process is dead to all others, although it still runs.
  void Release();
  // In a forked child: the slot is the parent's.
  void Forget() { tag_.store(0); }

  // 0 once it was released or forgotten: nothing may be latched any more.
  Tag tag() const { return tag_.load(std::memory_order_relaxed); }
  uint32_t pid() const { return pid_; }
  Liveness Check(Tag tag) const;
  // Wakes the threads of a process that block for a grant. Never blocks; harmless when there is nobody.
  void Wake(uint32_t index) const;
  // Sleeps until this process is woken, unless it was since `seen`, for up to `timeout_ns`; a negative one has no end.
  void SleepUntilWoken(uint32_t seen, int64_t timeout_ns) const;
  // To be read before looking for grants, and given to SleepUntilWoken when there are none.
  uint32_t wakeups() const { return slots_[SlotOf(tag())].wakeup.load(); }
  // The pid behind the tag of a live process; meaningless for others.
  uint32_t PidOf(Tag tag) const { return slots_[SlotOf(tag)].pid.load(); }
  // Whether that pid means the same process to us: not where the tag is of another pid namespace.
  bool KnowsPidOf(Tag tag) const;
  // False when somebody closed the table's file behind our back: its number may be another file's by now.
  bool FileIsIntact() const { return table_->IsIntact(); }

 private:
  bool MayStillRun(const Slot& slot) const;

  const OwnFile* table_ = nullptr;
  int64_t first_byte_ = 0;
  Slot* slots_ = nullptr;
  std::atomic<Tag> tag_{0};  // read by all threads of the process
  uint32_t pid_ = 0;
  uint64_t start_time_ = 0;
  uint64_t pid_namespace_ = 0;
};

}  // namespace semlock
