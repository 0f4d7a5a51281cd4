// The addon's entry point. Everything else lives in the core, which knows nothing of Node, and in the bindings.

#include <string.h>

#include "binding.h"

namespace semlock {

void ThrowSysError(Napi::Env env, const SysError& error) {
  Napi::Error thrown = Napi::Error::New(env, std::string(error.call) + ": " + strerror(error.code));
  thrown.Set("call", error.call);
  thrown.Set("errno", Napi::Number::New(env, error.code));
  if (error.kind != nullptr) thrown.Set("kind", error.kind);
  thrown.ThrowAsJavaScriptException();
}

void ExportRaw(Napi::Env env, Napi::Object exports, const char* name, napi_callback function, void* data) {
  napi_value value = nullptr;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, function, data, &value);
  exports.Set(name, Napi::Value(env, value));
}

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  InitSemaphores(env, exports);
  InitLocks(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(semlock, Init)

}  // namespace semlock
