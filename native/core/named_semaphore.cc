#include "named_semaphore.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "clock.h"
#include "crash_points.h"
#include "shared.h"

// By the monotonic clock: glibc has it since 2.30, musl not at all.
extern "C" int sem_clockwait(sem_t*, clockid_t, const timespec*) __attribute__((weak));

namespace semlock {
namespace {

constexpr char kFolder[] = "/dev/shm/";
constexpr char kCall[] = "sem_open";
// How often a file with two links is looked at again: sem_open() of other programs links a new one to its name, and
// then removes the name under which it was made.
constexpr int kLooks = 10;
constexpr long kLookAgainNs = 100000;
constexpr int kSecretTries = 4;
// How often a name may come and go between a look at it and the attempt to make it.
constexpr int kCreateTries = 100;

bool IsName(const char* name) { return name[0] == '/' && name[1] != '\0' && strchr(name + 1, '/') == nullptr; }

std::string PathOf(const std::string& name) { return std::string(kFolder) + kSemaphoreFiles + name.substr(1); }

std::string RandomLetters() {
  static constexpr char kBase64Url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  uint8_t bytes[kSecretLetters] = {};
  // Without it (ENOSYS before Linux 3.17) the names are known, and what follows finds them taken at worst.
  [[maybe_unused]] const ssize_t got = getrandom(bytes, sizeof(bytes), 0);
  std::string letters;
  for (const uint8_t byte : bytes) letters += kBase64Url[byte % 64];
  return letters;
}

// A new file at that path, whole when this returns. 0 or errno.
template <typename F>
int MakeFile(const std::string& path, unsigned mode, unsigned value, F set_up, int* made) {
  sem_t semaphore;
  memset(static_cast<void*>(&semaphore), 0, sizeof(semaphore));
  if (sem_init(&semaphore, 1, value) != 0) return errno;  // EINVAL: above SEM_VALUE_MAX
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
  if (fd < 0) return errno;
  struct stat info;
  const bool whole =
      fstat(fd, &info) == 0 && set_up(fd, info) && write(fd, &semaphore, sizeof(semaphore)) == sizeof(semaphore);
  if (whole) {
    *made = fd;
    return 0;
  }
  const int failed = errno;  // ENOSPC
  close(fd);
  unlink(path.c_str());
  return failed;
}

// Gives the owner back the access that an odd umask of another program took. By way of a descriptor, because what the
// path leads to may change. True when there was something to give to us.
bool RepairMode(const std::string& path, uid_t user) {
  const int fd = open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return false;
  struct stat info;
  const bool masked =
      fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == user && (info.st_mode & 0600) != 0600;
  const std::string file = "/proc/self/fd/" + std::to_string(fd);
  const bool repaired = masked && chmod(file.c_str(), (info.st_mode & 0777) | 0600) == 0;
  close(fd);
  return repaired;
}

// Gives a file its name, if nobody has it. 0 or errno. In one step: a kill leaves one name or the other.
int Publish(const std::string& temporary, const std::string& path) {
  if (syscall(SYS_renameat2, AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;  // EEXIST
  if (link(temporary.c_str(), path.c_str()) != 0) return errno;
  unlink(temporary.c_str());
  return 0;
}

}  // namespace

// The users that may have access to a semaphore.
struct NamedSemaphore::Access {
  uid_t user;           // with root
  gid_t group;          // where is_group
  bool is_group;        // it may be the group's
  bool is_group_alone;  // and must be
  unsigned mode;        // of one that is made

  static Access Of(const Owners& owners) {
    return {owners.id, owners.id, owners.are_group(), owners.are_group(), owners.file_mode()};
  }

  // A type or size that no semaphore has is worth an error of its own only where it is this user's mistake.
  SysError Check(const struct stat& info) const {
    const SysError untrusted{kCall, EPERM, "UNTRUSTED"};
    const bool groups = is_group && info.st_gid == group;
    const bool ours = !is_group_alone && (info.st_uid == user || info.st_uid == 0);
    if (!ours && !groups) return untrusted;
    if (!S_ISREG(info.st_mode) || info.st_size != static_cast<off_t>(sizeof(sem_t))) {
      return {kCall, EINVAL, "NOT_A_SEMAPHORE"};
    }
    if ((info.st_mode & (groups ? 07u : 077u)) != 0 || info.st_nlink != 1) return untrusted;
    return {};
  }

  // What the umask, and the folder that it is in, have made other than it should be. A umask that takes from the owner
  // too would make a semaphore that nobody can open, or replace, ever again.
  bool SetUp(int fd, const struct stat& info) const {
    if (!is_group_alone) return fchmod(fd, (info.st_mode & 0777) | (mode & 0700)) == 0;
    return fchown(fd, static_cast<uid_t>(-1), group) == 0 && fchmod(fd, mode) == 0;
  }
};

int TryWait(sem_t* sem) {
  while (sem_trywait(sem) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

int TimedWait(sem_t* sem, int64_t timeout_ns) {
  const bool monotonic = sem_clockwait != nullptr;
  timespec until;
  clock_gettime(monotonic ? CLOCK_MONOTONIC : CLOCK_REALTIME, &until);
  timeout_ns += until.tv_nsec;
  until.tv_sec += static_cast<time_t>(timeout_ns / 1000000000);
  until.tv_nsec = static_cast<long>(timeout_ns % 1000000000);
  return (monotonic ? sem_clockwait(sem, CLOCK_MONOTONIC, &until) : sem_timedwait(sem, &until)) == 0 ? 0 : errno;
}

SysError NamedSemaphore::Open(const char* name, Create create, unsigned mode, unsigned value) {
  return OpenAs(name, create, {geteuid(), getegid(), (mode & 070) != 0, false, mode}, value, nullptr);
}

SysError NamedSemaphore::Open(const char* name, Create create, const Owners& owners, unsigned value,
                              std::atomic<uint64_t>* making) {
  const ActAs them(owners);
  return OpenAs(name, create, Access::Of(owners), value, making);
}

SysError NamedSemaphore::OpenAs(const char* name, Create create, const Access& access, unsigned value,
                                std::atomic<uint64_t>* making) {
  Close();
  if (!IsName(name)) return {kCall, EINVAL};
  const std::string path = PathOf(name);
  if (create == Create::kExclusive) return CreateExclusive(path, access, value, making);
  for (int tries = 0;; ++tries) {
    SysError error = OpenExisting(path, access);
    if (error.code != ENOENT || create == Create::kNever) return error;
    error = CreateExclusive(path, access, value, making);
    // ENOENT: a process that left took the new file for one that the dead had left.
    if ((error.code != EEXIST && error.code != ENOENT) || tries == kCreateTries) return error;
  }
}

SysError NamedSemaphore::OpenExisting(const std::string& path, const Access& access) {
  struct stat info;
  SysError error = TryOpen(path, access, &info);
  for (int look = 1; error.code == EPERM && info.st_nlink == 2 && look < kLooks; ++look) {
    SleepNs(kLookAgainNs);
    error = TryOpen(path, access, &info);
  }
  return error;
}

SysError NamedSemaphore::TryOpen(const std::string& path, const Access& access, struct stat* info) {
  // First by name: opening a device may do something, and says less of a file that is not ours than its owner.
  if (lstat(path.c_str(), info) != 0) return {kCall, errno};  // ENOENT, ENAMETOOLONG
  if (SysError error = access.Check(*info)) return error;
  constexpr int how = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  int fd = open(path.c_str(), how);
  if (fd < 0 && errno == EACCES && RepairMode(path, access.user)) fd = open(path.c_str(), how);
  if (fd < 0) return {kCall, errno};  // EACCES, EMFILE, ENFILE; ENOENT: just unlinked
  SysError error;
  if (fstat(fd, info) != 0) {
    error = {kCall, errno};
  } else if (info->st_nlink == 0) {
    error = {kCall, ENOENT};
  } else {
    error = access.Check(*info);
  }
  if (!error) error = Map(fd, *info);
  close(fd);
  return error;
}

SysError NamedSemaphore::CreateExclusive(const std::string& path, const Access& access, unsigned value,
                                         std::atomic<uint64_t>* making) {
  const std::string temporary = PathOf(kNewSemaphores + RandomLetters());
  int fd = -1;
  const auto set_up = [&](int made, const struct stat& as) {
    if (making != nullptr) making->store(as.st_ino);
    return access.SetUp(made, as);
  };
  if (const int failed = MakeFile(temporary, access.mode, value, set_up, &fd)) return {kCall, failed};
  CRASH_POINT(semaphore_made);
  SysError error;
  struct stat info;
  if (const int failed = Publish(temporary, path)) {
    error = {kCall, failed};
    unlink(temporary.c_str());
  } else if (fstat(fd, &info) != 0) {
    error = {kCall, errno};
  } else {
    error = Map(fd, info);
    made_ = true;
  }
  close(fd);
  return error;
}

bool NamedSemaphore::HasName(const char* name) const {
  struct stat info;
  return lstat(PathOf(name).c_str(), &info) == 0 && info.st_ino == file_;
}

SysError NamedSemaphore::Map(int fd, const struct stat& info) {
  file_ = info.st_ino;
  made_ = false;
  SysError error;
  const auto map = [&] {
    void* memory = mmap(nullptr, sizeof(sem_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory != MAP_FAILED) return static_cast<sem_t*>(memory);
    error = {kCall, errno};
    return static_cast<sem_t*>(nullptr);
  };
  // Each file once in this process, however many have it open. As long as it is mapped, its number is no other's.
  using File = std::pair<dev_t, ino_t>;
  sem_ = OfProcess<SharedByKey<File, sem_t>>().Get({info.st_dev, info.st_ino}, map,
                                                   [](sem_t* last) { munmap(last, sizeof(sem_t)); });
  return error;
}

int NamedSemaphore::TryWait() { return semlock::TryWait(sem_.get()); }

int NamedSemaphore::Post() { return sem_post(sem_.get()) == 0 ? 0 : errno; }

int NamedSemaphore::Value() const {
  int value = 0;
  sem_getvalue(sem_.get(), &value);  // fails on no valid semaphore
  return value < 0 ? 0 : value;
}

// Not under a temporary name first: nobody opens it before this process tells its name.
int NamedSemaphore::MakeSecret(const std::string& prefix, unsigned value, const Owners& owners, std::string* name) {
  const ActAs them(owners);
  const Access access = Access::Of(owners);
  const auto set_up = [&](int made, const struct stat& as) { return access.SetUp(made, as); };
  int failed = EEXIST;
  for (int tries = 0; failed == EEXIST && tries < kSecretTries; ++tries) {
    *name = prefix + RandomLetters();
    int fd = -1;
    failed = MakeFile(PathOf(*name), access.mode, value, set_up, &fd);
    if (failed == 0) close(fd);
  }
  CRASH_POINT(secret_semaphore_made);
  return failed;
}

SysError NamedSemaphore::Unlink(const char* name) {
  if (!IsName(name)) return {"sem_unlink", EINVAL};
  if (unlink(PathOf(name).c_str()) == 0) return {};
  return {"sem_unlink", errno};  // ENOENT, EACCES, EPERM, ENAMETOOLONG
}

void NamedSemaphore::Unlink(const char* name, const Owners& owners) {
  const ActAs them(owners);
  Unlink(name);
}

}  // namespace semlock
