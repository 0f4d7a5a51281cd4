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

napi_value SemTryWait(napi_env env, napi_callback_info info) {
  RawArgs<1> args(env, info);
  NamedSemaphore* semaphore = args.Data<Semaphores>().named.Get(args.Int(0));
  return Int(env, semaphore == nullptr ? -EBADF : -semaphore->TryWait());
}

napi_value SemPost(napi_env env, napi_callback_info info) {
  RawArgs<1> args(env, info);
  NamedSemaphore* semaphore = args.Data<Semaphores>().named.Get(args.Int(0));
  return Int(env, semaphore == nullptr ? -EBADF : -semaphore->Post());
}

napi_value SemValue(napi_env env, napi_callback_info info) {
  RawArgs<1> args(env, info);
  NamedSemaphore* semaphore = args.Data<Semaphores>().named.Get(args.Int(0));
  return Int(env, semaphore == nullptr ? -EBADF : semaphore->Value());
}

napi_value SemClose(napi_env env, napi_callback_info info) {
  RawArgs<1> args(env, info);
  args.Data<Semaphores>().named.Free(args.Int(0));
  return nullptr;
}

// semOpen(name, create: 0 never | 1 if missing | 2 exclusive, mode, value): handle
Napi::Value SemOpen(const Napi::CallbackInfo& info) {
  const std::string name = info[0].As<Napi::String>();
  NamedSemaphore semaphore;
  if (SysError error = semaphore.Open(name.c_str(), static_cast<Create>(info[1].ToNumber().Int32Value()),
                                      info[2].ToNumber().Uint32Value(), info[3].ToNumber().Uint32Value())) {
    ThrowSysError(info.Env(), error);
    return info.Env().Undefined();
  }
  auto* all = static_cast<Semaphores*>(info.Data());
  return Napi::Number::New(info.Env(), all->named.Add(std::move(semaphore)));
}

void SemUnlink(const Napi::CallbackInfo& info) {
  const std::string name = info[0].As<Napi::String>();
  if (SysError error = NamedSemaphore::Unlink(name.c_str())) ThrowSysError(info.Env(), error);
}

Napi::Value ThreadOpen(const Napi::CallbackInfo& info) {
  const std::string name = info[0].As<Napi::String>();
  auto* all = static_cast<Semaphores*>(info.Data());
  return Napi::Number::New(info.Env(), all->threads.Add(ThreadHandle(ThreadSemaphore::Get(name))));
}

napi_value ThreadTryWait(napi_env env, napi_callback_info info) {
  RawArgs<1> args(env, info);
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
  RawArgs<1> args(env, info);
  ThreadHandle* handle = args.Data<Semaphores>().threads.Get(args.Int(0));
  if (handle == nullptr) return Int(env, -EBADF);
  if (!std::exchange(handle->held, false)) return Int(env, -EPERM);
  handle->semaphore->Post();
  return Int(env, 0);
}

napi_value ThreadClose(napi_env env, napi_callback_info info) {
  RawArgs<1> args(env, info);
  args.Data<Semaphores>().threads.Free(args.Int(0));
  return nullptr;
}

}  // namespace

void InitSemaphores(Napi::Env env, Napi::Object exports) {
  auto* all = new Semaphores;
  env.AddCleanupHook([all] { delete all; });

  exports["semValueMax"] = Napi::Number::New(env, SEM_VALUE_MAX);
  exports["semOpen"] = Napi::Function::New(env, SemOpen, "semOpen", all);
  exports["semUnlink"] = Napi::Function::New(env, SemUnlink, "semUnlink");
  ExportRaw(env, exports, "semTryWait", SemTryWait, all);
  ExportRaw(env, exports, "semPost", SemPost, all);
  ExportRaw(env, exports, "semValue", SemValue, all);
  ExportRaw(env, exports, "semClose", SemClose, all);

  exports["threadOpen"] = Napi::Function::New(env, ThreadOpen, "threadOpen", all);
  ExportRaw(env, exports, "threadTryWait", ThreadTryWait, all);
  ExportRaw(env, exports, "threadPost", ThreadPost, all);
  ExportRaw(env, exports, "threadClose", ThreadClose, all);
}

}  // namespace semlock
