#include "inbox_binding.h"

#include <algorithm>
#include <vector>

namespace semlock {

LoopInbox* LoopInbox::Open(napi_env env, Locks* locks, const std::shared_ptr<LockTable>& table, SysError* error) {
  WaitService* service = WaitService::Of(table, error);
  if (service == nullptr) return nullptr;
  std::unique_ptr<LoopInbox> opened(new LoopInbox(env, locks, table, *service));
  *error = Inbox::Open(table->member(), locks->thread, &opened->inbox_);
  if (*error) return nullptr;
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  // Refused only by a system that cannot watch another descriptor.
  if (const int refused = uv_poll_init(loop, &opened->poll_, opened->inbox_->fd())) {
    *error = {"uv_poll_init", -refused};
    return nullptr;
  }
  LoopInbox* self = opened.release();
  self->poll_.data = self;
  uv_poll_start(&self->poll_, UV_READABLE, OnReadable);
  self->KeepAlive(locks->keeps_alive);
  napi_value name = nullptr;
  napi_create_string_utf8(env, "semlock waits", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, nullptr, name, &self->context_);
  napi_add_async_cleanup_hook(env, Close, self, &self->hook_);
  return self;
}

void LoopInbox::KeepAlive(bool alive) {
  auto* handle = reinterpret_cast<uv_handle_t*>(&poll_);
  alive ? uv_ref(handle) : uv_unref(handle);
}

void LoopInbox::OnReadable(uv_poll_t* poll, int, int) {
  auto* self = static_cast<LoopInbox*>(poll->data);
  const Scope scope(self->env_);
  self->TellJavaScript();
}

// Where JavaScript cannot run any more, as in a worker thread that ends, nothing is taken: what was granted is given
// back by Close().
void LoopInbox::TellJavaScript() {
  if (!CanRun(env_)) return;
  std::vector<WaitEvent> events;
  service_.Take(*inbox_, &events);
  for (size_t told = 0; told < events.size();) {
    const size_t count = std::min(events.size() - told, Locks::kEventsAtOnce);
    double* field = locks_->events;
    for (size_t each = 0; each < count; ++each, ++told) {
      const auto& [id, stolen, grant] = events[told];
      *field++ = id;
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
  napi_make_callback(env_, context_, global, callback, 1, &argument, nullptr);
  bool threw = false;
  napi_value thrown = nullptr;
  napi_is_exception_pending(env_, &threw);
  if (!threw || napi_get_and_clear_last_exception(env_, &thrown) != napi_ok) return;
  if (CanRun(env_)) napi_fatal_exception(env_, thrown);  // as whatever else throws in the event loop
}

void LoopInbox::Close(napi_async_cleanup_hook_handle, void* data) {
  auto* self = static_cast<LoopInbox*>(data);
  self->service_.Forget(self->inbox_.get());
  self->inbox_->Unlink();  // now, because the next thread of this process may have the same number
  napi_async_destroy(self->env_, self->context_);
  uv_close(reinterpret_cast<uv_handle_t*>(&self->poll_), [](uv_handle_t* handle) {
    auto* closed = static_cast<LoopInbox*>(handle->data);
    napi_remove_async_cleanup_hook(closed->hook_);
    delete closed;
  });
}

}  // namespace semlock
