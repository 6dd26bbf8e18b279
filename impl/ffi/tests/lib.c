/* The library through its C header: checks of its own, and one end of a ring, seqlock or latch as a
 * process, as peer.c is for the header-only one, which is included beside.
 *
 *   lib checks NAME           NAME is a segment that does not exist, nor will when this ends
 *   lib send NAME COUNT       commits items up to position COUNT, then closes
 *   lib recv NAME COUNT       takes items to the end, which must be at COUNT
 *   lib write KIND NAME N     writes N values to a seqlock or latch
 *   lib read KIND NAME N      reads N values; none may be torn or older than the one before
 *
 * Exit 0: as it should be; 1: it is not, and standard error says how; 2: the arguments are wrong.
 */
#include "ringproof.h"
#include "ringproof_lib.h"
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, error.message);          \
      exit(1);                                                                                     \
    }                                                                                              \
  } while (0)

/* The call fails so, and says this among other things. */
#define REFUSED(call, code, words)                                                                 \
  do {                                                                                             \
    memset(&error, 0x55, sizeof error);                                                            \
    CHECK((call) == (code) && error.status == (code) && strstr(error.message, words) != NULL);     \
  } while (0)

static struct rp_error error;
static const char *name;

struct item {
  uint64_t seq;
  uint64_t check;
};
struct value {
  uint64_t word[64];
};
/* Described as the arrays that the Rust side has for them. */
static const struct rp_field item_fields[] = {RP_VALUE(struct item, RP_U64)};
static const struct rp_payload item_payload = RP_PAYLOAD(struct item, item_fields);
static const struct rp_field value_fields[] = {RP_VALUE(struct value, RP_U64)};
static const struct rp_payload value_payload = RP_PAYLOAD(struct value, value_fields);

struct quote {
  uint64_t seq;
  double price;
  uint8_t tag[4];
  struct {
    int16_t qty;
    int16_t ratio;
  } legs[1];
};
static const struct rp_field quote_fields[] = {
    RP_FIELD(struct quote, seq, RP_U64),
    RP_FIELD(struct quote, price, RP_F64),
    RP_FIELD(struct quote, tag, RP_U8),
    RP_FIELD(struct quote, legs[0].qty, RP_I16),
    RP_FIELD(struct quote, legs[0].ratio, RP_I16),
};
static const struct rp_payload quote_payload = RP_PAYLOAD(struct quote, quote_fields);
RINGPROOF_SHAPE(quote_shape, struct quote, RINGPROOF_FIELD(struct quote, seq),
                RINGPROOF_FIELD(struct quote, price), RINGPROOF_ARRAY(struct quote, tag),
                RINGPROOF_FIELD(struct quote, legs[0].qty),
                RINGPROOF_FIELD(struct quote, legs[0].ratio));

