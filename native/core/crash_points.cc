// What a test build does at the steps of crash_points.h: the n-th time that a step is reached, the process sends itself
// a signal. Armed from the environment, so that steps before the first line of JavaScript can be reached as well:
// SEMLOCK_FAULT=<step>:<signal number>:<n>.

#include "crash_points.h"

#ifdef SEMLOCK_CRASH_POINTS

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <atomic>

namespace semlock {
namespace {

constexpr const char* kNames[] = {
#define SEMLOCK_STEP_NAME(name) #name,
    SEMLOCK_STEPS(SEMLOCK_STEP_NAME)
#undef SEMLOCK_STEP_NAME
};

std::atomic<int> armed{-1};
std::atomic<int> signal_number{SIGKILL};
std::atomic<int> passes_left{0};

[[maybe_unused]] const bool armed_from_environment = [] {
  const char* text = getenv("SEMLOCK_FAULT");
  char name[64];
  int signal = SIGKILL;
  int count = 1;
  if (text != nullptr && sscanf(text, "%63[^:]:%d:%d", name, &signal, &count) >= 1) ArmStep(name, signal, count);
  return true;
}();

}  // namespace

bool ArmStep(const char* name, int signal, int count) {
  armed.store(-1);
  for (int step = 0; step < kStepCount; ++step) {
    if (strcmp(name, kNames[step]) != 0) continue;
    signal_number.store(signal);
    passes_left.store(count);
    armed.store(step);
    return true;
  }
  return false;
}

const char* StepName(int step) { return kNames[step]; }

void ReachStep(Step step) {
  if (armed.load(std::memory_order_relaxed) != static_cast<int>(step)) return;
  if (passes_left.fetch_sub(1) != 1) return;
  kill(getpid(), signal_number.load());
  // A signal to the own process is delivered before kill() returns, but to any of its threads.
  while (signal_number.load() == SIGKILL) pause();
}

}  // namespace semlock

#endif
