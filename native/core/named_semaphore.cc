#include "named_semaphore.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace semlock {
namespace {

std::string BackingPath(const char* name) {
  return std::string("/dev/shm/") + kSemaphoreFiles + (name[0] == '/' ? name + 1 : name);
}

// Gives the owner those rights of `mode` back that a umask took. False when there is nothing to give, or it is not
// ours.
bool RepairMode(const char* name, mode_t mode) {
  const std::string path = BackingPath(name);
  struct stat info;
  if (lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_uid != geteuid()) return false;
  const mode_t wanted = (info.st_mode & 0777) | (mode & 0600);
  return wanted != (info.st_mode & 0777) && chmod(path.c_str(), wanted) == 0;
}

}  // namespace

int TryWait(sem_t* sem) {
  while (sem_trywait(sem) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

NamedSemaphore& NamedSemaphore::operator=(NamedSemaphore&& other) noexcept {
  if (this != &other) {
    Close();
    sem_ = other.sem_;
    other.sem_ = nullptr;
  }
  return *this;
}

SysError NamedSemaphore::CheckBackingFile(const char* name) {
  struct stat info;
  if (lstat(BackingPath(name).c_str(), &info) != 0) return {};  // ENOENT and the like: sem_open reports them better
  if (S_ISREG(info.st_mode) && info.st_size == static_cast<off_t>(sizeof(sem_t))) return {};
  return {"sem_open", EINVAL, "NOT_A_SEMAPHORE"};
}

SysError NamedSemaphore::Open(const char* name, Create create, unsigned mode, unsigned value) {
  Close();
  if (create != Create::kExclusive) {
    if (SysError error = CheckBackingFile(name)) return error;
  }
  const int flags = create == Create::kNever ? 0 : create == Create::kIfMissing ? O_CREAT : O_CREAT | O_EXCL;
  sem_t* sem;
  do {
    sem = sem_open(name, flags, static_cast<mode_t>(mode), value);
  } while (sem == SEM_FAILED && (errno == EINTR || (errno == EACCES && RepairMode(name, 0600))));
  if (sem != SEM_FAILED && create != Create::kNever) RepairMode(name, static_cast<mode_t>(mode));
  // ENOENT, EEXIST, EACCES, EINVAL (value), ENAMETOOLONG, EMFILE, ENFILE, ENOSPC, ENOMEM: all the caller's to report.
  if (sem == SEM_FAILED) return {"sem_open", errno};
  sem_ = sem;
  return {};
}

void NamedSemaphore::Close() {
  if (sem_ != nullptr) sem_close(sem_);
  sem_ = nullptr;
}

int NamedSemaphore::TryWait() { return semlock::TryWait(sem_); }

int NamedSemaphore::Post() { return sem_post(sem_) == 0 ? 0 : errno; }

int NamedSemaphore::Value() const {
  int value = 0;
  sem_getvalue(sem_, &value);  // fails on no valid semaphore
  return value < 0 ? 0 : value;
}

SysError NamedSemaphore::Unlink(const char* name) {
  if (sem_unlink(name) == 0) return {};
  return {"sem_unlink", errno};  // ENOENT, EACCES, ENAMETOOLONG
}

}  // namespace semlock
