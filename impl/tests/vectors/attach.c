/* Attaches to a copy of a recorded segment and checks all that it holds; as C11, and as C++17 too.
 *
 *   attach KIND NAME    KIND is ring, seqlock or latch. Exit 0: everything is there.
 *
 * What was recorded is said in vectors.rs. */
#ifdef __cplusplus
#include "ringproof.hpp"
#else
#include "ringproof.h"
#endif

struct leg {
  int32_t qty;
  float ratio;
};
struct quote {
  uint64_t seq;
  double price;
  uint8_t tag[8];
  struct leg legs[1];
};

#ifdef __cplusplus
RINGPROOF_DESCRIBE(quote, RINGPROOF_FIELD(quote, seq), RINGPROOF_FIELD(quote, price),
                   RINGPROOF_FIELD(quote, tag), RINGPROOF_FIELD(quote, legs[0].qty),
                   RINGPROOF_FIELD(quote, legs[0].ratio));
static const struct ringproof_shape *quote_shape(void) { return &ringproof::shape_of<quote>(); }
#else
RINGPROOF_SHAPE(recorded_shape, struct quote, RINGPROOF_FIELD(struct quote, seq),
                RINGPROOF_FIELD(struct quote, price), RINGPROOF_ARRAY(struct quote, tag),
                RINGPROOF_FIELD(struct quote, legs[0].qty),
                RINGPROOF_FIELD(struct quote, legs[0].ratio));
static const struct ringproof_shape *quote_shape(void) { return &recorded_shape; }
#endif

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition);                              \
      exit(1);                                                                                     \
    }                                                                                              \
  } while (0)

static void check_quote(const struct quote *quote, uint64_t seq) {
  CHECK(quote->seq == seq);
  CHECK(quote->price == (double)seq + 0.25);
  for (int i = 0; i < 8; i++) {
    CHECK(quote->tag[i] == (uint8_t)(seq * 16 + (uint64_t)i));
  }
  CHECK(quote->legs[0].qty == -(int32_t)seq);
  CHECK(quote->legs[0].ratio == (float)seq * 0.5f);
}

static uint64_t word(ringproof_word *at) { return ringproof_load_relaxed(at); }

static struct ringproof_segment attach(const char *name, enum ringproof_kind kind, uint64_t slots,
                                       uint64_t capacity) {
  struct ringproof_segment segment;
  struct ringproof_error error;
  if (ringproof_attach(&segment, name, kind, quote_shape(), &error) != RINGPROOF_OK) {
    fprintf(stderr, "%s\n", error.message);
    exit(1);
  }
  CHECK(segment.fixed.payload_align == 8);
  CHECK(segment.fixed.slots == slots && segment.fixed.capacity == capacity);
  CHECK(segment.fixed.data_offset == 8192 && segment.fixed.description_offset == 4096);
  CHECK(segment.fixed.segment_len == 8192 + slots * 32);
  CHECK(word(&ringproof_header_of(&segment)->retired) == 0);
  return segment;
}

static void check_role(struct ringproof_role_words *role, uint64_t index, uint64_t epoch,
                       unsigned note, uint64_t value) {
  CHECK(word(&role->index) == index);
  CHECK(word(&role->epoch) == epoch);
  for (unsigned i = 0; i < RINGPROOF_NOTES; i++) {
    CHECK(word(&role->notes[i]) == (i == note ? value : 0));
  }
}

static void ring(const char *name) {
  struct ringproof_segment segment = attach(name, RINGPROOF_RING, 8, 5);
  struct ringproof_header *header = ringproof_header_of(&segment);
  struct ringproof_producer producer;
  struct ringproof_consumer consumer;
  struct quote item;
  check_role(&header->producer, 13 | RINGPROOF_CLOSED_BIT, 2, 2, 77);
  check_role(&header->consumer, 10, 3, 15, 88);
  CHECK(ringproof_consumer_open(&consumer, &segment, NULL) == RINGPROOF_OK);
  CHECK(consumer.claim.epoch == 4);
  for (uint64_t position = 10; position < 13; position++) {
    CHECK(ringproof_consumer_position(&consumer) == position);
    CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_OK);
    check_quote(&item, position);
  }
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_PEER_CLOSED);
  CHECK(ringproof_producer_open(&producer, &segment, NULL) == RINGPROOF_OK);
  CHECK(ringproof_push(&producer, &item) == RINGPROOF_CLOSED);
  ringproof_producer_drop(&producer);
  ringproof_consumer_drop(&consumer);
  ringproof_detach(&segment);
}

static void values(const char *name, enum ringproof_kind kind) {
  const bool latch = kind == RINGPROOF_LATCH;
  struct ringproof_segment segment = attach(name, kind, latch ? 4 : 1, 1);
  struct ringproof_writer writer;
  struct ringproof_reader reader;
  struct quote value;
  check_role(&ringproof_header_of(&segment)->producer, latch ? 6 : 5, 2, 0, 5);
  CHECK(ringproof_reader_open(&reader, &segment, NULL) == RINGPROOF_OK);
  if (latch) {
    CHECK(ringproof_read(&reader, &value, 3) == RINGPROOF_OK);
    check_quote(&value, 6);
  } else {
    CHECK(ringproof_read(&reader, &value, 3) == RINGPROOF_WRITER_DEAD);
  }
  CHECK(ringproof_writer_open(&writer, &segment, NULL) == RINGPROOF_OK);
  CHECK(ringproof_writer_needs_repair(&writer) == !latch);
  memset(&value, 0, sizeof value);
  value.seq = 9;
  ringproof_write(&writer, &value);
  CHECK(ringproof_read(&reader, &value, 1) == RINGPROOF_OK && value.seq == 9);
  CHECK(word(&ringproof_header_of(&segment)->producer.index) == (latch ? 7u : 8u));
  ringproof_writer_drop(&writer);
  ringproof_reader_drop(&reader);
  ringproof_detach(&segment);
}

int main(int count, char **arguments) {
  if (count != 3) {
    fprintf(stderr, "usage: attach KIND NAME\n");
    return 2;
  }
  if (strcmp(arguments[1], "ring") == 0) {
    ring(arguments[2]);
  } else if (strcmp(arguments[1], "seqlock") == 0) {
    values(arguments[2], RINGPROOF_SEQLOCK);
  } else {
    values(arguments[2], RINGPROOF_LATCH);
  }
  return 0;
}
