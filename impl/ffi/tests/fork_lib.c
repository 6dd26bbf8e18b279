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

static const struct ringproof_lib_field field = {"value", 0, 8, RINGPROOF_LIB_U64};
static const struct ringproof_lib_payload payload = {8, 8, &field, 1, NULL};
static struct ringproof_lib_error error;
static struct ringproof_lib_segment *segment;

#define OK(call) CHECK((call) == RINGPROOF_LIB_OK)

/* With and without the details of an error. */
#define FORKED(...)                                                                                \
  do {                                                                                             \
    error.message[0] = '\0';                                                                       \
    CHECK(__VA_ARGS__ == RINGPROOF_LIB_FORKED);                                                    \
    CHECK(strstr(error.message, "forked") != NULL);                                                \
  } while (0)

/* `name`, or NULL: without one. */
static void make(const char *of, uint32_t kind, uint64_t capacity) {
  struct ringproof_lib_options options;
  const uint64_t initial = 7;
  memset(&options, 0, sizeof options);
  options.kind = kind;
  options.capacity = capacity;
  OK(ringproof_lib_create(of, &options, &payload, &initial, &segment, &error));
  taken = kind == RINGPROOF_LIB_RING ? 8192 + 256 * 1024 : 12288;
}

static void the_segment_is_refused(void) {
  struct ringproof_lib_producer *producer;
  struct ringproof_lib_consumer *consumer;
  uint64_t note;
  FORKED(ringproof_lib_producer_open(segment, &producer, &error));
  FORKED(ringproof_lib_consumer_open(segment, &consumer, &error));
  FORKED(ringproof_lib_note(segment, RINGPROOF_LIB_PRODUCER, 0, &note, &error));
  FORKED(ringproof_lib_set_note(segment, RINGPROOF_LIB_PRODUCER, 0, 1, &error));
}

static void every_call_of_an_end_is_refused(struct ringproof_lib_producer *producer,
                                            struct ringproof_lib_consumer *consumer) {
  const uint64_t items[2] = {8, 9};
  uint64_t to[2];
  size_t count = 9;
  int descriptor;
  bool closed;
  struct ringproof_lib_chunk chunk;
  struct ringproof_lib_end_state state;
  FORKED(ringproof_lib_push(producer, items, &error));
  FORKED(ringproof_lib_push_slice(producer, items, 2, &count, &error));
  CHECK(count == 0);
  FORKED(ringproof_lib_reserve(producer, 1, &chunk, &error));
  FORKED(ringproof_lib_commit(producer, 0, &error));
  FORKED(ringproof_lib_producer_is_peer_closed(producer, &closed, &error));
  FORKED(ringproof_lib_producer_state(producer, &state, &error));
  FORKED(ringproof_lib_producer_close(producer, &error));
  FORKED(ringproof_lib_pop(consumer, to, &error));
  count = 9;
  FORKED(ringproof_lib_pop_slice(consumer, to, 2, &count, &error));
  CHECK(count == 0);
  FORKED(ringproof_lib_peek(consumer, 1, &chunk, &error));
  FORKED(ringproof_lib_release(consumer, 0, &error));
  FORKED(ringproof_lib_consumer_state(consumer, &state, &error));
  FORKED(ringproof_lib_consumer_close(consumer, &error));
  /* One that the parent has armed, and one that nobody has. */
  FORKED(ringproof_lib_consumer_arm(consumer, &descriptor, &error));
  FORKED(ringproof_lib_producer_arm(producer, &descriptor, &error));
}

