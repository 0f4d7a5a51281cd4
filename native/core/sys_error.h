// How the core reports failure: a value that names the call and its errno, or a condition of our own.
// The core never throws and never aborts; the binding turns these into JavaScript errors.

#pragma once

namespace semlock {

struct SysError {
  // Null when all went well. Otherwise the system call that failed ("sem_open"), or what we were doing.
  const char* call = nullptr;
  // errno of that call; 0 when the condition is ours alone.
  int code = 0;
  // Suffix of the public ERR_SEMLOCK_… code where errno alone does not say it; null otherwise.
  const char* kind = nullptr;

  explicit operator bool() const { return call != nullptr; }
};

}  // namespace semlock
