// Waiting for JavaScript: waits are started and cancelled here; how they end is told by inbox_binding.cc.

#include "inbox_binding.h"
#include "lock_binding.h"

namespace semlock {

namespace {

// lockOnEvents(callback): once, before anything waits
void LockOnEvents(const Napi::CallbackInfo& info) {
  auto* locks = static_cast<Locks*>(info.Data());
  napi_create_reference(info.Env(), info[0], 1, &locks->on_events);
}

// lockKeepAlive(whether)
void LockKeepAlive(const Napi::CallbackInfo& info) {
  auto* locks = static_cast<Locks*>(info.Data());
  locks->keeps_alive = info[0].ToBoolean();
  for (LoopInbox* each : locks->inboxes) each->KeepAlive(locks->keeps_alive);
}

// lockWait(handle, mode): as lockTryAcquire, but kResultQueued in place of busy
napi_value LockWait(napi_env env, napi_callback_info info) {
  RawArgs<2> args(env, info);
  Locks& locks = args.Data<Locks>();
  LockRecord* lock = locks.handles.Get(args.Int(0));
  Grant grant;
  WaitRef wait;
  SysError error;
  LoopInbox* inbox = lock == nullptr ? nullptr : locks.InboxOf(env, lock->table(), &error);
  const int32_t id = WaitService::NewId();
  const Outcome outcome =
      inbox == nullptr ? Outcome::kNotHeld : lock->Enqueue(ModeOf(args.Int(1)), id, &grant, &wait, &error);
  if (outcome != Outcome::kQueued) return Int(env, locks.Return(outcome, grant, error));
  inbox->service().Wait(id, *lock, wait, &inbox->inbox());
  locks.result[0] = id;
  return Int(env, kResultQueued);
}

// lockCancel(handle, id): kResultBusy when the wait is over, or kResultDelivered when its grant is on the way to
// JavaScript. One that was not yet is given back.
napi_value LockCancel(napi_env env, napi_callback_info info) {
  RawArgs<2> args(env, info);
  Locks& locks = args.Data<Locks>();
  LockRecord* lock = locks.handles.Get(args.Int(0));
  LoopInbox* inbox = lock == nullptr ? nullptr : locks.FindInbox(*lock->table());
  if (inbox == nullptr) return Int(env, kResultDelivered);
  Grant grant;
  switch (inbox->service().Cancel(args.Int(1), &grant)) {
    case WaitService::Cancelled::kYes:
      lock->Settle();
      return Int(env, kResultBusy);
    case WaitService::Cancelled::kOnItsWay:
      return Int(env, kResultBusy);
    case WaitService::Cancelled::kGranted:
      lock->Decline(grant);
      return Int(env, kResultBusy);
    case WaitService::Cancelled::kTaken:
      break;
  }
  return Int(env, kResultDelivered);
}

// lockDecline(handle, entry, token, abandoned): gives back a grant that was delivered and is not wanted
napi_value LockDecline(napi_env env, napi_callback_info info) {
  RawArgs<4> args(env, info);
  LockRecord* lock = args.Data<Locks>().handles.Get(args.Int(0));
  if (lock != nullptr) lock->Decline({static_cast<uint32_t>(args.Int(1)), args.Token(2), args.Bool(3)});
  return nullptr;
}

// lockAcquireSync(handle, mode, timeout in ms, negative for none): as lockTryAcquire
napi_value LockAcquireSync(napi_env env, napi_callback_info info) {
  RawArgs<3> args(env, info);
  Locks& locks = args.Data<Locks>();
  LockRecord* lock = locks.handles.Get(args.Int(0));
  Grant grant;
  SysError error;
  const auto timeout_ns = int64_t{args.Int(2)} * 1000000;
  const auto goes_on = [env] { return CanRun(env); };
  const Outcome outcome = lock == nullptr
                              ? Outcome::kNotHeld
                              : AcquireBlocking(*lock, ModeOf(args.Int(1)), timeout_ns, goes_on, &grant, &error);
  return Int(env, locks.Return(outcome, grant, error));
}

// lockSteal(handle): as lockTryAcquire
napi_value LockSteal(napi_env env, napi_callback_info info) {
  RawArgs<1> args(env, info);
  Locks& locks = args.Data<Locks>();
  LockRecord* lock = locks.handles.Get(args.Int(0));
  Grant grant;
  SysError error;
  const Outcome outcome = lock == nullptr ? Outcome::kNotHeld : lock->Steal(&grant, &error);
  return Int(env, locks.Return(outcome, grant, error));
}

// lockWatch(handle, entry, token): the id of the event that comes when this permit is stolen
napi_value LockWatch(napi_env env, napi_callback_info info) {
  RawArgs<3> args(env, info);
  Locks& locks = args.Data<Locks>();
  LockRecord* lock = locks.handles.Get(args.Int(0));
  LoopInbox* inbox = lock == nullptr ? nullptr : locks.InboxOf(env, lock->table(), &locks.error);
  if (inbox == nullptr) return Int(env, kResultError);
  const Grant held{static_cast<uint32_t>(args.Int(1)), args.Token(2), false};
  const int32_t id = WaitService::NewId();
  inbox->service().Watch(id, *lock, held, &inbox->inbox());
  return Int(env, id);
}

// lockUnwatch(handle, id)
napi_value LockUnwatch(napi_env env, napi_callback_info info) {
  RawArgs<2> args(env, info);
  Locks& locks = args.Data<Locks>();
  LockRecord* lock = locks.handles.Get(args.Int(0));
  LoopInbox* inbox = lock == nullptr ? nullptr : locks.FindInbox(*lock->table());
  if (inbox != nullptr) inbox->service().Unwatch(args.Int(1));
  return nullptr;
}

}  // namespace

bool CanRun(napi_env env) {
  napi_handle_scope scope = nullptr;
  napi_open_handle_scope(env, &scope);
  napi_value global = nullptr;
  bool ignored;
  // Any call that could run JavaScript tells.
  const bool can_run =
      napi_get_global(env, &global) == napi_ok && napi_has_element(env, global, 0, &ignored) == napi_ok;
  napi_close_handle_scope(env, scope);
  return can_run;
}

LoopInbox* Locks::FindInbox(const LockTable& table) const {
  for (LoopInbox* each : inboxes) {
    if (each->table() == &table) return each;
  }
  return nullptr;
}

LoopInbox* Locks::InboxOf(napi_env env, const std::shared_ptr<LockTable>& table, SysError* failure) {
  LoopInbox* inbox = FindInbox(*table);
  if (inbox != nullptr || on_events == nullptr) return inbox;
  inbox = LoopInbox::Open(env, this, table, failure);
  if (inbox != nullptr) inboxes.push_back(inbox);
  return inbox;
}

void InitWaiting(Napi::Env env, Napi::Object exports, Locks* locks) {
  exports["lockOnEvents"] = Napi::Function::New(env, LockOnEvents, "lockOnEvents", locks);
  exports["lockKeepAlive"] = Napi::Function::New(env, LockKeepAlive, "lockKeepAlive", locks);
  ExportRaw(env, exports, "lockWait", LockWait, locks);
  ExportRaw(env, exports, "lockCancel", LockCancel, locks);
  ExportRaw(env, exports, "lockDecline", LockDecline, locks);
  ExportRaw(env, exports, "lockAcquireSync", LockAcquireSync, locks);
  ExportRaw(env, exports, "lockSteal", LockSteal, locks);
  ExportRaw(env, exports, "lockWatch", LockWatch, locks);
  ExportRaw(env, exports, "lockUnwatch", LockUnwatch, locks);
}

}  // namespace semlock