/* Different for neighbours in every byte, so that a torn or repeated item shows. */
static uint64_t check_of(uint64_t seq) {
  seq = (seq ^ (seq >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  seq = (seq ^ (seq >> 27)) * UINT64_C(0x94d049bb133111eb);
  return seq ^ (seq >> 31);
}

/* ---- Checks ------------------------------------------------------------------------------- */

static void both_headers_describe_alike(void) {
  static char ours[RINGPROOF_DESCRIPTION_MAX + 1], theirs[RINGPROOF_DESCRIPTION_MAX + 1];
  struct rp_payload by_text = {sizeof(struct quote), 8, NULL, 0, theirs};
  size_t our_len = 0, their_len = 0;
  CHECK(rp_describe(&quote_payload, ours, sizeof ours, &our_len, &error) == RP_OK);
  CHECK(ringproof_describe(&quote_shape, theirs, &their_len, NULL) == RINGPROOF_OK);
  CHECK(our_len == strlen(ours) && our_len == their_len && strcmp(ours, theirs) == 0);
  /* One that was made by the other header is taken, too. */
  CHECK(rp_describe(&by_text, ours, sizeof ours, &our_len, &error) == RP_OK);
  CHECK(strcmp(ours, theirs) == 0);
  by_text.size = 8;
  REFUSED(rp_describe(&by_text, ours, sizeof ours, &our_len, &error), RP_SHAPE,
          "of 24 bytes, the payload has 8");
  REFUSED(rp_describe(&quote_payload, ours, our_len, &our_len, &error), RP_ARGUMENT, "`size`");
}

static void what_is_no_payload_is_refused(void) {
  static const struct rp_field with_gap[] = {{"a", 0, 4, RP_U32}, {"b", 8, 8, RP_U64}};
  static const struct rp_field half[] = {{"a", 0, 12, RP_U64}};
  static const struct rp_field unknown[] = {{"a", 0, 8, 99}};
  static const struct rp_field unnamed[] = {{NULL, 0, 8, RP_U64}};
  static const struct rp_field strange[] = {{"a b", 0, 8, RP_U64}};
  const struct {
    struct rp_payload payload;
    enum rp_status status;
    const char *words;
  } cases[] = {
      {{16, 8, with_gap, 2, NULL}, RP_SHAPE, "bytes 4 to 8 belong to no field"},
      {{12, 4, half, 1, NULL}, RP_SHAPE, "no whole number of u64"},
      {{8, 8, unknown, 1, NULL}, RP_ARGUMENT, "99 is no enum rp_primitive"},
      {{8, 8, unnamed, 1, NULL}, RP_ARGUMENT, "`field->name` is null"},
      {{8, 8, strange, 1, NULL}, RP_SHAPE, "\"a b\" is no name"},
      {{8, 3, strange, 0, NULL}, RP_SHAPE, "no fields"},
      {{8, 8, NULL, 1, NULL}, RP_ARGUMENT, "`payload->fields` is null"},
      {{8, 8, NULL, 0, "nonsense"}, RP_SHAPE, "last line"},
      {{24, 3, quote_fields, 5, NULL}, RP_SHAPE, "an alignment of 3"},
      {{SIZE_MAX, 1, quote_fields, 5, NULL}, RP_SHAPE, "belong to no field"},
      {{24, 8, quote_fields, SIZE_MAX, NULL}, RP_ARGUMENT, "elements"},
  };
  const struct rp_options options = {.kind = RP_RING, .capacity = 5};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct rp_segment *segment = (struct rp_segment *)&error;
    REFUSED(rp_create(name, &options, &cases[i].payload, NULL, &segment, &error), cases[i].status,
            cases[i].words);
    CHECK(segment == NULL);
  }
}

/* In the same words, whichever call it is. */
static void names_are_refused_as_by_the_header(void) {
  static const char *const names[] = {"",         "a/b",          ".a",           "\xff",
                                      "caf\xe9",  "\xc3\xa4\x80", "\xed\xa0\x80", "\xe0\x9f\xbf",
                                      "/\xf5",    "\xf4\x90\x80\x80"};
  const struct rp_options options = {.kind = RP_RING, .capacity = 5};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    struct ringproof_segment other;
    struct ringproof_error theirs;
    struct rp_segment *segment;
    struct rp_inspection seen;
    char text[8];
    size_t len;
    CHECK(ringproof_attach(&other, names[i], RINGPROOF_RING, &quote_shape, &theirs) ==
          RINGPROOF_NAME);
    REFUSED(rp_attach(names[i], RP_RING, &item_payload, &segment, &error), RP_NAME, theirs.message);
    CHECK(strcmp(error.message, theirs.message) == 0);
    REFUSED(rp_create(names[i], &options, &item_payload, NULL, &segment, &error), RP_NAME,
            theirs.message);
    REFUSED(rp_open(names[i], &options, &item_payload, NULL, &segment, &error), RP_NAME,
            theirs.message);
    REFUSED(rp_unlink_name(names[i], &error), RP_NAME, theirs.message);
    REFUSED(rp_inspect(names[i], &seen, &error), RP_NAME, theirs.message);
    REFUSED(rp_description(names[i], text, sizeof text, &len, &error), RP_NAME, theirs.message);
  }
}

static void modes_are_refused_as_by_the_header(void) {
  static const unsigned modes[] = {0400, 0200, 0066, 01600, 04755, 0100600};
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    const struct rp_options options = {.kind = RP_LATCH, .mode = modes[i]};
    struct ringproof_options header = ringproof_latch_options();
    struct ringproof_segment other;
    struct ringproof_error theirs;
    struct rp_segment *segment;
    header.mode = modes[i];
    CHECK(ringproof_create(&other, name, &header, &quote_shape, NULL, &theirs) == RINGPROOF_MODE);
    REFUSED(rp_create(name, &options, &quote_payload, NULL, &segment, &error), RP_ARGUMENT,
            theirs.message);
    CHECK(strcmp(error.message, theirs.message) == 0);
    REFUSED(rp_open(name, &options, &quote_payload, NULL, &segment, &error), RP_ARGUMENT,
            theirs.message);
  }
}

static void sizes_are_refused_as_by_the_header(void) {
  static const uint64_t sizes[][2] = {{5, 3}, {0, 8}, {9, 8}, {UINT64_C(1) << 62, 0},
                                      {5, UINT64_C(1) << 60}, {UINT64_MAX, UINT64_MAX}};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    const struct rp_options options = {
        .kind = RP_RING, .capacity = sizes[i][0], .slots = sizes[i][1]};
    struct ringproof_options header = ringproof_ring_options(sizes[i][0]);
    struct ringproof_segment other;
    struct ringproof_error theirs;
    struct rp_segment *segment;
    header.slots = sizes[i][1];
    CHECK(ringproof_create(&other, name, &header, &quote_shape, NULL, &theirs) == RINGPROOF_SIZE);
    REFUSED(rp_create(name, &options, &quote_payload, NULL, &segment, &error), RP_SIZE,
            theirs.message);
    CHECK(strcmp(error.message, theirs.message) == 0);
  }
}

