// An inbox that the event loop polls, and that tells JavaScript what has come.

#pragma once

#include <memory>

#include "../core/inbox.h"
#include "lock_binding.h"
#include "readiness.h"

namespace semlock {

class LoopInbox {
 public:
  // That of an environment for one table. It closes itself when the environment ends; null with `error`.
  static LoopInbox* Open(napi_env env, Locks* locks, const std::shared_ptr<LockTable>& table, SysError* error);

  const LockTable* table() const { return table_.get(); }
  WaitService& service() const { return service_; }
  Inbox& inbox() const { return *inbox_; }
  // Whether it keeps the event loop running: as long as somebody waits.
  void KeepAlive(bool alive);
  // Opens another pipe where other code has closed ours. To be called before something waits.
  SysError Renew();

 private:
  LoopInbox(napi_env env, Locks* locks, std::shared_ptr<LockTable> table, WaitService& service)
      : env_(env), locks_(locks), table_(std::move(table)), service_(service) {}
  SysError Watch();
  static void Wake(napi_env env, napi_value, void* self, void*);
  void Close();
  void TellJavaScript();
  // Of so many events, which are in `locks_->events`.
  void Call(size_t count);

  const napi_env env_;
  Locks* const locks_;
  const std::shared_ptr<LockTable> table_;
  WaitService& service_;
  std::unique_ptr<Inbox> inbox_;
  std::unique_ptr<Readiness> readiness_;  // of the inbox's descriptor
  napi_threadsafe_function wake_ = nullptr;
  napi_async_context context_ = nullptr;
  napi_async_cleanup_hook_handle hook_ = nullptr;
};

}  // namespace semlock
