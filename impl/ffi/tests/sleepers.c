/* What a wait meets at each of its steps, one thread for both sides: compiled against a copy of the
 * header whose system calls are those below, and which says when an end has marked what it sleeps by.
 * Exit 0: all is as it should be; 1: it is not, and standard error says how.
 *
 *   sleepers NAME    NAME is a segment that does not exist, nor will when this ends
 */
#include <time.h>

static long call(long number, ...);
static int tick(clockid_t clock, struct timespec *now);
static int pass(clockid_t clock, int flags, const struct timespec *pause, struct timespec *rest);
static int yield(void);
static void marked(void);
#include "ringproof.h"

RINGPROOF_SHAPE(shape, uint64_t, RINGPROOF_VALUE(uint64_t));

static int failures;
static const char *doing = "";

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "%s: %d: %s\n", doing, __LINE__, #condition);                                \
      failures++;                                                                                  \
    }                                                                                              \
  } while (0)

/* ---- The other side, and the kernel ------------------------------------------------------- */

/* Where the other side comes in. */
enum step { NEVER, AT_MARK, AT_BARRIER, AT_SLEEP, ASLEEP };

static enum step step;
static void (*publish)(void); /* what it does there, once */
static bool reaches, refuses; /* whether who registers is reached; whether barriers are refused */
static int ends_with;         /* what every sleep ends with, if it is not 0 */
static uint64_t now_is;       /* in nanoseconds */
static const uint32_t *woken;
static unsigned sleeps, wakes, naps, yields, lost;

/* Time goes on, and not for ever. */
static void advance(uint64_t nanos) {
  static unsigned steps = 0;
  now_is += nanos;
  if (++steps > 200000) {
    fprintf(stderr, "%s: it does not end\n", doing);
    exit(1);
  }
}

static void come_in(enum step at) {
  if (at == step) {
    step = NEVER;
    publish();
  }
}

static void marked(void) { come_in(AT_MARK); }

static int tick(clockid_t clock, struct timespec *now) {
  (void)clock;
  advance(1000);
  now->tv_sec = (time_t)(now_is / 1000000000);
  now->tv_nsec = (long)(now_is % 1000000000);
  return 0;
}

static int pass(clockid_t clock, int flags, const struct timespec *pause, struct timespec *rest) {
  (void)clock;
  (void)flags;
  (void)rest;
  naps++;
  advance((uint64_t)pause->tv_nsec);
  return 0;
}

static int yield(void) {
  yields++;
  advance(1000);
  return 0;
}

static long fails(int with) {
  errno = with;
  return -1;
}

static long sleep_on(const uint32_t *word, uint32_t value, const ringproof_futex_time *limit) {
  sleeps++;
  advance(0);
  come_in(AT_SLEEP);
  if (*(volatile const uint32_t *)word != value) {
    return fails(EAGAIN);
  }
  woken = NULL;
  come_in(ASLEEP);
  if (woken == word) {
    return 0;
  }
  /* Published, and it sleeps on. */
  lost += publish != NULL && step == NEVER;
  advance((uint64_t)limit[0] * 1000000000 + (uint64_t)limit[1]);
  return fails(ends_with != 0 ? ends_with : ETIMEDOUT);
}

static long call(long number, ...) {
  va_list arguments;
  long result;
  va_start(arguments, number);
  if (number == SYS_membarrier) {
    if (va_arg(arguments, int) == RINGPROOF_REGISTER_GLOBAL_EXPEDITED) {
      result = reaches ? 0 : fails(EPERM);
    } else {
      come_in(AT_BARRIER);
      result = refuses ? fails(EPERM) : 0;
    }
  } else {
    const uint32_t *const word = va_arg(arguments, const uint32_t *);
    if (va_arg(arguments, int) == RINGPROOF_FUTEX_WAKE) {
      woken = word;
      wakes++;
      result = 0;
    } else {
      const uint32_t value = va_arg(arguments, uint32_t);
      result = sleep_on(word, value, va_arg(arguments, const ringproof_futex_time *));
    }
  }
  va_end(arguments);
  return result;
}

