// The little that these tests need of a framework. Each TEST runs in a process of its own, started by fork and exec,
// and in a namespace of its own, so that its exit handlers run and its crash stops no other test. A PROGRAM is the
// other end of a test across processes: it talks with its test through lines of text.

#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace testing {

using Body = void (*)();
using Program = int (*)(const std::vector<std::string>& arguments);

struct RegisterTest {
  RegisterTest(const char* sentence, Body body);
};
struct RegisterProgram {
  RegisterProgram(const char* name, Program body);
};

// Ends the process when `holds` is false.
void Check(bool holds, const char* what, const char* file, int line);

// The namespace of the running test, which the programs that it starts share.
std::string NamespaceId();
// The files of that namespace in /dev/shm, and of those whose name begins with its: tables, builders' files,
// semaphores.
std::vector<std::string> FilesLeft();
void RemoveFilesLeft();

// Waits for `done`, some seconds at most: false when they passed.
bool Eventually(const std::function<bool()>& done);

// A PROGRAM that runs in a process of its own. Killed and waited for by the destructor at the latest.
class Process {
 public:
  Process(const std::string& program, const std::vector<std::string>& arguments = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // The next line that the program said; empty when it ended instead.
  std::string Read();
  void Write(const std::string& line);
  void Signal(int number);
  // Waits for its end: its exit code, or the negated number of the signal that ended it.
  int Wait();
  void Kill();
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
};

// For programs: says a line to the test, waits for one.
void Say(const std::string& line);
std::string Hear();

int Main(int count, char** arguments);

}  // namespace testing

#define TESTING_JOIN_(a, b) a##b
#define TESTING_JOIN(a, b) TESTING_JOIN_(a, b)

#define TEST(sentence)                                                                                     \
  static void TESTING_JOIN(test_, __LINE__)();                                                             \
  static testing::RegisterTest TESTING_JOIN(register_, __LINE__)(sentence, TESTING_JOIN(test_, __LINE__)); \
  static void TESTING_JOIN(test_, __LINE__)()

#define PROGRAM(name)                                                             \
  static int program_##name(const std::vector<std::string>& arguments);           \
  static testing::RegisterProgram register_program_##name(#name, program_##name); \
  static int program_##name([[maybe_unused]] const std::vector<std::string>& arguments)

#define CHECK(holds) testing::Check(static_cast<bool>(holds), #holds, __FILE__, __LINE__)
