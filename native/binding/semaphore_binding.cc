// NamedSemaphore and ThreadSemaphore for JavaScript. The calls that may be hot return a number: 0 or more is a
// result, less is a negated errno. The others throw.

#include <errno.h>
#include <limits.h>

#include "../core/named_semaphore.h"
#include "../core/thread_semaphore.h"
#include "binding.h"

namespace semlock {
namespace {

// One thread's share of a ThreadSemaphore: what it holds is given back when its environment ends.
struct ThreadHandle {
  std::shared_ptr<ThreadSemaphore> semaphore;
  bool held = false;

  explicit ThreadHandle(std::shared_ptr<ThreadSemaphore> shared) : semaphore(std::move(shared)) {}
  ThreadHandle(ThreadHandle&& other) noexcept
      : semaphore(std::move(other.semaphore)), held(std::exchange(other.held, false)) {}
  ~ThreadHandle() {
    if (held) semaphore->Post();
  }
};

struct Semaphores {
  HandleTable<NamedSemaphore> named;
  HandleTable<ThreadHandle> threads;
};

template <typename F>
napi_value WithNamed(napi_env env, napi_callback_info info, F call) {
  Args<1> args(env, info);
  NamedSemaphore* semaphore = args.Data<Semaphores>().named.Get(args.Int(0));
  return Int(env, semaphore == nullptr ? -EBADF : call(*semaphore));
}

napi_value SemTryWait(napi_env env, napi_callback_info info) {
  return WithNamed(env, info, [](NamedSemaphore& semaphore) { return -semaphore.TryWait(); });
}

napi_value SemPost(napi_env env, napi_callback_info info) {
  return WithNamed(env, info, [](NamedSemaphore& semaphore) { return -semaphore.Post(); });
}

napi_value SemValue(napi_env env, napi_callback_info info) {
  return WithNamed(env, info, [](NamedSemaphore& semaphore) { return semaphore.Value(); });
}

napi_value SemClose(napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  args.Data<Semaphores>().named.Free(args.Int(0));
  return nullptr;
}

// semOpen(name, create: 0 never | 1 if missing | 2 exclusive, mode, value): handle
napi_value SemOpen(napi_env env, napi_callback_info info) {
  Args<4> args(env, info);
  NamedSemaphore semaphore;
  if (SysError error = semaphore.Open(args.Text(0).c_str(), static_cast<Create>(args.Int(1)),
                                      static_cast<mode_t>(args.Int(2)), static_cast<unsigned>(args.Int(3)))) {
    return Throw(env, error);
  }
  return Int(env, args.Data<Semaphores>().named.Add(std::move(semaphore)));
}

napi_value SemUnlink(napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  const SysError error = NamedSemaphore::Unlink(args.Text(0).c_str());
  return error ? Throw(env, error) : nullptr;
}

napi_value ThreadOpen(napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  return Int(env, args.Data<Semaphores>().threads.Add(ThreadHandle(ThreadSemaphore::Get(args.Text(0)))));
}

napi_value ThreadTryWait(napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  ThreadHandle* handle = args.Data<Semaphores>().threads.Get(args.Int(0));
  if (handle == nullptr) return Int(env, -EBADF);
  const int64_t token = handle->semaphore->TryWait();
  handle->held = handle->held || token > 0;
  napi_value result = nullptr;
  napi_create_int64(env, token > 0 ? token : -EAGAIN, &result);
  return result;
}

// Posts only what this handle holds: -EPERM otherwise.
napi_value ThreadPost(napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  ThreadHandle* handle = args.Data<Semaphores>().threads.Get(args.Int(0));
  if (handle == nullptr) return Int(env, -EBADF);
  if (!std::exchange(handle->held, false)) return Int(env, -EPERM);
  handle->semaphore->Post();
  return Int(env, 0);
}

napi_value ThreadClose(napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  args.Data<Semaphores>().threads.Free(args.Int(0));
  return nullptr;
}

}  // namespace

void InitSemaphores(Napi::Env env, Napi::Object exports) {
  auto* all = new Semaphores;
  env.AddCleanupHook([all] { delete all; });

  exports.Set("semValueMax", Napi::Number::New(env, SEM_VALUE_MAX));
  Export(exports, "semOpen", SemOpen, all);
  Export(exports, "semUnlink", SemUnlink, all);
  Export(exports, "semTryWait", SemTryWait, all);
  Export(exports, "semPost", SemPost, all);
  Export(exports, "semValue", SemValue, all);
  Export(exports, "semClose", SemClose, all);

  Export(exports, "threadOpen", ThreadOpen, all);
  Export(exports, "threadTryWait", ThreadTryWait, all);
  Export(exports, "threadPost", ThreadPost, all);
  Export(exports, "threadClose", ThreadClose, all);
}

}  // namespace semlock
