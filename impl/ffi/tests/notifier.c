/* A notifier in a program of its own: when its descriptor is readable, what it says, and what it takes and gives
 * back. Compiled against a copy of the header whose system calls and threads go through the functions below, and
 * in which the program says how long an end sleeps at most: for hours, so that who is not woken shows.
 * Exit 0: all is as it should be; 1: it is not, and standard error says how.
 *
 *   notifier NAME    NAME is a segment that does not exist, nor will when this ends
 */
#include <pthread.h>
#include <stdint.h>

static long call(long number, ...);
static int create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                  void *argument);
static uint64_t interval;
#include "ringproof.h"
#include <poll.h>
#include <sys/wait.h>

RINGPROOF_SHAPE(shape, uint64_t, RINGPROOF_VALUE(uint64_t));

#define HOURS UINT64_C(36000000000000)
#define MOMENT UINT64_C(20000000)

static unsigned hangs = 30; /* seconds, after which something does */
static int failures;
static const char *doing = "";

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "%s: %d: %s\n", doing, __LINE__, #condition);                                \
      failures++;                                                                                  \
    }                                                                                              \
  } while (0)

/* What cannot go on. */
static void give_up(const char *why) {
  fprintf(stderr, "%s: %s\n", doing, why);
  exit(1);
}

/* ---- What the thread does, seen from outside ---------------------------------------------------- */

/* Where it waits until the program lets it go on. */
enum step { NOWHERE, BEFORE_SLEEP, AFTER_SLEEP };

static ringproof_word held_at, is_held, sleeps, wakes;

static void hold(enum step at) {
  if (ringproof_load_acquire(&held_at) == (uint64_t)at) {
    ringproof_store_release(&is_held, 1);
    while (ringproof_load_acquire(&held_at) == (uint64_t)at) {
      sched_yield();
    }
    ringproof_store_release(&is_held, 0);
  }
}

static long call(long number, ...) {
  va_list arguments;
  long result;
  va_start(arguments, number);
  if (number == SYS_membarrier) {
    result = syscall(number, va_arg(arguments, int), 0, 0);
  } else {
    uint32_t *const word = va_arg(arguments, uint32_t *);
    if (va_arg(arguments, int) == RINGPROOF_FUTEX_WAKE) {
      result = syscall(number, word, RINGPROOF_FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
      /* Only this thread wakes. */
      ringproof_store_release(&wakes, ringproof_load_relaxed(&wakes) + 1);
      if (ringproof_load_acquire(&held_at) == BEFORE_SLEEP) {
        ringproof_store_release(&held_at, NOWHERE);
      }
    } else {
      const uint32_t value = va_arg(arguments, uint32_t);
      const ringproof_futex_time *const limit = va_arg(arguments, const ringproof_futex_time *);
      int os_error;
      hold(BEFORE_SLEEP);
      /* Only that thread sleeps. */
      ringproof_store_release(&sleeps, ringproof_load_relaxed(&sleeps) + 1);
      result = syscall(number, word, RINGPROOF_FUTEX_WAIT, value, limit, NULL, 0);
      os_error = errno;
      hold(AFTER_SLEEP);
      errno = os_error;
    }
  }
  va_end(arguments);
  return result;
}

static int refusal; /* of a thread */
static sigset_t begins_with;

static int create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                  void *argument) {
  (void)pthread_sigmask(SIG_BLOCK, NULL, &begins_with);
  return refusal != 0 ? refusal : pthread_create(thread, attributes, run, argument);
}

/* ---- Both ends of everything -------------------------------------------------------------------- */

static const char *name;
static struct ringproof_segment segment;
static struct ringproof_producer producer;
static struct ringproof_consumer consumer;
static struct ringproof_writer writer;
static struct ringproof_reader reader;
static struct ringproof_notifier notifier;
static struct ringproof_error error;
static uint64_t item, version;

enum what { ITEMS, ROOM, SEQLOCK, LATCH, WHATS };

static enum ringproof_status open_notifier(enum what what) {
  switch (what) {
  case ITEMS: return ringproof_consumer_notifier_open(&notifier, &consumer, &error);
  case ROOM: return ringproof_producer_notifier_open(&notifier, &producer, &error);
  default: return ringproof_reader_notifier_open(&notifier, &reader, &error);
  }
}