/* A close takes back what was shown in place. */
static void a_chunk_does_not_outlive_a_close(void) {
  const struct rp_options options = {.kind = RP_RING, .capacity = 4, .slots = 4};
  struct rp_segment *segment;
  struct rp_producer *producer;
  struct rp_consumer *consumer;
  struct rp_chunk chunk;
  struct rp_end_state state;
  struct item item = {0, 0};
  bool closed;
  CHECK(rp_create(NULL, &options, &item_payload, NULL, &segment, &error) == RP_OK);
  CHECK(rp_producer_open(segment, &producer, &error) == RP_OK);
  CHECK(rp_consumer_open(segment, &consumer, &error) == RP_OK);
  CHECK(rp_push(producer, &item, &error) == RP_OK);
  CHECK(rp_reserve(producer, 2, &chunk, &error) == RP_OK);
  CHECK(rp_producer_close(producer, &error) == RP_OK);
  REFUSED(rp_commit(producer, 2, &error), RP_CLOSED, "from this side");
  REFUSED(rp_commit(producer, 0, &error), RP_CLOSED, "from this side");
  CHECK(rp_producer_position(producer) == 1);
  CHECK(rp_peek(consumer, 1, &chunk, &error) == RP_OK);
  CHECK(rp_consumer_close(consumer, &error) == RP_OK);
  REFUSED(rp_release(consumer, 1, &error), RP_CLOSED, "from this side");
  REFUSED(rp_release(consumer, 0, &error), RP_CLOSED, "from this side");
  CHECK(rp_consumer_position(consumer) == 0);
  CHECK(rp_producer_state(producer, &state, &error) == RP_OK && state.occupancy == 1);
  rp_consumer_drop(consumer);
  rp_producer_drop(producer);
  rp_detach(segment);
  /* The other side closes meanwhile, and the producer learns it. */
  CHECK(rp_create(NULL, &options, &item_payload, NULL, &segment, &error) == RP_OK);
  CHECK(rp_producer_open(segment, &producer, &error) == RP_OK);
  CHECK(rp_consumer_open(segment, &consumer, &error) == RP_OK);
  CHECK(rp_reserve(producer, 2, &chunk, &error) == RP_OK);
  CHECK(rp_consumer_close(consumer, &error) == RP_OK);
  REFUSED(rp_commit(producer, 3, &error), RP_OUT_OF_CHUNK, "chunk of 2");
  CHECK(rp_producer_peer_closed(producer, &closed, &error) == RP_OK && closed);
  REFUSED(rp_commit(producer, 2, &error), RP_OUT_OF_CHUNK, "chunk of 0");
  REFUSED(rp_push(producer, &item, &error), RP_STOPPED, "its consumer");
  rp_consumer_drop(consumer);
  rp_producer_drop(producer);
  rp_detach(segment);
  /* The same, and the producer does not ask: what it reserved it may commit. */
  CHECK(rp_create(NULL, &options, &item_payload, NULL, &segment, &error) == RP_OK);
  CHECK(rp_producer_open(segment, &producer, &error) == RP_OK);
  CHECK(rp_consumer_open(segment, &consumer, &error) == RP_OK);
  CHECK(rp_reserve(producer, 2, &chunk, &error) == RP_OK);
  CHECK(rp_consumer_close(consumer, &error) == RP_OK);
  CHECK(rp_commit(producer, 2, &error) == RP_OK && rp_producer_position(producer) == 2);
  rp_consumer_drop(consumer);
  rp_producer_drop(producer);
  rp_detach(segment);
}

static void who_is_attached_learns_what_became_of_the_name(void) {
  const struct rp_options options = {.kind = RP_LATCH};
  struct rp_segment *latch, *newer, *nameless;
  enum rp_name found = RP_NAME_REPLACED;
  CHECK(rp_create(name, &options, &quote_payload, NULL, &latch, &error) == RP_OK);
  CHECK(rp_name_status(latch, &found, &error) == RP_OK && found == RP_NAME_CURRENT);
  CHECK(rp_unlink(latch, &error) == RP_OK);
  CHECK(rp_name_status(latch, &found, &error) == RP_OK && found == RP_NAME_UNLINKED);
  CHECK(rp_create(name, &options, &quote_payload, NULL, &newer, &error) == RP_OK);
  CHECK(rp_name_status(latch, &found, &error) == RP_OK && found == RP_NAME_REPLACED);
  CHECK(rp_name_status(newer, &found, &error) == RP_OK && found == RP_NAME_CURRENT);
  CHECK(rp_unlink(newer, &error) == RP_OK);
  CHECK(rp_name_status(latch, &found, &error) == RP_OK && found == RP_NAME_UNLINKED);
  CHECK(rp_create(NULL, &options, &quote_payload, NULL, &nameless, &error) == RP_OK);
  CHECK(rp_name_status(nameless, &found, &error) == RP_OK && found == RP_NAME_CURRENT);
  REFUSED(rp_name_status(NULL, &found, &error), RP_ARGUMENT, "`segment`");
  REFUSED(rp_name_status(latch, NULL, &error), RP_ARGUMENT, "`found`");
  rp_detach(nameless);
  rp_detach(newer);
  rp_detach(latch);
}

