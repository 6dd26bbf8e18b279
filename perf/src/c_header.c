/* Both ends of a ring of u64 as a C program uses them, for c_header.rs, which streams through them
 * in turn with the Rust ends. The work around a call is the same as in links.rs. */
#include <ringproof.h>

enum { BATCH = 64 };

struct link {
  struct ringproof_segment segment;
  /* The two belong to two threads. */
  _Alignas(256) struct ringproof_producer producer;
  _Alignas(256) struct ringproof_consumer consumer;
};

enum outcome { MOVED, STALLED, OUT_OF_ORDER };

RINGPROOF_SHAPE(item, uint64_t, RINGPROOF_VALUE(uint64_t));

/* Attaches to a ring and takes both roles; NULL, and why not. */
struct link *link_open(const char *name, char *why, size_t room) {
  struct link *link = (struct link *)aligned_alloc(256, sizeof *link);
  struct ringproof_error error;
  if (link == NULL) {
    snprintf(why, room, "no memory");
    return NULL;
  }
  if (ringproof_attach(&link->segment, name, RINGPROOF_RING, &item, &error) == RINGPROOF_OK) {
    if (ringproof_producer_open(&link->producer, &link->segment, &error) == RINGPROOF_OK) {
      if (ringproof_consumer_open(&link->consumer, &link->segment, &error) == RINGPROOF_OK) {
        return link;
      }
      ringproof_producer_drop(&link->producer);
    }
    ringproof_detach(&link->segment);
  }
  snprintf(why, room, "%s", error.message);
  free(link);
  return NULL;
}

void link_close(struct link *link) {
  ringproof_consumer_drop(&link->consumer);
  ringproof_producer_drop(&link->producer);
  ringproof_detach(&link->segment);
  free(link);
}

/* After so many fruitless attempts the other side cannot just be preempted. */
static bool stalled(uint32_t *attempts) {
  ringproof_spin();
  return ++*attempts >= UINT32_C(1) << 28;
}

int send_one_by_one(struct link *link, uint64_t first, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    const uint64_t item = first + i;
    uint32_t attempts = 0;
    while (ringproof_push_sized(&link->producer, &item, sizeof item) != RINGPROOF_OK) {
      if (stalled(&attempts)) {
        return STALLED;
      }
    }
  }
  return MOVED;
}

int receive_one_by_one(struct link *link, uint64_t first, uint64_t count) {
  uint64_t wrong = 0;
  for (uint64_t i = 0; i < count; i++) {
    uint64_t item;
    uint32_t attempts = 0;
    while (ringproof_pop_sized(&link->consumer, &item, sizeof item) != RINGPROOF_OK) {
      if (stalled(&attempts)) {
        return STALLED;
      }
    }
    wrong |= item ^ (first + i);
  }
  return wrong == 0 ? MOVED : OUT_OF_ORDER;
}

static void number(uint64_t *items, size_t len, uint64_t first) {
  for (size_t i = 0; i < len; i++) {
    items[i] = first + i;
  }
}

static uint64_t difference(const uint64_t *items, size_t len, uint64_t first) {
  uint64_t wrong = 0;
  for (size_t i = 0; i < len; i++) {
    wrong |= items[i] ^ (first + i);
  }
  return wrong;
}

int send_slices(struct link *link, uint64_t first, uint64_t count) {
  uint64_t items[BATCH];
  for (uint64_t sent = 0; sent < count;) {
    const size_t left = count - sent < BATCH ? (size_t)(count - sent) : BATCH;
    uint32_t attempts = 0;
    number(items, BATCH, first + sent);
    for (size_t done = 0; done < left;) {
      size_t pushed;
      (void)ringproof_push_slice(&link->producer, items + done, left - done, &pushed);
      if (pushed == 0 && stalled(&attempts)) {
        return STALLED;
      }
      done += pushed;
    }
    sent += left;
  }
  return MOVED;
}

int receive_slices(struct link *link, uint64_t first, uint64_t count) {
  uint64_t items[BATCH];
  uint64_t wrong = 0;
  for (uint64_t received = 0; received < count;) {
    const size_t left = count - received < BATCH ? (size_t)(count - received) : BATCH;
    uint32_t attempts = 0;
    size_t popped;
    while (ringproof_pop_slice(&link->consumer, items, left, &popped), popped == 0) {
      if (stalled(&attempts)) {
        return STALLED;
      }
    }
    wrong |= difference(items, popped, first + received);
    received += popped;
  }
  return wrong == 0 ? MOVED : OUT_OF_ORDER;
}

int send_in_place(struct link *link, uint64_t first, uint64_t count) {
  for (uint64_t sent = 0; sent < count; sent += BATCH) {
    struct ringproof_chunk chunk;
    uint32_t attempts = 0;
    while (ringproof_reserve(&link->producer, BATCH, &chunk) != RINGPROOF_OK ||
           chunk.len != BATCH) {
      if (stalled(&attempts)) {
        return STALLED;
      }
    }
    number((uint64_t *)chunk.first.items, chunk.first.len, first + sent);
    number((uint64_t *)chunk.second.items, chunk.second.len, first + sent + chunk.first.len);
    (void)ringproof_commit(&link->producer, &chunk, BATCH);
  }
  return MOVED;
}

int receive_in_place(struct link *link, uint64_t first, uint64_t count) {
  uint64_t wrong = 0;
  for (uint64_t received = 0; received < count; received += BATCH) {
    const uint64_t expected = first + received;
    struct ringproof_chunk chunk;
    uint32_t attempts = 0;
    while (ringproof_peek(&link->consumer, BATCH, &chunk) != RINGPROOF_OK || chunk.len != BATCH) {
      if (stalled(&attempts)) {
        return STALLED;
      }
    }
    wrong |= difference((const uint64_t *)chunk.first.items, chunk.first.len, expected);
    wrong |= difference((const uint64_t *)chunk.second.items, chunk.second.len,
                        expected + chunk.first.len);
    (void)ringproof_release(&link->consumer, &chunk, BATCH);
  }
  return wrong == 0 ? MOVED : OUT_OF_ORDER;
}
