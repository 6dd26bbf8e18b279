/* What the tests of forks in C and C++ have in common: a child that maps what it can before it
 * touches what it inherited, and dies of nothing but what it should. */
#ifndef FORK_H
#define FORK_H

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *name;

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      char path[512];                                                                              \
      fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, #condition);                              \
      snprintf(path, sizeof path, "/dev/shm/%s", name);                                            \
      unlink(path);                                                                                \
      _exit(1);                                                                                    \
    }                                                                                              \
  } while (0)

#define FILL 0xa5

static size_t taken; /* as long as what is inherited: the very hole, if there is one */

/* ---- A handler that runs in a child before the library's ---- */

#define EARLY 8

static bool early;
static unsigned char *early_blocks[EARLY];

static void map_early(void) {
  for (size_t i = 0; early && i < EARLY; i++) {
    early_blocks[i] = (unsigned char *)mmap(NULL, taken, PROT_READ | PROT_WRITE,
                                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(early_blocks[i] != MAP_FAILED);
    memset(early_blocks[i], FILL, taken);
  }
}

/* ---- Memory of the child's own ---- */

#define BLOCKS 48

static unsigned char *blocks[BLOCKS];
static size_t lens[BLOCKS];

/* Large blocks from the heap, and mappings of the very size that may be missing. */
static inline void occupy(void) {
  for (size_t i = 0; i < BLOCKS; i++) {
    if (i % 2 == 0) {
      lens[i] = (i < 32 ? 264 : 132) * 1024 - 4096;
      blocks[i] = (unsigned char *)malloc(lens[i]);
      CHECK(blocks[i] != NULL);
    } else {
      lens[i] = i % 4 == 1 ? taken : 4096;
      blocks[i] = (unsigned char *)mmap(NULL, lens[i], PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      CHECK(blocks[i] != MAP_FAILED);
    }
    memset(blocks[i], FILL, lens[i]);
  }
}

static inline bool intact(void) {
  for (size_t i = 0; early && i < EARLY; i++) {
    for (size_t at = 0; at < taken; at++) {
      if (early_blocks[i][at] != FILL) {
        return false;
      }
    }
  }
  for (size_t i = 0; i < BLOCKS; i++) {
    for (size_t at = 0; at < lens[i]; at++) {
      if (blocks[i][at] != FILL) {
        return false;
      }
    }
  }
  return true;
}

/* ---- Faults ---- */

static sigjmp_buf back;
static volatile sig_atomic_t meant;

static void on_fault(int signal) {
  static const char unmeant[] = "a fault that is not meant\n";
  (void)signal;
  if (!meant) {
    (void)!write(2, unmeant, sizeof unmeant - 1);
    _exit(1);
  }
  siglongjmp(back, 1);
}

/* Its accesses were made when it is over. */
static inline bool came_back(void) {
  __asm__ volatile("" : : : "memory");
  meant = 0;
  return false;
}

/* Whether it dies of SIGSEGV, but for being caught. */
#define FAULTS(operation)                                                                          \
  (meant = 1, sigsetjmp(back, 1) == 0 ? ((void)(operation), came_back()) : (meant = 0, true))

/* ---- Children ---- */

static int outcome;

/* Runs what follows in a child, which must come to its end. */
#define IN_CHILD(...)                                                                              \
  do {                                                                                             \
    const pid_t child = fork();                                                                    \
    CHECK(child >= 0);                                                                             \
    if (child == 0) {                                                                              \
      prctl(PR_SET_PDEATHSIG, SIGKILL);                                                            \
      __VA_ARGS__;                                                                                 \
      _exit(0);                                                                                    \
    }                                                                                              \
    CHECK(waitpid(child, &outcome, 0) == child);                                                   \
    CHECK(outcome == 0);                                                                           \
  } while (0)

/* Before anything is attached. */
static inline void begin(const char *segment) {
  struct sigaction action;
  name = segment;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_fault;
  CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
  CHECK(pthread_atfork(NULL, NULL, map_early) == 0);
}

#endif
