/* One end of a ring, or of a seqlock or latch, as a process: what the tests start, kill and start
 * again.
 *
 *   peer send NAME COUNT     commits items up to position COUNT, then closes
 *   peer recv NAME COUNT     takes items to the end, which must be at COUNT
 *   peer write KIND NAME N   writes N values to a seqlock or latch
 *   peer read KIND NAME N    reads N values; none may be torn or older than the one before
 *
 * Who finds nothing waits; with RINGPROOF_PEER_SLEEPS in the environment it sleeps at once, and with
 * RINGPROOF_PEER_POLLS it polls a descriptor.
 *
 * Exit 0: as it should be; 1: it is not, and standard error says how; 2: the arguments are wrong.
 */
#include "ringproof.h"
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>

struct item {
  uint64_t seq;
  uint64_t check;
};
struct value {
  uint64_t word[64];
};
/* Described as the arrays that the Rust side has for them. */
RINGPROOF_SHAPE(item_shape, uint64_t[2], RINGPROOF_VALUES(uint64_t, 2));
RINGPROOF_SHAPE(value_shape, uint64_t[64], RINGPROOF_VALUES(uint64_t, 64));

/* Different for neighbours in every byte, so that a torn or repeated item shows. */
static uint64_t check_of(uint64_t seq) {
  seq = (seq ^ (seq >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  seq = (seq ^ (seq >> 27)) * UINT64_C(0x94d049bb133111eb);
  return seq ^ (seq >> 31);
}

static int fail(const char *what, const char *why) {
  fprintf(stderr, "peer: %s: %s\n", what, why);
  return 1;
}

static int failed(const char *what, enum ringproof_status status) {
  return fail(what, ringproof_strerror(status));
}

static enum ringproof_wait how(void) {
  return getenv("RINGPROOF_PEER_SLEEPS") != NULL ? RINGPROOF_WAIT_SLEEP_AT_ONCE
                                                 : RINGPROOF_WAIT_SLEEP;
}

static struct ringproof_notifier notifier;

static bool polls(void) { return getenv("RINGPROOF_PEER_POLLS") != NULL; }

/* Waits until the descriptor is readable, if it is armed. */
static enum ringproof_status polled(enum ringproof_status armed) {
  struct pollfd descriptor = {ringproof_notifier_descriptor(&notifier), POLLIN, 0};
  if (armed == RINGPROOF_OK && poll(&descriptor, 1, -1) != 1) {
    return RINGPROOF_SYSTEM;
  }
  return armed;
}

/* After a wait: one that was killed is started again. */
static bool goes_on(enum ringproof_status status) {
  return status == RINGPROOF_OK || status == RINGPROOF_PEER_GONE;
}

static int send_all(const struct ringproof_segment *ring, uint64_t count) {
  struct ringproof_producer producer;
  struct ringproof_error error;
  if (ringproof_producer_open(&producer, ring, &error) != RINGPROOF_OK) {
    return fail("send", error.message);
  }
  ringproof_producer_set_wait(&producer, how());
  if (polls() && ringproof_producer_notifier_open(&notifier, &producer, &error) != RINGPROOF_OK) {
    return fail("send", error.message);
  }
  while (producer.write_index < count) {
    const uint64_t seq = ringproof_producer_position(&producer);
    enum ringproof_status status;
    /* Singly and by the slice, so that both are killed. */
    if (seq % 7 == 0 && seq + 5 <= count) {
      struct item items[5];
      size_t pushed;
      for (size_t i = 0; i < 5; i++) {
        items[i].seq = seq + i;
        items[i].check = check_of(seq + i);
      }
      status = ringproof_push_slice(&producer, items, 5, &pushed);
    } else {
      const struct item item = {seq, check_of(seq)};
      status = ringproof_push(&producer, &item);
    }
    if (status == RINGPROOF_FULL) {
      status = polls() ? polled(ringproof_producer_arm(&notifier, &producer))
                       : ringproof_wait_free(&producer, 1, RINGPROOF_FOREVER);
    }
    if (!goes_on(status)) {
      return failed("push", status);
    }
  }
  ringproof_producer_close(&producer);
  ringproof_notifier_close(&notifier);
  ringproof_producer_drop(&producer);
  return 0;
}

static int check_run(const struct ringproof_run *run, uint64_t position) {
  for (size_t i = 0; i < run->len; i++) {
    struct item item;
    memcpy(&item, (const char *)run->items + i * sizeof item, sizeof item);
    if (item.seq != position + i || item.check != check_of(position + i)) {
      fprintf(stderr, "peer: at %llu: item %llu with check %#llx\n",
              (unsigned long long)(position + i), (unsigned long long)item.seq,
              (unsigned long long)item.check);
      return 1;
    }
  }
  return 0;
}

static int recv_all(const struct ringproof_segment *ring, uint64_t count) {
  struct ringproof_consumer consumer;
  struct ringproof_error error;
  if (ringproof_consumer_open(&consumer, ring, &error) != RINGPROOF_OK) {
    return fail("recv", error.message);
  }
  ringproof_consumer_set_wait(&consumer, how());
  if (polls() && ringproof_consumer_notifier_open(&notifier, &consumer, &error) != RINGPROOF_OK) {
    return fail("recv", error.message);
  }
  for (;;) {
    struct ringproof_chunk chunk;
    enum ringproof_status status = ringproof_peek(&consumer, 11, &chunk);
    if (status == RINGPROOF_EMPTY) {
      status = polls() ? polled(ringproof_consumer_arm(&notifier, &consumer))
                       : ringproof_wait_items(&consumer, 1, RINGPROOF_FOREVER);
      if (goes_on(status)) {
        continue;
      }
    }
    if (status == RINGPROOF_PEER_CLOSED) {
      break;
    }
    if (status != RINGPROOF_OK) {
      return failed("peek", status);
    }
    if (check_run(&chunk.first, chunk.position) != 0 ||
        check_run(&chunk.second, chunk.position + chunk.first.len) != 0) {
      return 1;
    }
    status = ringproof_release(&consumer, &chunk, chunk.len);
    if (status != RINGPROOF_OK) {
      return failed("release", status);
    }
  }
  if (ringproof_consumer_position(&consumer) != count) {
    return fail("recv", "the stream ended at another position than it should");
  }
  ringproof_notifier_close(&notifier);
  ringproof_consumer_drop(&consumer);
  return 0;
}

static int write_values(const struct ringproof_segment *segment, uint64_t count) {
  struct ringproof_writer writer;
  struct ringproof_error error;
  if (ringproof_writer_open(&writer, segment, &error) != RINGPROOF_OK) {
    return fail("write", error.message);
  }
  while (ringproof_writer_version(&writer) < count) {
    struct value value;
    for (size_t i = 0; i < 64; i++) {
      value.word[i] = ringproof_writer_version(&writer) + 1;
    }
    ringproof_write(&writer, &value);
  }
  ringproof_writer_drop(&writer);
  return 0;
}

static int read_values(const struct ringproof_segment *segment, uint64_t count) {
  struct ringproof_reader reader;
  struct ringproof_error error;
  uint64_t last = 0, version = 0;
  if (ringproof_reader_open(&reader, segment, &error) != RINGPROOF_OK) {
    return fail("read", error.message);
  }
  ringproof_reader_set_wait(&reader, how());
  if (polls() && ringproof_reader_notifier_open(&notifier, &reader, &error) != RINGPROOF_OK) {
    return fail("read", error.message);
  }
  while (last < count) {
    struct value value;
    enum ringproof_status status;
    if (!polls()) {
      status = ringproof_wait_newer(&reader, &version, RINGPROOF_FOREVER);
    } else if (ringproof_reader_version(&reader) == version) {
      status = polled(ringproof_reader_arm(&notifier, &reader, version));
    } else {
      version = ringproof_reader_version(&reader);
      status = RINGPROOF_OK;
    }
    if (!goes_on(status)) {
      return failed("wait", status);
    }
    if (ringproof_read(&reader, &value, 1000) != RINGPROOF_OK) {
      continue; /* its writer is stopped inside a write, or was killed there */
    }
    for (size_t i = 1; i < 64; i++) {
      if (value.word[i] != value.word[0]) {
        return fail("read", "a torn value");
      }
    }
    if (value.word[0] < last) {
      return fail("read", "an older value than before");
    }
    last = value.word[0];
  }
  ringproof_notifier_close(&notifier);
  ringproof_reader_drop(&reader);
  return 0;
}

int main(int count, char **arguments) {
  struct ringproof_segment segment;
  struct ringproof_error error;
  struct ringproof_options options = ringproof_ring_options(50);
  const struct ringproof_shape *shape = &item_shape;
  const bool values = count == 5;
  const char *name;
  uint64_t number;
  int outcome = 2;
  /* No test leaves a process behind, whatever becomes of it. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (count != 4 && count != 5) {
    fprintf(stderr, "peer: see the comment at its beginning\n");
    return 2;
  }
  name = arguments[count - 2];
  number = strtoull(arguments[count - 1], NULL, 10);
  /* 64 slots for 50: it wraps all the time. */
  options.slots = 64;
  if (values) {
    const bool latch = strcmp(arguments[2], "latch") == 0;
    options = latch ? ringproof_latch_options() : ringproof_seqlock_options();
    shape = &value_shape;
  }
  if (ringproof_open_or_create(&segment, name, &options, shape, NULL, &error) != RINGPROOF_OK) {
    return fail("open", error.message);
  }
  if (strcmp(arguments[1], values ? "write" : "send") == 0) {
    outcome = (values ? write_values : send_all)(&segment, number);
  } else if (strcmp(arguments[1], values ? "read" : "recv") == 0) {
    outcome = (values ? read_values : recv_all)(&segment, number);
  }
  ringproof_detach(&segment);
  return outcome;
}
