// The limit of an uncontended pair: sem_trywait and sem_post of a named semaphore, with nothing around them.
// Usage: pair-loop <milliseconds to measure>; prints {"pairNs": …}.

#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static double pairs(sem_t *sem, long count) {
  double start = now_ns();
  for (long i = 0; i < count; i++) {
    if (sem_trywait(sem) != 0 || sem_post(sem) != 0) abort();
  }
  return now_ns() - start;
}

int main(int argc, char **argv) {
  double measure_ns = argc > 1 ? atof(argv[1]) * 1e6 : 1e8;
  char name[64];
  snprintf(name, sizeof name, "/bench-pair-%d", (int)getpid());
  sem_t *sem = sem_open(name, O_CREAT | O_EXCL, 0600, 1);
  if (sem == SEM_FAILED) {
    perror("sem_open");
    return 1;
  }
  sem_unlink(name);

  long count = 1000;
  double elapsed = pairs(sem, count);
  while (elapsed < measure_ns / 2) elapsed = pairs(sem, count *= 2);  // the warm-up
  count = (long)(count * measure_ns / elapsed) + 1;
  printf("{\"pairNs\": %.3f}\n", pairs(sem, count) / count);
  return 0;
}
