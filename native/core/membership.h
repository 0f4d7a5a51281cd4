// Joining and leaving a namespace: who creates its table, who removes it, and how that never makes two tables in which
// one lock could be held twice. See README.md, "Joining and leaving".

#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>

#include "layout.h"
#include "mutex.h"
#include "own_file.h"
#include "owners.h"
#include "process_slot.h"
#include "sys_error.h"

namespace semlock {

// How long somebody waits for others who join or leave, and whether that was not enough.
struct Patience {
  int64_t ns;
  bool exhausted = false;
};

// Leaving must not hold up the end of a process.
inline constexpr int64_t kLeaveBoundNs = 200000000;

class Membership {
 public:
  // `id` is a file name, unique for namespace and owners; its first kSemaphorePrefix characters open the names of the
  // namespace's semaphores. `label` is what people call it, for a table that is made. Kinds of error: UNTRUSTED,
  // TABLE_LOST, LAYOUT, GATE, CAPACITY; and what the system says, ENOSPC above all.
  static SysError Join(const std::string& id, const Owners& owners, Patience* patience,
                       std::unique_ptr<Membership>* joined, const std::string& label = {});

  // A look from outside: maps the table for reading alone, takes neither gate nor slot, and so neither delays nor
  // changes anything. Null where there is no table. Kinds of error: as Join, but for GATE and CAPACITY.
  static SysError Observe(const std::string& id, const Owners& owners, Patience* patience,
                          std::unique_ptr<Membership>* observer);

  ~Membership();
  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;

  // Gives the slot back, so that what this process still holds counts as a dead process's; the last one also removes
  // the table and the semaphores, unless `keeps`, which is asked when nobody alive uses the table. Memory and file stay
  // as they are: other threads may look at them until the process ends. A process that cannot have the gate in time
  // leaves the files to the next one.
  void Leave(const std::function<bool()>& keeps, int64_t patience_ns = kLeaveBoundNs);

  // Whether others have a slot now.
  bool OthersHaveSlots() const;

  // Around fork(). The child closes what would keep its parent's slot locked after the parent's death, of those who are
  // just joining, too. The memory is not there, see MapTable.
  static void BeforeFork() UNCHECKED;
  static void AfterForkInParent() UNCHECKED;
  static void AfterForkInChild() UNCHECKED;

  // The named pipe through which a thread is told of its waits, see inbox.h. It goes with the table at the latest.
  // Makes it, in place of a file of that name, and opens it: -1 where others could not find it.
  int MakeInbox(uint32_t slot, uint16_t thread) const;
  // -1 where there is none, or none that can be trusted.
  int OpenInbox(uint32_t slot, uint16_t thread) const;
  void RemoveInbox(uint32_t slot, uint16_t thread) const;

  const Owners& owners() const { return owners_; }
  uint8_t* memory() const { return memory_; }
  int fd() const { return table_.fd(); }
  const ProcessSlot& slot() const { return slot_; }

 private:
  // How an attempt to join, or to look, ended.
  enum class Attempt {
    kDone,
    kFailed,     // with an error
    kAgain,      // something was made, removed or replaced meanwhile
    kGateShut,   // for all the time that there was
    kTableLost,  // others are present, but not in a table that is here: somebody removed it, or they are just leaving
  };

  Membership(std::string id, const Owners& owners);
  template <typename F>
  static SysError Repeat(const std::string& id, const Owners& owners, Patience* patience,
                         std::unique_ptr<Membership>* done, F attempt);
  Attempt TryJoin(int64_t deadline, SysError* error);
  Attempt JoinAtGate(int folder, const struct stat& info, SysError* error);
  Attempt TryObserve(SysError* error);
  Attempt CreateTable(int folder, SysError* error);
  bool OpenShm(SysError* error);
  int OpenInboxIn(int folder, const std::string& name) const;
  bool OpenTable(int folder, int flags, struct stat* info, SysError* error);
  bool MapTable(int protection, SysError* error);
  int LockGate(int64_t deadline);
  void UnlockGate(int wake);
  bool IsCurrent(int folder) const;
  std::string InboxName(uint32_t slot, uint16_t thread) const;
  template <typename F>
  int InFolder(F call) const;
  bool PresenceIsLocked() const;
  bool OthersPresent() const;
  bool NoRoomForAnotherTable() const;
  void DisclaimRecords();
  bool IsTable(const struct stat& info) const;
  void RemoveFiles(int folder);
  void CloseTable();
  void Forsake();
  Header& header() const { return *reinterpret_cast<Header*>(memory_); }
  Slot* slots() const { return reinterpret_cast<Slot*>(memory_ + kSlotsOffset); }

  const std::string id_;
  std::string label_;
  const LockedBytes bytes_;
  const Owners owners_;
  OwnFile shm_;     // the folder /dev/shm, for the presence byte
  OwnFile folder_;  // the owners', as it was when it was checked
  OwnFile table_;
  uint8_t* memory_ = nullptr;
  ProcessSlot slot_;
};

// Calls visit(folder, name) for all that lies in the owners' folder: tables, inboxes, and what builders have begun. An
// error where there is one that cannot be trusted.
SysError ForEachTableFile(const Owners& owners, const std::function<void(int folder, const char* name)>& visit);
// The same for the files of semaphores that tables have.
void ForEachOwnSemaphore(const std::function<void(int folder, const char* name)>& visit);
// The bytes that anybody has locked, in whatever file on that device. Locks of open file descriptions are shown to all,
// whatever their pid namespace. In how many pieces the kernel told it, each of which is of one moment; 0 where it did
// not. It may take some 15 ms, since the kernel first waits for all processors to have no lock in hand.
int ForEachLockedByte(dev_t device, const std::function<void(int64_t byte)>& visit);
std::string TableName(const std::string& id);

// Gives a part of a file memory: 0, or errno, ENOSPC above all.
int ReserveBytes(int fd, size_t start, size_t length);

inline constexpr int64_t kGateBoundNs = 5000000000;
inline constexpr size_t kSemaphorePrefix = 8;

}  // namespace semlock
