// Joining and leaving a namespace: who creates its table, who removes it, and how that never makes two tables in which
// one lock could be held twice. See README.md, "Joining and leaving".

#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>

#include "layout.h"
#include "process_slot.h"
#include "sys_error.h"

namespace semlock {

class Membership {
 public:
  // `id` is a file name, unique for namespace and user; its first kSemaphorePrefix characters open the names of the
  // namespace's semaphores. Waits for the gate, kGateBoundNs at most. Kinds of error: UNTRUSTED, TABLE_LOST, LAYOUT,
  // GATE, CAPACITY; and what the system says, ENOSPC above all.
  static SysError Join(const std::string& id, std::unique_ptr<Membership>* joined);

  // A look from outside: maps the table for reading alone, takes neither gate nor slot, and so neither delays nor
  // changes anything. Null where there is no table. Kinds of error: as Join, but for GATE and CAPACITY.
  static SysError Observe(const std::string& id, std::unique_ptr<Membership>* observer);

  ~Membership() { CloseTable(); }

  // Gives the slot back, so that what this process still holds counts as a dead process's; the last one also removes
  // the table and the semaphores, unless `keeps`, which is asked when nobody alive uses the table. Memory and file stay
  // as they are: other threads may look at them until the process ends.
  void Leave(const std::function<bool()>& keeps);
  // In a child that was forked: closes what would keep the parent's slot locked after the parent's death. The memory
  // is not there, see MapTable.
  void Forsake();

  // Of the named pipe through which a thread is told of its waits, see inbox.h. It goes with the table at the latest.
  std::string InboxPath(uint32_t slot, uint16_t thread) const;

  uint8_t* memory() const { return memory_; }
  int fd() const { return fd_; }
  const ProcessSlot& slot() const { return slot_; }

 private:
  Membership() = default;

  using Attempt = const char* (Membership::*)(SysError* error);
  static SysError Repeat(Attempt attempt, const std::string& id, std::unique_ptr<Membership>* done);
  const char* TryJoin(SysError* error);
  const char* TryObserve(SysError* error);
  bool OpenTable(int folder, int flags, struct stat* info, SysError* error);
  const char* CreateTable(int folder, SysError* error);
  bool IsCurrent(int folder) const;
  bool OthersPresent() const;
  bool OthersHaveSlots() const;
  bool MapTable(int protection, SysError* error);
  void DisclaimRecords();
  bool IsTable(const struct stat& info) const;
  void RemoveFiles(int folder);
  void CloseTable();
  int64_t PresenceByte() const;

  std::string id_;
  const uid_t user_ = geteuid();  // whose folder it is in
  int shm_ = -1;                  // the folder /dev/shm, for the presence byte
  int fd_ = -1;                   // the table
  uint8_t* memory_ = nullptr;
  ProcessSlot slot_;
};

// Gives a part of a file memory: 0, or errno, ENOSPC above all.
int ReserveBytes(int fd, size_t start, size_t length);

inline constexpr int64_t kGateBoundNs = 5000000000;
inline constexpr size_t kSemaphorePrefix = 8;

}  // namespace semlock
