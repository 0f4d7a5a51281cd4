// A bare flock pair through Node-API: what any addon pays that locks a file with flock(2). Two functions that take a
// file descriptor and return 0 or a negated errno.

#define _DEFAULT_SOURCE
#include <errno.h>
#include <node_api.h>
#include <sys/file.h>

static napi_value call_flock(napi_env env, napi_callback_info info, int operation) {
  napi_value arg, result;
  size_t count = 1;
  int32_t fd = -1;
  napi_get_cb_info(env, info, &count, &arg, NULL, NULL);
  napi_get_value_int32(env, arg, &fd);
  napi_create_int32(env, flock(fd, operation) == 0 ? 0 : -errno, &result);
  return result;
}

static napi_value try_lock(napi_env env, napi_callback_info info) { return call_flock(env, info, LOCK_EX | LOCK_NB); }

static napi_value unlock(napi_env env, napi_callback_info info) { return call_flock(env, info, LOCK_UN); }

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "tryLock", NAPI_AUTO_LENGTH, try_lock, NULL, &function);
  napi_set_named_property(env, exports, "tryLock", function);
  napi_create_function(env, "unlock", NAPI_AUTO_LENGTH, unlock, NULL, &function);
  napi_set_named_property(env, exports, "unlock", function);
  return exports;
}
