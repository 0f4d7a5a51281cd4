#include "thread_semaphore.h"

#include <map>

#include "mutex.h"
#include "named_semaphore.h"

namespace semlock {
namespace {

struct Registry {
  Mutex mutex;
  std::map<std::string, std::weak_ptr<ThreadSemaphore>> by_name GUARDED_BY(mutex);
};

// Never destroyed: worker threads may outlive the static destructors of process.exit().
Registry& registry() {
  static Registry* instance = new Registry;
  return *instance;
}

}  // namespace

std::shared_ptr<ThreadSemaphore> ThreadSemaphore::Get(const std::string& name) {
  Registry& all = registry();
  const Guard guard(all.mutex);
  std::weak_ptr<ThreadSemaphore>& slot = all.by_name[name];
  std::shared_ptr<ThreadSemaphore> semaphore = slot.lock();
  if (semaphore) return semaphore;
  semaphore.reset(new ThreadSemaphore(1), [name](ThreadSemaphore* last) {
    delete last;
    Registry& shared = registry();
    const Guard late_guard(shared.mutex);
    auto found = shared.by_name.find(name);
    // Another thread may have asked anew between the last reference and this.
    if (found != shared.by_name.end() && found->second.expired()) shared.by_name.erase(found);
  });
  slot = semaphore;
  return semaphore;
}

int64_t ThreadSemaphore::TryWait() { return semlock::TryWait(&sem_) == 0 ? ++last_token_ : 0; }

}  // namespace semlock