static void segments_are_refused_with_the_reason(void) {
  const struct rp_options ring = {.kind = RP_RING, .capacity = 5, .slots = 8};
  struct rp_options bad = ring;
  struct rp_segment *segment, *other;
  REFUSED(rp_attach(name, RP_RING, &item_payload, &segment, &error), RP_NOT_FOUND, name);
  REFUSED(rp_attach("a/b", RP_RING, &item_payload, &segment, &error), RP_NAME, "slash");
  names_are_refused_as_by_the_header();
  REFUSED(rp_attach(name, 9, &item_payload, &segment, &error), RP_ARGUMENT, "enum rp_kind");
  bad.capacity = 0;
  REFUSED(rp_create(name, &bad, &item_payload, NULL, &segment, &error), RP_SIZE, "capacity of 0");
  bad.capacity = 5;
  bad.slots = 6;
  REFUSED(rp_create(name, &bad, &item_payload, NULL, &segment, &error), RP_SIZE, "power of two");
  CHECK(rp_create(name, &ring, &quote_payload, NULL, &segment, &error) == RP_OK);
  REFUSED(rp_create(name, &ring, &quote_payload, NULL, &other, &error), RP_EXISTS, "exists already");
  REFUSED(rp_attach(name, RP_LATCH, &value_payload, &other, &error), RP_MISMATCH, "kind is 1 (ring)");
  REFUSED(rp_attach(name, RP_RING, &item_payload, &other, &error), RP_PAYLOAD,
          "field \"seq\": not here; offset 0, u64 in the segment");
  CHECK(other == NULL);
  CHECK(rp_open(name, &ring, &quote_payload, NULL, &other, &error) == RP_OK);
  rp_detach(other);
  CHECK(rp_unlink(segment, &error) == RP_OK);
  rp_detach(segment);
  REFUSED(rp_unlink_name(name, &error), RP_NOT_FOUND, "does not exist");
}

static void null_is_told(void) {
  const struct rp_options options = {.kind = RP_RING, .capacity = 5};
  struct rp_segment *segment = NULL;
  struct rp_producer *producer = NULL;
  struct rp_consumer *consumer = NULL;
  struct rp_chunk chunk;
  struct rp_end_state state;
  uint64_t number = 0;
  size_t count = 0;
  bool answer;
  REFUSED(rp_create(NULL, NULL, &item_payload, NULL, &segment, &error), RP_ARGUMENT, "`options`");
  REFUSED(rp_create(NULL, &options, NULL, NULL, &segment, &error), RP_ARGUMENT, "`payload`");
  REFUSED(rp_create(NULL, &options, &item_payload, NULL, NULL, &error), RP_ARGUMENT, "`segment`");
  REFUSED(rp_open(NULL, &options, &item_payload, NULL, &segment, &error), RP_ARGUMENT, "`name`");
  REFUSED(rp_attach(NULL, RP_RING, &item_payload, &segment, &error), RP_ARGUMENT, "`name`");
  REFUSED(rp_attach_fd(-1, RP_RING, &item_payload, &segment, &error), RP_ARGUMENT, "descriptor");
  REFUSED(rp_attach_fd(1 << 20, RP_RING, &item_payload, &segment, &error), RP_SYSTEM, "duplicate");
  CHECK(error.os_error == EBADF);
  REFUSED(rp_unlink(NULL, &error), RP_ARGUMENT, "`segment`");
  REFUSED(rp_is_held(NULL, RP_WRITER, &answer, &error), RP_ARGUMENT, "`segment`");
  REFUSED(rp_note(NULL, RP_WRITER, 0, &number, &error), RP_ARGUMENT, "`segment`");
  REFUSED(rp_producer_open(NULL, &producer, &error), RP_ARGUMENT, "`segment`");
  REFUSED(rp_push(NULL, &number, &error), RP_ARGUMENT, "`producer`");
  REFUSED(rp_push_slice(NULL, &number, 1, &count, &error), RP_ARGUMENT, "`producer`");
  REFUSED(rp_reserve(NULL, 1, &chunk, &error), RP_ARGUMENT, "`producer`");
  REFUSED(rp_commit(NULL, 1, &error), RP_ARGUMENT, "`producer`");
  REFUSED(rp_producer_close(NULL, &error), RP_ARGUMENT, "`producer`");
  REFUSED(rp_producer_state(NULL, &state, &error), RP_ARGUMENT, "`producer`");
  REFUSED(rp_pop(NULL, &number, &error), RP_ARGUMENT, "`consumer`");
  REFUSED(rp_pop_slice(NULL, &number, 1, &count, &error), RP_ARGUMENT, "`consumer`");
  REFUSED(rp_peek(NULL, 1, &chunk, &error), RP_ARGUMENT, "`consumer`");
  REFUSED(rp_release(NULL, 1, &error), RP_ARGUMENT, "`consumer`");
  REFUSED(rp_consumer_close(NULL, &error), RP_ARGUMENT, "`consumer`");
  REFUSED(rp_write(NULL, &number, &error), RP_ARGUMENT, "`writer`");
  REFUSED(rp_read(NULL, &number, 1, &error), RP_ARGUMENT, "`reader`");
  REFUSED(rp_try_read(NULL, &number, &error), RP_ARGUMENT, "`reader`");
  CHECK(rp_fd(NULL) == -1 && !rp_is_lost(NULL) && rp_producer_position(NULL) == 0);
  rp_detach(NULL);
  rp_producer_drop(NULL);
  rp_consumer_drop(NULL);
  rp_writer_drop(NULL);
  rp_reader_drop(NULL);
  CHECK(rp_create(NULL, &options, &item_payload, NULL, &segment, NULL) == RP_OK);
  CHECK(rp_producer_open(segment, &producer, NULL) == RP_OK);
  CHECK(rp_consumer_open(segment, &consumer, NULL) == RP_OK);
  REFUSED(rp_push(producer, NULL, &error), RP_ARGUMENT, "`item`");
  REFUSED(rp_push_slice(producer, NULL, 2, &count, &error), RP_ARGUMENT, "`from`");
  REFUSED(rp_push_slice(producer, &number, SIZE_MAX / 2, &count, &error), RP_ARGUMENT, "`from`");
  REFUSED(rp_push_slice(producer, &number, 1, NULL, &error), RP_ARGUMENT, "`pushed`");
  REFUSED(rp_reserve(producer, 1, NULL, &error), RP_ARGUMENT, "`chunk`");
  REFUSED(rp_pop(consumer, NULL, &error), RP_ARGUMENT, "`item`");
  CHECK(rp_push_slice(producer, NULL, 0, &count, NULL) == RP_OK && count == 0);
  /* Without details, too. */
  CHECK(rp_pop(consumer, NULL, NULL) == RP_ARGUMENT && rp_pop(consumer, &chunk, NULL) == RP_EMPTY);
  rp_consumer_drop(consumer);
  rp_producer_drop(producer);
  rp_detach(segment);
}

