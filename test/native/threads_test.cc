// Threads of one process on one table, for ThreadSanitizer above all: what a
// lock protects is plain memory here, so that a lock that two hold at once is a
// reported race as well as a wrong sum.

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "locks.h"

using namespace testing;

constexpr uint16_t kThreads = 4;

static void InThreads(const std::function<void(uint16_t thread)>& work) {
  std::vector<std::thread> threads;
  for (uint16_t thread = 1; thread <= kThreads; ++thread) threads.emplace_back(work, thread);
  for (std::thread& each : threads) each.join();
}

static void Acquire(Lock& lock) {
  while (!lock.TryAcquire()) sched_yield();
}

TEST("threads that add under one lock lose nothing, though some can open its semaphore and some cannot") {
  constexpr uint32_t rounds = 3000;
  uint32_t sum = 0;
  InThreads([&](uint16_t thread) {
    Lock early("a", {1, true}, thread);
    Lock late("a", {1, true}, thread);
    for (uint32_t round = 0; round < rounds; ++round) {
      if (thread == kThreads && round == rounds / 2) {
        CHECK(sem_unlink(Table()->PosixNameOf(RecordOf("a", {1, true})).c_str()) == 0);
      }
      Lock& lock = round > rounds / 2 ? late : early;
      Acquire(lock);
      sum += 1;
      CHECK(lock.Release());
    }
  });
  CHECK(sum == kThreads * rounds);
}

#ifdef __SANITIZE_THREAD__
constexpr bool kRacesAreReported = true;
#elif defined(__has_feature)
constexpr bool kRacesAreReported = __has_feature(thread_sanitizer);
#else
constexpr bool kRacesAreReported = false;
#endif

PROGRAM(racers) {
  close(STDERR_FILENO);  // the report is expected
  uint32_t sum = 0;
  InThreads([&](uint16_t thread) {
    Lock lock("of thread " + std::to_string(thread), {}, thread);
    for (int round = 0; round < 1000; ++round) {
      Acquire(lock);
      sum += 1;
      CHECK(lock.Release());
    }
  });
  return 0;
}

TEST("control: ThreadSanitizer reports threads that add under different locks") {
  // It is no proof that a single run had no race to report.
  const auto reported = [] { return Process("racers").Wait() != 0; };
  CHECK(kRacesAreReported ? Eventually(reported) : !reported());
}

TEST("at most as many threads as there are permits are inside at once") {
  constexpr int permits = 3;
  std::atomic<int> inside{0};
  InThreads([&](uint16_t thread) {
    Lock lock("pool", {permits}, thread);
    for (int round = 0; round < 3000; ++round) {
      Acquire(lock);
      CHECK(++inside <= permits);
      --inside;
      CHECK(lock.Release());
    }
  });
  CHECK(Lock("pool", {permits}).Available() == permits);
}

TEST(
    "threads that use locks under names of their own and of all, whose "
    "records are recycled all the while") {
  uint32_t sum = 0;
  InThreads([&](uint16_t thread) {
    Lock shared("shared", {}, thread);
    uint64_t last = 0;
    for (int round = 0; round < 1500; ++round) {
      Lock own("thread " + std::to_string(thread) + " round " + std::to_string(round) + std::string(200, '.'), {9},
               thread);
      Acquire(own);
      Acquire(shared);
      sum += 1;
      CHECK(shared.grant().token > last);
      last = shared.grant().token;
      CHECK(shared.Release() && own.Release());
    }
  });
  CHECK(sum == kThreads * 1500);
  CHECK(Table()->record_count() < 4096);
}

TEST("threads that end while they hold give all back, again and again") {
  for (int round = 0; round < 100; ++round) {
    InThreads([](uint16_t thread) {
      Lock lock("pool", {kThreads}, thread);
      Acquire(lock);
      (*lock).ReleaseAll();
    });
    CHECK(Lock("pool", {kThreads}).Available() == kThreads);
  }
  Lock next("pool", {kThreads});
  CHECK(next.TryAcquire() && next.grant().abandoned);
}

TEST("a query while threads take and give back shows whole entries alone") {
  std::atomic<bool> done{false};
  std::vector<std::unique_ptr<Lock>> locks;
  for (uint16_t thread = 1; thread <= kThreads; ++thread) {
    locks.push_back(std::make_unique<Lock>("pool", Kind{kThreads}, thread));
    CHECK(locks.back()->TryAcquire() && locks.back()->Release());
  }
  std::thread looker([&] {
    while (!done) {
      const semlock::LockInfo seen = Query("pool");
      CHECK(seen.holders.size() <= kThreads);
      for (const semlock::HolderInfo& each : seen.holders) {
        CHECK(each.client.pid == static_cast<uint32_t>(getpid()) && each.token != 0 && each.alive);
      }
    }
  });
  InThreads([&](uint16_t thread) {
    for (int round = 0; round < 2000; ++round) {
      Acquire(*locks[thread - 1u]);
      CHECK(locks[thread - 1u]->Release());
    }
  });
  done = true;
  looker.join();
}

TEST("a query while records are recycled shows whole names alone") {
  std::atomic<bool> done{false};
  const std::string dots(200, '.');
  std::thread looker([&] {
    while (!done) {
      for (const semlock::LockInfo& each : semlock::QueryLocks(*Table())) {
        CHECK(each.name.size() > dots.size() && each.name.substr(each.name.size() - dots.size()) == dots);
      }
    }
  });
  InThreads([&](uint16_t thread) {
    for (int round = 0; round < 1000; ++round) {
      Lock own("thread " + std::to_string(thread) + " round " + std::to_string(round) + dots, {9}, thread);
      Acquire(own);
      CHECK(own.Release());
    }
  });
  done = true;
  looker.join();
}

TEST(
    "a fork waits for threads that are joining namespaces, and its child may "
    "use none") {
  Table();
  std::atomic<bool> done{false};
  std::thread forker([&] {
    while (!done) {
      const pid_t child = fork();
      if (child == 0) {
        std::shared_ptr<semlock::LockTable> table;
        _exit(semlock::LockTable::Get(NamespaceId(), Own(), &table) ? 0 : 1);
      }
      int status = -1;
      CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    }
  });
  InThreads([](uint16_t thread) {
    for (int round = 0; round < 10; ++round) {
      std::shared_ptr<semlock::LockTable> table;
      CHECK(!semlock::LockTable::Get(NamespaceId() + std::to_string(thread) + std::to_string(round), Own(), &table));
    }
  });
  done = true;
  forker.join();
}
