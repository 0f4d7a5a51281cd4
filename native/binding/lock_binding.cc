// Locks of the lock table for JavaScript. The two hot calls take their numbers from a Float64Array that JavaScript has
// written, since to read an argument is a call into Node.js, of some 4 ns. What an acquisition has to say beside its
// result goes through another one.

#include "lock_binding.h"

#include <string.h>

#include <mutex>
#include <set>

#include "../core/crash_points.h"
#include "../core/latch.h"
#include "../core/query.h"
#include "inbox_binding.h"

namespace semlock {

int32_t Locks::Return(Outcome outcome, const Grant& grant, const SysError& failure) {
  if (outcome == Outcome::kDone) {
    result[0] = static_cast<double>(grant.token);
    result[1] = grant.abandoned ? 1 : 0;
    return static_cast<int32_t>(grant.entry);
  }
  if (outcome == Outcome::kBusy && (!failure || IsLatchTimeout(failure))) return kResultBusy;
  error = failure ? failure : ErrorOf(outcome);
  return kResultError;
}

namespace {

// The environments of this process. Never destroyed, like the tables.
struct Environments {
  std::mutex mutex;
  std::set<Locks*> all;  // guarded by mutex
};

Environments& environments() {
  static Environments* instance = new Environments;
  return *instance;
}

// Entries carry the number of their thread in 16 bits, so numbers are used again.
uint16_t FreeThreadNumber(const std::set<Locks*>& all) {
  for (uint16_t number = 1;; ++number) {
    bool taken = false;
    for (const Locks* each : all) taken = taken || each->thread == number;
    if (!taken) return number;
  }
}

void ReleaseEverything(Locks* locks) {
  locks->handles.ForEach([](LockRecord& lock) { lock.ReleaseAll(); });
}

// process.exit() runs no cleanup hook of the main thread, but it runs this.
void BeforeLeaving(const std::shared_ptr<LockTable>& table) {
  WaitService::StopAll();
  std::lock_guard<std::mutex> guard(environments().mutex);
  for (Locks* each : environments().all) {
    for (LoopInbox* inbox : each->inboxes) inbox->inbox().Unlink();
    ReleaseEverything(each);
  }
  SettleCustomSemaphores(table);
}

std::string Utf16Bytes(const Napi::Value& value) {
  const std::u16string text = value.As<Napi::String>().Utf16Value();
  return std::string(reinterpret_cast<const char*>(text.data()), text.size() * sizeof(char16_t));
}

// 32 bytes, each a character.
void ReadDigest(napi_env env, napi_value value, uint8_t (*id)[32]) {
  char text[sizeof(*id) + 1] = {};
  napi_get_value_string_latin1(env, value, text, sizeof(text), nullptr);
  memcpy(id, text, sizeof(*id));
}

// lockOpen(namespace id, SHA-256 of the name, name, permits, named, foreign, custom POSIX name or ''): handle
Napi::Value LockOpen(const Napi::CallbackInfo& info) {
  auto* locks = static_cast<Locks*>(info.Data());
  std::shared_ptr<LockTable> table;
  if (SysError error = LockTable::Get(info[0].As<Napi::String>(), &table)) {
    ThrowSysError(info.Env(), error);
    return info.Env().Undefined();
  }
  LockIdentity identity;
  ReadDigest(info.Env(), info[1], &identity.id);
  identity.name = Utf16Bytes(info[2]);
  identity.permits = info[3].ToNumber().Uint32Value();
  identity.named = info[4].ToBoolean();
  identity.foreign = info[5].ToBoolean();
  identity.custom_name = info[6].As<Napi::String>();
  return Napi::Number::New(info.Env(),
                           locks->handles.Add(LockRecord(std::move(table), std::move(identity), locks->thread)));
}

// lockTryAcquire(), of lockArguments [handle, mode: 0 exclusive, 1 shared]: the number of the entry, or one of kResult…
napi_value LockTryAcquire(napi_env env, napi_callback_info info) {
  Locks& locks = DataOf<Locks>(env, info);
  LockRecord* lock = locks.handles.Get(locks.IntArgument(0));
  Grant grant;
  SysError error;
  const Outcome outcome =
      lock == nullptr ? Outcome::kNotHeld : lock->TryAcquire(ModeOf(locks.IntArgument(1)), &grant, &error);
  return Int(env, locks.Return(outcome, grant, error));
}

// lockRelease(), of lockArguments [handle, entry, token]: 1 when it was held and is not any more, else 0
napi_value LockRelease(napi_env env, napi_callback_info info) {
  Locks& locks = DataOf<Locks>(env, info);
  LockRecord* lock = locks.handles.Get(locks.IntArgument(0));
  if (lock == nullptr) return Int(env, 0);
  const Outcome outcome = lock->Release(static_cast<uint32_t>(locks.IntArgument(1)), locks.TokenArgument(2));
  return Int(env, outcome == Outcome::kDone ? 1 : 0);
}

void LockError(const Napi::CallbackInfo& info) { ThrowSysError(info.Env(), static_cast<Locks*>(info.Data())->error); }

// lockAvailable(handle): how many permits are free
Napi::Value LockAvailable(const Napi::CallbackInfo& info) {
  auto* locks = static_cast<Locks*>(info.Data());
  LockRecord* lock = locks->handles.Get(info[0].ToNumber().Int32Value());
  SysError error{"latch", EBADF};
  const int available = lock == nullptr ? -1 : lock->Available(&error);
  if (available < 0) ThrowSysError(info.Env(), error);
  return Napi::Number::New(info.Env(), available);
}

// lockClose(handle): whether it is closed now. A lock that is held stays open, so that the end of its thread gives it
// back.
napi_value LockClose(napi_env env, napi_callback_info info) {
  RawArgs<1> args(env, info);
  HandleTable<LockRecord>& handles = args.Data<Locks>().handles;
  LockRecord* lock = handles.Get(args.Int(0));
  const bool closes = lock != nullptr && !lock->Holds();
  if (closes) handles.Free(args.Int(0));
  napi_value result = nullptr;
  napi_get_boolean(env, closes, &result);
  return result;
}

// lockSemaphoreName(namespace id, SHA-256 of the name): the POSIX name of the lock's semaphore
Napi::Value LockSemaphoreName(const Napi::CallbackInfo& info) {
  const std::string namespace_id = info[0].As<Napi::String>();
  uint8_t id[32];
  ReadDigest(info.Env(), info[1], &id);
  return Napi::String::New(info.Env(), SemaphoreName(namespace_id, id));
}

// What a holder and a waiter have in common.
Napi::Object ClientObject(Napi::Env env, const ClientInfo& client, uint64_t since_ms, Mode mode) {
  const std::string id = std::to_string(client.pid) + '-' + std::to_string(SlotOf(client.tag)) + '-' +
                         std::to_string(GenerationOf(client.tag)) + '-' + std::to_string(client.thread);
  Napi::Object object = Napi::Object::New(env);
  object["client"] = Napi::String::New(env, id);
  object["pid"] = Napi::Number::New(env, client.pid);
  object["since"] = Napi::Number::New(env, static_cast<double>(since_ms));
  object["mode"] = Napi::String::New(env, mode == Mode::kShared ? "shared" : "exclusive");
  return object;
}

Napi::Object HolderObject(Napi::Env env, const HolderInfo& holder) {
  Napi::Object object = ClientObject(env, holder.client, holder.since_ms, holder.mode);
  object["token"] = Napi::Number::New(env, static_cast<double>(holder.token));
  object["alive"] = Napi::Boolean::New(env, holder.alive);
  return object;
}

// lockQuery(namespace id): [{ name, permits, missing, holders: [{ client, pid, since, mode, token, alive }],
// waiters: [{ client, pid, since, mode }] }]
Napi::Value LockQuery(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::shared_ptr<const LockTable> table;
  if (SysError error = LockTable::Look(info[0].As<Napi::String>(), &table)) {
    ThrowSysError(env, error);
    return env.Undefined();
  }
  Napi::Array result = Napi::Array::New(env);
  if (table == nullptr) return result;
  uint32_t next = 0;
  for (const LockInfo& lock : QueryLocks(*table)) {
    Napi::Object object = Napi::Object::New(env);
    // Not as a Napi::String: assigning one takes it through UTF-8, which has no lone surrogates (node-addon-api 8.9).
    const Napi::Value name = Napi::String::New(env, reinterpret_cast<const char16_t*>(lock.name.data()),
                                               lock.name.size() / sizeof(char16_t));
    object["name"] = name;
    object["permits"] = Napi::Number::New(env, lock.permits);
    object["missing"] = Napi::Number::New(env, lock.missing);
    Napi::Array holders = Napi::Array::New(env);
    for (uint32_t at = 0; at < lock.holders.size(); ++at) holders[at] = HolderObject(env, lock.holders[at]);
    object["holders"] = holders;
    Napi::Array waiters = Napi::Array::New(env);
    for (uint32_t at = 0; at < lock.waiters.size(); ++at) {
      const WaiterInfo& waiter = lock.waiters[at];
      waiters[at] = ClientObject(env, waiter.client, waiter.since_ms, waiter.mode);
    }
    object["waiters"] = waiters;
    result[next++] = object;
  }
  return result;
}

#ifdef SEMLOCK_CRASH_POINTS
Napi::Value FaultSteps(const Napi::CallbackInfo& info) {
  Napi::Array names = Napi::Array::New(info.Env());
  for (int step = 0; step < kStepCount; ++step) names[static_cast<uint32_t>(step)] = StepName(step);
  return names;
}

Napi::Value FaultArm(const Napi::CallbackInfo& info) {
  const std::string name = info[0].As<Napi::String>();
  return Napi::Boolean::New(info.Env(),
                            ArmStep(name.c_str(), info[1].ToNumber().Int32Value(), info[2].ToNumber().Int32Value()));
}
#endif

}  // namespace

void InitLocks(Napi::Env env, Napi::Object exports) {
  auto* locks = new Locks;
  {
    std::lock_guard<std::mutex> guard(environments().mutex);
    locks->thread = FreeThreadNumber(environments().all);
    environments().all.insert(locks);
  }
  LockTable::BeforeLeaving(BeforeLeaving);
  env.AddCleanupHook([locks] {
    std::lock_guard<std::mutex> guard(environments().mutex);
    ReleaseEverything(locks);
    environments().all.erase(locks);
    delete locks;
  });

  Napi::Float64Array result = Napi::Float64Array::New(env, 2);
  locks->result = result.Data();  // as long as `exports` keeps the array, so as long as anybody can call
  exports["lockResult"] = result;
  Napi::Float64Array arguments = Napi::Float64Array::New(env, 3);
  locks->arguments = arguments.Data();  // likewise
  exports["lockArguments"] = arguments;
  Napi::Float64Array events = Napi::Float64Array::New(env, Locks::kEventsAtOnce * Locks::kFieldsPerEvent);
  locks->events = events.Data();  // likewise
  exports["lockEvents"] = events;
  exports["lockOpen"] = Napi::Function::New(env, LockOpen, "lockOpen", locks);
  exports["lockError"] = Napi::Function::New(env, LockError, "lockError", locks);
  exports["lockAvailable"] = Napi::Function::New(env, LockAvailable, "lockAvailable", locks);
  exports["lockSemaphoreName"] = Napi::Function::New(env, LockSemaphoreName, "lockSemaphoreName");
  exports["lockQuery"] = Napi::Function::New(env, LockQuery, "lockQuery");
  ExportRaw(env, exports, "lockTryAcquire", LockTryAcquire, locks);
  ExportRaw(env, exports, "lockRelease", LockRelease, locks);
  ExportRaw(env, exports, "lockClose", LockClose, locks);
  InitWaiting(env, exports, locks);
#ifdef SEMLOCK_CRASH_POINTS
  exports["faultSteps"] = Napi::Function::New(env, FaultSteps, "faultSteps");
  exports["faultArm"] = Napi::Function::New(env, FaultArm, "faultArm");
#endif
}

}  // namespace semlock