static void a_ring_keeps_order_and_bounds(void) {
  const struct rp_options options = {.kind = RP_RING, .capacity = 5, .slots = 8};
  struct rp_segment *segment;
  struct rp_producer *producer, *second;
  struct rp_consumer *consumer;
  struct rp_chunk chunk;
  struct rp_end_state state;
  struct item items[8], item;
  size_t count;
  bool answer;
  uint64_t next = 0;
  CHECK(rp_create(NULL, &options, &item_payload, NULL, &segment, &error) == RP_OK);
  CHECK(rp_producer_open(segment, &producer, &error) == RP_OK);
  REFUSED(rp_producer_open(segment, &second, &error), RP_HELD, "producer");
  CHECK(second == NULL);
  CHECK(rp_is_held(segment, RP_PRODUCER, &answer, &error) == RP_OK && answer);
  CHECK(rp_is_held(segment, RP_CONSUMER, &answer, &error) == RP_OK && !answer);
  CHECK(rp_consumer_open(segment, &consumer, &error) == RP_OK);
  /* The ends keep the memory. */
  rp_detach(segment);
  for (int lap = 0; lap < 20; lap++) {
    const uint64_t start = rp_producer_position(producer);
    CHECK(rp_reserve(producer, 3, &chunk, &error) == RP_OK);
    CHECK(chunk.len == 3 && chunk.position == start && chunk.first.len + chunk.second.len == 3);
    for (size_t i = 0; i < 3; i++) {
      struct item *to = i < chunk.first.len ? (struct item *)chunk.first.items + i
                                            : (struct item *)chunk.second.items + i - chunk.first.len;
      to->seq = start + i;
      to->check = check_of(start + i);
    }
    REFUSED(rp_commit(producer, 4, &error), RP_OUT_OF_CHUNK, "4 items asked for in a chunk of 3");
    CHECK(rp_commit(producer, 2, &error) == RP_OK);
    /* What is left of it was taken back. */
    REFUSED(rp_commit(producer, 1, &error), RP_OUT_OF_CHUNK, "chunk of 0");
    for (size_t i = 0; i < 8; i++) {
      items[i].seq = start + 2 + i;
      items[i].check = check_of(start + 2 + i);
    }
    CHECK(rp_push_slice(producer, items, 8, &count, &error) == RP_OK && count == 3);
    REFUSED(rp_push(producer, items, &error), RP_FULL, "full");
    REFUSED(rp_push_slice(producer, items, 1, &count, &error), RP_FULL, "full");
    CHECK(count == 0);
    CHECK(rp_consumer_state(consumer, &state, &error) == RP_OK && state.occupancy == 5 &&
          state.capacity == 5 && state.epoch == 1 && state.peer_present && !state.closed);
    CHECK(rp_peek(consumer, 2, &chunk, &error) == RP_OK && chunk.len == 2);
    memcpy(&item, chunk.first.items, sizeof item);
    CHECK(item.seq == next && item.check == check_of(next) && chunk.position == next);
    CHECK(rp_release(consumer, 1, &error) == RP_OK);
    REFUSED(rp_release(consumer, 1, &error), RP_OUT_OF_CHUNK, "chunk of 0");
    CHECK(rp_pop(consumer, &item, &error) == RP_OK && item.seq == next + 1);
    CHECK(rp_pop_slice(consumer, items, 8, &count, &error) == RP_OK && count == 3);
    CHECK(items[2].seq == next + 4 && items[2].check == check_of(next + 4));
    REFUSED(rp_pop(consumer, &item, &error), RP_EMPTY, "empty");
    next += 5;
    CHECK(rp_consumer_position(consumer) == next);
  }
  /* A push takes back what was reserved before it. */
  CHECK(rp_reserve(producer, 2, &chunk, &error) == RP_OK);
  CHECK(rp_push(producer, &item, &error) == RP_OK);
  REFUSED(rp_commit(producer, 1, &error), RP_OUT_OF_CHUNK, "chunk of 0");
  CHECK(rp_producer_close(producer, &error) == RP_OK);
  REFUSED(rp_push(producer, &item, &error), RP_CLOSED, "from this side");
  CHECK(rp_pop(consumer, &item, &error) == RP_OK);
  REFUSED(rp_pop(consumer, &item, &error), RP_ENDED, "closed");
  CHECK(rp_consumer_close(consumer, &error) == RP_OK);
  CHECK(rp_producer_peer_closed(producer, &answer, &error) == RP_OK && answer);
  rp_consumer_drop(consumer);
  CHECK(rp_producer_state(producer, &state, &error) == RP_OK && state.closed &&
        !state.peer_present && state.occupancy == 0);
  rp_producer_drop(producer);
}

