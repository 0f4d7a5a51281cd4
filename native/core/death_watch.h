// Hears of the deaths of other processes as soon as the kernel knows of them, by a pidfd for each. That is a hint, and
// no proof: it says when to look. Where it says nothing, somebody has to look now and then: a process of another pid
// namespace, a kernel before 5.3, a seccomp filter, no descriptor left.

#pragma once

#include <cstdint>
#include <map>
#include <set>

#include "layout.h"
#include "own_file.h"
#include "process_slot.h"

namespace semlock {

// Of one thread, but for Interrupt().
class DeathWatch {
 public:
  DeathWatch() = default;
  ~DeathWatch() { Watch(nullptr, {}); }
  DeathWatch(const DeathWatch&) = delete;
  DeathWatch& operator=(const DeathWatch&) = delete;

  // As many processes are watched at most.
  static constexpr size_t kMost = 32;

  // From now on the processes behind these tags, in place of those before. Of one whose death was heard of nothing more
  // is heard as long as it is among them. True: one that is new among them is dead already, so that nothing will be.
  bool Watch(const ProcessSlot* slot, const std::set<Tag>& tags);
  // Whether there is somebody whose death can be heard of, and who listens can be interrupted.
  bool CanHear() const { return heard_of_ > 0 && CanInterrupt(); }
  // Sleeps until one of them dies, Interrupt() is called or the time is over; only where CanHear(). True: one has died.
  bool Sleep(int64_t timeout_ns);
  // By another thread, while no Watch() is under way.
  void Interrupt();

 private:
  struct Watched {
    OwnFile pidfd;   // not open where none can be had, or its death was heard of
    long shown = 0;  // the pid that /proc shows for it
  };

  // Not when other code has closed one of its ends, or both.
  bool CanInterrupt() const { return interrupt_.IsIntact() && interrupted_.IsIntact(); }
  bool PreparePipe();
  bool Open(const ProcessSlot& slot, Tag tag, Watched* watched);
  void Close(Watched* watched);

  std::map<Tag, Watched> watched_;
  size_t heard_of_ = 0;  // how many of them have a descriptor
  OwnFile interrupt_;    // a pipe
  OwnFile interrupted_;
};

}  // namespace semlock
