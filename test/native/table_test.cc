// Many locks in one table: growing, recycling, and what happens when nothing
// more fits in.

#include <semaphore.h>
#include <string.h>

#include "locks.h"

using namespace testing;

TEST(
    "a hundred thousand names, used one after another, need the room of a few "
    "hundred") {
  for (int name = 0; name < 100000; ++name) {
    Lock lock(std::to_string(name));
    CHECK(lock.TryAcquire() && lock.Release());
  }
  CHECK(Table()->record_count() <= 1024);
}

// Of a try that is repeated while it is told that others are at work: each one looks for room in a part of the table.
static std::string ErrorInTheEnd(Lock& lock) {
  for (int tries = 0; tries < 40; ++tries) {
    const std::string error = lock.ErrorOfTry();
    if (!error.empty() || (*lock).Held() > 0) return error;
  }
  return "BUSY";
}
static std::string ErrorInTheEnd(Lock&& lock) { return ErrorInTheEnd(lock); }

// Holds names until there is no room for another.
static std::vector<std::unique_ptr<Lock>> FillTable() {
  std::vector<std::unique_ptr<Lock>> held;
  for (;;) {
    auto lock = std::make_unique<Lock>("filler " + std::to_string(held.size()));
    const std::string error = ErrorInTheEnd(*lock);
    if (error == "CAPACITY") return held;
    CHECK(error.empty());
    held.push_back(std::move(lock));
  }
}

TEST(
    "a full table refuses new names, loses no lock, and takes new names as "
    "soon as one is free") {
  std::vector<std::unique_ptr<Lock>> held = FillTable();
  CHECK(held.size() > 60000 && held.size() < semlock::kMaxRecords);
  CHECK(ErrorInTheEnd(Lock("one more")) == "CAPACITY");
  Lock again("filler 12345", {}, 2);
  CHECK(!again.TryAcquire());
  for (const size_t any : {size_t{0}, held.size() / 2, held.size() - 1}) {
    CHECK(held[any]->Release());
    Lock next("next " + std::to_string(any));
    CHECK(ErrorInTheEnd(next).empty());
    CHECK(ErrorInTheEnd(Lock("one more")) == "CAPACITY");
    CHECK(next.Release());
    CHECK(ErrorInTheEnd(*held[any]).empty());
  }
  for (const auto& each : held) CHECK(each->Release());
  CHECK(ErrorInTheEnd(Lock("one more", {1024})).empty());
}

TEST("a try of a new name in a full table looks at a bounded part of it") {
  std::vector<std::unique_ptr<Lock>> held = FillTable();
  auto* header = reinterpret_cast<semlock::Header*>(Table()->member().memory());
  const uint32_t count = header->record_count;
  for (int tries = 0; tries < 40; ++tries) {
    const uint32_t before = header->clock_hand;
    Lock more("one more");
    more.ErrorOfTry();
    CHECK((*more).Held() == 0);
    const uint32_t looked_at = (header->clock_hand + count - before) % count;
    CHECK(looked_at > 0 && looked_at < count / 8);
  }
  CHECK(ErrorInTheEnd(Lock("one more")) == "CAPACITY");
  CHECK(held[held.size() / 2]->Release());
  CHECK(ErrorInTheEnd(Lock("one more")).empty());
}

TEST(
    "a lock that does not fit into what is left of the table takes nothing of "
    "it") {
  std::vector<std::unique_ptr<Lock>> held = FillTable();
  for (size_t some = 0; some < 100; ++some) CHECK(held[some]->Release());
  CHECK(ErrorInTheEnd(Lock("large", {1024})) == "CAPACITY");
  for (size_t some = 0; some < 100; ++some) CHECK(ErrorInTheEnd(*held[some]).empty());
}

TEST(
    "names that are used again and again keep their records while others come "
    "and go") {
  std::vector<std::unique_ptr<Lock>> hot;
  std::vector<uint32_t> generations;
  for (int name = 0; name < 100; ++name) {
    hot.push_back(std::make_unique<Lock>("hot " + std::to_string(name)));
    CHECK(hot.back()->TryAcquire() && hot.back()->Release());
    generations.push_back(RecordOf("hot " + std::to_string(name)).generation);
  }
  for (int name = 0; name < 20000; ++name) {
    Lock cold("cold " + std::to_string(name));
    CHECK(cold.TryAcquire() && cold.Release());
    Lock& again = *hot[static_cast<size_t>(name) % hot.size()];
    CHECK(again.TryAcquire() && again.Release());
  }
  for (int name = 0; name < 100; ++name) {
    CHECK(RecordOf("hot " + std::to_string(name)).generation == generations[static_cast<size_t>(name)]);
  }
}