static void a_ring(const char *of) {
  struct ringproof_lib_producer *producer, *another;
  struct ringproof_lib_consumer *consumer;
  struct ringproof_lib_chunk chunk;
  uint64_t item = 1;
  int descriptor;
  make(of, RINGPROOF_LIB_RING, 8);
  OK(ringproof_lib_producer_open(segment, &producer, &error));
  OK(ringproof_lib_consumer_open(segment, &consumer, &error));
  CHECK(ringproof_lib_pop(consumer, &item, &error) == RINGPROOF_LIB_EMPTY);
  OK(ringproof_lib_consumer_arm(consumer, &descriptor, &error));
  OK(ringproof_lib_push(producer, &item, &error));
  OK(ringproof_lib_reserve(producer, 1, &chunk, &error));
  for (int first = 0; first < 2; first++) {
    early = first == 1;
    IN_CHILD({
      occupy();
      every_call_of_an_end_is_refused(producer, consumer);
      the_segment_is_refused();
      if (of != NULL) {
        FORKED(ringproof_lib_unlink(segment, &error));
      }
      /* What was reserved in place lies where there is no access. */
      CHECK(FAULTS(memset(chunk.first.items, 0, 8)));
      CHECK(intact());
      IN_CHILD(every_call_of_an_end_is_refused(producer, consumer));
      ringproof_lib_producer_drop(producer);
      ringproof_lib_consumer_drop(consumer);
      /* It attaches anew; the roles are the parent's. */
      {
        struct ringproof_lib_segment *own;
        if (of == NULL) {
          OK(ringproof_lib_attach_fd(ringproof_lib_fd(segment), RINGPROOF_LIB_RING, &payload, &own, &error));
        } else {
          OK(ringproof_lib_attach(of, RINGPROOF_LIB_RING, &payload, &own, &error));
        }
        CHECK(ringproof_lib_producer_open(own, &another, &error) == RINGPROOF_LIB_HELD);
        ringproof_lib_detach(own);
      }
      ringproof_lib_detach(segment);
    });
  }
  IN_CHILD({
    CHECK(daemon(1, 1) == 0);
    every_call_of_an_end_is_refused(producer, consumer);
  });
  item = 2;
  OK(ringproof_lib_push(producer, &item, &error));
  for (uint64_t expected = 1; expected < 3; expected++) {
    OK(ringproof_lib_pop(consumer, &item, &error));
    CHECK(item == expected);
  }
  CHECK(ringproof_lib_pop(consumer, &item, &error) == RINGPROOF_LIB_EMPTY);
  if (of != NULL) {
    OK(ringproof_lib_unlink(segment, &error));
  }
  ringproof_lib_producer_drop(producer);
  ringproof_lib_consumer_drop(consumer);
  ringproof_lib_detach(segment);
}

static void a_value(uint32_t kind) {
  struct ringproof_lib_writer *writer, *another;
  struct ringproof_lib_reader *reader, *other;
  uint64_t value = 8;
  int descriptor;
  make(name, kind, 0);
  OK(ringproof_lib_writer_open(segment, &writer, &error));
  OK(ringproof_lib_reader_open(segment, &reader, &error));
  OK(ringproof_lib_reader_arm(reader, 0, &descriptor, &error));
  IN_CHILD({
    occupy();
    FORKED(ringproof_lib_write(writer, &value, &error));
    FORKED(ringproof_lib_try_read(reader, &value, &error));
    FORKED(ringproof_lib_read(reader, &value, 1, &error));
    FORKED(ringproof_lib_reader_arm(reader, 0, &descriptor, &error));
    FORKED(ringproof_lib_writer_open(segment, &another, &error));
    FORKED(ringproof_lib_reader_open(segment, &other, &error));
    CHECK(intact());
    ringproof_lib_reader_drop(reader);
    ringproof_lib_writer_drop(writer);
    ringproof_lib_detach(segment);
  });
  OK(ringproof_lib_read(reader, &value, 1, &error));
  CHECK(value == 7);
  OK(ringproof_lib_unlink(segment, &error));
  ringproof_lib_reader_drop(reader);
  ringproof_lib_writer_drop(writer);
  ringproof_lib_detach(segment);
}

int main(int count, char **arguments) {
  if (count != 2) {
    return 2;
  }
  begin(arguments[1]);
  a_ring(name);
  a_ring(NULL);
  a_value(RINGPROOF_LIB_SEQLOCK);
  a_value(RINGPROOF_LIB_LATCH);
  return 0;
}
