// Says whether two hold what one may hold, and knows nothing of the library: one shared file in which every holder of
// a lock puts its pid into a place, by compare-and-swap. A writer finds one of M places, or is one too many; there are
// always places for readers, but then a reader and a writer look for each other. A place whose process is dead counts
// as free.

#include <fcntl.h>
#include <napi.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>

namespace {

constexpr int kLocks = 16;
constexpr int kWriters = 4;
constexpr int kReaders = 60;
constexpr int kTallies = 16;

using Place = std::atomic<uint32_t>;

struct Lock {
  Place writers[kWriters];
  Place readers[kReaders];
  std::atomic<uint32_t> entered;       // how often anybody did: tells progress from being stuck
  std::atomic<uint32_t> excess;        // how often that was one too many
  std::atomic<uint32_t> mixed;         // how often a reader and a writer were inside together
  std::atomic<uint64_t> latest_token;  // the largest that anybody has announced
};

struct Shared {
  Lock locks[kLocks];
  std::atomic<uint32_t> tallies[kTallies];
};

Shared* shared = nullptr;

Lock& LockOf(const Napi::CallbackInfo& info) { return shared->locks[info[0].ToNumber().Int32Value()]; }

// A killed process is still there until its parent has noticed, but it closes its files, and with them gives up its
// locks, only once it is exiting.
bool IsDead(uint32_t pid) {
  char path[40];
  snprintf(path, sizeof(path), "/proc/%u/stat", pid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true;
  char text[512];
  const ssize_t length = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (length <= 0) return true;
  text[length] = '\0';
  const char* after_name = strrchr(text, ')');
  char state = 0;
  unsigned flags = 0;
  if (after_name == nullptr || sscanf(after_name + 1, " %c %*d %*d %*d %*d %*d %u", &state, &flags) != 2) return true;
  constexpr unsigned kExiting = 0x4;  // PF_EXITING
  return state == 'Z' || state == 'X' || (flags & kExiting) != 0;
}

// The index of a place that was free; -1 when others that live have them all.
int Take(Place* places, int count) {
  const auto pid = static_cast<uint32_t>(getpid());
  for (int at = 0; at < count; ++at) {
    uint32_t there = places[at].load();
    while (there == 0 || IsDead(there)) {
      if (places[at].compare_exchange_strong(there, pid)) return at;
    }
  }
  return -1;
}

bool AnybodyIn(Place* places, int count) {
  for (int at = 0; at < count; ++at) {
    uint32_t there = places[at].load();
    if (there == 0) continue;
    if (!IsDead(there)) return true;
    places[at].compare_exchange_strong(there, 0);  // asking takes long, so nobody has to ask again
  }
  return false;
}

// open(path): makes and maps the file, which all other calls are about from then on.
void Open(const Napi::CallbackInfo& info) {
  const int fd = open(info[0].As<Napi::String>().Utf8Value().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  void* memory = MAP_FAILED;
  if (fd >= 0 && ftruncate(fd, sizeof(Shared)) == 0) {
    memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  if (fd >= 0) close(fd);
  if (memory == MAP_FAILED) {
    Napi::Error::New(info.Env(), "cannot map the oracle's file").ThrowAsJavaScriptException();
    return;
  }
  shared = static_cast<Shared*>(memory);  // that of an earlier file stays: another thread may use it
}

// enter(lock, permits, reads): the place, or -1 when that many others that live are inside
Napi::Value Enter(const Napi::CallbackInfo& info) {
  Lock& lock = LockOf(info);
  const int permits = info[1].ToNumber().Int32Value();
  const bool reads = info[2].ToBoolean();
  lock.entered.fetch_add(1);
  const int place = reads ? Take(lock.readers, kReaders) : Take(lock.writers, permits);
  if (place < 0) lock.excess.fetch_add(1);
  // Each is in its place before it looks, so of two at once one at least sees the other.
  if (reads ? AnybodyIn(lock.writers, kWriters) : AnybodyIn(lock.readers, kReaders)) lock.mixed.fetch_add(1);
  return Napi::Number::New(info.Env(), place < 0 || !reads ? place : kWriters + place);
}

// leave(lock, place)
void Leave(const Napi::CallbackInfo& info) {
  const int place = info[1].ToNumber().Int32Value();
  Lock& lock = LockOf(info);
  (place < kWriters ? lock.writers[place] : lock.readers[place - kWriters]).store(0);
}

// announce(lock, token): for a lock that can be stolen, where nobody knows the moment in which it has lost its place
void Announce(const Napi::CallbackInfo& info) {
  Lock& lock = LockOf(info);
  lock.entered.fetch_add(1);
  const auto token = static_cast<uint64_t>(info[1].ToNumber().Int64Value());
  uint64_t latest = lock.latest_token.load();
  while (latest < token && !lock.latest_token.compare_exchange_weak(latest, token)) {
  }
}

// isOutdated(lock, token): whether somebody has announced a larger one. Who releases after that must have been robbed.
Napi::Value IsOutdated(const Napi::CallbackInfo& info) {
  const auto token = static_cast<uint64_t>(info[1].ToNumber().Int64Value());
  return Napi::Boolean::New(info.Env(), LockOf(info).latest_token.load() > token);
}

// reportExcess(lock): that somebody who was not robbed had an outdated token
void ReportExcess(const Napi::CallbackInfo& info) { LockOf(info).excess.fetch_add(1); }

// holders(lock): the pids inside, dead ones too
Napi::Value Holders(const Napi::CallbackInfo& info) {
  Napi::Array pids = Napi::Array::New(info.Env());
  uint32_t count = 0;
  const auto add = [&](Place& place) {
    if (const uint32_t pid = place.load()) pids[count++] = Napi::Number::New(info.Env(), pid);
  };
  for (Place& place : LockOf(info).writers) add(place);
  for (Place& place : LockOf(info).readers) add(place);
  return pids;
}

// counts(lock): { entered, excess, mixed }
Napi::Value Counts(const Napi::CallbackInfo& info) {
  const Lock& lock = LockOf(info);
  Napi::Object counts = Napi::Object::New(info.Env());
  counts["entered"] = Napi::Number::New(info.Env(), lock.entered.load());
  counts["excess"] = Napi::Number::New(info.Env(), lock.excess.load());
  counts["mixed"] = Napi::Number::New(info.Env(), lock.mixed.load());
  return counts;
}

// tally(number): counts one up, of what happens to all processes together
void Tally(const Napi::CallbackInfo& info) { shared->tallies[info[0].ToNumber().Int32Value()].fetch_add(1); }

// tallied(number): how often that was
Napi::Value Tallied(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), shared->tallies[info[0].ToNumber().Int32Value()].load());
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports["open"] = Napi::Function::New(env, Open);
  exports["enter"] = Napi::Function::New(env, Enter);
  exports["leave"] = Napi::Function::New(env, Leave);
  exports["announce"] = Napi::Function::New(env, Announce);
  exports["isOutdated"] = Napi::Function::New(env, IsOutdated);
  exports["reportExcess"] = Napi::Function::New(env, ReportExcess);
  exports["holders"] = Napi::Function::New(env, Holders);
  exports["counts"] = Napi::Function::New(env, Counts);
  exports["tally"] = Napi::Function::New(env, Tally);
  exports["tallied"] = Napi::Function::New(env, Tallied);
  return exports;
}

NODE_API_MODULE(hold_oracle, Init)

}  // namespace
