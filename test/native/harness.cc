#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <map>

namespace testing {
namespace {

constexpr char kNamespaceVariable[] = "SEMLOCK_TEST_NAMESPACE";
constexpr unsigned kTestSeconds = 60;

struct TestCase {
  const char* sentence;
  Body body;
};

std::vector<TestCase>& Tests() {
  static std::vector<TestCase> all;
  return all;
}

std::map<std::string, Program>& Programs() {
  static std::map<std::string, Program> all;
  return all;
}

// This program anew, with `arguments`; its standard input and output where they
// are not negative.
pid_t Start(const std::vector<std::string>& arguments, int input, int output) {
  const pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid > 0) return pid;
  if (input >= 0) dup2(input, STDIN_FILENO);
  if (output >= 0) dup2(output, STDOUT_FILENO);
  std::vector<char*> argv{const_cast<char*>("/proc/self/exe")};
  for (const std::string& each : arguments) argv.push_back(const_cast<char*>(each.c_str()));
  argv.push_back(nullptr);
  execv("/proc/self/exe", argv.data());
  _exit(127);
}

int StatusOf(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) CHECK(errno == EINTR);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

std::string FolderPath() { return "/dev/shm/semlock-" + std::to_string(geteuid()) + "/"; }

// Those in `folder` whose name begins with `prefix`.
std::vector<std::string> List(const std::string& folder, const std::string& prefix) {
  std::vector<std::string> found;
  DIR* entries = opendir(folder.c_str());
  if (entries == nullptr) return found;
  while (const dirent* entry = readdir(entries)) {
    if (std::string(entry->d_name).compare(0, prefix.size(), prefix) == 0) found.push_back(folder + entry->d_name);
  }
  closedir(entries);
  return found;
}

// Letters alone, of one length, and different for each test of each run from
// the first eight on.
std::string FreshNamespace(size_t number) {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  auto seed = static_cast<uint64_t>(now.tv_nsec) * 40009 + static_cast<uint64_t>(getpid()) * 1009 + number;
  std::string id;
  for (; id.size() < 12; seed /= 26) id += static_cast<char>('a' + seed % 26);
  return id;
}

bool RunTest(size_t number) {
  setenv(kNamespaceVariable, FreshNamespace(number).c_str(), 1);
  const int status = StatusOf(Start({"--test", std::to_string(number)}, -1, -1));
  const std::vector<std::string> left = FilesLeft();
  const bool passed = status == 0 && left.empty();
  printf("%s  %s\n", passed ? "ok    " : "FAILED", Tests()[number].sentence);
  if (status != 0) printf("        ended with %d\n", status);
  for (const std::string& each : left) printf("        left behind: %s\n", each.c_str());
  fflush(stdout);
  RemoveFilesLeft();
  return passed;
}

}  // namespace

RegisterTest::RegisterTest(const char* sentence, Body body) { Tests().push_back({sentence, body}); }
RegisterProgram::RegisterProgram(const char* name, Program body) { Programs()[name] = body; }

void Check(bool holds, const char* what, const char* file, int line) {
  if (holds) return;
  fprintf(stderr, "        %s:%d: not true: %s\n", file, line, what);
  _exit(1);
}

std::string NamespaceId() { return getenv(kNamespaceVariable); }

std::vector<std::string> FilesLeft() {
  std::vector<std::string> left = List(FolderPath(), NamespaceId());
  for (const char* kept : {"sem.semlock.", "semlock."}) {  // by glibc, by musl
    for (const std::string& each : List("/dev/shm/", kept + NamespaceId().substr(0, 8))) left.push_back(each);
  }
  return left;
}

void RemoveFilesLeft() {
  for (const std::string& each : FilesLeft()) unlink(each.c_str());
  rmdir(FolderPath().c_str());
}

bool Eventually(const std::function<bool()>& done) {
  for (int tries = 0; tries < 5000; ++tries) {
    if (done()) return true;
    usleep(1000);
  }
  return false;
}

Process::Process(const std::string& program, const std::vector<std::string>& arguments) {
  int to[2];
  int from[2];
  CHECK(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
  std::vector<std::string> all{"--program", program};
  all.insert(all.end(), arguments.begin(), arguments.end());
  pid_ = Start(all, to[0], from[1]);
  close(to[0]);
  close(from[1]);
  input_ = to[1];
  output_ = from[0];
}

Process::~Process() {
  Kill();
  close(input_);
  close(output_);
}

std::string Process::Read() {
  std::string line;
  char letter;
  while (read(output_, &letter, 1) == 1 && letter != '\n') line += letter;
  return line;
}

void Process::Write(const std::string& line) {
  const std::string text = line + "\n";
  CHECK(write(input_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

void Process::Signal(int number) { kill(pid_, number); }

int Process::Wait() {
  const int status = StatusOf(pid_);
  pid_ = -1;
  return status;
}

void Process::Kill() {
  if (pid_ < 0) return;
  Signal(SIGKILL);
  Wait();
}

void Say(const std::string& line) {
  puts(line.c_str());
  fflush(stdout);
}

std::string Hear() {
  std::string line;
  for (int letter; (letter = getchar()) != '\n';) {
    if (letter == EOF) exit(0);  // the test is over
    line += static_cast<char>(letter);
  }
  return line;
}

int Main(int count, char** arguments) {
  const std::vector<std::string> given(arguments + 1, arguments + count);
  signal(SIGPIPE, SIG_IGN);
  if (given.size() >= 2 && given[0] == "--test") {
    alarm(kTestSeconds);
    Tests()[static_cast<size_t>(atoi(given[1].c_str()))].body();
    return 0;
  }
  if (given.size() >= 2 && given[0] == "--program") {
    alarm(kTestSeconds);
    return Programs().at(given[1])({given.begin() + 2, given.end()});
  }
  // Everything else is a part of the sentences to run.
  size_t passed = 0;
  size_t failed = 0;
  for (size_t number = 0; number < Tests().size(); ++number) {
    if (!given.empty() && strstr(Tests()[number].sentence, given[0].c_str()) == nullptr) continue;
    ++(RunTest(number) ? passed : failed);
  }
  printf("%zu passed, %zu failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace testing

int main(int count, char** arguments) { return testing::Main(count, arguments); }
