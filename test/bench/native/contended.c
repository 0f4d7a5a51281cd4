// The limits of contention: processes that do nothing but sem_wait and sem_post. With one named semaphore, who posts
// may take it again before the others wake up. With one for each process, they pass the turn on in a ring.
// Usage: contended <processes> <milliseconds> [in-turn]; prints {"acquired": [ … ], "p99Ns": …, "maxNs": …}.

#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static sem_t *semaphore(int number, unsigned value) {
  char name[64];
  snprintf(name, sizeof name, "/bench-contended-%d-%d", (int)getpid(), number);
  sem_t *sem = sem_open(name, O_CREAT | O_EXCL, 0600, value);
  if (sem == SEM_FAILED) {
    perror("sem_open");
    exit(1);
  }
  sem_unlink(name);
  return sem;
}

static void contend(sem_t *turn, sem_t *next, double start, double end, struct count *mine) {
  while (now_ns() < start) usleep(100);
  for (;;) {
    double asked = now_ns();
    if (asked >= end) break;
    while (sem_wait(turn) != 0) {
    }
    double waited = now_ns() - asked;
    sem_post(next);
    mine->acquired++;
    if (waited > mine->longest) mine->longest = waited;
    int bucket = 0;
    for (double limit = 2; limit <= waited && bucket < 63; limit *= 2) bucket++;
    mine->waits[bucket]++;
  }
  sem_post(next);  // who asked before the end still waits
}

int main(int argc, char **argv) {
  int processes = argc > 1 ? atoi(argv[1]) : 2;
  double duration_ns = (argc > 2 ? atof(argv[2]) : 300) * 1e6;
  if (processes < 1 || processes > MAX_PROCESSES) return 2;
  int semaphores = argc > 3 && strcmp(argv[3], "in-turn") == 0 ? processes : 1;
  sem_t *sems[MAX_PROCESSES];
  for (int i = 0; i < semaphores; i++) sems[i] = semaphore(i, i == 0);
  struct count *counts =
      mmap(NULL, processes * sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (counts == MAP_FAILED) return 1;

  double start = now_ns() + 2e7;
  for (int i = 0; i < processes; i++) {
    if (fork() == 0) {
      contend(sems[i % semaphores], sems[(i + 1) % semaphores], start, start + duration_ns, &counts[i]);
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
