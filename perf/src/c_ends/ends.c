/* Both ends of a ring of u64 as a C program uses them, behind the table of functions that c_ends.rs
 * has for the Rust ends, too. What makes and checks the items is on the other side of it. */
#include <ringproof.h>

struct ends {
  struct ringproof_segment segment;
  /* The two belong to two threads. */
  _Alignas(256) struct ringproof_producer producer;
  _Alignas(256) struct ringproof_consumer consumer;
};

typedef void fill(uint64_t *items, size_t len, uint64_t first);
typedef uint64_t check(const uint64_t *items, size_t len, uint64_t first);

RINGPROOF_SHAPE(item, uint64_t, RINGPROOF_VALUE(uint64_t));

/* Attaches to a ring and takes both roles; NULL, and why not. */
struct ends *ringproof_perf_ends_open(const char *name, char *why, size_t room) {
  struct ends *ends = (struct ends *)aligned_alloc(256, sizeof *ends);
  struct ringproof_error error;
  if (ends == NULL) {
    snprintf(why, room, "no memory");
    return NULL;
  }
  if (ringproof_attach(&ends->segment, name, RINGPROOF_RING, &item, &error) == RINGPROOF_OK) {
    if (ringproof_producer_open(&ends->producer, &ends->segment, &error) == RINGPROOF_OK) {
      if (ringproof_consumer_open(&ends->consumer, &ends->segment, &error) == RINGPROOF_OK) {
        return ends;
      }
      ringproof_producer_drop(&ends->producer);
    }
    ringproof_detach(&ends->segment);
  }
  snprintf(why, room, "%s", error.message);
  free(ends);
  return NULL;
}

static void ends_close(struct ends *ends) {
  ringproof_consumer_drop(&ends->consumer);
  ringproof_producer_drop(&ends->producer);
  ringproof_detach(&ends->segment);
  free(ends);
}

static bool push(struct ends *ends, uint64_t value) {
  return ringproof_push_sized(&ends->producer, &value, sizeof value) == RINGPROOF_OK;
}

static bool pop(struct ends *ends, uint64_t *value) {
  return ringproof_pop_sized(&ends->consumer, value, sizeof *value) == RINGPROOF_OK;
}

static size_t push_slice(struct ends *ends, const uint64_t *items, size_t len) {
  size_t pushed;
  (void)ringproof_push_slice(&ends->producer, items, len, &pushed);
  return pushed;
}

static size_t pop_slice(struct ends *ends, uint64_t *items, size_t len) {
  size_t popped;
  (void)ringproof_pop_slice(&ends->consumer, items, len, &popped);
  return popped;
}

static bool write_in_place(struct ends *ends, size_t len, uint64_t first, fill *fill) {
  struct ringproof_chunk chunk;
  if (ringproof_reserve(&ends->producer, len, &chunk) != RINGPROOF_OK || chunk.len != len) {
    return false;
  }
  fill((uint64_t *)chunk.first.items, chunk.first.len, first);
  fill((uint64_t *)chunk.second.items, chunk.second.len, first + chunk.first.len);
  return ringproof_commit(&ends->producer, &chunk, len) == RINGPROOF_OK;
}

static bool read_in_place(struct ends *ends, size_t len, uint64_t first, check *check,
                          uint64_t *wrong) {
  struct ringproof_chunk chunk;
  if (ringproof_peek(&ends->consumer, len, &chunk) != RINGPROOF_OK || chunk.len != len) {
    return false;
  }
  *wrong = check((const uint64_t *)chunk.first.items, chunk.first.len, first) |
           check((const uint64_t *)chunk.second.items, chunk.second.len, first + chunk.first.len);
  return ringproof_release(&ends->consumer, &chunk, len) == RINGPROOF_OK;
}

/* In the order of `Calls` in c_ends.rs. */
const struct calls {
  bool (*push)(struct ends *, uint64_t);
  bool (*pop)(struct ends *, uint64_t *);
  size_t (*push_slice)(struct ends *, const uint64_t *, size_t);
  size_t (*pop_slice)(struct ends *, uint64_t *, size_t);
  bool (*write_in_place)(struct ends *, size_t, uint64_t, fill *);
  bool (*read_in_place)(struct ends *, size_t, uint64_t, check *, uint64_t *);
  void (*close)(struct ends *);
} ringproof_perf_calls = {push, pop, push_slice, pop_slice, write_in_place, read_in_place, ends_close};
