#include "thread_semaphore.h"

#include "named_semaphore.h"
#include "shared.h"

namespace semlock {

std::shared_ptr<ThreadSemaphore> ThreadSemaphore::Get(const std::string& name) {
  return OfProcess<SharedByKey<std::string, ThreadSemaphore>>().Get(
      name, [] { return new ThreadSemaphore(1); }, [](ThreadSemaphore* last) { delete last; });
}

int64_t ThreadSemaphore::TryWait() { return semlock::TryWait(&sem_) == 0 ? ++last_token_ : 0; }

}  // namespace semlock
