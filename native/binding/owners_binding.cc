// Users and groups for JavaScript: which are meant by a name, and when this process has become another user.

#include <errno.h>
#include <grp.h>
#include <pwd.h>

#include <vector>

#include "lock_binding.h"

namespace semlock {
namespace {

constexpr int kUser = 1;
constexpr int kGroup = 2;

// The id in the entry that getpwnam_r() or its like finds; -1 where there is none.
template <typename Entry, typename Find, typename Id>
int64_t Lookup(const std::string& name, Find find, Id id) {
  std::vector<char> room(1024);
  Entry entry;
  Entry* found = nullptr;
  // A group of many members needs more.
  while (find(name.c_str(), &entry, room.data(), room.size(), &found) == ERANGE && room.size() < (1u << 24)) {
    room.resize(room.size() * 4);
  }
  return found == nullptr ? -1 : int64_t{id(*found)};
}

// ownersId(kind, name): the id of that user or group, or -1
napi_value OwnersId(napi_env env, napi_callback_info info) {
  Args<2> args(env, info);
  const std::string name = args.Text(1);
  const int64_t id = args.Int(0) == kGroup
                         ? Lookup<group>(name, getgrnam_r, [](const group& entry) { return entry.gr_gid; })
                         : Lookup<passwd>(name, getpwnam_r, [](const passwd& entry) { return entry.pw_uid; });
  napi_value result = nullptr;
  napi_create_int64(env, id, &result);
  return result;
}

// ownersNoteChange(): whenever this process may have become another user
napi_value OwnersNoteChange(napi_env, napi_callback_info) {
  NoteChangeOfUser();
  return nullptr;
}

}  // namespace

Owners OwnersOf(int32_t kind, int64_t id) {
  if (kind == kUser) return {Owners::kUser, static_cast<uint32_t>(id)};
  if (kind == kGroup) return {Owners::kGroup, static_cast<uint32_t>(id)};
  return Owners::OfThisProcess();
}

void InitOwners(Napi::Object exports) {
  Export(exports, "ownersId", OwnersId, nullptr);
  Export(exports, "ownersNoteChange", OwnersNoteChange, nullptr);
}

}  // namespace semlock
