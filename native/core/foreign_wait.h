// Locks with semaphores that other programs use too. One that takes its semaphore again right after each post leaves it
// free for some microseconds, too short for a waiter that looks now and then. So a thread sleeps in the semaphore
// itself, as those programs do: one for each such lock that something of this process waits for.
//
// Those programs may also wait for a permit that one of our processes died with, and one of them may replace the
// semaphore under its holder. So one more thread looks after all such locks that this process has open.

#pragma once

#include "lock_record.h"

namespace semlock {

class ForeignWait {
 public:
  // When something has joined the queue of a lock with a foreign semaphore. Where the system refuses a thread, it is
  // served in the rounds of the wait service.
  static void Begin(const LockRecord& lock);
  // Of a lock that was opened. Where the system refuses a thread, others have to see to it.
  static void LookAfter(const LockRecord& lock);
  // For the end of the process: no thread is begun after this, and those that there were have ended, or will take no
  // permit.
  static void StopAll();
};

}  // namespace semlock
