// Threads of our own. Never one of libuv's pool, four of which blocked would stop all file
// I/O.

#pragma once

#include <pthread.h>
#include <signal.h>

#include <cstdint>

namespace semlock {

// How long a thread of ours stays when it has nothing to do: to make one takes longer than to wake one.
inline constexpr int64_t kIdleNs = 1000000000;

// 0, or EAGAIN: there are too many. Signals are Node's main thread's business. With `joined` the caller joins it.
inline int StartThread(void* (*main)(void*), void* argument, pthread_t* joined = nullptr) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = pthread_create(&thread, nullptr, main, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) return error;
  pthread_setname_np(thread, "semlock");  // for people who look what uses the processor
  if (joined == nullptr) {
    pthread_detach(thread);
  } else {
    *joined = thread;
  }
  return 0;
}

}  // namespace semlock
