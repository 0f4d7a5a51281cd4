// How an event loop learns that something has come to a descriptor. Node.js and Electron poll it themselves. Bun and
// Deno load addons but have no libuv, and end the process when one of its functions is called: there a thread polls it.

#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "binding.h"

namespace semlock {

// Whether the runtime is Node.js or built upon it.
bool HasLibuv(napi_env env);

class Readiness {
 public:
  // Calls `ready` in the event loop as long as `fd` is readable, or `wake` in another thread: once, and again after
  // Listen(). Null with `error`.
  static std::unique_ptr<Readiness> Of(napi_env env, int fd, std::function<void()> ready, std::function<void()> wake,
                                       SysError* error);
  virtual ~Readiness() = default;
  virtual void Listen() {}
  // Whether it keeps the event loop running.
  virtual void KeepAlive(bool alive) {}
  // Called when the event loop has nothing of it any more, after its end.
  void WhenEnded(std::function<void()> call) { ended_ = std::move(call); }

 protected:
  std::function<void()> ended_ = [] {};
};

}  // namespace semlock