/* ---- Both ends of everything -------------------------------------------------------------- */

static struct ringproof_segment segment;
static struct ringproof_producer producer;
static struct ringproof_consumer consumer;
static struct ringproof_writer writer;
static struct ringproof_reader reader;
static uint64_t item;

static void push(void) { CHECK(ringproof_push(&producer, &item) == RINGPROOF_OK); }
static void pop(void) { CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_OK); }
static void end(void) { CHECK(ringproof_producer_close(&producer) == RINGPROOF_OK); }
static void stop(void) { CHECK(ringproof_consumer_close(&consumer) == RINGPROOF_OK); }
static void put(void) { CHECK(ringproof_write(&writer, &item) == RINGPROOF_OK); }

static void open_ring(const char *name) {
  struct ringproof_options options = ringproof_ring_options(3);
  options.slots = 4;
  CHECK(ringproof_create(&segment, name, &options, &shape, NULL, NULL) == RINGPROOF_OK);
  CHECK(ringproof_producer_open(&producer, &segment, NULL) == RINGPROOF_OK);
  CHECK(ringproof_consumer_open(&consumer, &segment, NULL) == RINGPROOF_OK);
  ringproof_producer_set_wait(&producer, RINGPROOF_WAIT_SLEEP_AT_ONCE);
  ringproof_consumer_set_wait(&consumer, RINGPROOF_WAIT_SLEEP_AT_ONCE);
}

static void open_value(const char *name, enum ringproof_kind kind) {
  const struct ringproof_options options =
      kind == RINGPROOF_LATCH ? ringproof_latch_options() : ringproof_seqlock_options();
  CHECK(ringproof_create(&segment, name, &options, &shape, NULL, NULL) == RINGPROOF_OK);
  CHECK(ringproof_writer_open(&writer, &segment, NULL) == RINGPROOF_OK);
  CHECK(ringproof_reader_open(&reader, &segment, NULL) == RINGPROOF_OK);
  ringproof_reader_set_wait(&reader, RINGPROOF_WAIT_SLEEP_AT_ONCE);
}

static void end_all(void) {
  ringproof_producer_drop(&producer);
  ringproof_consumer_drop(&consumer);
  ringproof_writer_drop(&writer);
  ringproof_reader_drop(&reader);
  ringproof_unlink(&segment, NULL);
  ringproof_detach(&segment);
}

/* ---- Each wait, and what ends it at each of its steps --------------------------------------- */

enum what { ITEMS, ITEMS_END, ROOM, ROOM_STOP, SEQLOCK, LATCH, WHATS };

static enum ringproof_status wait_for(enum what what) {
  enum ringproof_status status;
  uint64_t version;
  switch (what) {
  case ITEMS:
  case ITEMS_END: return ringproof_wait_items(&consumer, 1, RINGPROOF_FOREVER);
  case ROOM:
  case ROOM_STOP: return ringproof_wait_free(&producer, 1, RINGPROOF_FOREVER);
  default: break;
  }
  version = ringproof_writer_version(&writer);
  status = ringproof_wait_newer(&reader, &version, RINGPROOF_FOREVER);
  CHECK(version == ringproof_writer_version(&writer));
  return status;
}

/* The other side's end, given back and opened anew. */
static void succeed(enum what what) {
  if (what == ITEMS) {
    ringproof_producer_drop(&producer);
    CHECK(ringproof_producer_open(&producer, &segment, NULL) == RINGPROOF_OK);
  } else if (what == ROOM) {
    ringproof_consumer_drop(&consumer);
    CHECK(ringproof_consumer_open(&consumer, &segment, NULL) == RINGPROOF_OK);
    ringproof_consumer_set_wait(&consumer, RINGPROOF_WAIT_SLEEP_AT_ONCE);
  } else {
    ringproof_writer_drop(&writer);
    CHECK(ringproof_writer_open(&writer, &segment, NULL) == RINGPROOF_OK);
  }
}

