// What this user has in the system, and what of it the dead have left, for JavaScript.

#include "../core/layout.h"
#include "../core/leftovers.h"
#include "lock_binding.h"

namespace semlock {
namespace {

Napi::Object NamespaceObject(napi_env env, const NamespaceInfo& info) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("id", Napi::String::New(env, info.id));
  object.Set("label", Napi::String::New(env, info.label));
  object.Set("bytes", Napi::Number::New(env, static_cast<double>(info.bytes)));
  object.Set("joined", Napi::Number::New(env, static_cast<double>(info.joined_ms)));
  object.Set("users", Napi::Number::New(env, info.users));
  object.Set("news", Napi::Number::New(env, info.news));
  return object;
}

// lockNamespaces(kind of the owners, their id): [{ id, label, bytes, joined, users, news }]
napi_value LockNamespaces(napi_env env, napi_callback_info info) {
  Args<2> args(env, info);
  const Owners owners = OwnersOf(args.Int(0), args.Id(1));
  std::vector<NamespaceInfo> namespaces;
  if (SysError error = owners.Check()) return Throw(env, error);
  if (SysError error = ListNamespaces(owners, &namespaces)) return Throw(env, error);
  return ArrayOf(env, namespaces, [env](const NamespaceInfo& each) { return NamespaceObject(env, each); });
}

// lockClear(namespace id, also one that owes news, kind of the owners, their id): 0 cleared, 1 in use, 2 owes news
napi_value LockClear(napi_env env, napi_callback_info info) {
  Args<4> args(env, info);
  const Owners owners = OwnersOf(args.Int(2), args.Id(3));
  if (SysError error = owners.Check()) return Throw(env, error);
  const Cleared cleared = ClearNamespace(args.Text(0), owners, args.Bool(1));
  return Int(env, cleared == Cleared::kDone ? 0 : cleared == Cleared::kInUse ? 1 : 2);
}

// lockClearStrays(kind of the owners, their id): { removed, kept, bytes }
napi_value LockClearStrays(napi_env env, napi_callback_info info) {
  Args<2> args(env, info);
  const Owners owners = OwnersOf(args.Int(0), args.Id(1));
  if (SysError error = owners.Check()) return Throw(env, error);
  const Strays strays = ClearStraySemaphores(owners);
  Napi::Object object = Napi::Object::New(env);
  object.Set("removed", Napi::Number::New(env, strays.removed));
  object.Set("kept", Napi::Number::New(env, strays.kept));
  object.Set("bytes", Napi::Number::New(env, static_cast<double>(strays.bytes)));
  return object;
}

}  // namespace

void InitNamespaces(Napi::Object exports) {
  exports.Set("gateStep", Napi::Number::New(exports.Env(), static_cast<double>(kGateStep)));
  Export(exports, "lockNamespaces", LockNamespaces, nullptr);
  Export(exports, "lockClear", LockClear, nullptr);
  Export(exports, "lockClearStrays", LockClearStrays, nullptr);
}

}  // namespace semlock
