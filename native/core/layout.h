// The shared memory of a lock table, byte for byte. Every process of a namespace maps the same file, so nothing here
// holds a pointer, and any change of it needs a new kLayoutVersion.
//
// What guards a field is said beside it. "constant" means: written before other processes can see it.

#pragma once

#include <semaphore.h>
#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace semlock {

// Slot index << 32 | generation. Generations start at 1, so no tag is 0.
using Tag = uint64_t;

inline constexpr Tag MakeTag(uint32_t slot, uint32_t generation) { return Tag{slot} << 32 | generation; }
inline constexpr uint32_t SlotOf(Tag tag) { return static_cast<uint32_t>(tag >> 32) & 0xffff; }
inline constexpr uint32_t GenerationOf(Tag tag) { return static_cast<uint32_t>(tag); }

// In a latch: a process could not get in to release, so the one that leaves the latch must sweep.
inline constexpr uint64_t kAsked = uint64_t{1} << 63;
// In a latch: its owner died and nobody has repaired the record since. Counts as the tag of a dead process.
inline constexpr Tag kUnrepaired = Tag{1} << 62;

inline constexpr uint64_t kMagic = 0x314b434f4c4d4553;  // "SEMLOCK1" as bytes
inline constexpr uint32_t kLayoutVersion = 6;
inline constexpr uint32_t kMaxProcesses = 1024;
inline constexpr uint32_t kBuckets = 16384;
inline constexpr uint32_t kMaxRecords = 65536;
inline constexpr uint32_t kGrowRecords = 256;

// Whose semaphores these are: a name leads to one file with glibc and to another one with musl.
#ifdef __GLIBC__
inline constexpr uint32_t kLibc = 1;
#else
inline constexpr uint32_t kLibc = 2;
#endif

// As much of a namespace's name as people are shown.
inline constexpr size_t kLabelBytes = 1024;

struct Header {
  uint64_t magic;  // constant, as are the eight below
  uint32_t layout_version;
  uint32_t libc;      // kLibc
  uint32_t sem_size;  // of sem_t
  uint32_t slot_size;
  uint32_t record_size;
  uint32_t max_processes;
  uint32_t buckets;
  uint32_t max_records;
  std::atomic<uint32_t> record_count;  // grows under `latch`; records below it have memory
  std::atomic<uint64_t> latch;         // guards what follows, the buckets and the records' `next`
  uint32_t free_head;                  // first free record, 0 for none: record 0 is never used
  uint32_t clock_hand;                 // where the search for idle records goes on
  uint64_t token_floor;                // no token of a new record is below it (I5)
  std::atomic<uint32_t> gate_left;     // counts up when somebody leaves the gate; the futex of those who wait for it
  std::atomic<uint32_t> next_slot;     // which slot the next one to join looks at first: guarded by the gate
  uint32_t named;                      // how many records have kNamed
  uint32_t label_bytes;                // of what follows; constant
  char label[kLabelBytes];             // what the namespace is called, in UTF-8, for people; constant
};

// One process. Written by the one that has locked the slot's byte, or is about to and has the gate; read by all.
struct alignas(64) Slot {
  std::atomic<uint32_t> generation;
  std::atomic<uint32_t> pid;            // 0 while nobody has the slot, and for those who have not written it yet
  std::atomic<uint64_t> start_time;     // field 22 of /proc/<pid>/stat; 0 where it cannot be read
  std::atomic<uint64_t> pid_namespace;  // inode of /proc/self/ns/pid; 0 where it cannot be read
  // Counts up when the wait of one of its threads that block was granted; the futex that they sleep on.
  std::atomic<uint32_t> wakeup;
  std::atomic<uint32_t> sleepers;  // how many of them do, at least: more where some were killed
};

// In an entry's token, whose number is far below: its holder could not get in to release, so it is to be swept. In one
// word with the number, so that a holder that is robbed at this moment cannot flag the thief's entry.
enum Released : uint64_t {
  kNotReleased = 0,
  kReleased = uint64_t{1} << 63,
  kReleasedAbandoned = uint64_t{1} << 62,
};
inline constexpr Released ReleasedOf(uint64_t token) {
  return static_cast<Released>(token & (kReleased | kReleasedAbandoned));
}
// No clock has come so far, and JavaScript does not count further: a number above is what somebody else has written.
inline constexpr uint64_t kTokenLimit = uint64_t{1} << 53;

enum class Mode : uint8_t { kExclusive = 0, kShared = 1 };

