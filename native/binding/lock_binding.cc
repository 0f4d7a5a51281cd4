// Locks of the lock table for JavaScript. The two hot calls take their numbers from a Float64Array that JavaScript has
// written, since to read an argument is a call into Node.js, of some 4 ns. What an acquisition has to say beside its
// result goes through another one.

#include "lock_binding.h"

#include <string.h>

#include <iterator>
#include <numeric>
#include <set>

#include "../core/crash_points.h"
#include "../core/foreign_wait.h"
#include "../core/latch.h"
#include "../core/query.h"
#include "../core/shared.h"
#include "inbox_binding.h"

namespace semlock {

namespace {

// The environments of this process.
struct Environments {
  Mutex mutex;
  std::set<Locks*> all GUARDED_BY(mutex);
};

Environments& environments() { return OfProcess<Environments>(); }

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
  ForeignWait::StopAll();
  const Guard guard(environments().mutex);
  for (Locks* each : environments().all) {
    for (LoopInbox* inbox : each->inboxes) inbox->inbox().Unlink();
    ReleaseEverything(each);
  }
  SettleForeignSemaphores(table);
}

// What people are shown of a name: its SHA-256 is what finds the lock, and names that clients choose would fill the
// table.
constexpr size_t kShownUnits = 256;

std::string ShownName(napi_env env, napi_value value) {
  char16_t text[kShownUnits + 2];  // with one more than is shown, and an end
  size_t length = 0;
  napi_get_value_string_utf16(env, value, text, std::size(text), &length);
  if (length > kShownUnits) {
    length = kShownUnits;
    const bool is_half = (text[length - 1] & 0xfc00) == 0xd800;  // of a surrogate pair
    text[length - (is_half ? 1 : 0)] = u'\u2026';
    length += is_half ? 0 : 1;
  }
  return std::string(reinterpret_cast<const char*>(text), length * sizeof(char16_t));
}

// 32 bytes, each a character.
void ReadDigest(napi_env env, napi_value value, uint8_t (*id)[32]) {
  char text[sizeof(*id) + 1] = {};
  napi_get_value_string_latin1(env, value, text, sizeof(text), nullptr);
  memcpy(id, text, sizeof(*id));
}

// lockOpen(namespace id, SHA-256 of the name, name, permits, named, POSIX name of the user's choice or '', what people
// call the namespace, kind of the owners, their id): handle
napi_value LockOpen(napi_env env, napi_callback_info info) {
  Args<9> args(env, info);
  Locks& locks = args.Data<Locks>();
  std::shared_ptr<LockTable> table;
  if (SysError error = LockTable::Get(args.Text(0), OwnersOf(args.Int(7), args.Id(8)), &table, args.Text(6))) {
    return Throw(env, error);
  }
  LockIdentity identity;
  ReadDigest(env, args[1], &identity.id);
  identity.name = ShownName(env, args[2]);
  identity.permits = static_cast<uint32_t>(args.Int(3));
  identity.named = args.Bool(4);
  identity.posix_name = args.Text(5);
  LockRecord lock(std::move(table), std::move(identity), locks.thread);
  ForeignWait::LookAfter(lock);
  return Int(env, locks.handles.Add(std::move(lock)));
}

// lockTryAcquire(), of lockArguments [handle, mode: 0 exclusive, 1 shared]: the number of the entry, or one of kResult…
napi_value LockTryAcquire(napi_env env, napi_callback_info info) {
  Locks& locks = DataOf<Locks>(env, info);
  return Int(env, locks.Acquire(locks.IntArgument(0), [&](LockRecord& lock, Grant* grant, SysError* error) {
    return lock.TryAcquire(ModeOf(locks.IntArgument(1)), grant, error);
  }));
}

// lockRelease(), of lockArguments [handle, entry, token]: 1 when it was held and is not any more, else 0
napi_value LockRelease(napi_env env, napi_callback_info info) {
  Locks& locks = DataOf<Locks>(env, info);
  LockRecord* lock = locks.handles.Get(locks.IntArgument(0));
  if (lock == nullptr) return Int(env, 0);
  const Outcome outcome = lock->Release(static_cast<uint32_t>(locks.IntArgument(1)), locks.TokenArgument(2));
  return Int(env, outcome == Outcome::kDone ? 1 : 0);
}

napi_value LockError(napi_env env, napi_callback_info info) { return Throw(env, DataOf<Locks>(env, info).error); }

// lockAvailable(handle): how many permits are free
napi_value LockAvailable(napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  LockRecord* lock = args.Data<Locks>().handles.Get(args.Int(0));
  SysError error{"latch", EBADF};
  const int available = lock == nullptr ? -1 : lock->Available(&error);
  return available < 0 ? Throw(env, error) : Int(env, available);
}

// lockProofOfLife(handle): a descriptor that keeps this process alive in the eyes of others, or a negated errno
napi_value LockProofOfLife(napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  LockRecord* lock = args.Data<Locks>().handles.Get(args.Int(0));
  return Int(env, lock == nullptr ? -EBADF : lock->table()->ProofOfLife());
}

// lockClose(handle): whether it is closed now. A lock that is held stays open, so that the end of its thread gives it
// back.
napi_value LockClose(napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  HandleTable<LockRecord>& handles = args.Data<Locks>().handles;
  LockRecord* lock = handles.Get(args.Int(0));
  const bool closes = lock != nullptr && lock->Held() == 0;
  if (closes) handles.Free(args.Int(0));
  napi_value result = nullptr;
  napi_get_boolean(env, closes, &result);
  return result;
}

// What a holder and a waiter have in common.
Napi::Object ClientObject(napi_env env, const ClientInfo& client, uint64_t since_ms, Mode mode) {
  const std::string id = std::to_string(client.pid) + '-' + std::to_string(SlotOf(client.tag)) + '-' +
                         std::to_string(GenerationOf(client.tag)) + '-' + std::to_string(client.thread);
  Napi::Object object = Napi::Object::New(env);
  object.Set("client", Napi::String::New(env, id));
  object.Set("pid", Napi::Number::New(env, client.pid));
  object.Set("since", Napi::Number::New(env, static_cast<double>(since_ms)));
  object.Set("mode", Napi::String::New(env, mode == Mode::kShared ? "shared" : "exclusive"));
  return object;
}

Napi::Object HolderObject(napi_env env, const HolderInfo& holder) {
  Napi::Object object = ClientObject(env, holder.client, holder.since_ms, holder.mode);
  object.Set("token", Napi::Number::New(env, static_cast<double>(holder.token)));
  object.Set("alive", Napi::Boolean::New(env, holder.alive));
  return object;
}

Napi::Object LockObject(napi_env env, const LockInfo& lock) {
  Napi::Object object = Napi::Object::New(env);
  // As a napi_value: assigning a Napi::String takes it through UTF-8, which has no lone surrogates
  // (node-addon-api 8.9).
  const napi_value name =
      Napi::String::New(env, reinterpret_cast<const char16_t*>(lock.name.data()), lock.name.size() / sizeof(char16_t));
  object.Set("name", name);
  object.Set("permits", Napi::Number::New(env, lock.permits));
  object.Set("missing", Napi::Number::New(env, lock.missing));
  object.Set("holders", ArrayOf(env, lock.holders, [env](const HolderInfo& each) { return HolderObject(env, each); }));
  object.Set("waiters", ArrayOf(env, lock.waiters, [env](const WaiterInfo& each) {
               return ClientObject(env, each.client, each.since_ms, each.mode);
             }));
  return object;
}

// lockQuery(namespace id, kind of the owners, their id): [{ name, permits, missing, holders: [{ client, pid, since,
// mode, token, alive }], waiters: [{ client, pid, since, mode }] }]
napi_value LockQuery(napi_env env, napi_callback_info info) {
  Args<3> args(env, info);
  std::shared_ptr<const LockTable> table;
  if (SysError error = LockTable::Look(args.Text(0), OwnersOf(args.Int(1), args.Id(2)), &table))
    return Throw(env, error);
  const std::vector<LockInfo> locks = table == nullptr ? std::vector<LockInfo>() : QueryLocks(*table);
  return ArrayOf(env, locks, [env](const LockInfo& each) { return LockObject(env, each); });
}

#ifdef SEMLOCK_CRASH_POINTS
napi_value FaultSteps(napi_env env, napi_callback_info) {
  std::vector<int> steps(kStepCount);
  std::iota(steps.begin(), steps.end(), 0);
  return ArrayOf(env, steps, [env](int step) { return Napi::String::New(env, StepName(step)); });
}

napi_value FaultArm(napi_env env, napi_callback_info info) {
  Args<3> args(env, info);
  return Napi::Boolean::New(env, ArmStep(args.Text(0).c_str(), args.Int(1), args.Int(2)));
}
#endif

// Null where the environment ends meanwhile, so that nobody calls. Else good as long as `exports` keeps the array.
double* ExportNumbers(Napi::Object exports, const char* name, size_t count) {
  void* numbers = nullptr;
  napi_value buffer = nullptr;
  napi_value array = nullptr;
  if (napi_create_arraybuffer(exports.Env(), count * sizeof(double), &numbers, &buffer) != napi_ok ||
      napi_create_typedarray(exports.Env(), napi_float64_array, count, buffer, 0, &array) != napi_ok) {
    return nullptr;
  }
  exports.Set(name, array);
  return static_cast<double*>(numbers);
}

}  // namespace

