// A POSIX named semaphore, without any protection against the death of its holder. It is the file that sem_open(3) of
// any program makes and maps, but made and mapped here.
//
// sem_open() opens by name, so what was checked before may be another file by then: where this user's programs unlink
// and make a semaphore, or where /dev/shm has no sticky bit (an emptyDir of Kubernetes), a stranger's can come in
// between. A user who may write to the file decides who holds the lock, and can end all its users (SIGBUS) by cutting
// it off. So a file is opened once, checked, and that very file is mapped. glibc and musl both keep in it what
// sem_init() makes of a shared semaphore, and nothing else.

#pragma once

#include <semaphore.h>
#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <string>

#include "owners.h"
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

// What the names of semaphores begin with that are not whole yet: what a kill leaves of one, the last to leave removes.
inline constexpr char kNewSemaphores[] = "/semlock-new.";

// Copies are the same semaphore, at the same address.
class NamedSemaphore {
 public:
  // `name` starts with a slash and has no other one. `mode` is subject to the umask as in open(2), but for what its
  // owner may do. Where it gives access to a group, a semaphore of this process's group is trusted too. Kinds of error:
  // UNTRUSTED (not a private file of this user or root), NOT_A_SEMAPHORE (of this user, but of another type or size).
  SysError Open(const char* name, Create create, unsigned mode, unsigned value);
  // That of the owners of a lock: only theirs, or root's, is trusted. Where one has to be made, `making` is told its
  // file() before anybody can find it by its name.
  SysError Open(const char* name, Create create, const Owners& owners, unsigned value,
                std::atomic<uint64_t>* making = nullptr);
  void Close() { sem_.reset(); }
  // Which file it is, as long as it is open: its inode. Whether Open() made it, and whether it still has that name.
  uint64_t file() const { return file_; }
  bool was_made() const { return made_; }
  bool HasName(const char* name) const;
  // Null while closed.
  sem_t* get() const { return sem_.get(); }

  // 0, or errno: EAGAIN when the value is 0. Loops on EINTR.
  int TryWait();
  // 0, or errno: EOVERFLOW at SEM_VALUE_MAX.
  int Post();
  // The value, never negative: Linux reports 0 while others wait.
  int Value() const;

  // Makes one for those who are told its name, `prefix` and 128 random bits: nobody has taken it before. 0 or errno.
  static int MakeSecret(const std::string& prefix, unsigned value, const Owners& owners, std::string* name);
  // ENOENT when there is none.
  static SysError Unlink(const char* name);
  static void Unlink(const char* name, const Owners& owners);

 private:
  struct Access;
  SysError OpenAs(const char* name, Create create, const Access& access, unsigned value, std::atomic<uint64_t>* making);
  SysError OpenExisting(const std::string& path, const Access& access);
  SysError TryOpen(const std::string& path, const Access& access, struct stat* info);
  SysError CreateExclusive(const std::string& path, const Access& access, unsigned value,
                           std::atomic<uint64_t>* making);
  SysError Map(int fd, const struct stat& info);

  std::shared_ptr<sem_t> sem_;
  uint64_t file_ = 0;
  bool made_ = false;
};

// The length of the random part of a secret name.
inline constexpr size_t kSecretLetters = 22;

// sem_trywait(3) on any semaphore: 0 or errno, EINTR handled.
int TryWait(sem_t* sem);
// sem_wait(3) for up to `timeout_ns`: 0, ETIMEDOUT or EINTR.
int TimedWait(sem_t* sem, int64_t timeout_ns);

}  // namespace semlock
