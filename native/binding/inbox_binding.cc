#include "inbox_binding.h"

#include <errno.h>

#include <algorithm>
#include <vector>

namespace semlock {

LoopInbox* LoopInbox::Open(napi_env env, Locks* locks, const std::shared_ptr<LockTable>& table, SysError* error) {
  WaitService* service = WaitService::Of(table, error);
  if (service == nullptr) return nullptr;
  napi_value name = nullptr;
  napi_create_string_utf8(env, "semlock waits", NAPI_AUTO_LENGTH, &name);
  std::unique_ptr<LoopInbox> opened(new LoopInbox(env, locks, table, *service));
  // One call that is on its way is enough.
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 1, 1, nullptr, nullptr, opened.get(), Wake,
                                      &opened->wake_) != napi_ok) {
    *error = {"napi_create_threadsafe_function", EAGAIN};
    return nullptr;
  }
  napi_unref_threadsafe_function(env, opened->wake_);
  const auto wake = [wake = opened->wake_] { napi_call_threadsafe_function(wake, nullptr, napi_tsfn_nonblocking); };
  *error = Inbox::Open(table->member(), locks->thread, wake, &opened->inbox_);
  if (!*error) *error = opened->Watch();
  if (*error) {
    napi_release_threadsafe_function(opened->wake_, napi_tsfn_abort);
    return nullptr;
  }
  LoopInbox* self = opened.release();
  if (HasLibuv(env)) {
    napi_async_init(env, nullptr, name, &self->context_);
    napi_add_async_cleanup_hook(
        env, [](napi_async_cleanup_hook_handle, void* data) { static_cast<LoopInbox*>(data)->Close(); }, self,
        &self->hook_);
  } else {
    napi_add_env_cleanup_hook(
        env, [](void* data) { static_cast<LoopInbox*>(data)->Close(); }, self);
  }
  return self;
}

SysError LoopInbox::Watch() {
  SysError error;
  readiness_.reset();
  const auto ready = [this] {
    const Scope scope(env_);
    TellJavaScript();
  };
  const auto wake = [wake = wake_] { napi_call_threadsafe_function(wake, nullptr, napi_tsfn_nonblocking); };
  readiness_ = Readiness::Of(env_, inbox_->fd(), ready, wake, &error);
  if (!error) KeepAlive(locks_->keeps_alive);
  return error;
}

SysError LoopInbox::Renew() {
  if (readiness_ != nullptr && inbox_->IsIntact()) return {};
  SysError error = inbox_->Reopen();
  return error ? error : Watch();
}

void LoopInbox::KeepAlive(bool alive) {
  if (readiness_ != nullptr) readiness_->KeepAlive(alive);
  alive ? napi_ref_threadsafe_function(env_, wake_) : napi_unref_threadsafe_function(env_, wake_);
}

// Without an environment: it has ended, and with it the inbox.
void LoopInbox::Wake(napi_env env, napi_value, void* data, void*) {
  if (env == nullptr) return;
  auto* self = static_cast<LoopInbox*>(data);
  const Scope scope(env);
  self->TellJavaScript();
}

// Where JavaScript cannot run any more, as in a worker thread that ends, nothing is taken: what was granted is given
// back by Close().
void LoopInbox::TellJavaScript() {
  if (!CanRun(env_)) return;
  std::vector<WaitEvent> events;
  Renew();  // where it fails, the next round tries again
  service_.Take(*inbox_, &events);
  if (readiness_ != nullptr) readiness_->Listen();
  for (size_t told = 0; told < events.size();) {
    const size_t count = std::min(events.size() - told, Locks::kEventsAtOnce);
    double* field = locks_->events;
    for (size_t each = 0; each < count; ++each, ++told) {
      const auto& [id, stolen, grant] = events[told];
      *field++ = static_cast<double>(id);
      *field++ = stolen ? -1 : static_cast<double>(grant.entry);
      *field++ = static_cast<double>(grant.token);
      *field++ = grant.abandoned ? 1 : 0;
    }
    Call(count);
  }
}

void LoopInbox::Call(size_t count) {
  napi_value callback = nullptr;
  napi_value global = nullptr;
  napi_value argument = nullptr;
  napi_get_reference_value(env_, locks_->on_events, &callback);
  napi_get_global(env_, &global);
  napi_create_uint32(env_, static_cast<uint32_t>(count), &argument);
  // Elsewhere it is called within a thread-safe function, and Deno 2.9 ends in napi_make_callback().
  context_ != nullptr ? napi_make_callback(env_, context_, global, callback, 1, &argument, nullptr)
                      : napi_call_function(env_, global, callback, 1, &argument, nullptr);
  bool threw = false;
  napi_value thrown = nullptr;
  napi_is_exception_pending(env_, &threw);
  if (!threw || napi_get_and_clear_last_exception(env_, &thrown) != napi_ok) return;
  if (CanRun(env_)) napi_fatal_exception(env_, thrown);  // as whatever else throws in the event loop
}

void LoopInbox::Close() {
  service_.Withdraw(inbox_.get());
  inbox_->Unlink();  // now, because the next thread of this process may have the same number
  if (hook_ != nullptr) {
    napi_async_destroy(env_, context_);
    const auto ended = [hook = hook_] { napi_remove_async_cleanup_hook(hook); };
    readiness_ != nullptr ? readiness_->WhenEnded(ended) : ended();
  }
  readiness_.reset();
  napi_release_threadsafe_function(wake_, napi_tsfn_abort);
  delete this;
}

}  // namespace semlock
