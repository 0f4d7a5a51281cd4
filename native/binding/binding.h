// What the *_binding.cc files share: per-environment state, errors, arguments and results.
//
// The functions are raw Node-API with a small integer handle: a method of node-addon-api's ObjectWrap costs four times
// as much. Node-API values are checked in JavaScript, by the one module that may call the addon.
//
// An environment can end in the middle of any call, by worker.terminate() or process.exit(). From then on whatever
// could run JavaScript fails: a conversion, a property, a throw. That means "return", and never "abort". So arguments
// are read without a conversion, and of node-addon-api only that is used which leaves it at that: check-binding.mjs has
// the list.

#pragma once

#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#include <napi.h>

#include <algorithm>
#include <memory>
#include <string>
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

// Frees what a part of a call has made: Napi::HandleScope would abort where that fails.
class Scope {
 public:
  explicit Scope(napi_env env) : env_(env) { napi_open_handle_scope(env, &scope_); }
  ~Scope() { napi_close_handle_scope(env_, scope_); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  napi_env env_;
  napi_handle_scope scope_ = nullptr;
};

// Throws Error with `call`, `errno` and `kind`, which src/native.ts turns into a SemlockError. Nothing, to be returned.
napi_value Throw(napi_env env, const SysError& error);

// Arguments of a function, read without a throw: what is no number reads as -1, which no table has, and what is no
// string as an empty one.
template <size_t N>
class Args {
 public:
  Args(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = N;
    napi_get_cb_info(env, info, &count, values_, nullptr, &data_);
  }
  napi_value operator[](size_t index) const { return values_[index]; }
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
  // Of a wait or a watch; 0, which none has, for what is no number.
  int64_t Id(size_t index) const {
    int64_t value = 0;
    napi_get_value_int64(env_, values_[index], &value);
    return value;
  }
  // 0, which no acquisition has, for what is no token.
  uint64_t Token(size_t index) const { return static_cast<uint64_t>(std::max(Id(index), int64_t{0})); }
  std::string Text(size_t index) const {
    size_t length = 0;
    if (napi_get_value_string_utf8(env_, values_[index], nullptr, 0, &length) != napi_ok) return {};
    std::string text(length, '\0');
    napi_get_value_string_utf8(env_, values_[index], text.data(), length + 1, nullptr);
    return text;
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

// The data of a function that takes no arguments.
template <typename T>
T& DataOf(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  return *static_cast<T*>(data);
}

// An array of what `make` makes of each, as far as the environment lasts.
template <typename T, typename F>
Napi::Array ArrayOf(napi_env env, const std::vector<T>& items, F make) {
  Napi::Array array = Napi::Array::New(env);
  uint32_t next = 0;
  for (const T& each : items) {
    const Scope scope(env);
    if (!array.Set(next++, make(each))) break;
  }
  return array;
}

inline napi_value Int(napi_env env, int32_t value) {
  napi_value result = nullptr;
  napi_create_int32(env, value, &result);
  return result;
}

// Adds a function to `exports`; `data` is what Args::Data gives back and must outlive the environment's calls.
void Export(Napi::Object exports, const char* name, napi_callback function, void* data);

// Each binding adds its functions and hands back nothing: what it allocates is freed when the environment ends.
void InitSemaphores(Napi::Env env, Napi::Object exports);
void InitLocks(Napi::Env env, Napi::Object exports);
void InitNamespaces(Napi::Object exports);
void InitHash(Napi::Object exports);

}  // namespace semlock