static unsigned users(void) { return segment.shared->users; }

static void open_ends(enum what what) {
  static const char *const names[WHATS] = {"items", "room", "a seqlock", "a latch"};
  struct ringproof_options options = ringproof_ring_options(2);
  doing = names[what];
  alarm(hangs);
  interval = HOURS;
  version = 0;
  if (what >= SEQLOCK) {
    options = what == LATCH ? ringproof_latch_options() : ringproof_seqlock_options();
  }
  CHECK(ringproof_create(&segment, name, &options, &shape, NULL, NULL) == RINGPROOF_OK);
  if (what >= SEQLOCK) {
    CHECK(ringproof_writer_open(&writer, &segment, NULL) == RINGPROOF_OK);
    CHECK(ringproof_reader_open(&reader, &segment, NULL) == RINGPROOF_OK);
    ringproof_reader_set_wait(&reader, RINGPROOF_WAIT_SPIN);
  } else {
    CHECK(ringproof_producer_open(&producer, &segment, NULL) == RINGPROOF_OK);
    CHECK(ringproof_consumer_open(&consumer, &segment, NULL) == RINGPROOF_OK);
    /* The thread sleeps, whatever the end does. */
    ringproof_producer_set_wait(&producer, RINGPROOF_WAIT_SPIN);
    ringproof_consumer_set_wait(&consumer, RINGPROOF_WAIT_SPIN);
  }
}

static void open_all(enum what what) {
  open_ends(what);
  if (open_notifier(what) != RINGPROOF_OK) {
    give_up(error.message);
  }
}

static void close_ends(void) {
  ringproof_producer_drop(&producer);
  ringproof_consumer_drop(&consumer);
  ringproof_writer_drop(&writer);
  ringproof_reader_drop(&reader);
  ringproof_unlink(&segment, NULL);
  ringproof_detach(&segment);
}

static void close_all(void) {
  ringproof_notifier_close(&notifier);
  close_ends();
}

/* An operation of the end, until it is refused for now. */
static void until_refused(enum what what) {
  enum ringproof_status status = RINGPROOF_OK;
  switch (what) {
  case ITEMS:
    while (status == RINGPROOF_OK) {
      status = ringproof_pop(&consumer, &item);
    }
    CHECK(status == RINGPROOF_EMPTY);
    break;
  case ROOM:
    while (status == RINGPROOF_OK) {
      status = ringproof_push(&producer, &item);
    }
    CHECK(status == RINGPROOF_FULL);
    break;
  default: version = ringproof_reader_version(&reader);
  }
}

static enum ringproof_status arm(enum what what) {
  switch (what) {
  case ITEMS: return ringproof_consumer_arm(&notifier, &consumer);
  case ROOM: return ringproof_producer_arm(&notifier, &producer);
  default: return ringproof_reader_arm(&notifier, &reader, version);
  }
}

/* What the other side does, so that the end may go on. */
static void go(enum what what) {
  switch (what) {
  case ITEMS: CHECK(ringproof_push(&producer, &item) == RINGPROOF_OK); break;
  case ROOM: CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_OK); break;
  default: CHECK(ringproof_write(&writer, &item) == RINGPROOF_OK);
  }
}

/* Whether the end can go on. */
static bool works(enum what what) {
  switch (what) {
  case ITEMS: return ringproof_pop(&consumer, &item) == RINGPROOF_OK;
  case ROOM: return ringproof_push(&producer, &item) == RINGPROOF_OK;
  default: return ringproof_reader_version(&reader) != version;
  }
}

/* The other side is gone. */
static void leave(enum what what) {
  switch (what) {
  case ITEMS: ringproof_producer_drop(&producer); break;
  case ROOM: ringproof_consumer_drop(&consumer); break;
  default: ringproof_writer_drop(&writer);
  }
}

