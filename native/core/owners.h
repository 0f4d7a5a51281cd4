// Whose the locks of a namespace are: one user's, or those of a group of users who trust each other. It decides where
// their files lie, what modes those have, and which files are trusted.

#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <string>

#include "sys_error.h"

namespace semlock {

struct Owners {
  enum Kind {
    kOwn,    // those of the user that this process was when it first used a lock
    kUser,   // those of a user that was named: root may act as anybody
    kGroup,  // those of a group
  };
  Kind kind;
  uint32_t id;  // of the user, or of the group

  static Owners OfThisProcess();

  // Whether this process may use them, as the user that it is now. Kinds of error: USER, GROUP.
  SysError Check() const;

  bool are_group() const { return kind == kGroup; }
  std::string FolderPath() const;
  mode_t folder_mode() const { return are_group() ? 02770 : 0700; }
  mode_t file_mode() const { return are_group() ? 0660 : 0600; }
  // Whether nobody but them has access to that file.
  bool Trust(const struct stat& info) const;
};

// Whether this process has become another user since it first used a lock, as far as somebody has called
// NoteChangeOfUser() after that. To ask the system at each try would take as long as the try.
bool HasChangedUser();
void NoteChangeOfUser();

// While it lives, the calling thread opens and makes files as the user whose locks they are, without root's rights: so
// root is not led to other files by what that user has put there, and what it makes is the user's. Not one within
// another.
class ActAs {
 public:
  explicit ActAs(const Owners& owners);
  ~ActAs();
  ActAs(const ActAs&) = delete;
  ActAs& operator=(const ActAs&) = delete;

 private:
  bool acts_ = false;
  int parent_death_signal_ = 0;
};

}  // namespace semlock
