// Waiting for JavaScript: waits are started and cancelled here; how they end is told by inbox_binding.cc.

#include "../core/clock.h"
#include "inbox_binding.h"
#include "lock_binding.h"

namespace semlock {

namespace {

// lockOnEvents(callback): once, before anything waits
napi_value LockOnEvents(napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  napi_create_reference(env, args[0], 1, &args.Data<Locks>().on_events);
  return nullptr;
}

// lockKeepAlive(whether)
napi_value LockKeepAlive(napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  Locks& locks = args.Data<Locks>();
  locks.keeps_alive = args.Bool(0);
  for (LoopInbox* each : locks.inboxes) each->KeepAlive(locks.keeps_alive);
  return nullptr;
}

// lockWait(handle, mode, timeout in ms, negative for none): as lockTryAcquire, but kResultQueued in place of busy. Who
// waits ends it by lockCancel; after that time the others do not wait for that any more.
napi_value LockWait(napi_env env, napi_callback_info info) {
  Args<3> args(env, info);
  Locks& locks = args.Data<Locks>();
  const int64_t timeout_ms = args.Int(2);
  const int64_t deadline = timeout_ms < 0 ? kNoDeadline : MonotonicNs() + timeout_ms * 1000000;
  return Int(env, locks.Acquire(args.Int(0), [&](LockRecord& lock, Grant* grant, SysError* error) {
    LoopInbox* inbox = locks.InboxOf(env, lock.table(), error);
    if (inbox == nullptr) return Outcome::kFailed;
    const int64_t id = WaitService::NewId();
    WaitRef wait;
    const Outcome outcome = lock.Enqueue(ModeOf(args.Int(1)), id, deadline, grant, &wait, error);
    if (outcome != Outcome::kQueued) return outcome;
    inbox->service().Wait(id, lock, wait, &inbox->inbox());
    locks.result[0] = static_cast<double>(id);
    return outcome;
  }));
}

// lockCancel(handle, id): kResultBusy when the wait is over, or kResultDelivered when its grant is on the way to
// JavaScript. One that was not yet is given back.
napi_value LockCancel(napi_env env, napi_callback_info info) {
  Args<2> args(env, info);
  Locks& locks = args.Data<Locks>();
  LockRecord* lock = locks.handles.Get(args.Int(0));
  LoopInbox* inbox = lock == nullptr ? nullptr : locks.FindInbox(*lock->table());
  const bool ends = inbox != nullptr && inbox->service().Cancel(args.Id(1), *lock);
  return Int(env, ends ? kResultBusy : kResultDelivered);
}

// lockDecline(handle, entry, token, abandoned): gives back a grant that was delivered and is not wanted
napi_value LockDecline(napi_env env, napi_callback_info info) {
  Args<4> args(env, info);
  LockRecord* lock = args.Data<Locks>().handles.Get(args.Int(0));
  if (lock != nullptr) lock->Decline({static_cast<uint32_t>(args.Int(1)), args.Token(2), args.Bool(3)});
  return nullptr;
}

// lockAcquireSync(handle, mode, timeout in ms, negative for none): as lockTryAcquire
napi_value LockAcquireSync(napi_env env, napi_callback_info info) {
  Args<3> args(env, info);
  const auto timeout_ns = int64_t{args.Int(2)} * 1000000;
  const auto acquire = [&](LockRecord& lock, Grant* grant, SysError* error) {
    return AcquireBlocking(
        lock, ModeOf(args.Int(1)), timeout_ns, [env] { return CanRun(env); }, grant, error);
  };
  return Int(env, args.Data<Locks>().Acquire(args.Int(0), acquire));
}

// lockSteal(handle): as lockTryAcquire
napi_value LockSteal(napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  const auto steal = [](LockRecord& lock, Grant* grant, SysError* error) { return lock.Steal(grant, error); };
  return Int(env, args.Data<Locks>().Acquire(args.Int(0), steal));
}

// lockWatch(handle, entry, token): the id of the event that comes when this permit is stolen
napi_value LockWatch(napi_env env, napi_callback_info info) {
  Args<3> args(env, info);
  Locks& locks = args.Data<Locks>();
  LockRecord* lock = locks.handles.Get(args.Int(0));
  LoopInbox* inbox = lock == nullptr ? nullptr : locks.InboxOf(env, lock->table(), &locks.error);
  if (inbox == nullptr) return Int(env, kResultError);
  const Grant held{static_cast<uint32_t>(args.Int(1)), args.Token(2), false};
  const int64_t id = WaitService::NewId();
  inbox->service().Watch(id, *lock, held, &inbox->inbox());
  return Napi::Number::New(env, static_cast<double>(id));
}

// lockUnwatch(handle, id)
napi_value LockUnwatch(napi_env env, napi_callback_info info) {
  Args<2> args(env, info);
  Locks& locks = args.Data<Locks>();
  LockRecord* lock = locks.handles.Get(args.Int(0));
  LoopInbox* inbox = lock == nullptr ? nullptr : locks.FindInbox(*lock->table());
  if (inbox != nullptr) inbox->service().Unwatch(args.Id(1));
  return nullptr;
}

}  // namespace

bool CanRun(napi_env env) {
  const Scope scope(env);
  napi_value global = nullptr;
  bool ignored;
  // Any call that could run JavaScript tells.
  return napi_get_global(env, &global) == napi_ok && napi_has_element(env, global, 0, &ignored) == napi_ok;
}

LoopInbox* Locks::FindInbox(const LockTable& table) const {
  for (LoopInbox* each : inboxes) {
    if (each->table() == &table) return each;
  }
  return nullptr;
}

LoopInbox* Locks::InboxOf(napi_env env, const std::shared_ptr<LockTable>& table, SysError* failure) {
  LoopInbox* inbox = FindInbox(*table);
  if (inbox != nullptr) {
    *failure = inbox->Renew();
    if (!*failure) *failure = inbox->service().NeedThread();
    return *failure ? nullptr : inbox;
  }
  if (on_events == nullptr) return nullptr;
  inbox = LoopInbox::Open(env, this, table, failure);
  if (inbox != nullptr) inboxes.push_back(inbox);
  return inbox;
}

void InitWaiting(Napi::Object exports, Locks* locks) {
  Export(exports, "lockOnEvents", LockOnEvents, locks);
  Export(exports, "lockKeepAlive", LockKeepAlive, locks);
  Export(exports, "lockWait", LockWait, locks);
  Export(exports, "lockCancel", LockCancel, locks);
  Export(exports, "lockDecline", LockDecline, locks);
  Export(exports, "lockAcquireSync", LockAcquireSync, locks);
  Export(exports, "lockSteal", LockSteal, locks);
  Export(exports, "lockWatch", LockWatch, locks);
  Export(exports, "lockUnwatch", LockUnwatch, locks);
}

}  // namespace semlock
