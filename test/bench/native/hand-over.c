// The limit of a hand-over: one process posts a semaphore that another waits for, and that one posts back. Each works
// for a while before it posts, so that the other is asleep by then.
// Usage: hand-over <hand-overs> <microseconds of work>; prints {"handOverNs": [ … ]}.

#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static void work(double ns) {
  for (double end = now_ns() + ns; now_ns() < end;) {
  }
}

static sem_t *semaphore(const char *purpose) {
  char name[64];
  snprintf(name, sizeof name, "/bench-%s-%d", purpose, (int)getpid());
  sem_t *sem = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
  if (sem == SEM_FAILED) {
    perror("sem_open");
    exit(1);
  }
  sem_unlink(name);
  return sem;
}

// Written before the post that hands over, read after the wait.
struct shared {
  double posted_at;
  double latency[];
};

int main(int argc, char **argv) {
  int count = argc > 1 ? atoi(argv[1]) : 1000;
  double work_ns = (argc > 2 ? atof(argv[2]) : 100) * 1e3;
  struct shared *shared = mmap(NULL, sizeof *shared + (count + 1) * sizeof(double), PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 1;
  sem_t *turn[2] = {semaphore("first"), semaphore("second")};

  int me = fork() == 0;
  for (int i = me; i < count; i += 2) {
    if (i > 0) {
      while (sem_wait(turn[me]) != 0) {
      }
      shared->latency[i] = now_ns() - shared->posted_at;
    }
    work(work_ns);
    shared->posted_at = now_ns();
    sem_post(turn[!me]);
  }
  if (me == 1) return 0;
  wait(NULL);

  printf("{\"handOverNs\": [");
  for (int i = 1; i < count; i++) printf("%s%.0f", i > 1 ? ", " : "", shared->latency[i]);
  printf("]}\n");
  return 0;
}
