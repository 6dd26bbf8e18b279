/* What a forked child has of its parent's segments, with the library: here every call is refused. As
 * fork.c.
 *
 *   fork_lib NAME    NAME is a segment that does not exist, nor will when this ends
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "ringproof_lib.h"

#include "fork.h"

static const struct rp_field field = {"value", 0, 8, RP_U64};
static const struct rp_payload payload = {8, 8, &field, 1, NULL};
static struct rp_error error;
static struct rp_segment *segment;

#define OK(call) CHECK((call) == RP_OK)

/* With and without the details of an error. */
#define FORKED(...)                                                                                \
  do {                                                                                             \
    error.message[0] = '\0';                                                                       \
    CHECK(__VA_ARGS__ == RP_FORKED);                                                               \
    CHECK(strstr(error.message, "forked") != NULL);                                                \
  } while (0)

/* `name`, or NULL: without one. */
static void make(const char *of, uint32_t kind, uint64_t capacity) {
  struct rp_options options;
  const uint64_t initial = 7;
  memset(&options, 0, sizeof options);
  options.kind = kind;
  options.capacity = capacity;
  OK(rp_create(of, &options, &payload, &initial, &segment, &error));
  taken = kind == RP_RING ? 8192 + 256 * 1024 : 12288;
}

static void the_segment_is_refused(void) {
  struct rp_producer *producer;
  struct rp_consumer *consumer;
  uint64_t note;
  FORKED(rp_producer_open(segment, &producer, &error));
  FORKED(rp_consumer_open(segment, &consumer, &error));
  FORKED(rp_note(segment, RP_PRODUCER, 0, &note, &error));
  FORKED(rp_set_note(segment, RP_PRODUCER, 0, 1, &error));
}

static void every_call_of_an_end_is_refused(struct rp_producer *producer,
                                            struct rp_consumer *consumer) {
  const uint64_t items[2] = {8, 9};
  uint64_t to[2];
  size_t count = 9;
  bool closed;
  struct rp_chunk chunk;
  struct rp_end_state state;
  FORKED(rp_push(producer, items, &error));
  FORKED(rp_push_slice(producer, items, 2, &count, &error));
  CHECK(count == 0);
  FORKED(rp_reserve(producer, 1, &chunk, &error));
  FORKED(rp_commit(producer, 0, &error));
  FORKED(rp_producer_peer_closed(producer, &closed, &error));
  FORKED(rp_producer_state(producer, &state, &error));
  FORKED(rp_producer_close(producer, &error));
  FORKED(rp_pop(consumer, to, &error));
  count = 9;
  FORKED(rp_pop_slice(consumer, to, 2, &count, &error));
  CHECK(count == 0);
  FORKED(rp_peek(consumer, 1, &chunk, &error));
  FORKED(rp_release(consumer, 0, &error));
  FORKED(rp_consumer_state(consumer, &state, &error));
  FORKED(rp_consumer_close(consumer, &error));
}

static void a_ring(const char *of) {
  struct rp_producer *producer, *another;
  struct rp_consumer *consumer;
  struct rp_chunk chunk;
  uint64_t item = 1;
  make(of, RP_RING, 8);
  OK(rp_producer_open(segment, &producer, &error));
  OK(rp_consumer_open(segment, &consumer, &error));
  OK(rp_push(producer, &item, &error));
  OK(rp_reserve(producer, 1, &chunk, &error));
  for (int first = 0; first < 2; first++) {
    early = first == 1;
    IN_CHILD({
      occupy();
      every_call_of_an_end_is_refused(producer, consumer);
      the_segment_is_refused();
      if (of != NULL) {
        FORKED(rp_unlink(segment, &error));
      }
      /* What was reserved in place lies where there is no access. */
      CHECK(FAULTS(memset(chunk.first.items, 0, 8)));
      CHECK(intact());
      IN_CHILD(every_call_of_an_end_is_refused(producer, consumer));
      rp_producer_drop(producer);
      rp_consumer_drop(consumer);
      /* It attaches anew; the roles are the parent's. */
      {
        struct rp_segment *own;
        if (of == NULL) {
          OK(rp_attach_fd(rp_fd(segment), RP_RING, &payload, &own, &error));
        } else {
          OK(rp_attach(of, RP_RING, &payload, &own, &error));
        }
        CHECK(rp_producer_open(own, &another, &error) == RP_HELD);
        rp_detach(own);
      }
      rp_detach(segment);
    });
  }
  IN_CHILD({
    CHECK(daemon(1, 1) == 0);
    every_call_of_an_end_is_refused(producer, consumer);
  });
  item = 2;
  OK(rp_push(producer, &item, &error));
  for (uint64_t expected = 1; expected < 3; expected++) {
    OK(rp_pop(consumer, &item, &error));
    CHECK(item == expected);
  }
  CHECK(rp_pop(consumer, &item, &error) == RP_EMPTY);
  if (of != NULL) {
    OK(rp_unlink(segment, &error));
  }
  rp_producer_drop(producer);
  rp_consumer_drop(consumer);
  rp_detach(segment);
}

static void a_value(uint32_t kind) {
  struct rp_writer *writer, *another;
  struct rp_reader *reader, *other;
  uint64_t value = 8;
  make(name, kind, 0);
  OK(rp_writer_open(segment, &writer, &error));
  OK(rp_reader_open(segment, &reader, &error));
  IN_CHILD({
    occupy();
    FORKED(rp_write(writer, &value, &error));
    FORKED(rp_try_read(reader, &value, &error));
    FORKED(rp_read(reader, &value, 1, &error));
    FORKED(rp_writer_open(segment, &another, &error));
    FORKED(rp_reader_open(segment, &other, &error));
    CHECK(intact());
    rp_reader_drop(reader);
    rp_writer_drop(writer);
    rp_detach(segment);
  });
  OK(rp_read(reader, &value, 1, &error));
  CHECK(value == 7);
  OK(rp_unlink(segment, &error));
  rp_reader_drop(reader);
  rp_writer_drop(writer);
  rp_detach(segment);
}

int main(int count, char **arguments) {
  if (count != 2) {
    return 2;
  }
  begin(arguments[1]);
  a_ring(name);
  a_ring(NULL);
  a_value(RP_SEQLOCK);
  a_value(RP_LATCH);
  return 0;
}
