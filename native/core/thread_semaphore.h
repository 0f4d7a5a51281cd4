// An unnamed semaphore, sem_init(…, 0, 1), found by name among the threads of this process alone: what Python's
// threading.Lock is. Two processes that ask for the same name get two semaphores.

#pragma once

#include <semaphore.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace semlock {

class ThreadSemaphore {
 public:
  // The semaphore of that name, made with value 1 by the first thread that asks and kept until the last lets go.
  static std::shared_ptr<ThreadSemaphore> Get(const std::string& name);

  explicit ThreadSemaphore(unsigned value) { sem_init(&sem_, 0, value); }
  ~ThreadSemaphore() { sem_destroy(&sem_); }
  ThreadSemaphore(const ThreadSemaphore&) = delete;
  ThreadSemaphore& operator=(const ThreadSemaphore&) = delete;

  // The token of the new holder, counting from 1, or 0 when it is held.
  int64_t TryWait();
  void Post() { sem_post(&sem_); }

 private:
  sem_t sem_;
  std::atomic<int64_t> last_token_{0};
};

}  // namespace semlock