/* A wait during which the other side publishes `at` that step. */
static void meet(enum what what, enum step at) {
  static void (*const publications[WHATS])(void) = {push, end, pop, stop, put, put};
  const bool closes = what == ITEMS_END || what == ROOM_STOP;
  while (what <= ITEMS_END && ringproof_pop(&consumer, &item) == RINGPROOF_OK) {
  }
  while ((what == ROOM || what == ROOM_STOP) && ringproof_push(&producer, &item) == RINGPROOF_OK) {
  }
  publish = publications[what];
  step = at;
  sleeps = wakes = lost = 0;
  CHECK(wait_for(what) == (closes ? RINGPROOF_PEER_CLOSED : RINGPROOF_OK));
  CHECK(lost == 0 && step == NEVER);
  /* Who had asked by then is answered, once. */
  CHECK(wakes == (at >= AT_BARRIER) && sleeps == (at >= AT_SLEEP));
  if (!closes) {
    /* Who asked too late to be seen costs one call, and then none: also who has asked twice, with and
     * without a barrier. */
    publish();
    CHECK(wakes == 1 || (refuses && at == AT_BARRIER && wakes == 2));
    wakes = 0;
    publish();
    CHECK(wakes == 0);
    /* It costs a successor of who wakes one, because it does not know whether the last answer was
     * followed by the call. */
    succeed(what);
    if (what == ITEMS) {
      pop();
      pop();
    } else if (what == ROOM) {
      push();
      push();
    }
    wakes = 0;
    publish();
    publish();
    CHECK(wakes == 1);
  }
  publish = NULL;
}

static void no_wake_up_is_lost(const char *name) {
  static const char *const names[WHATS] = {"items", "the end",  "room",
                                           "the stop", "a seqlock", "a latch"};
  for (int what = 0; what < WHATS; what++) {
    doing = names[what];
    for (int at = AT_MARK; at <= ASLEEP; at++) {
      if (what >= SEQLOCK) {
        open_value(name, what == LATCH ? RINGPROOF_LATCH : RINGPROOF_SEQLOCK);
      } else {
        open_ring(name);
      }
      /* The second time what the first one left is there. */
      meet((enum what)what, (enum step)at);
      if (what != ITEMS_END && what != ROOM_STOP) {
        meet((enum what)what, (enum step)at);
      }
      end_all();
    }
  }
}

/* ---- Who dies before it calls, and where nobody asks -------------------------------------------- */

static void push_as_a_successor(void) {
  /* The predecessor's last access. */
  ringproof_store_relaxed(&producer.waker.ours->answers, producer.waker.answered + 1);
  succeed(ITEMS);
  push();
}

static void a_successor_makes_the_call(const char *name) {
  doing = "a successor";
  open_ring(name);
  publish = push_as_a_successor;
  step = ASLEEP;
  lost = 0;
  CHECK(ringproof_wait_items(&consumer, 1, RINGPROOF_FOREVER) == RINGPROOF_OK && lost == 0);
  publish = NULL;
  end_all();
}

static void who_is_never_asked_never_calls(const char *name) {
  doing = "nobody asks";
  open_ring(name);
  wakes = 0;
  push();
  succeed(ITEMS);
  push();
  pop();
  stop();
  end();
  CHECK(wakes == 0);
  end_all();
  open_value(name, RINGPROOF_LATCH);
  put();
  CHECK(wakes == 0);
  end_all();
}

/* ---- Two who ask, and what nobody can have asked for ------------------------------------------ */

/* Another reader asks, is answered and asks for the next value. */
static void ask_twice(void) {
  bool refused = false;
  (void)ringproof_ask(&reader.waiter, &refused);
  put();
  (void)ringproof_ask(&reader.waiter, &refused);
}