static void succeed(enum what what) {
  switch (what) {
  case ITEMS: CHECK(ringproof_producer_open(&producer, &segment, NULL) == RINGPROOF_OK); break;
  case ROOM: CHECK(ringproof_consumer_open(&consumer, &segment, NULL) == RINGPROOF_OK); break;
  default: CHECK(ringproof_writer_open(&writer, &segment, NULL) == RINGPROOF_OK);
  }
}

/* ---- The descriptor ------------------------------------------------------------------------------ */

static bool polled(int timeout) {
  struct pollfd polled = {ringproof_notifier_descriptor(&notifier), POLLIN, 0};
  return poll(&polled, 1, timeout) == 1 && (polled.revents & POLLIN) != 0;
}

static bool is_readable(void) { return polled(0); }

static void becomes_readable(void) {
  if (!polled((int)hangs * 1000)) {
    give_up("it never became readable");
  }
}

/* Waits until the thread has begun to sleep since then, or is held; it finds nothing before. */
static void is_asleep(uint64_t since) {
  while (ringproof_load_acquire(&sleeps) == since && ringproof_load_acquire(&is_held) == 0) {
    if (is_readable()) {
      give_up("it does not wait");
    }
    sched_yield();
  }
  CHECK(!is_readable());
}

/* Refused, armed, and asleep by now. */
static void wait_asleep(enum what what) {
  const uint64_t before = ringproof_load_acquire(&sleeps);
  until_refused(what);
  CHECK(arm(what) == RINGPROOF_OK);
  is_asleep(before);
}

static void it_is_readable_until_the_end_is_refused(enum what what) {
  open_all(what);
  for (int i = 0; i < 3; i++) {
    CHECK(is_readable());
  }
  for (int round = 0; round < 10; round++) {
    const uint64_t before = ringproof_load_acquire(&sleeps);
    /* An attempt that nobody asked for changes nothing. */
    for (int i = 0; i < 3; i++) {
      until_refused(what);
      CHECK(arm(what) == RINGPROOF_OK);
      CHECK(!is_readable());
    }
    if (round % 2 == 0) {
      is_asleep(before);
    }
    go(what);
    becomes_readable();
    if (round % 3 == 0) {
      /* Armed once more before it is looked at. */
      CHECK(arm(what) == RINGPROOF_OK);
      becomes_readable();
    }
    CHECK(works(what));
    CHECK(is_readable());
  }
  close_all();
}

static void a_close_ends_a_wait(void) {
  open_all(ITEMS);
  wait_asleep(ITEMS);
  CHECK(ringproof_producer_close(&producer) == RINGPROOF_OK);
  becomes_readable();
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_PEER_CLOSED);
  close_all();
  open_all(ROOM);
  wait_asleep(ROOM);
  CHECK(ringproof_consumer_close(&consumer) == RINGPROOF_OK);
  becomes_readable();
  CHECK(ringproof_push(&producer, &item) == RINGPROOF_PEER_CLOSED);
  close_all();
}

static void a_peer_that_is_gone_ends_a_wait(enum what what) {
  open_ends(what);
  interval = MOMENT;
  CHECK(open_notifier(what) == RINGPROOF_OK);
  wait_asleep(what);
  go(what);
  leave(what);
  becomes_readable();
  /* What it left comes first. */
  CHECK(works(what));
  /* Once for each wait, so that one for a successor can follow. */
  for (int i = 0; i < 2; i++) {
    until_refused(what);
    CHECK(arm(what) == RINGPROOF_OK);
    becomes_readable();
    until_refused(what);
    CHECK(arm(what) == RINGPROOF_PEER_GONE);
    CHECK(is_readable());
  }
  CHECK(arm(what) == RINGPROOF_OK);
  becomes_readable();
  /* It is forgotten when a successor has stored something. */
  succeed(what);
  go(what);
  CHECK(works(what));
  until_refused(what);
  CHECK(arm(what) == RINGPROOF_OK);
  CHECK(!is_readable());
  go(what);
  becomes_readable();
  CHECK(works(what));
  close_all();
}

