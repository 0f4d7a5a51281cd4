#include "membership.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>

#include "clock.h"
#include "crash_points.h"
#include "named_semaphore.h"

namespace semlock {
namespace {

constexpr char kShm[] = "/dev/shm";
constexpr long kRetryNs = 1000000;
// How long a table may be missing while others are present: the last one to leave unlinks it a moment before it goes.
constexpr int64_t kTableLostNs = 500000000;
// Leaving must not hold up the end of a process. Who cannot have the gate leaves the files to the next one.
constexpr int64_t kLeaveBoundNs = 200000000;

std::string FolderPath() { return std::string(kShm) + "/semlock-" + std::to_string(geteuid()); }
std::string TableName(const std::string& id) { return id + ".table"; }

bool IsOwnAndPrivate(const struct stat& info) { return info.st_uid == geteuid() && (info.st_mode & 077) == 0; }

// Opens this user's folder. -1 with `error`, or with none where there is no folder.
int OpenFolder(SysError* error) {
  const std::string path = FolderPath();
  const int folder = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0) {
    if (errno == ENOENT) return -1;
    const bool squatted = errno == ENOTDIR || errno == ELOOP || errno == EACCES;
    *error = {"open", errno, squatted ? "UNTRUSTED" : nullptr};
    return -1;
  }
  struct stat info;
  if (fstat(folder, &info) == 0 && IsOwnAndPrivate(info)) return folder;
  close(folder);
  *error = {"fstat", EPERM, "UNTRUSTED"};
  return -1;
}

// Opens this user's folder, and makes it first where there is none. -1 with `error`, or with none to try again: its
// last user removed it meanwhile.
int MakeFolder(SysError* error) {
  if (mkdir(FolderPath().c_str(), 0700) == 0 || errno == EEXIST) return OpenFolder(error);
  *error = {"mkdir", errno, errno == ENOSPC ? "CAPACITY" : nullptr};  // ENOENT: no /dev/shm; EACCES, EROFS
  return -1;
}

struct Closer {
  int fd;
  ~Closer() { close(fd); }
};

void FillHeader(Header* header) {
  header->magic = kMagic;
  header->layout_version = kLayoutVersion;
  header->libc = kLibc;
  header->sem_size = sizeof(sem_t);
  header->slot_size = sizeof(Slot);
  header->record_size = sizeof(Record);
  header->max_processes = kMaxProcesses;
  header->buckets = kBuckets;
  header->max_records = kMaxRecords;
  header->record_count.store(1);  // record 0 means "none"
  header->token_floor = UnixUs();
}

// Gives the file its full, sparse length and memory for all but the records.
int ReserveTable(int fd) {
  if (ftruncate(fd, kTableBytes) != 0) return errno;
  return ReserveBytes(fd, 0, kRecordsOffset + sizeof(Record));
}

template <typename F>
void ForEachName(int folder, F visit) {
  const int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);  // fdopendir takes it over
  DIR* entries = copy < 0 ? nullptr : fdopendir(copy);
  if (entries == nullptr) {
    if (copy >= 0) close(copy);
    return;
  }
  while (const dirent* entry = readdir(entries)) visit(entry->d_name);
  closedir(entries);
}

bool StartsWith(const char* text, const std::string& prefix) {
  return strncmp(text, prefix.c_str(), prefix.size()) == 0;
}

}  // namespace

int ReserveBytes(int fd, size_t start, size_t length) {
  int error;
  do {
    error = posix_fallocate(fd, static_cast<off_t>(start), static_cast<off_t>(length));
  } while (error == EINTR);  // a tmpfs gives up for any signal
  return error;
}

SysError Membership::Join(const std::string& id, std::unique_ptr<Membership>* joined) {
  return Repeat(&Membership::TryJoin, id, joined);
}

SysError Membership::Observe(const std::string& id, std::unique_ptr<Membership>* observer) {
  SysError error = Repeat(&Membership::TryObserve, id, observer);
  if (!error && (*observer)->memory_ == nullptr) observer->reset();
  return error;
}

