// A descriptor, and the file that it was opened for. Other code of the process may close what is not its own, and then
// the number is another file's: that must not be locked, grow, or be closed in turn.

#pragma once

#include <sys/stat.h>

namespace semlock {

class OwnFile {
 public:
  OwnFile() = default;
  ~OwnFile() { Close(); }
  OwnFile(const OwnFile&) = delete;
  OwnFile& operator=(const OwnFile&) = delete;

  // Takes a descriptor over, or what open() gave in place of one: then it is false, and errno is as it was.
  bool Adopt(int fd);
  // Negative where there is none.
  int fd() const { return fd_; }
  bool IsOpen() const { return fd_ >= 0; }
  // Whether the descriptor still is that of the file.
  bool IsIntact() const;
  // And whether the file still has a name.
  bool IsLinked() const;
  void Close();
  // Another's by now: it is left alone.
  void Abandon() { fd_ = -1; }

 private:
  bool Ask(struct stat* info) const;

  int fd_ = -1;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace semlock
