// Waiting for a semaphore that other programs use too. One that takes it again right after each post leaves it free for
// some microseconds, too short for a waiter that looks now and then. So a thread sleeps in the semaphore itself, as
// those programs do: one for each such lock that something of this process waits for.

#pragma once

#include "lock_record.h"

namespace semlock {

class ForeignWait {
 public:
  // When something has joined the queue of a lock with a foreign semaphore. Where the system refuses a thread, it is
  // served in the rounds of the wait service.
  static void Begin(const LockRecord& lock);
  // For the end of the process: none is begun after this, and those that there were have ended, or will take no permit.
  static void StopAll();
};

}  // namespace semlock