static void corruption_is_told(void) {
  const struct rp_options options = {.kind = RP_RING, .capacity = 5, .slots = 8};
  const uint64_t wrong = 77;
  struct rp_segment *segment;
  struct rp_consumer *consumer;
  struct item item;
  CHECK(rp_create(NULL, &options, &item_payload, NULL, &segment, &error) == RP_OK);
  CHECK(rp_consumer_open(segment, &consumer, &error) == RP_OK);
  CHECK(pwrite(rp_fd(segment), &wrong, sizeof wrong, 256) == sizeof wrong);
  REFUSED(rp_pop(consumer, &item, &error), RP_CORRUPT, "write_index is 77, but must be from 0 to 5");
  rp_consumer_drop(consumer);
  rp_detach(segment);
}

static void values_are_kept(uint32_t kind) {
  const struct rp_options options = {.kind = kind};
  struct rp_segment *segment, *other;
  struct rp_writer *writer;
  struct rp_reader *reader;
  struct rp_producer *producer;
  struct value value, seen;
  REFUSED(rp_create(NULL, &options, &(struct rp_payload){3, 1, (struct rp_field[]){{"a", 0, 3, RP_U8}},
                                                         1, NULL},
                    NULL, &segment, &error),
          RP_SIZE, "64-bit words");
  memset(&value, 1, sizeof value);
  CHECK(rp_create(NULL, &options, &value_payload, &value, &segment, &error) == RP_OK);
  /* By its descriptor, as another process would. */
  CHECK(rp_attach_fd(rp_fd(segment), kind, &value_payload, &other, &error) == RP_OK);
  REFUSED(rp_producer_open(segment, &producer, &error), RP_MISMATCH, "one that has a producer");
  CHECK(rp_reader_open(other, &reader, &error) == RP_OK);
  CHECK(rp_read(reader, &seen, 1, &error) == RP_OK && memcmp(&seen, &value, sizeof seen) == 0);
  CHECK(rp_writer_open(segment, &writer, &error) == RP_OK);
  for (int i = 2; i < 9; i++) {
    memset(&value, i, sizeof value);
    CHECK(rp_write(writer, &value, &error) == RP_OK);
    CHECK(rp_try_read(reader, &seen, &error) == RP_OK && memcmp(&seen, &value, sizeof seen) == 0);
  }
  CHECK(rp_writer_version(writer) == 7 && !rp_writer_needs_repair(writer));
  rp_detach(segment);
  rp_detach(other);
  rp_writer_drop(writer);
  CHECK(rp_read(reader, &seen, 1, &error) == RP_OK && seen.word[63] == value.word[0]);
  rp_reader_drop(reader);
}

static void a_dead_writer_is_told(void) {
  const struct rp_options options = {.kind = RP_SEQLOCK};
  const uint64_t odd = 3;
  struct rp_segment *segment;
  struct rp_writer *writer;
  struct rp_reader *reader;
  struct value value;
  memset(&value, 0, sizeof value);
  CHECK(rp_create(NULL, &options, &value_payload, NULL, &segment, &error) == RP_OK);
  CHECK(rp_reader_open(segment, &reader, &error) == RP_OK);
  CHECK(pwrite(rp_fd(segment), &odd, sizeof odd, 256) == sizeof odd);
  REFUSED(rp_try_read(reader, &value, &error), RP_BUSY, "a write");
  REFUSED(rp_read(reader, &value, 3, &error), RP_WRITER_DEAD, "3 attempts");
  CHECK(rp_writer_open(segment, &writer, &error) == RP_OK);
  REFUSED(rp_read(reader, &value, 3, &error), RP_WRITER_STALLED, "3 attempts");
  CHECK(rp_writer_needs_repair(writer) && rp_writer_version(writer) == 2);
  CHECK(rp_write(writer, &value, &error) == RP_OK && !rp_writer_needs_repair(writer));
  CHECK(rp_read(reader, &value, 1, &error) == RP_OK);
  rp_writer_drop(writer);
  rp_reader_drop(reader);
  rp_detach(segment);
}

/* Items of the one library, taken by the other, in turns over one ring. */
static void the_header_only_library_is_a_peer(void) {
  const struct rp_options options = {.kind = RP_RING, .capacity = 5, .slots = 8};
  struct rp_segment *lib;
  struct ringproof_segment header;
  struct ringproof_error told;
  struct quote quote, seen;
  memset(&quote, 0, sizeof quote);
  CHECK(rp_create(name, &options, &quote_payload, NULL, &lib, &error) == RP_OK);
  CHECK(ringproof_attach(&header, name, RINGPROOF_RING, &quote_shape, &told) == RINGPROOF_OK);
  for (int lap = 0; lap < 30; lap++) {
    struct rp_producer *producer;
    struct rp_consumer *consumer;
    struct ringproof_producer other_producer;
    struct ringproof_consumer other_consumer;
    CHECK(rp_producer_open(lib, &producer, &error) == RP_OK);
    CHECK(ringproof_consumer_open(&other_consumer, &header, &told) == RINGPROOF_OK);
    quote.seq++;
    quote.price = (double)quote.seq / 3;
    CHECK(rp_push(producer, &quote, &error) == RP_OK);
    CHECK(ringproof_pop(&other_consumer, &seen) == RINGPROOF_OK);
    CHECK(memcmp(&seen, &quote, sizeof seen) == 0);
    rp_producer_drop(producer);
    ringproof_consumer_drop(&other_consumer);
    CHECK(ringproof_producer_open(&other_producer, &header, &told) == RINGPROOF_OK);
    CHECK(rp_consumer_open(lib, &consumer, &error) == RP_OK);
    quote.seq++;
    quote.price = (double)quote.seq / 3;
    CHECK(ringproof_push(&other_producer, &quote) == RINGPROOF_OK);
    CHECK(rp_pop(consumer, &seen, &error) == RP_OK);
    CHECK(memcmp(&seen, &quote, sizeof seen) == 0);
    rp_consumer_drop(consumer);
    ringproof_producer_drop(&other_producer);
  }
  ringproof_detach(&header);
  CHECK(rp_unlink(lib, &error) == RP_OK);
  rp_detach(lib);
}