// One attempt ends in one of three ways: done (null, no error), failed (null, error), or again (what it waits for).
SysError Membership::Repeat(Attempt attempt, const std::string& id, std::unique_ptr<Membership>* done) {
  std::unique_ptr<Membership> member(new Membership);
  member->id_ = id;
  const int64_t start = MonotonicNs();
  int64_t lost_since = 0;
  for (;;) {
    SysError error;
    const char* waiting_for = (member.get()->*attempt)(&error);
    if (waiting_for == nullptr && !error) {
      *done = std::move(member);
      return {};
    }
    member->CloseTable();
    if (error) return error;
    const int64_t now = MonotonicNs();
    const bool lost = strcmp(waiting_for, "table") == 0;
    if (!lost) lost_since = 0;
    if (lost && lost_since == 0) lost_since = now;
    if (lost && now - lost_since > kTableLostNs) return {"open", ENOENT, "TABLE_LOST"};
    if (now - start > kGateBoundNs) return {"fcntl", ETIMEDOUT, "GATE"};
    SleepNs(kRetryNs);
  }
}

const char* Membership::TryJoin(SysError* error) {
  shm_ = open(kShm, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (shm_ < 0) {
    *error = {"open", errno};
    return nullptr;
  }
  const int folder = MakeFolder(error);
  if (folder < 0) return *error ? nullptr : "folder";
  Closer closer{folder};

  struct stat info;
  if (!OpenTable(folder, O_RDWR, &info, error)) {
    if (*error) return nullptr;
    return OthersPresent() ? "table" : CreateTable(folder, error);
  }
  if (const int failed = LockByte(fd_, F_WRLCK, kGateByte)) {
    if (failed == EAGAIN || failed == EACCES) return "gate";
    *error = {"fcntl", failed};
    return nullptr;
  }
  CRASH_POINT(join_gate_locked);
  if (!IsCurrent(folder)) return "gate";  // removed while we waited
  if (!OthersHaveSlots() && OthersPresent()) return "table";

  if (!IsTable(info)) {
    if (OthersHaveSlots()) {
      *error = {"open", EINVAL, "LAYOUT"};
      return nullptr;
    }
    RemoveFiles(folder);  // nobody uses it: begin afresh
    return "gate";
  }
  if (!MapTable(PROT_READ | PROT_WRITE, error)) return nullptr;
  if (!OthersHaveSlots()) DisclaimRecords();
  CRASH_POINT(join_records_disclaimed);
  *error = slot_.Claim(fd_, reinterpret_cast<Slot*>(memory_ + kSlotsOffset));
  if (*error) return nullptr;
  if (const int failed = LockByte(shm_, F_RDLCK, PresenceByte())) {
    *error = {"fcntl", failed};
    return nullptr;
  }
  CRASH_POINT(join_present);
  LockByte(fd_, F_UNLCK, kGateByte);
  return nullptr;
}

// Under the gate, when all who have used the table are dead. Whoever looks a record up claims it again.
void Membership::DisclaimRecords() {
  const uint32_t count = reinterpret_cast<Header*>(memory_)->record_count.load();
  auto* records = reinterpret_cast<Record*>(memory_ + kRecordsOffset);
  for (uint32_t index = 1; index < count; ++index) {
    if (records[index].state.load() == State::kLock) records[index].flags.fetch_or(kUnclaimed);
  }
}

// A table that nobody uses and nobody can read says nothing; who joins next makes it anew.
const char* Membership::TryObserve(SysError* error) {
  shm_ = open(kShm, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (shm_ < 0) {
    *error = {"open", errno};
    return nullptr;
  }
  const int folder = OpenFolder(error);
  if (*error) return nullptr;
  if (folder < 0) return OthersPresent() ? "table" : nullptr;
  Closer closer{folder};

  struct stat info;
  if (!OpenTable(folder, O_RDONLY, &info, error)) return !*error && OthersPresent() ? "table" : nullptr;
  if (!OthersHaveSlots() && OthersPresent()) return "table";
  if (!IsTable(info)) {
    if (OthersHaveSlots()) *error = {"open", EINVAL, "LAYOUT"};
    return nullptr;
  }
  if (MapTable(PROT_READ, error)) slot_.Observe(fd_, reinterpret_cast<Slot*>(memory_ + kSlotsOffset));
  return nullptr;
}

// Opens the table's file as fd_. False with `error`, or with none where there is no file.
bool Membership::OpenTable(int folder, int flags, struct stat* info, SysError* error) {
  fd_ = openat(folder, TableName(id_).c_str(), flags | O_NOFOLLOW | O_CLOEXEC);
  if (fd_ < 0) {
    if (errno == ENOENT) return false;
    *error = {"open", errno, errno == ELOOP || errno == EACCES || errno == EISDIR ? "UNTRUSTED" : nullptr};
    return false;
  }
  if (fstat(fd_, info) == 0 && S_ISREG(info->st_mode) && IsOwnAndPrivate(*info)) return true;
  *error = {"fstat", EPERM, "UNTRUSTED"};
  return false;
}

// Always "again" when it worked: whoever linked the table, everybody joins it the same way.
const char* Membership::CreateTable(int folder, SysError* error) {
  static std::atomic<unsigned> attempts{0};
  const std::string temporary =
      id_ + "." + std::to_string(getpid()) + "-" + std::to_string(attempts++) + "-" + std::to_string(MonotonicNs());
  const int fd = openat(folder, temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) {
    if (errno == ENOENT) return "folder";  // removed under us
    *error = {"open", errno};
    return nullptr;
  }
  CRASH_POINT(build_created);
  if (const int failed = ReserveTable(fd))
    *error = {"posix_fallocate", failed, failed == ENOSPC ? "CAPACITY" : nullptr};
  void* memory = *error ? MAP_FAILED : mmap(nullptr, kTableBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED && !*error) *error = {"mmap", errno};
  if (memory != MAP_FAILED) {
    FillHeader(static_cast<Header*>(memory));
    munmap(memory, kTableBytes);
    CRASH_POINT(build_filled);
    // EEXIST: another was quicker. ENOENT: cleared away, or the folder is gone. Both show on the next attempt.
    if (linkat(folder, temporary.c_str(), folder, TableName(id_).c_str(), 0) != 0 && errno != EEXIST &&
        errno != ENOENT) {
      *error = {"link", errno};
    }
    CRASH_POINT(build_linked);
  }
  unlinkat(folder, temporary.c_str(), 0);
  close(fd);
  return *error ? nullptr : "gate";
}

bool Membership::IsCurrent(int folder) const {
  struct stat ours;
  struct stat current;
  return fstat(fd_, &ours) == 0 && fstatat(folder, TableName(id_).c_str(), &current, AT_SYMLINK_NOFOLLOW) == 0 &&
         ours.st_ino == current.st_ino && ours.st_dev == current.st_dev;
}

bool Membership::MapTable(int protection, SysError* error) {
  void* memory = mmap(nullptr, kTableBytes, protection, MAP_SHARED, fd_, 0);
  if (memory == MAP_FAILED) {
    *error = {"mmap", errno};
    return false;
  }
  memory_ = static_cast<uint8_t*>(memory);
  // A mapping keeps its open file, and with that the lock of the slot: a forked child must not have it.
  madvise(memory, kTableBytes, MADV_DONTFORK);
  return true;
}

// Asked before it is mapped: what is no table may have no memory where its header should be.
bool Membership::IsTable(const struct stat& info) const {
  Header header;
  if (info.st_size != static_cast<off_t>(kTableBytes)) return false;
  if (pread(fd_, static_cast<void*>(&header), sizeof(header), 0) != sizeof(header)) return false;
  const uint32_t count = header.record_count.load();
  return header.magic == kMagic && header.layout_version == kLayoutVersion && header.libc == kLibc &&
         header.sem_size == sizeof(sem_t) && header.slot_size == sizeof(Slot) && header.record_size == sizeof(Record) &&
         header.max_processes == kMaxProcesses && header.buckets == kBuckets && header.max_records == kMaxRecords &&
         count >= 1 && count <= kMaxRecords;
}

// What is not known counts as locked: that keeps everybody's lock.
bool Membership::OthersHaveSlots() const { return StateOf(fd_, kFirstSlotByte, kMaxProcesses) != ByteState::kUnlocked; }

bool Membership::OthersPresent() const { return StateOf(shm_, PresenceByte(), 1) != ByteState::kUnlocked; }

// A byte of the folder for each namespace: 62 bits of its id, which is a digest itself (FNV-1a).
int64_t Membership::PresenceByte() const {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char letter : id_) hash = (hash ^ static_cast<uint8_t>(letter)) * 0x100000001b3;
  return static_cast<int64_t>(hash >> 2);
}

std::string Membership::InboxPath(uint32_t slot, uint16_t thread) const {
  return std::string(kShm) + "/semlock-" + std::to_string(user_) + "/" + id_ + ".inbox-" + std::to_string(slot) + "-" +
         std::to_string(thread);
}

// Under the gate, when nobody else has a slot.
void Membership::RemoveFiles(int folder) {
  const std::string semaphores = std::string(kSemaphoreFiles) + "semlock." + id_.substr(0, kSemaphorePrefix);
  ForEachName(shm_, [&](const char* name) {
    if (StartsWith(name, semaphores)) unlinkat(shm_, name, 0);
  });
  CRASH_POINT(leave_semaphores_unlinked);
  // Also inboxes, and what builders left that were killed. One at work finds its file gone and starts again.
  ForEachName(folder, [&](const char* name) {
    if (StartsWith(name, id_ + ".") && name != TableName(id_)) unlinkat(folder, name, 0);
  });
  unlinkat(folder, TableName(id_).c_str(), 0);
  CRASH_POINT(leave_table_unlinked);
}

void Membership::Leave(const std::function<bool()>& keeps) {
  if (slot_.tag() == 0) return;
  const int64_t start = MonotonicNs();
  int locked;
  while ((locked = LockByte(fd_, F_WRLCK, kGateByte)) != 0 && MonotonicNs() - start < kLeaveBoundNs) {
    SleepNs(kRetryNs);
  }
  CRASH_POINT(leave_gate_locked);
  slot_.Release();
  CRASH_POINT(leave_byte_unlocked);
  SysError ignored;
  // Who has become another user since has no right to the files any more, and no business in that user's folder.
  const bool may_remove = locked == 0 && geteuid() == user_ && !OthersHaveSlots();
  const int folder = may_remove ? MakeFolder(&ignored) : -1;
  if (folder >= 0) {
    // Where our table was removed under us, its path is free: newcomers are refused as long as we are present.
    struct stat info;
    const bool removed = fstatat(folder, TableName(id_).c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
    if (!removed && keeps()) {
      CRASH_POINT(leave_table_kept);
    } else if (removed || IsCurrent(folder)) {
      RemoveFiles(folder);
    }
    close(folder);
    rmdir(FolderPath().c_str());  // ENOTEMPTY where other namespaces are in use
  }
  // Unlocked, not closed: another thread that still asks about a process must not ask about another file.
  LockByte(shm_, F_UNLCK, PresenceByte());
  LockByte(fd_, F_UNLCK, kGateByte);
  CRASH_POINT(leave_done);
}

void Membership::Forsake() {
  slot_.Forget();
  if (shm_ >= 0) close(shm_);
  if (fd_ >= 0) close(fd_);
  shm_ = fd_ = -1;
}

void Membership::CloseTable() {
  if (memory_ != nullptr) munmap(memory_, kTableBytes);
  memory_ = nullptr;
  Forsake();
}

}  // namespace semlock
