// A mutex whose use clang checks: a field with GUARDED_BY is used, and a function with REQUIRES called, only while it
// is held. `npm run test:native` compiles the core with -Wthread-safety, in which what is not so is an error; to other
// compilers the annotations are nothing.

#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#ifdef __clang__
#define SEMLOCK_ANNOTATION(what) __attribute__((what))
#else
#define SEMLOCK_ANNOTATION(what)
#endif
#define GUARDED_BY(mutex) SEMLOCK_ANNOTATION(guarded_by(mutex))
#define REQUIRES(mutex) SEMLOCK_ANNOTATION(requires_capability(mutex))
#define ACQUIRES(...) SEMLOCK_ANNOTATION(acquire_capability(__VA_ARGS__))
#define RELEASES(...) SEMLOCK_ANNOTATION(release_capability(__VA_ARGS__))
// For what is locked in one function and unlocked in another one, around fork().
#define UNCHECKED SEMLOCK_ANNOTATION(no_thread_safety_analysis)

namespace semlock {

class SEMLOCK_ANNOTATION(capability("mutex")) Mutex {
 public:
  void Lock() ACQUIRES() { mutex_.lock(); }
  void Unlock() RELEASES() { mutex_.unlock(); }
  bool TryLock() SEMLOCK_ANNOTATION(try_acquire_capability(true)) { return mutex_.try_lock(); }

 private:
  friend class Condition;
  std::mutex mutex_;
};

class SEMLOCK_ANNOTATION(scoped_lockable) Guard {
 public:
  explicit Guard(Mutex& mutex) ACQUIRES(mutex) : mutex_(mutex) { mutex_.Lock(); }
  // Of one that is locked already.
  Guard(Mutex& mutex, std::adopt_lock_t) REQUIRES(mutex) : mutex_(mutex) {}
  ~Guard() RELEASES() { mutex_.Unlock(); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  Mutex& mutex_;
};

// Who waits looks again when it returns, as it may do at any time.
class Condition {
 public:
  void NotifyAll() { changed_.notify_all(); }
  void Wait(Mutex& mutex) REQUIRES(mutex) {
    std::unique_lock<std::mutex> held(mutex.mutex_, std::adopt_lock);
    changed_.wait(held);
    held.release();
  }
  void WaitFor(Mutex& mutex, int64_t timeout_ns) REQUIRES(mutex) {
    std::unique_lock<std::mutex> held(mutex.mutex_, std::adopt_lock);
    changed_.wait_for(held, std::chrono::nanoseconds(timeout_ns));
    held.release();
  }

 private:
  std::condition_variable changed_;
};

}  // namespace semlock
