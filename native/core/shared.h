// What all threads of this process share.

#pragma once

#include <map>
#include <memory>

#include "mutex.h"

namespace semlock {

// The one of its type. Never destroyed: worker threads may outlive the static destructors of exit().
template <typename T>
T& OfProcess() {
  static T* instance = new T;
  return *instance;
}

// One of a kind for each key, as long as somebody has it.
template <typename Key, typename T>
class SharedByKey {
 public:
  // What make() gives where there is none; null where it gives that. The last to let go calls end(it).
  template <typename Make, typename End>
  std::shared_ptr<T> Get(const Key& key, Make make, End end) {
    const Guard guard(mutex_);
    const std::shared_ptr<T> found = by_key_[key].lock();
    if (found != nullptr) return found;
    T* const made = make();
    if (made == nullptr) {
      by_key_.erase(key);
      return nullptr;
    }
    std::shared_ptr<T> shared(made, [this, key, end](T* last) {
      const Guard late(mutex_);
      const auto at = by_key_.find(key);
      // Another thread may have asked anew between the last reference and this.
      if (at != by_key_.end() && at->second.expired()) by_key_.erase(at);
      end(last);
    });
    by_key_[key] = shared;
    return shared;
  }

 private:
  Mutex mutex_;
  std::map<Key, std::weak_ptr<T>> by_key_ GUARDED_BY(mutex_);
};

}  // namespace semlock