static void who_asks_late_takes_nothing_back(const char *name) {
  doing = "a late request";
  for (int without = 0; without < 2; without++) {
    uint64_t version = 0;
    refuses = without != 0;
    open_value(name, RINGPROOF_LATCH);
    publish = ask_twice;
    step = AT_MARK;
    CHECK(ringproof_wait_newer(&reader, &version, RINGPROOF_FOREVER) == RINGPROOF_OK);
    CHECK(step == NEVER);
    wakes = 0;
    put();
    CHECK(wakes == 1);
    publish = NULL;
    end_all();
  }
  refuses = false;
}

static void no_lie_stands_in_the_way(const char *name) {
  const uint64_t lies[] = {7, UINT64_C(1) << 40, (UINT64_C(1) << 63) - 3};
  doing = "lies";
  for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
    open_ring(name);
    ringproof_store_relaxed(&producer.waker.theirs->asks, lies[i]);
    push();
    pop();
    for (int round = 0; round < 2; round++) {
      publish = push;
      step = ASLEEP;
      lost = 0;
      CHECK(ringproof_wait_items(&consumer, 1, UINT64_C(1000000000)) == RINGPROOF_OK && lost == 0);
      pop();
    }
    publish = NULL;
    end_all();
  }
}

/* ---- Where there is no barrier ------------------------------------------------------------- */

static void who_is_not_reached_makes_fences(const char *name) {
  doing = "no registration";
  reaches = false;
  open_ring(name);
  CHECK(producer.waker.quiet == RINGPROOF_NEVER && consumer.waker.quiet == RINGPROOF_NEVER);
  end_all();
  no_wake_up_is_lost(name);
  reaches = true;
}

static uint64_t fence_of(const struct ringproof_waker *waker) {
  return ringproof_load_relaxed(&waker->ours->answers) & RINGPROOF_FENCE_BIT;
}

static void who_is_refused_a_barrier_naps_until_the_other_makes_fences(const char *name) {
  uint64_t before;
  doing = "no barrier";
  refuses = true;
  open_ring(name);
  before = now_is;
  sleeps = 0;
  CHECK(ringproof_wait_items(&consumer, 1, UINT64_C(20000000)) == RINGPROOF_TIMED_OUT);
  /* A millisecond each. */
  CHECK(sleeps >= 19 && sleeps <= 21 && now_is - before < UINT64_C(21000000));
  push();
  CHECK(fence_of(&producer.waker) != 0 && producer.waker.quiet == RINGPROOF_NEVER);
  pop();
  sleeps = 0;
  CHECK(ringproof_wait_items(&consumer, 1, UINT64_C(20000000)) == RINGPROOF_TIMED_OUT);
  CHECK(sleeps == 1);
  /* A successor knows it from the word. */
  ringproof_producer_drop(&producer);
  CHECK(ringproof_producer_open(&producer, &segment, NULL) == RINGPROOF_OK);
  CHECK(producer.waker.quiet == RINGPROOF_NEVER);
  push();
  CHECK(fence_of(&producer.waker) != 0);
  end_all();
  no_wake_up_is_lost(name);
  refuses = false;
}

/* ---- How long, and why not ------------------------------------------------------------------ */

static void a_wait_lasts_as_long_as_it_may(const char *name) {
  const uint64_t limits[] = {1, 30000, UINT64_C(5000000), UINT64_C(3000000000)};
  const struct timespec over = {0, 5}, never = {(time_t)(INT32_MAX / 2), 0};
  doing = "limits";
  open_ring(name);
  CHECK(ringproof_until(&over) == 0 && ringproof_until(&never) > UINT64_C(3000000000));
  for (int how = RINGPROOF_WAIT_SLEEP; how <= RINGPROOF_WAIT_SPIN; how++) {
    ringproof_consumer_set_wait(&consumer, (enum ringproof_wait)how);
    CHECK(ringproof_wait_items(&consumer, 0, 0) == RINGPROOF_OK);
    CHECK(ringproof_wait_items(&consumer, 4, RINGPROOF_FOREVER) == RINGPROOF_SIZE);
    sleeps = 0;
    CHECK(ringproof_wait_items(&consumer, 1, 0) == RINGPROOF_TIMED_OUT && sleeps == 0);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
      const bool is_long = i == 3;
      const uint64_t before = now_is;
      if (is_long && how >= RINGPROOF_WAIT_YIELD) {
        continue; /* too many looks */
      }
      sleeps = yields = 0;
      CHECK(ringproof_wait_items(&consumer, 1, limits[i]) == RINGPROOF_TIMED_OUT);
      CHECK(now_is - before >= limits[i] && now_is - before < limits[i] + 100000);
      /* At rest it wakes up less than 20 times a second. */
      CHECK(sleeps <= 1 + limits[i] / 50000000);
      CHECK(sleeps == 0 || how <= RINGPROOF_WAIT_SLEEP_AT_ONCE);
      /* It spins at first. */
      CHECK(sleeps > 0 || how >= RINGPROOF_WAIT_YIELD || (how == RINGPROOF_WAIT_SLEEP && i == 0));
      CHECK((yields > 0) == (how == RINGPROOF_WAIT_YIELD && i > 0));
    }
  }
  end_all();
}