/* The thread has slept for one wait, and a later one has begun before it says so. */
static void what_ends_a_wait_is_nothing_to_a_later_one(void) {
  uint64_t before;
  open_all(ITEMS);
  wait_asleep(ITEMS);
  ringproof_store_release(&held_at, AFTER_SLEEP);
  go(ITEMS);
  while (ringproof_load_acquire(&is_held) == 0) {
    sched_yield();
  }
  CHECK(works(ITEMS));
  until_refused(ITEMS);
  CHECK(arm(ITEMS) == RINGPROOF_OK);
  before = ringproof_load_acquire(&sleeps);
  ringproof_store_release(&held_at, NOWHERE);
  while (ringproof_load_acquire(&is_held) != 0) {
    sched_yield();
  }
  is_asleep(before);
  go(ITEMS);
  becomes_readable();
  close_all();
}

/* ---- Signals -------------------------------------------------------------------------------------- */

static void on_trap(int signal) { (void)signal; }

static void it_leaves_signals_to_others(void) {
  const int raised[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
  struct sigaction action, before;
  uint64_t slept;
  sigset_t mask;
  open_all(ITEMS);
  CHECK(sigismember(&begins_with, SIGTERM) == 1 && sigismember(&begins_with, SIGUSR1) == 1);
  for (size_t i = 0; i < sizeof raised / sizeof raised[0]; i++) {
    CHECK(sigismember(&begins_with, raised[i]) == 0);
  }
  CHECK(pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0 && sigismember(&mask, SIGTERM) == 0);
  /* One that is handled there is no end of a wait. */
  memset(&action, 0, sizeof action);
  action.sa_handler = on_trap;
  CHECK(sigaction(SIGTRAP, &action, &before) == 0);
  wait_asleep(ITEMS);
  slept = ringproof_load_acquire(&sleeps);
  while (ringproof_load_acquire(&sleeps) == slept) {
    /* It may not have slept yet. */
    const struct timespec pause = {0, 1000000};
    CHECK(pthread_kill(notifier.thread, SIGTRAP) == 0);
    nanosleep(&pause, NULL);
    if (is_readable()) {
      give_up("a signal ended it");
    }
  }
  CHECK(sigaction(SIGTRAP, &before, NULL) == 0);
  go(ITEMS);
  becomes_readable();
  close_all();
}

/* ---- What it takes, and gives back ---------------------------------------------------------------- */

/* The descriptor that the next one would be. */
static int next_descriptor(void) {
  const int next = dup(0);
  close(next);
  return next;
}

static void is_closed(int descriptor, unsigned users_before) {
  CHECK(fcntl(descriptor, F_GETFD) == -1 && users() == users_before);
  CHECK(ringproof_notifier_descriptor(&notifier) == -1);
  /* Once more. */
  ringproof_notifier_close(&notifier);
}

static void it_ends_whatever_it_waits_for(enum what what) {
  static const char *const whens[] = {"idle", "asleep", "about to sleep", "fired"};
  for (int when = 0; when < 4; when++) {
    int descriptor;
    unsigned before;
    open_ends(what);
    doing = whens[when];
    before = users();
    CHECK(open_notifier(what) == RINGPROOF_OK && users() == before + 1);
    descriptor = ringproof_notifier_descriptor(&notifier);
    CHECK(fcntl(descriptor, F_GETFD) == FD_CLOEXEC);
    CHECK((fcntl(descriptor, F_GETFL) & O_NONBLOCK) != 0);
    if (when == 2) {
      ringproof_store_release(&held_at, BEFORE_SLEEP);
    }
    if (when > 0) {
      wait_asleep(what);
    }
    if (when == 3) {
      go(what);
      becomes_readable();
    }
    ringproof_notifier_close(&notifier);
    is_closed(descriptor, before);
    close_ends();
  }
}

static void the_end_may_go_before_it(void) {
  unsigned before;
  int descriptor;
  open_ends(ITEMS);
  doing = "the end first";
  before = users();
  CHECK(open_notifier(ITEMS) == RINGPROOF_OK);
  descriptor = ringproof_notifier_descriptor(&notifier);
  wait_asleep(ITEMS);
  ringproof_consumer_drop(&consumer);
  CHECK(arm(ITEMS) == RINGPROOF_NOT_OPEN);
  ringproof_notifier_close(&notifier);
  is_closed(descriptor, before - 1);
  close_ends();
}

static void it_belongs_to_one_end(void) {
  const struct ringproof_notifier none = {0};
  struct ringproof_notifier unopened = none;
  const struct ringproof_producer no_producer = {0};
  const struct ringproof_consumer no_consumer = {0};
  const struct ringproof_reader no_reader = {0};
  open_all(ITEMS);
  doing = "another end";
  CHECK(ringproof_producer_arm(&notifier, &producer) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_consumer_arm(&unopened, &consumer) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_consumer_arm(&unopened, &no_consumer) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_producer_arm(&unopened, &no_producer) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_reader_arm(&unopened, &no_reader, 0) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_notifier_descriptor(&unopened) == -1);
  ringproof_notifier_close(&unopened);
  error.message[0] = '\0';
  CHECK(ringproof_producer_notifier_open(&unopened, &no_producer, &error) == RINGPROOF_NOT_OPEN);
  CHECK(strstr(error.message, "not open") != NULL);
  CHECK(ringproof_consumer_notifier_open(&unopened, &no_consumer, NULL) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_reader_notifier_open(&unopened, &no_reader, NULL) == RINGPROOF_NOT_OPEN);
  close_all();
}

static void without_a_descriptor_or_a_thread_there_is_none(void) {
  struct rlimit limit, none;
  unsigned before;
  int next;
  open_ends(ITEMS);
  doing = "the system";
  before = users();
  next = next_descriptor();
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  none = limit;
  none.rlim_cur = 0;
  CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
  CHECK(open_notifier(ITEMS) == RINGPROOF_SYSTEM && error.os_error == EMFILE);
  CHECK(strstr(error.message, "make a descriptor to wait with") != NULL);
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK(ringproof_notifier_descriptor(&notifier) == -1);
  refusal = EAGAIN;
  CHECK(open_notifier(ITEMS) == RINGPROOF_SYSTEM && error.os_error == EAGAIN);
  CHECK(strstr(error.message, "start a thread to wait in") != NULL);
  CHECK(ringproof_consumer_notifier_open(&notifier, &consumer, NULL) == RINGPROOF_SYSTEM);
  refusal = 0;
  CHECK(users() == before && next_descriptor() == next);
  CHECK(ringproof_notifier_descriptor(&notifier) == -1);
  close_all();
}

static void a_forked_child_only_forgets_it(void) {
  int status = -1;
  pid_t child;
  open_all(ITEMS);
  doing = "a fork";
  wait_asleep(ITEMS);
  child = fork();
  if (child == 0) {
    const int descriptor = ringproof_notifier_descriptor(&notifier);
    struct ringproof_notifier another;
    alarm(hangs);
    failures = 0;
    CHECK(arm(ITEMS) == RINGPROOF_FORKED);
    CHECK(ringproof_consumer_notifier_open(&another, &consumer, &error) == RINGPROOF_FORKED);
    ringproof_notifier_close(&notifier);
    CHECK(fcntl(descriptor, F_GETFD) == -1);
    close_ends();
    _exit(failures);
  }
  CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
  CHECK(!is_readable());
  go(ITEMS);
  becomes_readable();
  close_all();
}

int main(int count, char **arguments) {
  const char *const factor = getenv("RINGPROOF_TIME_FACTOR");
  if (count != 2) {
    return 2;
  }
  if (factor != NULL) {
    hangs *= (unsigned)strtoul(factor, NULL, 10);
  }
  name = arguments[1];
  for (int what = 0; what < WHATS; what++) {
    it_is_readable_until_the_end_is_refused((enum what)what);
    a_peer_that_is_gone_ends_a_wait((enum what)what);
    it_ends_whatever_it_waits_for((enum what)what);
  }
  a_close_ends_a_wait();
  what_ends_a_wait_is_nothing_to_a_later_one();
  it_leaves_signals_to_others();
  the_end_may_go_before_it();
  it_belongs_to_one_end();
  without_a_descriptor_or_a_thread_there_is_none();
  a_forked_child_only_forgets_it();
  return failures == 0 ? 0 : 1;
}