// One holder. Guarded by the record's latch, but for a Released in `token` (I2). Atomic because those who look read it
// without the latch, and so does a thread that asks whether an entry is its own.
struct Entry {
  std::atomic<Tag> tag;  // 0: free. Written last and cleared first
  std::atomic<uint64_t> token;
  std::atomic<uint64_t> since_ms;  // Unix time
  std::atomic<uint32_t> pid;
  std::atomic<uint16_t> thread;
  std::atomic<Mode> mode;
};
static_assert(sizeof(Entry) == 32);

// README.md has what each of them means, and what may follow it.
enum WaitState : uint8_t {
  kWaiting = 0,
  kGranting = 1,   // the granting process writes the entry: if it dies, the entry's tag and token say how far it came
  kGranted = 2,    // the entry is there, and its thread has not come for it
  kCancelled = 3,  // set by the waiter in place of kWaiting: to be cleared under the latch
  kOver = 4,       // set by the waiter in place of kGranted or kPassed: the cell is its own, and it clears the tag
  kReturning = 5,  // in place of kGranted: the entry is being cleared again
  kPassed = 6,     // not served until its thread shows that it runs
};
// Whether `waiting` counts it.
inline constexpr bool IsInLine(uint8_t state) { return state == kWaiting || state == kGranting || state == kCancelled; }

inline constexpr int64_t kNoDeadline = INT64_MAX;

// One thread that waits for its turn. Guarded by the record's latch, but for `state`, which changes by compare-and-swap
// where its waiter may change it too, and for a cell with kOver.
struct Waiter {
  std::atomic<Tag> tag;            // 0: free. Written last
  std::atomic<uint64_t> ticket;    // the smallest is the head of the queue
  std::atomic<uint64_t> token;     // of its grant, as `entry` and `abandoned`
  std::atomic<uint64_t> since_ms;  // Unix time
  std::atomic<uint32_t> entry;
  std::atomic<uint16_t> thread;
  std::atomic<Mode> mode;
  std::atomic<uint8_t> state;  // a WaitState
  std::atomic<uint8_t> abandoned;
  std::atomic<uint8_t> times_passed;
  std::atomic<int64_t> id;  // what its thread's inbox is told; 0 for one that blocks, and sleeps on the slot's futex
  // Of CLOCK_MONOTONIC, as what follows: from here on it is not served, and a grant that is not collected taken back.
  std::atomic<int64_t> deadline_ns;
  std::atomic<int64_t> granted_at_ns;
};
static_assert(sizeof(Waiter) == 72);

enum class State : uint32_t {
  kFree = 0,       // fresh memory reads as this
  kLock = 1,       // a Record
  kExtension = 2,  // an Extension of one
};

// Which semaphore a record has is settled when it is made. Without either of these it is the one inside the record.
inline constexpr uint32_t kNamed = 1;    // a named one with a name that only the record tells
inline constexpr uint32_t kForeign = 2;  // one with a name of the user's choice: other programs take and post it too
// All who have looked it up are dead, so nobody relies on its permits and its semaphore.
inline constexpr uint32_t kUnclaimed = 4;

// Only so many records are made with kNamed: each costs a page of /dev/shm.
inline constexpr uint32_t kMaxNamed = 64;

inline constexpr uint32_t kInlineNameBytes = 72;

// One lock. Guarded by `latch` (I2) where nothing else is said. Atomic because those who look take no latch: what they
// read may be recycled meanwhile as anything else, and they find that out afterwards.
struct alignas(64) Record {
  std::atomic<uint64_t> latch;
  std::atomic<State> state;                // changed under the table's latch and this one
  std::atomic<uint32_t> generation;        // counts up when the record is made and when it is recycled
  uint32_t next;                           // in the bucket or the free list: guarded by the table's latch
  std::atomic<uint32_t> more_entries;      // first Extension with entries, 0 for none
  std::atomic<uint32_t> more_waiters;      // first Extension with waiters, 0 for none
  std::atomic<uint32_t> more_name;         // first Extension with the rest of the name, 0 for none; constant
  std::atomic<uint32_t> permits;           // M; constant
  std::atomic<uint8_t> id[32];             // SHA-256 of the name; constant
  std::atomic<uint32_t> name_bytes;        // of the name in UTF-16; constant
  std::atomic<uint32_t> posix_name_bytes;  // of its semaphore's name, which follows in UTF-8; constant
  std::atomic<uint32_t> flags;             // kNamed and its like; only kUnclaimed changes
  std::atomic<uint32_t> held;              // how many entries have a tag
  std::atomic<uint32_t> waiting;           // how many waiters have a tag and are IsInLine()
  std::atomic<uint32_t> used;              // set by who uses it again, cleared by the search for idle records: a hint
  std::atomic<uint8_t> abandoned;          // a holder died; the next one is told
  std::atomic<Mode> held_mode;             // of all entries, where `held` is not 0
  std::atomic<uint32_t> entry_room;        // entries there are, in use or not
  std::atomic<uint32_t> uncollected;       // how many waiters are kGranted, at most
  std::atomic<uint64_t> last_token;
  std::atomic<uint64_t> last_ticket;
  sem_t semaphore;
  Entry entry;  // the first one
  std::atomic<uint8_t> name[kInlineNameBytes];
};
static_assert(sizeof(sem_t) <= 32);

