#include "lock_table.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <vector>

#include "clock.h"
#include "crash_points.h"
#include "latch.h"
#include "leftovers.h"
#include "named_semaphore.h"
#include "shared.h"

namespace semlock {
namespace {

// A caller that gave up waiting for a namespace tries again as often as it likes, but then waits so long at most, and
// only so often: a server that tries at each request must not stand still.
constexpr int64_t kLittlePatienceNs = 5000000;
constexpr int64_t kPauseNs = 100000000;

// One namespace in this process. Its mutex is held while somebody joins, so others of the process wait for that one
// only if they want the same namespace.
struct Namespace {
  Mutex mutex;
  std::shared_ptr<LockTable> table GUARDED_BY(mutex);  // null until it is joined
  bool gave_up GUARDED_BY(mutex) = false;              // the last attempt to join, or to look
  int64_t waited_at GUARDED_BY(mutex) = 0;  // when somebody waited for the last time, where that was not enough

  template <typename F>
  SysError Attempt(F attempt) REQUIRES(mutex) {
    const int64_t start = MonotonicNs();
    Patience patience{!gave_up ? kGateBoundNs : start - waited_at > kPauseNs ? kLittlePatienceNs : 0};
    const SysError error = attempt(&patience);
    gave_up = patience.exhausted;
    if (patience.ns > 0) waited_at = MonotonicNs();
    return error;
  }
};

// Those of this process.
struct Tables {
  Mutex mutex;
  std::map<std::string, std::shared_ptr<Namespace>> by_id GUARDED_BY(mutex);
  bool ended GUARDED_BY(mutex) = false;  // after exit() began, or in a forked child
  void (*before_leaving)(const std::shared_ptr<LockTable>&) GUARDED_BY(mutex) = nullptr;
};

Tables& tables() { return OfProcess<Tables>(); }

// Null when no lock may be used any more.
std::shared_ptr<Namespace> NamespaceOf(const std::string& id) {
  Tables& all = tables();
  const Guard guard(all.mutex);
  if (all.ended) return nullptr;
  std::shared_ptr<Namespace>& found = all.by_id[id];
  if (found == nullptr) found = std::make_shared<Namespace>();
  return found;
}

// Only exit() and its like run this; a process that dies otherwise leaves its files to the next one. No other thread
// uses a lock any more: Node.js has ended its worker threads before. One that just joins is not waited for.
void LeaveAll() {
  Tables& all = tables();
  if (!all.mutex.TryLock()) return;
  const Guard guard(all.mutex, std::adopt_lock);
  if (all.ended) return;
  all.ended = true;
  for (auto& [id, each] : all.by_id) {
    Namespace& joined = *each;
    if (!joined.mutex.TryLock()) continue;
    const Guard joins(joined.mutex, std::adopt_lock);
    if (joined.table == nullptr) continue;
    if (all.before_leaving != nullptr) all.before_leaving(joined.table);
    joined.table->member().Leave([&table = *joined.table] { return table.CountNews() > 0; });
  }
}

// The child of a fork shares its parent's open files, and with them the locks that prove that the parent lives.
UNCHECKED void BeforeFork() {
  tables().mutex.Lock();
  Membership::BeforeFork();
}
UNCHECKED void AfterForkInParent() {
  Membership::AfterForkInParent();
  tables().mutex.Unlock();
}
UNCHECKED void AfterForkInChild() {
  Membership::AfterForkInChild();
  tables().ended = true;
  tables().mutex.Unlock();
}

// Idle records are looked for among this many before the file grows: more than it grows by, so that the search comes
// round and the file need not grow for names that are used one after another.
constexpr uint32_t kClockSteps = 4 * kGrowRecords;
// And this many, also of those that were used lately, where the file cannot grow. In 200 processes' locks that takes
// some 0.3 ms: the whole of a full table would keep everybody's event loop for 40.
constexpr uint32_t kFullSteps = 4096;
// A search ends when it freed this many, because all others wait meanwhile: a semaphore takes some 20 us to unlink.
constexpr uint32_t kEnoughFreed = 32;
// A reader may read a name while its record is recycled, and finds that out afterwards.
void CopyIn(const char* from, size_t length, std::atomic<uint8_t>* to) {
  for (size_t at = 0; at < length; ++at) to[at].store(static_cast<uint8_t>(from[at]), std::memory_order_relaxed);
}

void CopyOut(const std::atomic<uint8_t>* from, size_t length, std::string* to) {
  for (size_t at = 0; at < length; ++at) to->push_back(static_cast<char>(from[at].load(std::memory_order_relaxed)));
}

uint32_t ExtensionsFor(uint32_t amount, uint32_t inside, uint32_t each) {
  return amount <= inside ? 0 : (amount - inside + each - 1) / each;
}

}  // namespace

std::array<uint8_t, 32> IdOf(const Record& record) {
  std::array<uint8_t, 32> id;
  std::copy(std::begin(record.id), std::end(record.id), id.begin());
  return id;
}

SysError LockTable::Get(const std::string& id, const Owners& owners, std::shared_ptr<LockTable>* table,
                        const std::string& label) {
  [[maybe_unused]] static const bool registered = [] {
    pthread_atfork(BeforeFork, AfterForkInParent, AfterForkInChild);
    atexit(LeaveAll);
    return true;
  }();
  if (SysError error = owners.Check()) return error;
  const std::shared_ptr<Namespace> joined = NamespaceOf(id);
  if (joined == nullptr) return kEnded;
  {
    const Guard guard(joined->mutex);
    *table = joined->table;
    if (*table != nullptr) return {};
    const SysError error = joined->Attempt([&](Patience* patience) {
      std::unique_ptr<Membership> member;
      SysError failure = Membership::Join(id, owners, patience, &member, label);
      // The room that there is may be full of what the dead have left.
      if (failure.code == ENOSPC && ClearAllLeftovers(owners)) {
        failure = Membership::Join(id, owners, patience, &member, label);
      }
      if (!failure) *table = std::make_shared<LockTable>(id, std::move(member));
      return failure;
    });
    if (error) return error;
    joined->table = *table;
  }
  ClearOldLeftovers(owners);
  return {};
}

int LockTable::ProofOfLife() const {
  const int copy = fcntl(member_->fd(), F_DUPFD_CLOEXEC, 3);
  return copy < 0 ? -errno : copy;
}

SysError LockTable::Look(const std::string& id, const Owners& owners, std::shared_ptr<const LockTable>* table) {
  if (SysError error = owners.Check()) return error;
  const std::shared_ptr<Namespace> looked_at = NamespaceOf(id);
  if (looked_at == nullptr) return kEnded;
  const Guard guard(looked_at->mutex);
  *table = looked_at->table;
  if (*table != nullptr) return {};
  return looked_at->Attempt([&](Patience* patience) {
    std::unique_ptr<Membership> observer;
    const SysError failure = Membership::Observe(id, owners, patience, &observer);
    if (observer != nullptr) *table = std::make_shared<const LockTable>(id, std::move(observer));
    return failure;
  });
}

void LockTable::BeforeLeaving(void (*call)(const std::shared_ptr<LockTable>&)) {
  const Guard guard(tables().mutex);
  tables().before_leaving = call;
}

LockTable::LockTable(std::string id, std::unique_ptr<Membership> member)
    : id_(std::move(id)),
      member_(std::move(member)),
      header_(reinterpret_cast<Header*>(member_->memory())),
      buckets_(reinterpret_cast<uint32_t*>(member_->memory() + kBucketsOffset)),
      records_(reinterpret_cast<Record*>(member_->memory() + kRecordsOffset)) {}

Extension* LockTable::extension(uint32_t index) const {
  return index == 0 || index >= record_count() ? nullptr : reinterpret_cast<Extension*>(&records_[index]);
}

Entry* LockTable::EntryAt(Record& record, uint32_t number) const {
  Entry* result = nullptr;
  AnyEntry(record, [&](Entry& entry, uint32_t at) {
    if (at == number) result = &entry;
    return at == number;
  });
  return result;
}

Waiter* LockTable::WaiterAt(uint32_t number) const {
  Extension* with = extension(number / kWaitersPerExtension);
  return with == nullptr ? nullptr : &with->waiters[number % kWaitersPerExtension];
}

uint32_t LockTable::CountNews() const {
  uint32_t count = 0;
  for (uint32_t index = 1; index < record_count(); ++index) {
    count += record(index).state.load() == State::kLock && OwesNews(record(index));
  }
  return count;
}

// Of a record whose tags are all dead: a sweep would find each entry abandoned that its holder has not released.
bool LockTable::OwesNews(Record& record) const {
  return record.abandoned != 0 || AnyEntry(record, [](Entry& entry, uint32_t) {
           return entry.tag.load() != 0 && ReleasedOf(entry.token.load()) != kReleased;
         });
}

uint32_t& LockTable::BucketOf(const uint8_t* id) const {
  uint32_t hash;
  memcpy(&hash, id, sizeof(hash));
  return buckets_[hash % kBuckets];
}

SysError LockTable::TakeTableLatch() {
  SysError error;
  if (TakeLatch(header_->latch, slot(), &error) == Latched::kTakenOver) Rebuild();
  return error;
}

// What the latch's dead owner was about in the index and the free list is not known, but each record's state is.
void LockTable::Rebuild() {
  const uint32_t count = record_count();
  memset(buckets_, 0, kBuckets * sizeof(uint32_t));
  header_->free_head = 0;
  header_->named = 0;
  CRASH_POINT(rebuild_cleared);
  std::vector<bool> reachable(count);
  for (uint32_t index = 1; index < count; ++index) {
    Record& each = records_[index];
    if (each.state.load() != State::kLock) continue;
    header_->named += (each.flags.load() & kNamed) != 0;
    uint32_t& bucket = BucketOf(IdOf(each).data());
    each.next = bucket;
    bucket = index;
    for (uint32_t at : {each.more_entries.load(), each.more_waiters.load(), each.more_name.load()}) {
      for (Extension* one; (one = extension(at)) != nullptr && !reachable[at]; at = one->more) reachable[at] = true;
    }
  }
  CRASH_POINT(rebuild_linked);
  for (uint32_t index = count; --index > 0;) {
    const State state = records_[index].state.load();
    if (state == State::kFree || (state == State::kExtension && !reachable[index])) PushFree(index);
  }
}

uint32_t LockTable::Find(const uint8_t* id) const {
  uint32_t steps = record_count();  // more than that is a circle
  for (uint32_t at = BucketOf(id); extension(at) != nullptr && steps-- > 0; at = records_[at].next) {
    const Record& record = records_[at];
    if (std::equal(id, id + sizeof(Record::id), record.id) && record.state.load() == State::kLock) return at;
  }
  return 0;
}

RecordRef LockTable::Peek(const uint8_t (&id)[32]) const {
  for (uint32_t index = 1; index < record_count(); ++index) {
    const Record& each = records_[index];
    const RecordRef found{index, each.generation.load()};
    if (each.state.load() == State::kLock && std::equal(std::begin(id), std::end(id), each.id)) return found;
  }
  return {};
}

bool LockTable::Agrees(const Record& record, const LockIdentity& identity) const {
  if (record.permits != identity.permits) return false;
  return (record.flags & kForeign) == 0 ? identity.posix_name.empty() : PosixNameOf(record) == identity.posix_name;
}

SysError LockTable::FindOrCreate(const LockIdentity& identity, RecordRef* found) {
  if (SysError error = TakeTableLatch()) return error;
  SysError error;
  uint32_t index = Find(identity.id);
  bool abandoned = false;
  if (index != 0 && Agrees(records_[index], identity)) {
    records_[index].used.store(1);
    if (identity.claims) records_[index].flags.fetch_and(~kUnclaimed);
  } else {
    if (index != 0) error = Retire(index, &abandoned);
    if (!error) error = Create(identity, abandoned, &index);
  }
  if (!error) *found = {index, records_[index].generation};
  LeaveLatch(header_->latch);
  return error;
}

// Makes way for the same name with other permits or another semaphore, where nobody alive relies on the old ones. It
// says whether the next holder is to be told of a death, which is lost with a process that does not come to making the
// new record, killed or without room for it.
SysError LockTable::Retire(uint32_t index, bool* abandoned) {
  Record& record = records_[index];
  const SysError mismatch{"latch", EINVAL, "MISMATCH"};
  const uint32_t flags = record.flags.load();
  if ((flags & kUnclaimed) == 0) return mismatch;
  SysError error;
  const Latched latched = TakeLatch(record.latch, slot(), &error);
  if (latched == Latched::kRefused) return error;
  alive_.fill(0);
  // A semaphore that outlives the record first has to have back what the dead took, see SettleForeignSemaphores.
  const bool is_foreign = (flags & kForeign) != 0;
  const bool is_held = AnyEntry(record, [](Entry& each, uint32_t) { return each.tag.load() != 0; }) ||
                       (is_foreign && ForeignOf(record).in_hand.load() != 0);
  if (IsNeeded(record) || (is_foreign && (is_held || latched == Latched::kTakenOver))) {
    LeaveToNext(record.latch, slot(), true);
    return mismatch;
  }
  *abandoned = OwesNews(record);
  Free(index);
  return {};
}

SysError LockTable::Create(const LockIdentity& identity, bool abandoned, uint32_t* created) {
  const bool foreign = !identity.posix_name.empty();
  // A group's members could not remove each other's files from /dev/shm.
  bool named = !foreign && identity.named && !owners().are_group() && header_->named < kMaxNamed;
  const std::string secret = "/semlock." + id_.substr(0, kSemaphorePrefix);
  std::string semaphore = identity.posix_name;
  if (named) semaphore = secret + std::string(kSecretLetters, '?');
  uint32_t entries = 0;
  uint32_t name = 0;
  SysError error = AllocateChain(ExtensionsFor(identity.permits, 1, kEntriesPerExtension), &entries);
  if (!error) {
    const auto bytes = static_cast<uint32_t>(identity.name.size() + semaphore.size());
    error = AllocateChain(ExtensionsFor(bytes, kInlineNameBytes, kNameBytesPerExtension), &name);
  }
  uint32_t index = 0;
  if (!error) error = Allocate(&index);
  if (error) {
    FreeChain(entries);
    FreeChain(name);
    return error;
  }
  Record& record = records_[index];
  CRASH_POINT(create_taken_from_free);
  // Where none can be made, above all for want of room, the one inside the record does as well.
  if (named && NamedSemaphore::MakeSecret(secret, identity.permits, owners(), &semaphore) != 0) named = false;
  if (!named && !foreign) semaphore.clear();
  record.generation += 1;
  record.more_entries = entries;
  record.more_name = name;
  record.permits = identity.permits;
  std::copy(std::begin(identity.id), std::end(identity.id), record.id);
  record.name_bytes = static_cast<uint32_t>(identity.name.size());
  record.posix_name_bytes = static_cast<uint32_t>(semaphore.size());
  record.flags.store(foreign ? kForeign : named ? kNamed : 0);
  record.held.store(0);
  record.held_mode = Mode::kExclusive;
  record.entry_room = identity.permits;
  record.more_waiters = 0;
  record.waiting.store(0);
  record.last_ticket = 0;
  record.used.store(0);  // only once it is used again, so that names used once leave no trace
  record.abandoned = abandoned;
  const uint64_t floor = header_->token_floor < kTokenLimit ? header_->token_floor : 0;
  record.last_token = std::max(UnixUs(), floor);  // I5
  if (foreign) {
    ForeignOf(record).file.store(0);
    ForeignOf(record).in_hand.store(0);
  } else {
    sem_init(&record.semaphore, 1, identity.permits);
  }
  record.entry.tag.store(0);
  StoreNames(record, identity.name + semaphore);
  CRASH_POINT(create_filled);
  record.state.store(State::kLock);
  CRASH_POINT(create_state_written);
  header_->named += named;
  uint32_t& bucket = BucketOf(IdOf(record).data());
  record.next = bucket;
  bucket = index;
  CRASH_POINT(create_linked);
  LeaveLatch(record.latch);
  *created = index;
  return {};
}

// A free record, under its own latch too (I6): a process that remembers what it was may be looking at it.
SysError LockTable::Allocate(uint32_t* allocated) {
  if (header_->free_head == 0 && !RecycleSome(std::min(kClockSteps, record_count()), false)) {
    const SysError full = Grow();
    if (full && !RecycleSome(std::min(kFullSteps, record_count()), true)) {
      // Until the searches have been round without finding anything, there may be room: try again.
      if (barren_ + 1 < record_count()) return kBusyLatch;
      barren_ = 0;
      return full;
    }
  }
  const uint32_t index = header_->free_head;
  if (extension(index) == nullptr) return {"latch", EINVAL, "CORRUPT"};
  Record& record = records_[index];
  SysError error;
  if (TakeLatch(record.latch, slot(), &error) == Latched::kRefused) return error;  // nothing to repair in a free one
  CRASH_POINT(create_latched);
  header_->free_head = record.next;
  *allocated = index;
  return {};
}

// `length` extensions full of zeros, linked with each other; reachable by nothing until a record points to them.
SysError LockTable::AllocateChain(uint32_t length, uint32_t* first) {
  for (; length > 0; --length) {
    uint32_t index = 0;
    if (SysError error = Allocate(&index)) return error;
    auto& one = reinterpret_cast<Extension&>(records_[index]);
    for (auto& byte : one.name) byte.store(0, std::memory_order_relaxed);
    one.more = *first;
    one.state.store(State::kExtension);
    *first = index;
    LeaveLatch(one.latch);
  }
  return {};
}

SysError LockTable::MakeRoom(const RecordRef& ref, Mode mode) {
  if (SysError error = TakeTableLatch()) return error;
  uint32_t entries = 0;
  uint32_t waiters = 0;
  // Of exclusive holders there are never more than permits, and as many entries.
  SysError error = mode == Mode::kShared ? AllocateChain(1, &entries) : SysError{};
  if (!error) error = AllocateChain(1, &waiters);
  Record& r = record(ref.index);
  if (!error) {
    const Latched latched = TakeLatch(r.latch, slot(), &error);
    if (latched == Latched::kTaken && r.state.load() == State::kLock && r.generation == ref.generation) {
      Append(&r.more_waiters, std::exchange(waiters, 0));
      CRASH_POINT(room_waiters_linked);
      if (r.permits == 1 && entries != 0) {
        Append(&r.more_entries, std::exchange(entries, 0));
        CRASH_POINT(room_entries_linked);
        r.entry_room += kEntriesPerExtension;
      }
    }
    if (!error) LeaveToNext(r.latch, slot(), latched == Latched::kTakenOver);
  }
  FreeChain(entries);
  FreeChain(waiters);
  LeaveLatch(header_->latch);
  return error;
}

// At the end, so that the numbers of those before stay.
void LockTable::Append(std::atomic<uint32_t>* first, uint32_t added) {
  std::atomic<uint32_t>* link = first;
  while (Extension* more = extension(*link)) link = &more->more;
  *link = added;
}

SysError LockTable::Grow() {
  const uint32_t count = record_count();
  const uint32_t added = std::min(kGrowRecords, kMaxRecords - count);
  if (added == 0) return {"latch", ENOSPC, "CAPACITY"};
  if (!slot().FileIsIntact()) return kSlotLost;  // else somebody's file would grow
  if (const int error = ReserveBytes(member_->fd(), kRecordsOffset + count * sizeof(Record), added * sizeof(Record))) {
    return {"posix_fallocate", error, "CAPACITY"};
  }
  CRASH_POINT(grow_reserved);
  header_->record_count.store(count + added);
  CRASH_POINT(grow_counted);
  for (uint32_t index = count + added; index-- > count;) PushFree(index);
  return {};
}

// Looks at up to `limit` records, each once, from where the last search ended; whether it freed one at least.
bool LockTable::RecycleSome(uint32_t limit, bool even_used) {
  const uint32_t count = record_count();
  uint32_t freed = 0;
  alive_.fill(0);
  for (limit = std::min(limit, count - 1); limit > 0 && freed < kEnoughFreed; --limit) {
    header_->clock_hand = header_->clock_hand + 1 < count ? header_->clock_hand + 1 : 1;
    freed += Recycle(header_->clock_hand, even_used);
    if (even_used) barren_ = freed > 0 ? 0 : barren_ + 1;
  }
  return freed > 0;
}

bool LockTable::Recycle(uint32_t index, bool even_used) {
  Record& record = records_[index];
  if (record.state.load() != State::kLock) return false;
  if ((record.held.load() != 0 || record.waiting.load() != 0) && !even_used) return false;
  if (record.used.exchange(0) != 0 && !even_used) return false;
  if ((record.flags & kForeign) != 0) return false;              // others may rely on its semaphore
  if ((record.flags & kNamed) != 0 && !even_used) return false;  // there are few, and they cost most to make
  uint64_t owner = record.latch.load();
  // One that somebody alive is inside of is not idle.
  if (owner != 0 && (!even_used || IsAlive(owner & ~kAsked))) return false;
  if (!record.latch.compare_exchange_strong(owner, slot().tag())) return false;
  CRASH_POINT(recycle_latched);
  // A holder that died counts until there is no more room, whether it was swept already or has its entry still.
  if (IsNeeded(record) || (record.abandoned != 0 && !even_used)) {
    LeaveToNext(record.latch, slot(), owner != 0);
    return false;
  }
  Free(index);
  return true;
}

// Under its latch, which is left.
void LockTable::Free(uint32_t index) {
  Record& record = records_[index];
  header_->token_floor = std::max(header_->token_floor, record.last_token + 1);
  record.generation += 1;
  CRASH_POINT(recycle_generation_counted);
  if ((record.flags & kNamed) != 0) {
    NamedSemaphore::Unlink(PosixNameOf(record).c_str(), owners());
    --header_->named;
  }
  record.state.store(State::kFree);
  CRASH_POINT(recycle_state_cleared);
  Unlink(index);
  CRASH_POINT(recycle_unlinked);
  FreeChain(record.more_entries.exchange(0));
  FreeChain(record.more_waiters.exchange(0));
  FreeChain(record.more_name.exchange(0));
  PushFree(index);
  CRASH_POINT(recycle_freed);
  LeaveLatch(record.latch);
}

// A name whose holders all died may be asked for never again, so that nobody would sweep it.
bool LockTable::IsNeeded(Record& record) {
  return AnyEntry(record,
                  [&](Entry& each, uint32_t) {
                    const Tag tag = each.tag.load();
                    return tag != 0 && ReleasedOf(each.token.load()) == kNotReleased && IsAlive(tag);
                  }) ||
         AnyWaiter(record, [&](Waiter& each, uint32_t) {
           const Tag tag = each.tag.load();
           return tag != 0 && IsAlive(tag);
         });
}

// As ProcessSlot::Check has it, but with one system call for the many locks of a process: a dead one stays dead, and
// one that was alive when the search began may count as alive until it ends.
bool LockTable::IsAlive(Tag tag) {
  if (tag == last_dead_) return false;
  Tag& known = alive_[SlotOf(tag) % alive_.size()];
  if (tag == known) return true;
  const bool alive = slot().Check(tag) != Liveness::kDead;
  (alive ? known : last_dead_) = tag;
  return alive;
}

void LockTable::Unlink(uint32_t index) {
  uint32_t steps = record_count();
  uint32_t* link = &BucketOf(IdOf(records_[index]).data());
  while (*link != index && extension(*link) != nullptr && steps-- > 0) link = &records_[*link].next;
  if (*link == index) *link = records_[index].next;
}

void LockTable::FreeChain(uint32_t first) {
  while (Extension* one = extension(first)) {
    const uint32_t more = one->more.exchange(0);
    PushFree(first);
    first = more;
  }
}

void LockTable::PushFree(uint32_t index) {
  Record& record = records_[index];
  record.state.store(State::kFree);
  record.next = header_->free_head;
  header_->free_head = index;
}

void LockTable::StoreNames(Record& record, const std::string& bytes) {
  size_t done = std::min<size_t>(bytes.size(), kInlineNameBytes);
  CopyIn(bytes.data(), done, record.name);
  for (Extension* more = extension(record.more_name); more != nullptr; more = extension(more->more)) {
    const size_t part = std::min<size_t>(bytes.size() - done, kNameBytesPerExtension);
    CopyIn(bytes.data() + done, part, more->name);
    done += part;
  }
}

std::string LockTable::StoredBytes(const Record& record) const {
  size_t wanted = size_t{record.name_bytes} + record.posix_name_bytes;
  size_t part = std::min<size_t>(wanted, kInlineNameBytes);
  std::string bytes;
  CopyOut(record.name, part, &bytes);
  const Extension* more = extension(record.more_name);
  for (wanted -= part; wanted > 0 && more != nullptr; more = extension(more->more)) {
    part = std::min<size_t>(wanted, kNameBytesPerExtension);
    CopyOut(more->name, part, &bytes);
    wanted -= part;
  }
  return bytes;
}

std::string LockTable::NameOf(const Record& record) const { return StoredBytes(record).substr(0, record.name_bytes); }

std::string LockTable::PosixNameOf(const Record& record) const {
  if (record.posix_name_bytes == 0) return {};
  const std::string bytes = StoredBytes(record);
  return bytes.size() < record.name_bytes ? std::string() : bytes.substr(record.name_bytes);
}

}  // namespace semlock