static void a_signal_ends_a_wait_unless_there_is_something(const char *name) {
  doing = "signals";
  ends_with = EINTR;
  open_ring(name);
  CHECK(ringproof_wait_items(&consumer, 1, RINGPROOF_FOREVER) == RINGPROOF_INTERRUPTED);
  /* It came before who published could wake it. */
  publish = push;
  step = ASLEEP;
  CHECK(ringproof_wait_items(&consumer, 1, RINGPROOF_FOREVER) == RINGPROOF_OK);
  publish = NULL;
  end_all();
  ends_with = 0;
}

static void who_may_not_sleep_naps(const char *name) {
  doing = "no futex";
  ends_with = ENOSYS;
  open_ring(name);
  naps = 0;
  CHECK(ringproof_wait_items(&consumer, 1, UINT64_C(300000000)) == RINGPROOF_TIMED_OUT);
  CHECK(naps > 0);
  end_all();
  ends_with = 0;
}

static void push_and_go(void) {
  push();
  ringproof_producer_drop(&producer);
}

static void a_peer_that_is_gone_is_noticed(const char *name) {
  const struct ringproof_options options = ringproof_ring_options(3);
  uint64_t before, version = 0;
  doing = "peers";
  /* One that was never there is waited for, and one that is there, too. */
  CHECK(ringproof_create(&segment, name, &options, &shape, NULL, NULL) == RINGPROOF_OK);
  CHECK(ringproof_consumer_open(&consumer, &segment, NULL) == RINGPROOF_OK);
  CHECK(ringproof_wait_items(&consumer, 1, UINT64_C(500000000)) == RINGPROOF_TIMED_OUT);
  CHECK(ringproof_producer_open(&producer, &segment, NULL) == RINGPROOF_OK);
  CHECK(ringproof_wait_items(&consumer, 1, UINT64_C(500000000)) == RINGPROOF_TIMED_OUT);
  ringproof_producer_drop(&producer);
  before = now_is;
  CHECK(ringproof_wait_items(&consumer, 1, RINGPROOF_FOREVER) == RINGPROOF_PEER_GONE);
  CHECK(now_is - before < UINT64_C(100000000));
  /* What it left comes first. */
  CHECK(ringproof_producer_open(&producer, &segment, NULL) == RINGPROOF_OK);
  publish = push_and_go;
  step = ASLEEP;
  CHECK(ringproof_wait_items(&consumer, 1, RINGPROOF_FOREVER) == RINGPROOF_OK);
  publish = NULL;
  end_all();
  open_ring(name);
  while (ringproof_push(&producer, &item) == RINGPROOF_OK) {
  }
  ringproof_consumer_drop(&consumer);
  CHECK(ringproof_wait_free(&producer, 1, RINGPROOF_FOREVER) == RINGPROOF_PEER_GONE);
  end_all();
  for (int kind = RINGPROOF_SEQLOCK; kind <= RINGPROOF_LATCH; kind++) {
    open_value(name, (enum ringproof_kind)kind);
    CHECK(ringproof_wait_newer(&reader, &version, UINT64_C(500000000)) == RINGPROOF_TIMED_OUT);
    ringproof_writer_drop(&writer);
    CHECK(ringproof_wait_newer(&reader, &version, RINGPROOF_FOREVER) == RINGPROOF_PEER_GONE);
    CHECK(version == 0);
    end_all();
  }
}

