#include "membership.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <set>
#include <utility>

#include "clock.h"
#include "crash_points.h"
#include "futex.h"
#include "named_semaphore.h"
#include "shared.h"

namespace semlock {
namespace {

constexpr char kShm[] = "/dev/shm";
// What the names of groups' folders begin with until they are whole. No user's or group's folder has such a name.
constexpr char kNewFolders[] = "semlock-new.";
constexpr long kRetryNs = 1000000;
constexpr int64_t kGateRoundNs = 20000000;
// How long a table may be missing while others are present: the last one to leave unlinks it a moment before it goes.
constexpr int64_t kTableLostNs = 500000000;
// Of memory, in whatever version of the layout.
constexpr uint64_t kLeastTableBytes = 64 * 1024;
static_assert(kRecordsOffset > kLeastTableBytes);

// Gives the owner's rights back that a umask took from what this user made, as in a start by a shell with an odd one.
// False when it is not theirs, or others may use it too. Nobody else can put a link there: /dev/shm is sticky.
bool RepairMode(const Owners& owners, int folder, const char* name, mode_t type, mode_t mode) {
  struct stat info;
  return !owners.are_group() && fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
         (info.st_mode & S_IFMT) == type && owners.Trust(info) && fchmodat(folder, name, mode, 0) == 0;
}

// Opens the owners' folder. -1 with `error`, or with none where there is no folder.
int OpenFolder(const Owners& owners, SysError* error) {
  const std::string path = owners.FolderPath();
  const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  int folder = open(path.c_str(), flags);
  if (folder < 0 && errno == EACCES) {
    folder = RepairMode(owners, AT_FDCWD, path.c_str(), S_IFDIR, 0700) ? open(path.c_str(), flags) : -1;
    if (folder < 0) errno = EACCES;
  }
  if (folder < 0) {
    if (errno == ENOENT) return -1;
    const bool squatted = errno == ENOTDIR || errno == ELOOP || errno == EACCES;
    *error = {"open", errno, squatted ? "UNTRUSTED" : nullptr};
    return -1;
  }
  struct stat info;
  if (fstat(folder, &info) == 0 && owners.Trust(info)) {
    const mode_t mode = info.st_mode & 07777;
    if (!owners.are_group() && (mode & 0700) != 0700) fchmod(folder, 0700);
    // Without its set-group-ID bit, what its members make would not be the group's; and only a member can set that.
    if (!owners.are_group() || mode == owners.folder_mode()) return folder;
  }
  close(folder);
  *error = {"fstat", EPERM, "UNTRUSTED"};
  return -1;
}

// Under a temporary name first: until it is the group's, its other members would take it for a stranger's. 0 or errno.
int MakeGroupFolder(const Owners& owners) {
  const std::string path = owners.FolderPath();
  struct stat info;
  if (lstat(path.c_str(), &info) == 0) return EEXIST;
  std::string temporary = std::string(kShm) + "/" + kNewFolders + "XXXXXX";
  if (mkdtemp(temporary.data()) == nullptr) return errno;
  int failed = 0;
  chmod(temporary.c_str(), 0700);  // a umask may have taken that
  const int folder = open(temporary.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  // The mode last, because a change of the group takes the set-group-ID bit away.
  if (folder < 0 || fchown(folder, static_cast<uid_t>(-1), owners.id) != 0 ||
      fchmod(folder, owners.folder_mode()) != 0) {
    failed = errno;
  }
  if (folder >= 0) close(folder);
  CRASH_POINT(group_folder_made);
  // It takes the place of an empty one. What else is in the way came first, and is looked at next; where it is gone
  // itself, somebody took it for one that the dead had left.
  if (failed == 0 && rename(temporary.c_str(), path.c_str()) != 0) failed = EEXIST;
  if (failed != 0) rmdir(temporary.c_str());
  return failed;
}

// Opens the owners' folder, and makes it first where there is none. -1 with `error`, or with none to try again: its
// last user removed it meanwhile.
int MakeFolder(const Owners& owners, SysError* error) {
  const std::string path = owners.FolderPath();
  const int failed = owners.are_group()                               ? MakeGroupFolder(owners)
                     : mkdir(path.c_str(), owners.folder_mode()) == 0 ? 0
                                                                      : errno;
  if (failed == 0 || failed == EEXIST) return OpenFolder(owners, error);
  *error = {"mkdir", failed};  // ENOENT: no /dev/shm; EACCES, EROFS, ENOSPC
  return -1;
}

struct Closer {
  int fd;
  ~Closer() { close(fd); }
};

// What open() says of a link, of a folder, of a socket or a device, and of a file of others.
bool IsNoTable(int error) {
  return error == ELOOP || error == EISDIR || error == ENXIO || error == ENODEV || error == EACCES;
}

// A test build can be told to be another version, so that tests have two.
uint32_t LayoutVersion() {
#ifdef SEMLOCK_CRASH_POINTS
  const char* other = getenv("SEMLOCK_LAYOUT");
  if (other != nullptr) return static_cast<uint32_t>(atoi(other));
#endif
  return kLayoutVersion;
}

void FillHeader(Header* header, const std::string& label) {
  header->magic = kMagic;
  header->layout_version = LayoutVersion();
  header->libc = kLibc;
  header->sem_size = sizeof(sem_t);
  header->slot_size = sizeof(Slot);
  header->record_size = sizeof(Record);
  header->max_processes = kMaxProcesses;
  header->buckets = kBuckets;
  header->max_records = kMaxRecords;
  header->record_count.store(1);  // record 0 means "none"
  header->token_floor = UnixUs();
  header->label_bytes = static_cast<uint32_t>(std::min(label.size(), kLabelBytes));
  memcpy(header->label, label.data(), header->label_bytes);
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

// Whether anybody has locked the byte of a slot, in whatever file on that device. False also where the kernel does not
// tell. What it tells in more than one piece is not of one moment, so it is asked twice then.
bool SlotIsLockedSomewhere(dev_t device, int64_t first_slot) {
  bool found = false;
  const auto look = [&] {
    return ForEachLockedByte(device, [&](int64_t byte) {
      found = found || (byte >= first_slot && byte < first_slot + static_cast<int64_t>(kMaxProcesses));
    });
  };
  if (look() > 1 && !found) look();
  return found;
}

bool StartsWith(const char* text, const std::string& prefix) {
  return strncmp(text, prefix.c_str(), prefix.size()) == 0;
}

}  // namespace

std::string TableName(const std::string& id) { return id + ".table"; }

SysError ForEachTableFile(const Owners& owners, const std::function<void(int folder, const char* name)>& visit) {
  const ActAs them(owners);
  SysError error;
  const int folder = OpenFolder(owners, &error);
  if (folder < 0) return error;
  Closer closer{folder};
  ForEachName(folder, [&](const char* name) { visit(folder, name); });
  return {};
}

void ForEachOwnSemaphore(const std::function<void(int folder, const char* name)>& visit) {
  const int folder = open(kShm, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  Closer closer{folder};
  const std::string own = std::string(kSemaphoreFiles) + "semlock.";
  ForEachName(folder, [&](const char* name) {
    if (StartsWith(name, own)) visit(folder, name);
  });
}

int ForEachLockedByte(dev_t device, const std::function<void(int64_t byte)>& visit) {
  const int locks = open("/proc/locks", O_RDONLY | O_CLOEXEC);
  if (locks < 0) return 0;
  Closer closer{locks};
  std::string list;
  int pieces = 0;
  for (;;) {
    char piece[16384];
    const ssize_t length = read(locks, piece, sizeof(piece));
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return 0;
    if (length == 0) break;
    list.append(piece, static_cast<size_t>(length));
    pieces += 1;
  }
  for (size_t at = 0, end; at < list.size(); at = end + 1) {
    end = std::min(list.find('\n', at), list.size());
    list[end] = '\0';
    unsigned major_number = 0;
    unsigned minor_number = 0;
    long long start = 0;
    const int found =
        sscanf(&list[at], "%*d: OFDLCK %*s %*s %*d %x:%x:%*[0-9] %lld", &major_number, &minor_number, &start);
    if (found == 3 && makedev(major_number, minor_number) == device) visit(start);
  }
  return std::max(pieces, 1);
}

int ReserveBytes(int fd, size_t start, size_t length) {
  int error;
  do {
    error = posix_fallocate(fd, static_cast<off_t>(start), static_cast<off_t>(length));
  } while (error == EINTR);  // a tmpfs gives up for any signal
  return error;
}

LockedBytes LockedBytesOf(const std::string& namespace_id) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, of what is a digest itself
  for (const char letter : namespace_id) hash = (hash ^ static_cast<uint8_t>(letter)) * 0x100000001b3;
  // 50 bits of it, and room for the slots.
  const auto gate = static_cast<int64_t>(hash >> 14) * kGateStep | kFirstGate;
  return {gate, gate + 1, gate};
}

// ---- Fork

namespace {

// Those of this process, for a child that is forked.
struct Members {
  Mutex mutex;  // held while something is opened, so that no child has what is not known yet
  std::set<Membership*> all GUARDED_BY(mutex);
};

Members& members() { return OfProcess<Members>(); }

}  // namespace

Membership::Membership(std::string id, const Owners& owners)
    : id_(std::move(id)), bytes_(LockedBytesOf(id_)), owners_(owners) {
  const Guard guard(members().mutex);
  members().all.insert(this);
}

Membership::~Membership() {
  CloseTable();
  const Guard guard(members().mutex);
  members().all.erase(this);
}

void Membership::BeforeFork() { members().mutex.Lock(); }
void Membership::AfterForkInParent() { members().mutex.Unlock(); }
void Membership::AfterForkInChild() {
  for (Membership* each : members().all) each->Forsake();
  members().mutex.Unlock();
}

void Membership::Forsake() {
  slot_.Forget();
  shm_.Close();
  folder_.Close();
  table_.Close();
}

void Membership::CloseTable() {
  const Guard guard(members().mutex);
  if (memory_ != nullptr) munmap(memory_, kTableBytes);
  memory_ = nullptr;
  slot_.Forget();
  table_.Close();
}

// ---- The gate

// 0; EAGAIN when somebody else had it until `deadline`; or what the kernel says.
int Membership::LockGate(int64_t deadline) {
  for (;;) {
    const uint32_t seen = memory_ == nullptr ? 0 : header().gate_left.load();
    const int error = LockByte(table_.fd(), F_WRLCK, bytes_.gate);
    if (error != EAGAIN && error != EACCES) return error;
    const int64_t left = deadline - MonotonicNs();
    if (left <= 0) return EAGAIN;
    if (memory_ == nullptr) {
      SleepNs(kRetryNs);
    } else {
      // Not longer, because a process that is killed at the gate wakes no other.
      SleepOn(header().gate_left, seen, std::min(left, kGateRoundNs));
    }
  }
}

void Membership::UnlockGate(int wake) {
  LockByte(table_.fd(), F_UNLCK, bytes_.gate);
  if (memory_ == nullptr) return;
  header().gate_left.fetch_add(1);
  WakeSleepers(header().gate_left, wake);
}

// ---- Joining

SysError Membership::Join(const std::string& id, const Owners& owners, Patience* patience,
                          std::unique_ptr<Membership>* joined, const std::string& label) {
  return Repeat(id, owners, patience, joined, [&label](Membership& member, int64_t deadline, SysError* error) {
    member.label_ = label;
    return member.TryJoin(deadline, error);
  });
}

SysError Membership::Observe(const std::string& id, const Owners& owners, Patience* patience,
                             std::unique_ptr<Membership>* observer) {
  SysError error = Repeat(id, owners, patience, observer,
                          [](Membership& member, int64_t, SysError* failed) { return member.TryObserve(failed); });
  if (!error && (*observer)->memory_ == nullptr) observer->reset();
  return error;
}

template <typename F>
SysError Membership::Repeat(const std::string& id, const Owners& owners, Patience* patience,
                            std::unique_ptr<Membership>* done, F attempt) {
  const ActAs them(owners);
  std::unique_ptr<Membership> member(new Membership(id, owners));
  const int64_t start = MonotonicNs();
  const int64_t deadline = start + patience->ns;
  int64_t lost_since = 0;
  SysError error;
  if (!member->OpenShm(&error)) return error;
  for (;;) {
    const Attempt ended = attempt(*member, deadline, &error);
    if (ended == Attempt::kDone) {
      *done = std::move(member);
      return {};
    }
    member->CloseTable();
    if (ended == Attempt::kFailed) return error;
    const int64_t now = MonotonicNs();
    if (ended == Attempt::kTableLost) {
      if (lost_since == 0) lost_since = now;
      patience->exhausted = now - lost_since >= std::min(kTableLostNs, patience->ns);
      if (patience->exhausted) return {"open", ENOENT, "TABLE_LOST"};
      SleepNs(kRetryNs);
    } else {
      lost_since = 0;
      // Others may also come and go faster than we can look.
      patience->exhausted = ended == Attempt::kGateShut || now - start >= kGateBoundNs;
      if (patience->exhausted) return {"fcntl", ETIMEDOUT, "GATE"};
    }
  }
}

bool Membership::OpenShm(SysError* error) {
  const Guard guard(members().mutex);
  if (shm_.Adopt(open(kShm, O_RDONLY | O_DIRECTORY | O_CLOEXEC))) return true;
  *error = {"open", errno};
  return false;
}

Membership::Attempt Membership::TryJoin(int64_t deadline, SysError* error) {
  *error = slot_.Identify();
  if (*error) return Attempt::kFailed;
  if (!folder_.Adopt(MakeFolder(owners_, error))) return *error ? Attempt::kFailed : Attempt::kAgain;
  const int folder = folder_.fd();

  struct stat info;
  if (!OpenTable(folder, O_RDWR, &info, error)) {
    if (*error) return Attempt::kFailed;
    // The rest is asked at the gate: the kernel takes milliseconds to tell it.
    return PresenceIsLocked() ? Attempt::kTableLost : CreateTable(folder, error);
  }
  if (IsTable(info) && !MapTable(PROT_READ | PROT_WRITE, error)) return Attempt::kFailed;
  if (const int failed = LockGate(deadline)) {
    if (failed == EAGAIN) return Attempt::kGateShut;
    *error = {"fcntl", failed};
    return Attempt::kFailed;
  }
  CRASH_POINT(join_gate_locked);
  const Attempt ended = JoinAtGate(folder, info, error);
  // Where the table is gone, all who wait for its gate have to find that out.
  UnlockGate(ended == Attempt::kDone ? 1 : INT_MAX);
  return ended;
}

Membership::Attempt Membership::JoinAtGate(int folder, const struct stat& info, SysError* error) {
  if (!IsCurrent(folder)) return Attempt::kAgain;  // removed while we waited
  const bool alone = !OthersHaveSlots();
  if (alone && OthersPresent()) return Attempt::kTableLost;
  if (!IsTable(info) || memory_ == nullptr) {
    if (alone) {
      RemoveFiles(folder);  // nobody uses it: begin afresh
      return Attempt::kAgain;
    }
    *error = {"open", EINVAL, "LAYOUT"};
    return Attempt::kFailed;
  }
  if (alone) DisclaimRecords();
  CRASH_POINT(join_records_disclaimed);
  *error = slot_.Claim(table_, bytes_.first_slot, slots(), &header().next_slot);
  if (*error) return Attempt::kFailed;
  if (const int failed = LockByte(shm_.fd(), F_RDLCK, bytes_.presence)) {
    *error = {"fcntl", failed};
    return Attempt::kFailed;
  }
  CRASH_POINT(join_present);
  futimens(table_.fd(), nullptr);  // says since when nobody has come, see leftovers.h
  return Attempt::kDone;
}

// Under the gate, when all who have used the table are dead. The first to look a record up claims it again.
void Membership::DisclaimRecords() {
  const uint32_t count = header().record_count.load();
  auto* records = reinterpret_cast<Record*>(memory_ + kRecordsOffset);
  for (uint32_t index = 1; index < count; ++index) {
    if (records[index].state.load() == State::kLock) records[index].flags.fetch_or(kUnclaimed);
  }
}

// A table that no process uses or can read says nothing; the next one to join makes it anew.
Membership::Attempt Membership::TryObserve(SysError* error) {
  const auto nothing = [this, error] {
    return *error ? Attempt::kFailed : OthersPresent() ? Attempt::kTableLost : Attempt::kDone;
  };
  const int folder = OpenFolder(owners_, error);
  if (folder < 0) return nothing();
  Closer closer{folder};

  struct stat info;
  if (!OpenTable(folder, O_RDONLY, &info, error)) return nothing();
  const bool used = OthersHaveSlots();
  if (!used && OthersPresent()) return Attempt::kTableLost;
  if (IsTable(info)) {
    if (!MapTable(PROT_READ, error)) return Attempt::kFailed;
    slot_.Observe(table_, bytes_.first_slot, slots());
  } else if (used) {
    *error = {"open", EINVAL, "LAYOUT"};
    return Attempt::kFailed;
  }
  return Attempt::kDone;
}

// Opens the table's file. False with `error`, or with none where there is no file.
bool Membership::OpenTable(int folder, int flags, struct stat* info, SysError* error) {
  const Guard guard(members().mutex);
  const std::string name = TableName(id_);
  const auto open_it = [&] { return openat(folder, name.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC); };
  int fd = open_it();
  if (fd < 0 && errno == EACCES) {
    fd = RepairMode(owners_, folder, name.c_str(), S_IFREG, 0600) ? open_it() : -1;
    if (fd < 0) errno = EACCES;
  }
  if (!table_.Adopt(fd)) {
    if (errno == ENOENT) return false;
    *error = {"open", errno, IsNoTable(errno) ? "UNTRUSTED" : nullptr};
    return false;
  }
  if (fstat(table_.fd(), info) == 0 && S_ISREG(info->st_mode) && owners_.Trust(*info)) return true;
  *error = {"fstat", EPERM, "UNTRUSTED"};
  return false;
}

// Always "again" when it worked: the process that linked the table joins it as all others do.
Membership::Attempt Membership::CreateTable(int folder, SysError* error) {
  static std::atomic<unsigned> attempts{0};
  const std::string temporary =
      id_ + "." + std::to_string(getpid()) + "-" + std::to_string(attempts++) + "-" + std::to_string(MonotonicNs());
  const int fd = openat(folder, temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) {
    if (errno == ENOENT) return Attempt::kAgain;  // the folder was removed under us
    *error = {"open", errno};
    return Attempt::kFailed;
  }
  fchmod(fd, owners_.file_mode());  // whatever the umask
  CRASH_POINT(build_created);
  if (const int failed = ReserveTable(fd)) *error = {"posix_fallocate", failed};
  void* memory = *error ? MAP_FAILED : mmap(nullptr, kTableBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED && !*error) *error = {"mmap", errno};
  if (memory != MAP_FAILED) {
    FillHeader(static_cast<Header*>(memory), label_);
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
  return *error ? Attempt::kFailed : Attempt::kAgain;
}

bool Membership::IsCurrent(int folder) const {
  struct stat ours;
  struct stat current;
  return fstat(table_.fd(), &ours) == 0 &&
         fstatat(folder, TableName(id_).c_str(), &current, AT_SYMLINK_NOFOLLOW) == 0 && ours.st_ino == current.st_ino &&
         ours.st_dev == current.st_dev;
}

bool Membership::MapTable(int protection, SysError* error) {
  const Guard guard(members().mutex);
  void* memory = mmap(nullptr, kTableBytes, protection, MAP_SHARED, table_.fd(), 0);
  if (memory == MAP_FAILED) {
    *error = {"mmap", errno};
    return false;
  }
  // A mapping keeps its open file, and with that the lock of the slot: a forked child must not have it.
  if (madvise(memory, kTableBytes, MADV_DONTFORK) != 0) {
    *error = {"madvise", errno};
    munmap(memory, kTableBytes);
    return false;
  }
  memory_ = static_cast<uint8_t*>(memory);
  return true;
}

// Asked before it is mapped: what is no table may have no memory where its header should be.
bool Membership::IsTable(const struct stat& info) const {
  Header header;
  if (info.st_size != static_cast<off_t>(kTableBytes)) return false;
  if (pread(table_.fd(), static_cast<void*>(&header), sizeof(header), 0) != sizeof(header)) return false;
  const uint32_t count = header.record_count.load();
  return header.magic == kMagic && header.layout_version == LayoutVersion() && header.libc == kLibc &&
         header.sem_size == sizeof(sem_t) && header.slot_size == sizeof(Slot) && header.record_size == sizeof(Record) &&
         header.max_processes == kMaxProcesses && header.buckets == kBuckets && header.max_records == kMaxRecords &&
         count >= 1 && count <= kMaxRecords;
}

// What is not known counts as locked: that keeps everybody's lock.
bool Membership::OthersHaveSlots() const {
  return StateOf(table_.fd(), bytes_.first_slot, kMaxProcesses) != ByteState::kUnlocked;
}

bool Membership::PresenceIsLocked() const { return StateOf(shm_.fd(), bytes_.presence, 1) != ByteState::kUnlocked; }

// A process that lost its descriptors still has its slot's byte, also in a table that has no name any more: the mapping
// keeps that file open.
bool Membership::OthersPresent() const {
  if (PresenceIsLocked()) return true;
  if (NoRoomForAnotherTable()) return false;
  struct stat info;
  return fstat(shm_.fd(), &info) != 0 || SlotIsLockedSomewhere(info.st_dev, bytes_.first_slot);
}

// Whether less memory is in use in /dev/shm, beside that of our own file, than any table takes: then there is no other
// one, with a name or without. On a machine that uses it for little else this spares the kernel's slow list.
bool Membership::NoRoomForAnotherTable() const {
  struct statfs system;
  if (fstatfs(shm_.fd(), &system) != 0 || system.f_type != TMPFS_MAGIC || system.f_blocks == 0) return false;
  const auto used = static_cast<uint64_t>(system.f_blocks - system.f_bfree) * static_cast<uint64_t>(system.f_bsize);
  struct stat own {};
  if (table_.fd() >= 0 && fstat(table_.fd(), &own) != 0) return false;
  return used < static_cast<uint64_t>(own.st_blocks) * 512 + kLeastTableBytes;
}

std::string Membership::InboxName(uint32_t slot, uint16_t thread) const {
  return id_ + ".inbox-" + std::to_string(slot) + "-" + std::to_string(thread);
}

// A pipe of the owners' own, and nothing else: what lies there may be from a time when others could write to the
// folder. First by name, because to open a device may do something; a pipe never blocks here. For reading too: one that
// has a reader raises no SIGPIPE, and one that has a writer is never at its end.
int Membership::OpenInboxIn(int folder, const std::string& name) const {
  struct stat info;
  const auto is_inbox = [&] { return S_ISFIFO(info.st_mode) && owners_.Trust(info); };
  if (fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 || !is_inbox()) return -1;
  const int fd = openat(folder, name.c_str(), O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
  if (fd < 0 || (fstat(fd, &info) == 0 && is_inbox())) return fd;
  close(fd);
  return -1;
}

// Not by the folder's name, which may lead to another one by now.
template <typename F>
int Membership::InFolder(F call) const {
  const ActAs them(owners_);
  if (folder_.IsIntact()) return call(folder_.fd());
  SysError ignored;
  const int again = OpenFolder(owners_, &ignored);  // other code has closed ours
  if (again < 0) return -1;
  Closer closer{again};
  return call(again);
}

int Membership::MakeInbox(uint32_t slot, uint16_t thread) const {
  const std::string name = InboxName(slot, thread);
  return InFolder([&](int folder) {
    unlinkat(folder, name.c_str(), 0);  // our last one, or that of the slot's last process
    if (mkfifoat(folder, name.c_str(), owners_.file_mode()) != 0) return -1;
    fchmodat(folder, name.c_str(), owners_.file_mode(), 0);  // whatever the umask
    CRASH_POINT(inbox_made);
    const int fd = OpenInboxIn(folder, name);
    if (fd < 0) unlinkat(folder, name.c_str(), 0);
    return fd;
  });
}

int Membership::OpenInbox(uint32_t slot, uint16_t thread) const {
  return InFolder([&](int folder) { return OpenInboxIn(folder, InboxName(slot, thread)); });
}

void Membership::RemoveInbox(uint32_t slot, uint16_t thread) const {
  InFolder([&](int folder) { return unlinkat(folder, InboxName(slot, thread).c_str(), 0); });
}

// Under the gate, when nobody else has a slot.
void Membership::RemoveFiles(int folder) {
  // By their names, because a process that was killed may have made one that no record tells of.
  const std::string own = std::string(kSemaphoreFiles) + "semlock." + id_.substr(0, kSemaphorePrefix);
  const std::string begun = std::string(kSemaphoreFiles) + (kNewSemaphores + 1);
  ForEachName(shm_.fd(), [&](const char* name) {
    if (StartsWith(name, own) || StartsWith(name, begun)) unlinkat(shm_.fd(), name, 0);  // EPERM: another user's
    if (StartsWith(name, kNewFolders)) unlinkat(shm_.fd(), name, AT_REMOVEDIR);
  });
  CRASH_POINT(leave_semaphores_unlinked);
  // Also inboxes, and what builders left that were killed. One at work finds its file gone and starts again.
  ForEachName(folder, [&](const char* name) {
    if (StartsWith(name, id_ + ".") && name != TableName(id_)) unlinkat(folder, name, 0);
  });
  unlinkat(folder, TableName(id_).c_str(), 0);
  CRASH_POINT(leave_table_unlinked);
}

void Membership::Leave(const std::function<bool()>& keeps, int64_t patience_ns) {
  if (slot_.tag() == 0) return;
  // Without our own descriptors there is nothing to lock or to unlock: that ends with the process.
  if (!table_.IsIntact() || !shm_.IsIntact()) return slot_.Release();
  const int locked = LockGate(MonotonicNs() + patience_ns);
  CRASH_POINT(leave_gate_locked);
  slot_.Release();
  CRASH_POINT(leave_byte_unlocked);
  SysError ignored;
  // A process that has become another user since has no right to the files, and no business in that user's folder.
  const bool may_remove = locked == 0 && !owners_.Check() && !OthersHaveSlots();
  const ActAs them(owners_);
  const int folder = may_remove ? MakeFolder(owners_, &ignored) : -1;
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
    rmdir(owners_.FolderPath().c_str());  // ENOTEMPTY where other namespaces are in use; EPERM: another member made it
  }
  // Unlocked, not closed: another thread that still asks about a process must not ask about another file.
  LockByte(shm_.fd(), F_UNLCK, bytes_.presence);
  if (locked == 0) UnlockGate(folder < 0 ? 1 : INT_MAX);
  CRASH_POINT(leave_done);
}

}  // namespace semlock
