// Says whether two hold what one may hold, and knows nothing of the library: one shared file with M slots for each
// lock, in which every holder puts its pid by compare-and-swap. A slot whose process is dead counts as free. Who finds
// no slot is one holder too many.

#include <fcntl.h>
#include <napi.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>

namespace {

constexpr int kLocks = 64;
constexpr int kSlots = 4;

struct Lock {
  std::atomic<uint32_t> slots[kSlots];
  std::atomic<uint32_t> entered;  // how often anybody did: tells progress from being stuck
  std::atomic<uint32_t> excess;   // how often that was one too many
};

Lock* locks = nullptr;

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

// open(path): makes and maps the file, which all other calls are about from then on.
void Open(const Napi::CallbackInfo& info) {
  const int fd = open(info[0].As<Napi::String>().Utf8Value().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  void* memory = MAP_FAILED;
  if (fd >= 0 && ftruncate(fd, sizeof(Lock) * kLocks) == 0) {
    memory = mmap(nullptr, sizeof(Lock) * kLocks, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  if (fd >= 0) close(fd);
  if (memory == MAP_FAILED) {
    Napi::Error::New(info.Env(), "cannot map the oracle's file").ThrowAsJavaScriptException();
    return;
  }
  if (locks != nullptr) munmap(locks, sizeof(Lock) * kLocks);
  locks = static_cast<Lock*>(memory);
}

// enter(lock, permits): the slot, or -1 when that many others that live are inside
Napi::Value Enter(const Napi::CallbackInfo& info) {
  Lock& lock = locks[info[0].ToNumber().Int32Value()];
  const int permits = info[1].ToNumber().Int32Value();
  lock.entered.fetch_add(1);
  const auto pid = static_cast<uint32_t>(getpid());
  for (int slot = 0; slot < permits; ++slot) {
    uint32_t there = lock.slots[slot].load();
    while (there == 0 || IsDead(there)) {
      if (lock.slots[slot].compare_exchange_strong(there, pid)) return Napi::Number::New(info.Env(), slot);
    }
  }
  lock.excess.fetch_add(1);
  return Napi::Number::New(info.Env(), -1);
}

// leave(lock, slot)
void Leave(const Napi::CallbackInfo& info) {
  locks[info[0].ToNumber().Int32Value()].slots[info[1].ToNumber().Int32Value()].store(0);
}

// holders(lock): the pids inside, dead ones too
Napi::Value Holders(const Napi::CallbackInfo& info) {
  Napi::Array pids = Napi::Array::New(info.Env());
  uint32_t count = 0;
  for (auto& slot : locks[info[0].ToNumber().Int32Value()].slots) {
    if (const uint32_t pid = slot.load()) pids[count++] = Napi::Number::New(info.Env(), pid);
  }
  return pids;
}

// entered(lock): how often it was entered so far
Napi::Value Entered(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), locks[info[0].ToNumber().Int32Value()].entered.load());
}

// excess(lock): how often somebody entered who should not have got in
Napi::Value Excess(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), locks[info[0].ToNumber().Int32Value()].excess.load());
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports["open"] = Napi::Function::New(env, Open);
  exports["enter"] = Napi::Function::New(env, Enter);
  exports["leave"] = Napi::Function::New(env, Leave);
  exports["holders"] = Napi::Function::New(env, Holders);
  exports["entered"] = Napi::Function::New(env, Entered);
  exports["excess"] = Napi::Function::New(env, Excess);
  return exports;
}

NODE_API_MODULE(hold_oracle, Init)

}  // namespace