static void stop_and_take_no_more(void) {
  pop();
  stop();
}

static void drop_consumer(void) { ringproof_consumer_drop(&consumer); }

/* A producer waits until its items were taken, also those before its end. */
static void what_was_pushed_is_waited_for(const char *name) {
  doing = "drained";
  open_ring(name);
  CHECK(ringproof_wait_drained(&producer, 0) == RINGPROOF_OK);
  push();
  push();
  CHECK(ringproof_wait_drained(&producer, UINT64_C(5000000)) == RINGPROOF_TIMED_OUT);
  pop();
  publish = pop;
  step = ASLEEP;
  lost = 0;
  CHECK(ringproof_wait_drained(&producer, RINGPROOF_FOREVER) == RINGPROOF_OK && lost == 0);
  push();
  end();
  CHECK(ringproof_wait_drained(&producer, 0) == RINGPROOF_TIMED_OUT);
  publish = stop_and_take_no_more;
  step = ASLEEP;
  CHECK(ringproof_wait_drained(&producer, RINGPROOF_FOREVER) == RINGPROOF_OK);
  end_all();
  open_ring(name);
  push();
  push();
  publish = stop_and_take_no_more;
  step = ASLEEP;
  CHECK(ringproof_wait_drained(&producer, RINGPROOF_FOREVER) == RINGPROOF_PEER_CLOSED);
  end_all();
  open_ring(name);
  push();
  publish = drop_consumer;
  step = ASLEEP;
  CHECK(ringproof_wait_drained(&producer, RINGPROOF_FOREVER) == RINGPROOF_PEER_GONE);
  publish = NULL;
  /* What cannot be is said. */
  ringproof_store_release(producer.read_word, 5);
  CHECK(ringproof_wait_drained(&producer, RINGPROOF_FOREVER) == RINGPROOF_CORRUPT);
  end_all();
}

/* The stay grows by backlogs and shrinks without, between its bounds. */
static void it_stays_away_as_it_learns(const char *name) {
  doing = "stays";
  open_ring(name);
  for (int i = 0; i < 20; i++) {
    push();
    push();
    push();
    CHECK(ringproof_wait_items(&consumer, 1, 0) == RINGPROOF_OK);
    pop();
    pop();
    pop();
  }
  CHECK(consumer.waiter.stay == RINGPROOF_MOST_STAY);
  for (int i = 0; i < 20; i++) {
    push();
    CHECK(ringproof_wait_items(&consumer, 1, 0) == RINGPROOF_OK);
    pop();
  }
  CHECK(consumer.waiter.stay == RINGPROOF_LEAST_STAY);
  end_all();
}

int main(int count, char **arguments) {
  if (count != 2) {
    return 2;
  }
  reaches = true;
  no_wake_up_is_lost(arguments[1]);
  a_successor_makes_the_call(arguments[1]);
  who_is_never_asked_never_calls(arguments[1]);
  who_asks_late_takes_nothing_back(arguments[1]);
  no_lie_stands_in_the_way(arguments[1]);
  who_is_not_reached_makes_fences(arguments[1]);
  who_is_refused_a_barrier_naps_until_the_other_makes_fences(arguments[1]);
  a_wait_lasts_as_long_as_it_may(arguments[1]);
  a_signal_ends_a_wait_unless_there_is_something(arguments[1]);
  who_may_not_sleep_naps(arguments[1]);
  a_peer_that_is_gone_is_noticed(arguments[1]);
  what_was_pushed_is_waited_for(arguments[1]);
  it_stays_away_as_it_learns(arguments[1]);
  return failures == 0 ? 0 : 1;
}
