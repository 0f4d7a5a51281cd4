// SHA-256 by the OpenSSL that Node.js carries and exports to addons. In JavaScript it takes `node:crypto`, and to load
// that takes longer than all else that `semlock run` does before it has the lock.

#include <stddef.h>

#include "binding.h"

// Null where the runtime does not export it.
extern "C" __attribute__((weak)) unsigned char* SHA256(const unsigned char* data, size_t size, unsigned char* digest);

namespace semlock {
namespace {

constexpr size_t kDigestBytes = 32;

// sha256(text): the digest of its UTF-16 code units, each byte a character; nothing where that cannot be had
napi_value Sha256(napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  size_t length = 0;
  if (napi_get_value_string_utf16(env, args[0], nullptr, 0, &length) != napi_ok) return nullptr;
  std::u16string text(length, u'\0');
  if (napi_get_value_string_utf16(env, args[0], text.data(), length + 1, nullptr) != napi_ok) return nullptr;
  unsigned char digest[kDigestBytes];
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  if (SHA256(bytes, length * sizeof(char16_t), digest) == nullptr) return nullptr;
  napi_value result = nullptr;
  napi_create_string_latin1(env, reinterpret_cast<const char*>(digest), kDigestBytes, &result);
  return result;
}

}  // namespace

void InitHash(Napi::Object exports) {
  if (SHA256 != nullptr) Export(exports, "sha256", Sha256, nullptr);
}

}  // namespace semlock
