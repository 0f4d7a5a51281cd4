#include "own_file.h"

#include <unistd.h>

namespace semlock {

bool OwnFile::Adopt(int fd) {
  Close();
  struct stat info;
  if (fd < 0 || fstat(fd, &info) != 0) return false;
  fd_ = fd;
  device_ = info.st_dev;
  inode_ = info.st_ino;
  return true;
}

bool OwnFile::Ask(struct stat* info) const {
  return fd_ >= 0 && fstat(fd_, info) == 0 && info->st_dev == device_ && info->st_ino == inode_;
}

bool OwnFile::IsIntact() const {
  struct stat info;
  return Ask(&info);
}

bool OwnFile::IsLinked() const {
  struct stat info;
  return Ask(&info) && info.st_nlink > 0;
}

void OwnFile::Close() {
  if (IsIntact()) close(fd_);
  fd_ = -1;
}

}  // namespace semlock
