#include "readiness.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include <atomic>

#include "../core/own_file.h"
#include "../core/threads.h"

namespace semlock {
namespace {

class PolledByLoop : public Readiness {
 public:
  static std::unique_ptr<Readiness> Of(uv_loop_t* loop, int fd, std::function<void()> ready, SysError* error) {
    auto* poll = new Poll{{}, std::move(ready), {}};
    // Refused only by a system that cannot watch another descriptor, and for one that another handle watches.
    if (const int refused = uv_poll_init(loop, &poll->handle, fd)) {
      delete poll;
      *error = {"uv_poll_init", -refused};
      return nullptr;
    }
    poll->handle.data = poll;
    uv_poll_start(&poll->handle, UV_READABLE,
                  [](uv_poll_t* handle, int, int) { static_cast<Poll*>(handle->data)->ready(); });
    std::unique_ptr<PolledByLoop> made(new PolledByLoop);
    made->poll_ = poll;
    return made;
  }
  ~PolledByLoop() override {
    poll_->ended = std::move(ended_);
    uv_close(handle(), [](uv_handle_t* closed) {
      const std::unique_ptr<Poll> poll(static_cast<Poll*>(closed->data));
      poll->ended();
    });
  }
  void KeepAlive(bool alive) override { alive ? uv_ref(handle()) : uv_unref(handle()); }

 private:
  struct Poll {
    uv_poll_t handle;
    std::function<void()> ready;
    std::function<void()> ended;
  };
  uv_handle_t* handle() const { return reinterpret_cast<uv_handle_t*>(&poll_->handle); }
  Poll* poll_ = nullptr;
};

class PolledByThread : public Readiness {
 public:
  static std::unique_ptr<Readiness> Of(int fd, std::function<void()> wake, SysError* error) {
    std::unique_ptr<PolledByThread> made(new PolledByThread(fd, std::move(wake)));
    if (!made->bell_.Adopt(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))) {
      *error = {"eventfd", errno};
      return nullptr;
    }
    if (const int refused = StartThread(Main, made.get(), &made->thread_)) {
      *error = {"pthread_create", refused};
      return nullptr;
    }
    made->runs_ = true;
    return made;
  }
  ~PolledByThread() override {
    stops_.store(true);
    Ring();
    if (runs_) pthread_join(thread_, nullptr);
    ended_();
  }
  void Listen() override {
    listens_.store(true);
    Ring();
  }

 private:
  // How late it finds out what it was told when its bell was lost, as any descriptor may be.
  static constexpr int kLostMs = 500;

  PolledByThread(int fd, std::function<void()> wake) : fd_(fd), wake_(std::move(wake)) {}
  static void* Main(void* self) {
    static_cast<PolledByThread*>(self)->Run();
    return nullptr;
  }
  void Ring() {
    const uint64_t once = 1;
    if (bell_.IsIntact()) [[maybe_unused]]
      const ssize_t written = write(bell_.fd(), &once, sizeof(once));
  }
  void Run() {
    while (!stops_.load()) {
      // Until it is told to listen again, what has come is on its way to the event loop.
      pollfd both[] = {{bell_.fd(), POLLIN, 0}, {listens_.load() ? fd_ : -1, POLLIN, 0}};
      if (poll(both, 2, kLostMs) <= 0) continue;  // EINTR
      uint64_t rung = 0;
      if (both[0].revents != 0 && bell_.IsIntact()) {
        [[maybe_unused]] const ssize_t length = read(bell_.fd(), &rung, sizeof(rung));
      }
      if (both[1].revents == 0) continue;
      listens_.store(false);
      wake_();
    }
  }

  const int fd_;
  const std::function<void()> wake_;
  OwnFile bell_;
  pthread_t thread_ = {};
  bool runs_ = false;
  std::atomic<bool> listens_{true};
  std::atomic<bool> stops_{false};
};

bool HasProperty(napi_env env, napi_value object, const char* name) {
  bool has = false;
  return napi_has_named_property(env, object, name, &has) == napi_ok && has;
}

}  // namespace

bool HasLibuv(napi_env env) {
  napi_value value = nullptr;
  if (napi_get_global(env, &value) != napi_ok || napi_get_named_property(env, value, "process", &value) != napi_ok ||
      napi_get_named_property(env, value, "versions", &value) != napi_ok) {
    return false;
  }
  return !HasProperty(env, value, "bun") && !HasProperty(env, value, "deno");
}

std::unique_ptr<Readiness> Readiness::Of(napi_env env, int fd, std::function<void()> ready, std::function<void()> wake,
                                         SysError* error) {
  uv_loop_t* loop = nullptr;
  if (!HasLibuv(env) || napi_get_uv_event_loop(env, &loop) != napi_ok) {
    return PolledByThread::Of(fd, std::move(wake), error);
  }
  return PolledByLoop::Of(loop, fd, std::move(ready), error);
}

}  // namespace semlock
