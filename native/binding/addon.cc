// The addon's entry point. Everything else lives in the core, which knows nothing of Node, and in the bindings.

#include <string.h>

#include "binding.h"

namespace semlock {

napi_value Throw(napi_env env, const SysError& error) {
  const std::string text = std::string(error.call) + ": " + strerror(error.code);
  napi_value message = nullptr;
  napi_value thrown = nullptr;
  napi_create_string_utf8(env, text.c_str(), text.size(), &message);
  if (napi_create_error(env, nullptr, message, &thrown) != napi_ok) return nullptr;
  Napi::Object object(env, thrown);
  object.Set("call", error.call);
  object.Set("errno", Napi::Number::New(env, error.code));
  if (error.kind != nullptr) object.Set("kind", error.kind);
  napi_throw(env, thrown);
  return nullptr;
}

void Export(Napi::Object exports, const char* name, napi_callback function, void* data) {
  napi_value value = nullptr;
  if (napi_create_function(exports.Env(), name, NAPI_AUTO_LENGTH, function, data, &value) == napi_ok) {
    exports.Set(name, value);
  }
}

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  InitSemaphores(env, exports);
  InitLocks(env, exports);
  InitNamespaces(exports);
  InitHash(exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(semlock, Init)

}  // namespace semlock