static void a_segment_is_inspected(void) {
  const struct rp_options options = {.kind = RP_RING, .mode = 0640, .capacity = 5, .slots = 8};
  static char text[RINGPROOF_DESCRIPTION_MAX + 1];
  struct rp_segment *segment;
  struct rp_producer *producer;
  struct rp_inspection seen;
  struct item item = {0, 0};
  uint64_t note = 0;
  size_t len;
  REFUSED(rp_inspect(name, &seen, &error), RP_NOT_FOUND, name);
  CHECK(rp_create(name, &options, &item_payload, NULL, &segment, &error) == RP_OK);
  CHECK(rp_producer_open(segment, &producer, &error) == RP_OK);
  CHECK(rp_push(producer, &item, &error) == RP_OK && rp_producer_close(producer, &error) == RP_OK);
  CHECK(rp_set_note(segment, RP_PRODUCER, 15, 42, &error) == RP_OK);
  CHECK(rp_note(segment, RP_PRODUCER, 15, &note, &error) == RP_OK && note == 42);
  REFUSED(rp_note(segment, RP_PRODUCER, 16, &note, &error), RP_ARGUMENT, "note 16");
  REFUSED(rp_set_note(segment, RP_PRODUCER, 16, 0, &error), RP_ARGUMENT, "note 16");
  REFUSED(rp_set_note(segment, 7, 0, 0, &error), RP_ARGUMENT, "7 is no enum rp_role");
  CHECK(rp_inspect(name, &seen, &error) == RP_OK);
  CHECK(seen.kind == RP_RING && seen.payload_size == 16 && seen.slots == 8 && seen.capacity == 5);
  CHECK(seen.write_index == 1 && seen.read_index == 0 && seen.end_index == 1);
  CHECK(seen.stop_index == UINT64_MAX && seen.producer.held && seen.producer.epoch == 1);
  CHECK(!seen.consumer.held && seen.consumer.epoch == 0 && !seen.retired);
  CHECK(rp_description(name, text, sizeof text, &len, &error) == RP_OK);
  CHECK(strstr(text, " 16\nvalue 0 u64x2\n") != NULL && len == strlen(text));
  CHECK(seen.fingerprint == ringproof_fingerprint(text, len));
  CHECK(rp_unlink_name(name, &error) == RP_OK);
  rp_producer_drop(producer);
  REFUSED(rp_producer_open(segment, &producer, &error), RP_GONE, "open it anew");
  rp_detach(segment);
}

/* The guard turns the signal into errors. */
static void truncation_is_told(void) {
  const struct rp_options options = {.kind = RP_RING, .capacity = 5, .slots = 8};
  struct rp_segment *segment;
  struct rp_consumer *consumer;
  struct item item;
  uint64_t note;
  char path[300];
  CHECK(rp_guard_install(&error) == RP_OK);
  CHECK(rp_create(name, &options, &item_payload, NULL, &segment, &error) == RP_OK);
  CHECK(rp_consumer_open(segment, &consumer, &error) == RP_OK && !rp_is_lost(segment));
  snprintf(path, sizeof path, "/dev/shm/%s", name);
  CHECK(truncate(path, 0) == 0);
  REFUSED(rp_pop(consumer, &item, &error), RP_CORRUPT, "write_index");
  CHECK(rp_is_lost(segment));
  REFUSED(rp_set_note(segment, RP_CONSUMER, 0, 1, &error), RP_LOST, "truncated");
  REFUSED(rp_note(segment, RP_CONSUMER, 0, &note, &error), RP_LOST, "truncated");
  rp_consumer_drop(consumer);
  CHECK(rp_unlink(segment, &error) == RP_OK);
  rp_detach(segment);
}

static int checks(void) {
  CHECK(strcmp(rp_strerror(RP_OK), "done") == 0);
  CHECK(strcmp(rp_strerror(RP_PANIC), "a defect of ringproof") == 0);
  CHECK(strcmp(rp_strerror(RP_FORKED + 1), "no status of ringproof") == 0);
  both_headers_describe_alike();
  what_is_no_payload_is_refused();
  segments_are_refused_with_the_reason();
  null_is_told();
  a_ring_keeps_order_and_bounds();
  corruption_is_told();
  values_are_kept(RP_SEQLOCK);
  values_are_kept(RP_LATCH);
  a_dead_writer_is_told();
  modes_are_refused_as_by_the_header();
  sizes_are_refused_as_by_the_header();
  a_chunk_does_not_outlive_a_close();
  who_is_attached_learns_what_became_of_the_name();
  the_header_only_library_is_a_peer();
  a_segment_is_inspected();
  truncation_is_told();
  return 0;
}