TEST("the news of a death outlasts other names that come and go, and is lost only for want of room") {
  Lock ended("ended");
  CHECK(ended.TryAcquire());
  (*ended).ReleaseAll();
  for (int name = 0; name < 20000; ++name) {
    Lock cold("cold " + std::to_string(name));
    CHECK(cold.TryAcquire() && cold.Release());
  }
  CHECK(Table()->record_count() <= 1024);
  CHECK(ended.TryAcquire() && ended.grant().abandoned);
  (*ended).ReleaseAll();
  CHECK(FillTable().size() > 60000);
  CHECK(ended.TryAcquire() && !ended.grant().abandoned);
}

TEST(
    "the first fixed names have semaphores in the file system, the others none, and a full table takes them back "
    "when they are idle") {
  for (int name = 0; name < 3000; ++name) {
    Lock lock(std::to_string(name), {1, true});
    CHECK(lock.TryAcquire() && lock.Release());
  }
  CHECK(FilesLeft().size() == 1 + semlock::kMaxNamed);
  Lock again("0", {1, true});
  CHECK(again.TryAcquire() && !Lock("0", {1, true}, 2).TryAcquire());
  CHECK(FilesLeft().size() == 1 + semlock::kMaxNamed);
  {
    std::vector<std::unique_ptr<Lock>> held = FillTable();
    CHECK(FilesLeft().size() == 2);
    CHECK(again.Release() && again.TryAcquire());
  }
  Lock next("one more", {1, true});
  CHECK(next.TryAcquire() && FilesLeft().size() == 3);
}

// One that is killed inside a latch, as far as all others can see: the latch
// has the tag of a process that is gone.
static semlock::Tag DeadTag() {
  const uint32_t slot = semlock::kMaxProcesses - 1;
  return semlock::MakeTag(slot, 77);
}

TEST("a record that died in its owner's hands is repaired by its next user") {
  for (const bool named : {false, true}) {
    const std::string name = named ? "named" : "unnamed";
    const Kind kind{3, named};
    Lock lock(name, kind);
    CHECK(lock.TryAcquire());
    semlock::Record& record = RecordOf(name, kind);
    record.held.store(0);  // killed before it counted
    record.latch.store(DeadTag());
    CHECK(lock.Available() == 2);
    CHECK(record.latch.load() == 0 && record.held.load() == 1);
    CHECK(lock.Release() && lock.Available() == 3);
  }
}

TEST(
    "a table that died in its owner's hands is rebuilt, with all its locks "
    "and all its room") {
  std::vector<std::unique_ptr<Lock>> held;
  for (int name = 0; name < 1000; ++name) {
    held.push_back(std::make_unique<Lock>(std::to_string(name), Kind{name % 2 == 0 ? 1u : 20u, name < 10}));
    CHECK(held.back()->TryAcquire());
  }
  auto* header = reinterpret_cast<semlock::Header*>(Table()->member().memory());
  const uint32_t count = header->record_count;
  uint32_t free = 0;
  for (uint32_t at = header->free_head; at != 0; at = Table()->record(at).next) ++free;
  CHECK(free > 0);
  memset(Table()->member().memory() + semlock::kBucketsOffset, 0xff, semlock::kBuckets * sizeof(uint32_t));
  header->free_head = 0xffffffff;
  header->named = 0xffffffff;
  header->latch.store(DeadTag());
  for (int name = 0; name < 1000; ++name) {
    const bool single = name % 2 == 0;
    Lock other(std::to_string(name), {single ? 1u : 20u}, 2);
    CHECK(other.TryAcquire() == !single);
  }
  for (uint32_t name = 0; name < free; ++name) {
    held.push_back(std::make_unique<Lock>("new " + std::to_string(name)));
    CHECK(held.back()->TryAcquire());
  }
  CHECK(header->record_count == count && header->free_head == 0 && header->named == 10);
}

TEST(
    "a full table takes back what the dead held, also where one died inside a "
    "latch") {
  std::vector<std::unique_ptr<Lock>> held = FillTable();
  for (const char* name : {"filler 100", "filler 200"}) RecordOf(name).entry.tag.store(DeadTag());
  RecordOf("filler 200").latch.store(DeadTag());
  Lock next("next");
  Lock after("one after");
  CHECK(ErrorInTheEnd(next).empty() && ErrorInTheEnd(after).empty());
  CHECK(ErrorInTheEnd(Lock("one more")) == "CAPACITY");
}

TEST("a full table keeps a lock that is held although another process died inside its latch") {
  Lock lock("a", {3});
  CHECK(lock.TryAcquire());
  std::vector<std::unique_ptr<Lock>> held = FillTable();
  semlock::Record& record = RecordOf("a", {3});
  CHECK(sem_trywait(&record.semaphore) == 0);  // killed with a permit and no entry yet
  record.held.store(0);
  record.latch.store(DeadTag());
  CHECK(ErrorInTheEnd(Lock("one more")) == "CAPACITY");
  CHECK(lock.Available() == 2 && lock.Release() && lock.Available() == 3);
}
