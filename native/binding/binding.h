// What the *_binding.cc files share: per-environment state, errors, and functions cheap enough for the hot path.
//
// The hot functions are raw Node-API with a small integer handle: a method of node-addon-api's ObjectWrap costs four
// times as much. Node-API values are checked in JavaScript, by the one module that may call the addon.

#pragma once

#include <napi.h>

#include <memory>
#include <utility>
#include <vector>

#include "../core/sys_error.h"

namespace semlock {

// Small integers for native objects, reused after they are freed. One table per environment, so no lock is needed.
template <typename T>
class HandleTable {
 public:
  int Add(T value) {
    if (free_.empty()) {
      items_.push_back(std::make_unique<T>(std::move(value)));
      return static_cast<int>(items_.size()) - 1;
    }
    const int handle = free_.back();
    free_.pop_back();
    items_[handle] = std::make_unique<T>(std::move(value));
    return handle;
  }
  // Null when the handle is not one of ours or was freed.
  T* Get(int handle) {
    return handle >= 0 && static_cast<size_t>(handle) < items_.size() ? items_[handle].get() : nullptr;
  }
  template <typename F>
  void ForEach(F visit) {
    for (auto& item : items_) {
      if (item) visit(*item);
    }
  }
  void Free(int handle) {
    if (Get(handle) == nullptr) return;
    items_[handle].reset();
    free_.push_back(handle);
  }

 private:
  std::vector<std::unique_ptr<T>> items_;
  std::vector<int> free_;
};

// Throws Error with `call`, `errno` and `kind`, which src/native.ts turns into a SemlockError.
void ThrowSysError(Napi::Env env, const SysError& error);

// Arguments of a raw Node-API function, converted without a throw: what is no number reads as -1, which no table has.
template <size_t N>
class RawArgs {
 public:
  RawArgs(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = N;
    napi_get_cb_info(env, info, &count, values_, nullptr, &data_);
  }
  int32_t Int(size_t index) const {
    int32_t value = -1;
    napi_get_value_int32(env_, values_[index], &value);
    return value;
  }
  bool Bool(size_t index) const {
    bool value = false;
    napi_get_value_bool(env_, values_[index], &value);
    return value;
  }
  // 0, which no acquisition has, for what is no token.
  uint64_t Token(size_t index) const {
    int64_t value = 0;
    napi_get_value_int64(env_, values_[index], &value);
    return value > 0 ? static_cast<uint64_t>(value) : 0;
  }
  template <typename T>
  T& Data() const {
    return *static_cast<T*>(data_);
  }

 private:
  napi_env env_;
  napi_value values_[N] = {};
  void* data_ = nullptr;
};

// The data of a raw Node-API function that takes no arguments.
template <typename T>
T& DataOf(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  return *static_cast<T*>(data);
}

inline napi_value Int(napi_env env, int32_t value) {
  napi_value result = nullptr;
  napi_create_int32(env, value, &result);
  return result;
}

// Adds a raw function to `exports`; `data` is what RawArgs::Data gives back and must outlive the environment's calls.
void ExportRaw(Napi::Env env, Napi::Object exports, const char* name, napi_callback function, void* data);

// Each binding adds its functions and hands back nothing: what it allocates is freed when the environment ends.
void InitSemaphores(Napi::Env env, Napi::Object exports);
void InitLocks(Napi::Env env, Napi::Object exports);

}  // namespace semlock