/* ---- Peers -------------------------------------------------------------------------------- */

static int send_all(struct rp_segment *ring, uint64_t count) {
  struct rp_producer *producer;
  CHECK(rp_producer_open(ring, &producer, &error) == RP_OK);
  while (rp_producer_position(producer) < count) {
    const uint64_t seq = rp_producer_position(producer);
    enum rp_status status;
    /* Singly, by the slice and in place, so that all of them are killed. */
    if (seq % 7 == 0 && seq + 5 <= count) {
      struct item items[5];
      size_t pushed;
      for (size_t i = 0; i < 5; i++) {
        items[i].seq = seq + i;
        items[i].check = check_of(seq + i);
      }
      status = rp_push_slice(producer, items, 5, &pushed, &error);
    } else if (seq % 5 == 0) {
      struct rp_chunk chunk;
      status = rp_reserve(producer, 1, &chunk, &error);
      if (status == RP_OK) {
        const struct item item = {seq, check_of(seq)};
        memcpy(chunk.first.items, &item, sizeof item);
        status = rp_commit(producer, 1, &error);
      }
    } else {
      const struct item item = {seq, check_of(seq)};
      status = rp_push(producer, &item, &error);
    }
    if (status == RP_FULL) {
      sched_yield();
    } else {
      CHECK(status == RP_OK);
    }
  }
  CHECK(rp_producer_close(producer, &error) == RP_OK);
  rp_producer_drop(producer);
  return 0;
}

static void check_run(const struct rp_run *run, uint64_t position) {
  for (size_t i = 0; i < run->len; i++) {
    struct item item;
    memcpy(&item, (const char *)run->items + i * sizeof item, sizeof item);
    CHECK(item.seq == position + i && item.check == check_of(position + i));
  }
}

static int recv_all(struct rp_segment *ring, uint64_t count) {
  struct rp_consumer *consumer;
  CHECK(rp_consumer_open(ring, &consumer, &error) == RP_OK);
  for (;;) {
    struct rp_chunk chunk;
    const enum rp_status status = rp_peek(consumer, 11, &chunk, &error);
    if (status == RP_EMPTY) {
      sched_yield();
      continue;
    }
    if (status == RP_ENDED) {
      break;
    }
    CHECK(status == RP_OK);
    check_run(&chunk.first, chunk.position);
    check_run(&chunk.second, chunk.position + chunk.first.len);
    CHECK(rp_release(consumer, chunk.len, &error) == RP_OK);
  }
  CHECK(rp_consumer_position(consumer) == count);
  rp_consumer_drop(consumer);
  return 0;
}

static int write_values(struct rp_segment *segment, uint64_t count) {
  struct rp_writer *writer;
  CHECK(rp_writer_open(segment, &writer, &error) == RP_OK);
  while (rp_writer_version(writer) < count) {
    struct value value;
    for (size_t i = 0; i < 64; i++) {
      value.word[i] = rp_writer_version(writer) + 1;
    }
    CHECK(rp_write(writer, &value, &error) == RP_OK);
  }
  rp_writer_drop(writer);
  return 0;
}

static int read_values(struct rp_segment *segment, uint64_t count) {
  struct rp_reader *reader;
  uint64_t last = 0;
  CHECK(rp_reader_open(segment, &reader, &error) == RP_OK);
  while (last < count) {
    struct value value;
    if (rp_read(reader, &value, 1000, &error) != RP_OK) {
      sched_yield(); /* its writer is stopped inside a write, or was killed there */
      continue;
    }
    for (size_t i = 1; i < 64; i++) {
      CHECK(value.word[i] == value.word[0]);
    }
    CHECK(value.word[0] >= last);
    last = value.word[0];
  }
  rp_reader_drop(reader);
  return 0;
}

int main(int count, char **arguments) {
  /* 64 slots for 50: it wraps all the time. */
  struct rp_options options = {.kind = RP_RING, .capacity = 50, .slots = 64};
  const struct rp_payload *payload = &item_payload;
  const bool values = count == 5;
  struct rp_segment *segment;
  uint64_t number;
  int outcome = 2;
  /* No test leaves a process behind, whatever becomes of it. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (count == 3 && strcmp(arguments[1], "checks") == 0) {
    name = arguments[2];
    return checks();
  }
  if (count != 4 && count != 5) {
    fprintf(stderr, "lib: see the comment at its beginning\n");
    return 2;
  }
  name = arguments[count - 2];
  number = strtoull(arguments[count - 1], NULL, 10);
  if (values) {
    const bool latch = strcmp(arguments[2], "latch") == 0;
    options = (struct rp_options){.kind = latch ? RP_LATCH : RP_SEQLOCK};
    payload = &value_payload;
  }
  CHECK(rp_open(name, &options, payload, NULL, &segment, &error) == RP_OK);
  if (strcmp(arguments[1], values ? "write" : "send") == 0) {
    outcome = (values ? write_values : send_all)(segment, number);
  } else if (strcmp(arguments[1], values ? "read" : "recv") == 0) {
    outcome = (values ? read_values : recv_all)(segment, number);
  }
  rp_detach(segment);
  return outcome;
}
