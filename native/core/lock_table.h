// The records of one namespace: finding the one of a name, making it, and recycling those that nobody needs. What
// happens within a record is lock_record's business.

#pragma once

#include <array>
#include <memory>
#include <string>
#include <utility>

#include "inbox.h"
#include "layout.h"
#include "membership.h"
#include "sys_error.h"

namespace semlock {

// A lock as its user describes it. The record is found by `id` alone; the rest must agree.
struct LockIdentity {
  uint8_t id[32] = {};
  std::string name;  // for people: UTF-16 in this machine's byte order
  // Of its semaphore, where the user chose one, because other programs use it too; else empty.
  std::string posix_name;
  uint32_t permits = 1;
  bool named = false;  // it gets a named semaphore where it is one of the first, see kMaxNamed
  bool claims = true;  // the caller relies on the rest, see kUnclaimed
};

// Where a record was found. Good as long as the record has this generation, which is asked under its latch.
struct RecordRef {
  uint32_t index = 0;
  uint32_t generation = 0;
};

class LockTable {
 public:
  // The table of that namespace in this process, joined if need be; `label` is what people call it. To join
  // also clears away some of what the dead have left of others, see leftovers.h.
  static SysError Get(const std::string& id, const Owners& owners, std::shared_ptr<LockTable>* table,
                      const std::string& label = {});

  // The same for who only looks: without joining, so the table may be read but not changed. Null where there is none.
  static SysError Look(const std::string& id, const Owners& owners, std::shared_ptr<const LockTable>* table);

  // Called for each table of this process when it exits, before it leaves the namespace.
  static void BeforeLeaving(void (*call)(const std::shared_ptr<LockTable>&));

  LockTable(std::string id, std::unique_ptr<Membership> member);

  // The record of `identity`, made if there is none. Kinds of error: BUSY (a latch could not be had in time), CAPACITY,
  // MISMATCH (permits or semaphore differ from what others use), CORRUPT, SLOT_LOST.
  SysError FindOrCreate(const LockIdentity& identity, RecordRef* found);

  // The record of that id without any latch, for a caller that looks again later; index 0 where there is none.
  RecordRef Peek(const uint8_t (&id)[32]) const;

  Record& record(uint32_t index) const { return records_[index]; }
  // Null for 0 and for an index without memory, which only a damaged table has.
  Extension* extension(uint32_t index) const;
  uint32_t record_count() const { return header_->record_count.load(); }

  // Calls visit(entry, number) for each of the record's entries, in use or not, until it returns true. Entries are
  // numbered within the record, waiters within the table.
  template <typename F>
  bool AnyEntry(Record& record, F visit) const;
  // The same for its waiters.
  template <typename F>
  bool AnyWaiter(Record& record, F visit) const;
  // The entry of that number; null when there is none.
  Entry* EntryAt(Record& record, uint32_t number) const;

  // The waiter of that number, which it has as long as the record is this lock's; null when there is none.
  Waiter* WaiterAt(uint32_t number) const;
  // Of how many locks the next holder is to be told that the previous one died. Asked when nobody alive is inside.
  uint32_t CountNews() const;
  // Adds room for more waiters and, in shared mode, for more entries. Nothing happens to a record that was recycled.
  SysError MakeRoom(const RecordRef& ref, Mode mode);

  // The parts of what StoreNames wrote.
  std::string NameOf(const Record& record) const;
  // The POSIX name of the record's semaphore; empty for the one inside it.
  std::string PosixNameOf(const Record& record) const;

  // A descriptor for another program to inherit: as long as one is open, this process counts as alive. Or -errno.
  int ProofOfLife() const;

  const Owners& owners() const { return member_->owners(); }
  const ProcessSlot& slot() const { return member_->slot(); }
  Membership& member() { return *member_; }
  Outbox& outbox() { return outbox_; }

 private:
  SysError TakeTableLatch();
  void Rebuild();
  uint32_t Find(const uint8_t* id) const;
  bool Agrees(const Record& record, const LockIdentity& identity) const;
  SysError Create(const LockIdentity& identity, bool abandoned, uint32_t* index);
  SysError Retire(uint32_t index, bool* abandoned);
  SysError Allocate(uint32_t* index);
  SysError AllocateChain(uint32_t length, uint32_t* first);
  SysError Grow();
  bool RecycleSome(uint32_t limit, bool even_used);
  bool Recycle(uint32_t index, bool even_used);
  bool IsNeeded(Record& record);
  bool OwesNews(Record& record) const;
  void Free(uint32_t index);
  bool IsAlive(Tag tag);
  void Append(std::atomic<uint32_t>* first, uint32_t added);
  void Unlink(uint32_t index);
  void FreeChain(uint32_t first);
  void PushFree(uint32_t index);
  void StoreNames(Record& record, const std::string& bytes);
  std::string StoredBytes(const Record& record) const;
  uint32_t& BucketOf(const uint8_t* id) const;

  std::string id_;
  std::unique_ptr<Membership> member_;
  Outbox outbox_{*member_};
  Header* header_;
  uint32_t* buckets_;
  Record* records_;
  // What the search for idle records has found out. Guarded by the table's latch.
  Tag last_dead_ = 0;
  std::array<Tag, kMaxProcesses> alive_ = {};
  uint32_t barren_ = 0;  // how many records in a row were not to be had, also of those used lately
};

// What a record is found by.
std::array<uint8_t, 32> IdOf(const Record& record);

template <typename F>
bool LockTable::AnyEntry(Record& record, F visit) const {
  if (visit(record.entry, 0u)) return true;
  uint32_t number = 1;
  for (Extension* more = extension(record.more_entries); more != nullptr && number < record.entry_room;
       more = extension(more->more)) {
    for (Entry& entry : more->entries) {
      if (number == record.entry_room) return false;
      if (visit(entry, number++)) return true;
    }
  }
  return false;
}

template <typename F>
bool LockTable::AnyWaiter(Record& record, F visit) const {
  uint32_t steps = record_count();  // more than that is a circle
  uint32_t at = record.more_waiters;
  for (Extension* more = extension(at); more != nullptr && steps-- > 0; more = extension(at = more->more)) {
    uint32_t number = at * kWaitersPerExtension;
    for (Waiter& waiter : more->waiters) {
      if (visit(waiter, number++)) return true;
    }
  }
  return false;
}

}  // namespace semlock
