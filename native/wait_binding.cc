// Waiting for JavaScript: waits are started and cancelled here, and their ends come in batches through one function.

#include "lock_binding.h"

namespace semlock {

namespace {

// Gives what is in the inbox to JavaScript as one flat array: id, entry (-1: stolen), token, abandoned, and so on. By
// the plain C functions: where JavaScript cannot run any more, as in a worker thread that ends, those of node-addon-api
// abort the process. What was granted then is given back with all that the thread holds.
void Empty(const Napi::Env env, const Napi::Function callback, EventSink* sink) {
  if (static_cast<napi_env>(env) == nullptr) return;  // the environment ends, and with it what `sink` points to
  const std::vector<WaitEvent> events = sink->Take();
  if (events.empty()) return;
  napi_value flat = nullptr;
  napi_create_array_with_length(env, events.size() * 4, &flat);
  uint32_t at = 0;
  const auto add = [&](napi_value value) { napi_set_element(env, flat, at++, value); };
  for (const WaitEvent& event : events) {
    add(Napi::Number::New(env, event.id));
    add(Napi::Number::New(env, event.stolen ? -1 : static_cast<double>(event.grant.entry)));
    add(Napi::Number::New(env, static_cast<double>(event.grant.token)));
    add(Napi::Boolean::New(env, event.grant.abandoned));
  }
  napi_call_function(env, env.Undefined(), callback, 1, &flat, nullptr);  // Node.js reports what it throws
}

// lockOnEvents(callback): once, before anything waits
void LockOnEvents(const Napi::CallbackInfo& info) {
  auto* locks = static_cast<Locks*>(info.Data());
  auto function = Napi::ThreadSafeFunction::New(info.Env(), info[0].As<Napi::Function>(), "semlock waits", 0, 1);
  locks->sink = std::make_shared<EventSink>(std::move(function));
  locks->sink->KeepAlive(info.Env(), false);
}

// lockKeepAlive(whether)
void LockKeepAlive(const Napi::CallbackInfo& info) {
  auto* locks = static_cast<Locks*>(info.Data());
  if (locks->sink) locks->sink->KeepAlive(info.Env(), info[0].ToBoolean());
}

// lockWait(handle, mode): as lockTryAcquire, but kResultQueued in place of busy
napi_value LockWait(napi_env env, napi_callback_info info) {
  RawArgs<2> args(env, info);
  Locks& locks = args.Data<Locks>();
  LockRecord* lock = locks.handles.Get(args.Int(0));
  Grant grant;
  WaitRef wait;
  SysError error;
  const Outcome outcome =
      lock == nullptr || !locks.sink ? Outcome::kNotHeld : lock->Enqueue(ModeOf(args.Int(1)), &grant, &wait, &error);
  if (outcome != Outcome::kQueued) return Int(env, locks.Return(outcome, grant, error));
  locks.result[0] = WaitService::Of(lock->table()).Wait(*lock, wait, locks.sink);
  return Int(env, kResultQueued);
}

// lockCancel(handle, id): kResultBusy when the wait is over, or kResultDelivered when its grant is on the way to
// JavaScript. One that was not yet is given back.
napi_value LockCancel(napi_env env, napi_callback_info info) {
  RawArgs<2> args(env, info);
  Locks& locks = args.Data<Locks>();
  LockRecord* lock = locks.handles.Get(args.Int(0));
  if (lock == nullptr) return Int(env, kResultDelivered);
  Grant grant;
  switch (WaitService::Of(lock->table()).Cancel(args.Int(1), &grant)) {
    case WaitService::Cancelled::kYes:
      lock->Settle();
      return Int(env, kResultBusy);
    case WaitService::Cancelled::kOnItsWay:
      return Int(env, kResultBusy);
    case WaitService::Cancelled::kGranted:
      lock->Decline(grant);
      return Int(env, kResultBusy);
    case WaitService::Cancelled::kDelivered:
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

// Whether JavaScript can still run here. When its thread is terminated or the process exits, Node.js waits for that
// thread, which has to find out by itself.
bool CanRun(napi_env env) {
  napi_handle_scope scope = nullptr;
  napi_open_handle_scope(env, &scope);
  napi_value script = nullptr;
  napi_value result = nullptr;
  const bool can_run =
      napi_create_string_utf8(env, "0", 1, &script) == napi_ok && napi_run_script(env, script, &result) == napi_ok;
  napi_close_handle_scope(env, scope);
  return can_run;
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
  if (lock == nullptr || !locks.sink) return Int(env, kResultError);
  const Grant held{static_cast<uint32_t>(args.Int(1)), args.Token(2), false};
  return Int(env, WaitService::Of(lock->table()).Watch(*lock, held, locks.sink));
}

// lockUnwatch(handle, id)
napi_value LockUnwatch(napi_env env, napi_callback_info info) {
  RawArgs<2> args(env, info);
  LockRecord* lock = args.Data<Locks>().handles.Get(args.Int(0));
  if (lock != nullptr) WaitService::Of(lock->table()).Unwatch(args.Int(1));
  return nullptr;
}

}  // namespace

void EventSink::Notify() {
  if (!closed_ && function_.NonBlockingCall(this, Empty) == napi_closing) closed_ = true;
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