void InitLocks(Napi::Env env, Napi::Object exports) {
  auto* locks = new Locks;
  {
    const Guard guard(environments().mutex);
    locks->thread = FreeThreadNumber(environments().all);
    environments().all.insert(locks);
  }
  LockTable::BeforeLeaving(BeforeLeaving);
  env.AddCleanupHook([locks] {
    const Guard guard(environments().mutex);
    ReleaseEverything(locks);
    environments().all.erase(locks);
    delete locks;
  });

  locks->result = ExportNumbers(exports, "lockResult", 2);
  locks->arguments = ExportNumbers(exports, "lockArguments", 3);
  locks->events = ExportNumbers(exports, "lockEvents", Locks::kEventsAtOnce * Locks::kFieldsPerEvent);
  Export(exports, "lockOpen", LockOpen, locks);
  Export(exports, "lockError", LockError, locks);
  Export(exports, "lockAvailable", LockAvailable, locks);
  Export(exports, "lockQuery", LockQuery, locks);
  Export(exports, "lockTryAcquire", LockTryAcquire, locks);
  Export(exports, "lockRelease", LockRelease, locks);
  Export(exports, "lockProofOfLife", LockProofOfLife, locks);
  Export(exports, "lockClose", LockClose, locks);
  InitOwners(exports);
  InitWaiting(exports, locks);
#ifdef SEMLOCK_CRASH_POINTS
  Export(exports, "faultSteps", FaultSteps, locks);
  Export(exports, "faultArm", FaultArm, locks);
#endif
}

}  // namespace semlock
