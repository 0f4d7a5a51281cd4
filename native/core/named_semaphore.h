// A POSIX named semaphore, as sem_open(3) gives it, without any protection against the death of its holder.
// It checks what the system does not: a file that is no semaphore would end the process with SIGBUS on first use.

#pragma once

#include <semaphore.h>

#include <string>

#include "sys_error.h"

namespace semlock {

enum class Create {
  kNever,      // open what exists: ENOENT otherwise
  kIfMissing,  // O_CREAT: the initial value counts only when it is created
  kExclusive,  // O_CREAT | O_EXCL: EEXIST otherwise
};

// What the names of the files in /dev/shm begin with.
#ifdef __GLIBC__
inline constexpr char kSemaphoreFiles[] = "sem.";
#else
inline constexpr char kSemaphoreFiles[] = "";
#endif

class NamedSemaphore {
 public:
  NamedSemaphore() = default;
  NamedSemaphore(const NamedSemaphore&) = delete;
  NamedSemaphore& operator=(const NamedSemaphore&) = delete;
  NamedSemaphore(NamedSemaphore&& other) noexcept : sem_(other.sem_) { other.sem_ = nullptr; }
  NamedSemaphore& operator=(NamedSemaphore&& other) noexcept;
  ~NamedSemaphore() { Close(); }

  // `name` starts with a slash and has no other one. `mode` is subject to the umask, as in open(2).
  SysError Open(const char* name, Create create, unsigned mode, unsigned value);
  void Close();
  // Null while closed. The address stays the same when the object moves.
  sem_t* get() const { return sem_; }

  // 0, or errno: EAGAIN when the value is 0. Loops on EINTR.
  int TryWait();
  // 0, or errno: EOVERFLOW at SEM_VALUE_MAX.
  int Post();
  // The value, never negative: Linux reports 0 while others wait.
  int Value() const;

  // ENOENT when there is none.
  static SysError Unlink(const char* name);
  // A SysError of kind NOT_A_SEMAPHORE when the file behind `name` is there and cannot be a semaphore.
  static SysError CheckBackingFile(const char* name);

 private:
  sem_t* sem_ = nullptr;
};

// sem_trywait(3) on any semaphore: 0 or errno, EINTR handled.
int TryWait(sem_t* sem);

}  // namespace semlock
