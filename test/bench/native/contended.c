// The limit of contention: processes that do nothing but sem_wait and sem_post of one named semaphore. It is not fair:
// who posts may take it again before the others wake up.
// Usage: contended <processes> <milliseconds>; prints {"acquired": [ … ], "p99Ns": …, "maxNs": …}.

#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PROCESSES = 256 };

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

struct count {
  long acquired;
  double waits[64];  // how many waits took from 2^i ns
  double longest;
};

static void contend(sem_t *sem, double start, double end, struct count *mine) {
  while (now_ns() < start) usleep(100);
  for (;;) {
    double asked = now_ns();
    if (asked >= end) return;
    while (sem_wait(sem) != 0) {
    }
    double waited = now_ns() - asked;
    sem_post(sem);
    mine->acquired++;
    if (waited > mine->longest) mine->longest = waited;
    int bucket = 0;
    for (double limit = 2; limit <= waited && bucket < 63; limit *= 2) bucket++;
    mine->waits[bucket]++;
  }
}

int main(int argc, char **argv) {
  int processes = argc > 1 ? atoi(argv[1]) : 2;
  double duration_ns = (argc > 2 ? atof(argv[2]) : 300) * 1e6;
  if (processes < 1 || processes > MAX_PROCESSES) return 2;
  char name[64];
  snprintf(name, sizeof name, "/bench-contended-%d", (int)getpid());
  sem_t *sem = sem_open(name, O_CREAT | O_EXCL, 0600, 1);
  if (sem == SEM_FAILED) {
    perror("sem_open");
    return 1;
  }
  sem_unlink(name);
  struct count *counts =
      mmap(NULL, processes * sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (counts == MAP_FAILED) return 1;

  double start = now_ns() + 2e7;
  for (int i = 0; i < processes; i++) {
    if (fork() == 0) {
      contend(sem, start, start + duration_ns, &counts[i]);
      _exit(0);
    }
  }
  while (wait(NULL) > 0) {
  }

  double all = 0, seen = 0, longest = 0, p99 = 0;
  printf("{\"acquired\": [");
  for (int i = 0; i < processes; i++) {
    printf("%s%ld", i > 0 ? ", " : "", counts[i].acquired);
    all += counts[i].acquired;
    if (counts[i].longest > longest) longest = counts[i].longest;
  }
  for (int bucket = 0; bucket < 64 && seen < all * 0.99; bucket++) {
    for (int i = 0; i < processes; i++) seen += counts[i].waits[bucket];
    p99 = (double)(2ull << bucket);
  }
  printf("], \"p99Ns\": %.0f, \"maxNs\": %.0f}\n", p99 < longest ? p99 : longest, longest);
  return 0;
}