// Of a record with kForeign, in place of the semaphore inside it, which nobody uses.
struct Foreign {
  // The inode of the file that the permits of the entries were taken from, or of the one that is being made without
  // them. Another program may unlink it and make another one. 0 until somebody has opened it.
  std::atomic<uint64_t> file;
  // A permit that was taken from it and has no entry yet; 0 when there is none. An InHand(), set without the latch by
  // the process that has it; under the latch the token of its entry with kInEntry, while that is being written.
  std::atomic<uint64_t> in_hand;
};
inline Foreign& ForeignOf(Record& record) {
  static_assert(sizeof(Foreign) <= sizeof(sem_t) && offsetof(Record, semaphore) % 8 == 0);
  return reinterpret_cast<Foreign&>(record.semaphore);
}

// Whose permit is in hand, and a part of the file that it was taken from: that of a file that was replaced is worth
// nothing.
static_assert(kMaxProcesses <= 1 << 10);
inline constexpr uint64_t InHand(Tag tag, uint64_t file) { return (file & 0xfffff) << 42 | tag; }
inline constexpr Tag TagInHand(uint64_t in_hand) { return in_hand & ((uint64_t{1} << 42) - 1); }
inline constexpr uint64_t kInEntry = uint64_t{1} << 63;

inline constexpr uint32_t kEntriesPerExtension = 7;
inline constexpr uint32_t kWaitersPerExtension = 3;
inline constexpr uint32_t kNameBytesPerExtension = 224;

struct alignas(64) Extension {
  std::atomic<uint64_t> latch;  // as in Record, so that a process with an old index finds a latch here
  std::atomic<State> state;
  std::atomic<uint32_t> generation;
  uint32_t next;               // in the free list
  std::atomic<uint32_t> more;  // the next Extension of the same chain, 0 for none
  uint8_t padding[8];
  union {
    Entry entries[kEntriesPerExtension];
    Waiter waiters[kWaitersPerExtension];
    std::atomic<uint8_t> name[kNameBytesPerExtension];
  };
};

static_assert(sizeof(Record) == 256 && sizeof(Extension) == 256);
static_assert(offsetof(Record, state) == offsetof(Extension, state));
static_assert(offsetof(Record, generation) == offsetof(Extension, generation));
static_assert(offsetof(Record, next) == offsetof(Extension, next));
static_assert(sizeof(off_t) == 8, "the bytes to lock lie beyond 4 GiB");
static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free);

inline constexpr size_t kSlotsOffset = 4096;
static_assert(sizeof(Header) <= kSlotsOffset);
inline constexpr size_t kBucketsOffset = kSlotsOffset + kMaxProcesses * sizeof(Slot);
inline constexpr size_t kRecordsOffset = kBucketsOffset + kBuckets * sizeof(uint32_t);
inline constexpr size_t kTableBytes = kRecordsOffset + size_t{kMaxRecords} * sizeof(Record);

// The bytes that are locked, far beyond those of any file. The namespace says which ones they are, so that a process
// that reads the locks of the system finds those of a table that has no name any more. They are the same in every
// version of the layout, because they tell whether somebody uses a table that we cannot read.
struct LockedBytes {
  int64_t gate;
  int64_t first_slot;
  int64_t presence;  // of the folder /dev/shm
};
LockedBytes LockedBytesOf(const std::string& namespace_id);
// Where those of all namespaces begin, and how far apart they are.
inline constexpr int64_t kFirstGate = int64_t{1} << 61;
inline constexpr int64_t kGateStep = 2048;
static_assert(kGateStep > kMaxProcesses);

}  // namespace semlock
