/* The library through its C header: checks of its own, and one end of a ring, seqlock or latch as a
 * process, as peer.c is for the header-only one, which is included beside.
 *
 *   lib checks NAME           NAME is a segment that does not exist, nor will when this ends
 *   lib send NAME COUNT       commits items up to position COUNT, then closes
 *   lib recv NAME COUNT       takes items to the end, which must be at COUNT
 *   lib write KIND NAME N     writes N values to a seqlock or latch
 *   lib read KIND NAME N      reads N values; none may be torn or older than the one before
 *
 * Who finds nothing waits; with RINGPROOF_PEER_SLEEPS in the environment it sleeps at once, and with
 * RINGPROOF_PEER_POLLS it polls a descriptor.
 *
 * Exit 0: as it should be; 1: it is not, and standard error says how; 2: the arguments are wrong.
 */
#include "ringproof.h"
#include "ringproof_lib.h"
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>

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

static struct ringproof_lib_error error;
static const char *name;

struct item {
  uint64_t seq;
  uint64_t check;
};
struct value {
  uint64_t word[64];
};
/* Described as the arrays that the Rust side has for them. */
static const struct ringproof_lib_field item_fields[] = {RINGPROOF_LIB_VALUE(struct item, RINGPROOF_LIB_U64)};
static const struct ringproof_lib_payload item_payload = RINGPROOF_LIB_PAYLOAD(struct item, item_fields);
static const struct ringproof_lib_field value_fields[] = {RINGPROOF_LIB_VALUE(struct value, RINGPROOF_LIB_U64)};
static const struct ringproof_lib_payload value_payload = RINGPROOF_LIB_PAYLOAD(struct value, value_fields);

struct quote {
  uint64_t seq;
  double price;
  uint8_t tag[4];
  struct {
    int16_t qty;
    int16_t ratio;
  } legs[1];
};
static const struct ringproof_lib_field quote_fields[] = {
    RINGPROOF_LIB_FIELD(struct quote, seq, RINGPROOF_LIB_U64),
    RINGPROOF_LIB_FIELD(struct quote, price, RINGPROOF_LIB_F64),
    RINGPROOF_LIB_FIELD(struct quote, tag, RINGPROOF_LIB_U8),
    RINGPROOF_LIB_FIELD(struct quote, legs[0].qty, RINGPROOF_LIB_I16),
    RINGPROOF_LIB_FIELD(struct quote, legs[0].ratio, RINGPROOF_LIB_I16),
};
static const struct ringproof_lib_payload quote_payload = RINGPROOF_LIB_PAYLOAD(struct quote, quote_fields);
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
  struct ringproof_lib_payload by_text = {sizeof(struct quote), 8, NULL, 0, theirs};
  size_t our_len = 0, their_len = 0;
  CHECK(ringproof_lib_describe(&quote_payload, ours, sizeof ours, &our_len, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_describe(&quote_shape, theirs, &their_len, NULL) == RINGPROOF_OK);
  CHECK(our_len == strlen(ours) && our_len == their_len && strcmp(ours, theirs) == 0);
  /* One that was made by the other header is taken, too. */
  CHECK(ringproof_lib_describe(&by_text, ours, sizeof ours, &our_len, &error) == RINGPROOF_LIB_OK);
  CHECK(strcmp(ours, theirs) == 0);
  by_text.size = 8;
  REFUSED(ringproof_lib_describe(&by_text, ours, sizeof ours, &our_len, &error), RINGPROOF_LIB_SHAPE,
          "of 24 bytes, the payload has 8");
  REFUSED(ringproof_lib_describe(&quote_payload, ours, our_len, &our_len, &error), RINGPROOF_LIB_ARGUMENT, "`size`");
}

static void what_is_no_payload_is_refused(void) {
  static const struct ringproof_lib_field with_gap[] = {{"a", 0, 4, RINGPROOF_LIB_U32}, {"b", 8, 8, RINGPROOF_LIB_U64}};
  static const struct ringproof_lib_field half[] = {{"a", 0, 12, RINGPROOF_LIB_U64}};
  static const struct ringproof_lib_field unknown[] = {{"a", 0, 8, 99}};
  static const struct ringproof_lib_field unnamed[] = {{NULL, 0, 8, RINGPROOF_LIB_U64}};
  static const struct ringproof_lib_field strange[] = {{"a b", 0, 8, RINGPROOF_LIB_U64}};
  const struct {
    struct ringproof_lib_payload payload;
    enum ringproof_lib_status status;
    const char *words;
  } cases[] = {
      {{16, 8, with_gap, 2, NULL}, RINGPROOF_LIB_SHAPE, "bytes 4 to 8 belong to no field"},
      {{12, 4, half, 1, NULL}, RINGPROOF_LIB_SHAPE, "no whole number of u64"},
      {{8, 8, unknown, 1, NULL}, RINGPROOF_LIB_ARGUMENT, "99 is no enum ringproof_lib_primitive"},
      {{8, 8, unnamed, 1, NULL}, RINGPROOF_LIB_ARGUMENT, "`field->name` is null"},
      {{8, 8, strange, 1, NULL}, RINGPROOF_LIB_SHAPE, "\"a b\" is no name"},
      {{8, 3, strange, 0, NULL}, RINGPROOF_LIB_SHAPE, "no fields"},
      {{8, 8, NULL, 1, NULL}, RINGPROOF_LIB_ARGUMENT, "`payload->fields` is null"},
      {{8, 8, NULL, 0, "nonsense"}, RINGPROOF_LIB_SHAPE, "last line"},
      {{24, 3, quote_fields, 5, NULL}, RINGPROOF_LIB_SHAPE, "an alignment of 3"},
      {{SIZE_MAX, 1, quote_fields, 5, NULL}, RINGPROOF_LIB_SHAPE, "belong to no field"},
      {{24, 8, quote_fields, SIZE_MAX, NULL}, RINGPROOF_LIB_ARGUMENT, "elements"},
  };
  const struct ringproof_lib_options options = {.kind = RINGPROOF_LIB_RING, .capacity = 5};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ringproof_lib_segment *segment = (struct ringproof_lib_segment *)&error;
    REFUSED(ringproof_lib_create(name, &options, &cases[i].payload, NULL, &segment, &error), cases[i].status,
            cases[i].words);
    CHECK(segment == NULL);
  }
}

/* In the same words, whichever call it is. */
static void names_are_refused_as_by_the_header(void) {
  static const char *const names[] = {"",         "a/b",          ".a",           "\xff",
                                      "caf\xe9",  "\xc3\xa4\x80", "\xed\xa0\x80", "\xe0\x9f\xbf",
                                      "/\xf5",    "\xf4\x90\x80\x80"};
  const struct ringproof_lib_options options = {.kind = RINGPROOF_LIB_RING, .capacity = 5};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    struct ringproof_segment other;
    struct ringproof_error theirs;
    struct ringproof_lib_segment *segment;
    struct ringproof_lib_inspection seen;
    char text[8];
    size_t len;
    CHECK(ringproof_attach(&other, names[i], RINGPROOF_RING, &quote_shape, &theirs) ==
          RINGPROOF_NAME);
    REFUSED(ringproof_lib_attach(names[i], RINGPROOF_LIB_RING, &item_payload, &segment, &error), RINGPROOF_LIB_NAME, theirs.message);
    CHECK(strcmp(error.message, theirs.message) == 0);
    REFUSED(ringproof_lib_create(names[i], &options, &item_payload, NULL, &segment, &error), RINGPROOF_LIB_NAME,
            theirs.message);
    REFUSED(ringproof_lib_open_or_create(names[i], &options, &item_payload, NULL, &segment, &error), RINGPROOF_LIB_NAME,
            theirs.message);
    REFUSED(ringproof_lib_unlink_name(names[i], &error), RINGPROOF_LIB_NAME, theirs.message);
    REFUSED(ringproof_lib_inspect(names[i], &seen, &error), RINGPROOF_LIB_NAME, theirs.message);
    REFUSED(ringproof_lib_description(names[i], text, sizeof text, &len, &error), RINGPROOF_LIB_NAME, theirs.message);
  }
}

static void modes_are_refused_as_by_the_header(void) {
  static const unsigned modes[] = {0400, 0200, 0066, 01600, 04755, 0100600};
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    const struct ringproof_lib_options options = {.kind = RINGPROOF_LIB_LATCH, .mode = modes[i]};
    struct ringproof_options header = ringproof_latch_options();
    struct ringproof_segment other;
    struct ringproof_error theirs;
    struct ringproof_lib_segment *segment;
    header.mode = modes[i];
    CHECK(ringproof_create(&other, name, &header, &quote_shape, NULL, &theirs) == RINGPROOF_MODE);
    REFUSED(ringproof_lib_create(name, &options, &quote_payload, NULL, &segment, &error), RINGPROOF_LIB_ARGUMENT,
            theirs.message);
    CHECK(strcmp(error.message, theirs.message) == 0);
    REFUSED(ringproof_lib_open_or_create(name, &options, &quote_payload, NULL, &segment, &error), RINGPROOF_LIB_ARGUMENT,
            theirs.message);
  }
}

static void sizes_are_refused_as_by_the_header(void) {
  static const uint64_t sizes[][2] = {{5, 3}, {0, 8}, {9, 8}, {UINT64_C(1) << 62, 0},
                                      {5, UINT64_C(1) << 60}, {UINT64_MAX, UINT64_MAX}};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    const struct ringproof_lib_options options = {
        .kind = RINGPROOF_LIB_RING, .capacity = sizes[i][0], .slots = sizes[i][1]};
    struct ringproof_options header = ringproof_ring_options(sizes[i][0]);
    struct ringproof_segment other;
    struct ringproof_error theirs;
    struct ringproof_lib_segment *segment;
    header.slots = sizes[i][1];
    CHECK(ringproof_create(&other, name, &header, &quote_shape, NULL, &theirs) == RINGPROOF_SIZE);
    REFUSED(ringproof_lib_create(name, &options, &quote_payload, NULL, &segment, &error), RINGPROOF_LIB_SIZE,
            theirs.message);
    CHECK(strcmp(error.message, theirs.message) == 0);
  }
}

/* A close takes back what was shown in place. */
static void a_chunk_does_not_outlive_a_close(void) {
  const struct ringproof_lib_options options = {.kind = RINGPROOF_LIB_RING, .capacity = 4, .slots = 4};
  struct ringproof_lib_segment *segment;
  struct ringproof_lib_producer *producer;
  struct ringproof_lib_consumer *consumer;
  struct ringproof_lib_chunk chunk;
  struct ringproof_lib_end_state state;
  struct item item = {0, 0};
  bool closed;
  CHECK(ringproof_lib_create(NULL, &options, &item_payload, NULL, &segment, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_producer_open(segment, &producer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_consumer_open(segment, &consumer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_push(producer, &item, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_reserve(producer, 2, &chunk, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_producer_close(producer, &error) == RINGPROOF_LIB_OK);
  REFUSED(ringproof_lib_commit(producer, 2, &error), RINGPROOF_LIB_CLOSED, "from this side");
  REFUSED(ringproof_lib_commit(producer, 0, &error), RINGPROOF_LIB_CLOSED, "from this side");
  CHECK(ringproof_lib_producer_position(producer) == 1);
  CHECK(ringproof_lib_peek(consumer, 1, &chunk, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_consumer_close(consumer, &error) == RINGPROOF_LIB_OK);
  REFUSED(ringproof_lib_release(consumer, 1, &error), RINGPROOF_LIB_CLOSED, "from this side");
  REFUSED(ringproof_lib_release(consumer, 0, &error), RINGPROOF_LIB_CLOSED, "from this side");
  CHECK(ringproof_lib_consumer_position(consumer) == 0);
  CHECK(ringproof_lib_producer_state(producer, &state, &error) == RINGPROOF_LIB_OK && state.occupancy == 1);
  ringproof_lib_consumer_drop(consumer);
  ringproof_lib_producer_drop(producer);
  ringproof_lib_detach(segment);
  /* The other side closes meanwhile, and the producer learns it. */
  CHECK(ringproof_lib_create(NULL, &options, &item_payload, NULL, &segment, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_producer_open(segment, &producer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_consumer_open(segment, &consumer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_reserve(producer, 2, &chunk, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_consumer_close(consumer, &error) == RINGPROOF_LIB_OK);
  REFUSED(ringproof_lib_commit(producer, 3, &error), RINGPROOF_LIB_OUT_OF_CHUNK, "chunk of 2");
  CHECK(ringproof_lib_producer_is_peer_closed(producer, &closed, &error) == RINGPROOF_LIB_OK && closed);
  REFUSED(ringproof_lib_commit(producer, 2, &error), RINGPROOF_LIB_OUT_OF_CHUNK, "chunk of 0");
  REFUSED(ringproof_lib_push(producer, &item, &error), RINGPROOF_LIB_PEER_CLOSED, "no more are taken");
  ringproof_lib_consumer_drop(consumer);
  ringproof_lib_producer_drop(producer);
  ringproof_lib_detach(segment);
  /* The same, and the producer does not ask: what it reserved it may commit. */
  CHECK(ringproof_lib_create(NULL, &options, &item_payload, NULL, &segment, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_producer_open(segment, &producer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_consumer_open(segment, &consumer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_reserve(producer, 2, &chunk, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_consumer_close(consumer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_commit(producer, 2, &error) == RINGPROOF_LIB_OK && ringproof_lib_producer_position(producer) == 2);
  ringproof_lib_consumer_drop(consumer);
  ringproof_lib_producer_drop(producer);
  ringproof_lib_detach(segment);
}

static void who_is_attached_learns_what_became_of_the_name(void) {
  const struct ringproof_lib_options options = {.kind = RINGPROOF_LIB_LATCH};
  struct ringproof_lib_segment *latch, *newer, *nameless;
  enum ringproof_lib_name found = RINGPROOF_LIB_NAME_REPLACED;
  CHECK(ringproof_lib_create(name, &options, &quote_payload, NULL, &latch, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_name_status(latch, &found, &error) == RINGPROOF_LIB_OK && found == RINGPROOF_LIB_NAME_CURRENT);
  CHECK(ringproof_lib_unlink(latch, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_name_status(latch, &found, &error) == RINGPROOF_LIB_OK && found == RINGPROOF_LIB_NAME_UNLINKED);
  CHECK(ringproof_lib_create(name, &options, &quote_payload, NULL, &newer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_name_status(latch, &found, &error) == RINGPROOF_LIB_OK && found == RINGPROOF_LIB_NAME_REPLACED);
  CHECK(ringproof_lib_name_status(newer, &found, &error) == RINGPROOF_LIB_OK && found == RINGPROOF_LIB_NAME_CURRENT);
  CHECK(ringproof_lib_unlink(newer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_name_status(latch, &found, &error) == RINGPROOF_LIB_OK && found == RINGPROOF_LIB_NAME_UNLINKED);
  CHECK(ringproof_lib_create(NULL, &options, &quote_payload, NULL, &nameless, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_name_status(nameless, &found, &error) == RINGPROOF_LIB_OK && found == RINGPROOF_LIB_NAME_CURRENT);
  REFUSED(ringproof_lib_name_status(NULL, &found, &error), RINGPROOF_LIB_ARGUMENT, "`segment`");
  REFUSED(ringproof_lib_name_status(latch, NULL, &error), RINGPROOF_LIB_ARGUMENT, "`found`");
  ringproof_lib_detach(nameless);
  ringproof_lib_detach(newer);
  ringproof_lib_detach(latch);
}

static void segments_are_refused_with_the_reason(void) {
  const struct ringproof_lib_options ring = {.kind = RINGPROOF_LIB_RING, .capacity = 5, .slots = 8};
  struct ringproof_lib_options bad = ring;
  struct ringproof_lib_segment *segment, *other;
  REFUSED(ringproof_lib_attach(name, RINGPROOF_LIB_RING, &item_payload, &segment, &error), RINGPROOF_LIB_NOT_FOUND, name);
  REFUSED(ringproof_lib_attach("a/b", RINGPROOF_LIB_RING, &item_payload, &segment, &error), RINGPROOF_LIB_NAME, "slash");
  names_are_refused_as_by_the_header();
  REFUSED(ringproof_lib_attach(name, 9, &item_payload, &segment, &error), RINGPROOF_LIB_ARGUMENT, "enum ringproof_lib_kind");
  bad.capacity = 0;
  REFUSED(ringproof_lib_create(name, &bad, &item_payload, NULL, &segment, &error), RINGPROOF_LIB_SIZE, "capacity of 0");
  bad.capacity = 5;
  bad.slots = 6;
  REFUSED(ringproof_lib_create(name, &bad, &item_payload, NULL, &segment, &error), RINGPROOF_LIB_SIZE, "power of two");
  CHECK(ringproof_lib_create(name, &ring, &quote_payload, NULL, &segment, &error) == RINGPROOF_LIB_OK);
  REFUSED(ringproof_lib_create(name, &ring, &quote_payload, NULL, &other, &error), RINGPROOF_LIB_EXISTS, "exists already");
  REFUSED(ringproof_lib_attach(name, RINGPROOF_LIB_LATCH, &value_payload, &other, &error), RINGPROOF_LIB_MISMATCH, "kind is 1 (ring)");
  REFUSED(ringproof_lib_attach(name, RINGPROOF_LIB_RING, &item_payload, &other, &error), RINGPROOF_LIB_PAYLOAD,
          "field \"seq\": not here; offset 0, u64 in the segment");
  CHECK(other == NULL);
  CHECK(ringproof_lib_open_or_create(name, &ring, &quote_payload, NULL, &other, &error) == RINGPROOF_LIB_OK);
  ringproof_lib_detach(other);
  CHECK(ringproof_lib_unlink(segment, &error) == RINGPROOF_LIB_OK);
  ringproof_lib_detach(segment);
  REFUSED(ringproof_lib_unlink_name(name, &error), RINGPROOF_LIB_NOT_FOUND, "does not exist");
}

static void null_is_told(void) {
  const struct ringproof_lib_options options = {.kind = RINGPROOF_LIB_RING, .capacity = 5};
  struct ringproof_lib_segment *segment = NULL;
  struct ringproof_lib_producer *producer = NULL;
  struct ringproof_lib_consumer *consumer = NULL;
  struct ringproof_lib_chunk chunk;
  struct ringproof_lib_end_state state;
  uint64_t number = 0;
  size_t count = 0;
  bool answer;
  REFUSED(ringproof_lib_create(NULL, NULL, &item_payload, NULL, &segment, &error), RINGPROOF_LIB_ARGUMENT, "`options`");
  REFUSED(ringproof_lib_create(NULL, &options, NULL, NULL, &segment, &error), RINGPROOF_LIB_ARGUMENT, "`payload`");
  REFUSED(ringproof_lib_create(NULL, &options, &item_payload, NULL, NULL, &error), RINGPROOF_LIB_ARGUMENT, "`segment`");
  REFUSED(ringproof_lib_open_or_create(NULL, &options, &item_payload, NULL, &segment, &error), RINGPROOF_LIB_ARGUMENT, "`name`");
  REFUSED(ringproof_lib_attach(NULL, RINGPROOF_LIB_RING, &item_payload, &segment, &error), RINGPROOF_LIB_ARGUMENT, "`name`");
  REFUSED(ringproof_lib_attach_fd(-1, RINGPROOF_LIB_RING, &item_payload, &segment, &error), RINGPROOF_LIB_ARGUMENT, "descriptor");
  REFUSED(ringproof_lib_attach_fd(1 << 20, RINGPROOF_LIB_RING, &item_payload, &segment, &error), RINGPROOF_LIB_SYSTEM, "duplicate");
  CHECK(error.os_error == EBADF);
  REFUSED(ringproof_lib_unlink(NULL, &error), RINGPROOF_LIB_ARGUMENT, "`segment`");
  REFUSED(ringproof_lib_is_held(NULL, RINGPROOF_LIB_WRITER, &answer, &error), RINGPROOF_LIB_ARGUMENT, "`segment`");
  REFUSED(ringproof_lib_note(NULL, RINGPROOF_LIB_WRITER, 0, &number, &error), RINGPROOF_LIB_ARGUMENT, "`segment`");
  REFUSED(ringproof_lib_producer_open(NULL, &producer, &error), RINGPROOF_LIB_ARGUMENT, "`segment`");
  REFUSED(ringproof_lib_push(NULL, &number, &error), RINGPROOF_LIB_ARGUMENT, "`producer`");
  REFUSED(ringproof_lib_push_slice(NULL, &number, 1, &count, &error), RINGPROOF_LIB_ARGUMENT, "`producer`");
  REFUSED(ringproof_lib_reserve(NULL, 1, &chunk, &error), RINGPROOF_LIB_ARGUMENT, "`producer`");
  REFUSED(ringproof_lib_commit(NULL, 1, &error), RINGPROOF_LIB_ARGUMENT, "`producer`");
  REFUSED(ringproof_lib_producer_close(NULL, &error), RINGPROOF_LIB_ARGUMENT, "`producer`");
  REFUSED(ringproof_lib_producer_state(NULL, &state, &error), RINGPROOF_LIB_ARGUMENT, "`producer`");
  REFUSED(ringproof_lib_pop(NULL, &number, &error), RINGPROOF_LIB_ARGUMENT, "`consumer`");
  REFUSED(ringproof_lib_pop_slice(NULL, &number, 1, &count, &error), RINGPROOF_LIB_ARGUMENT, "`consumer`");
  REFUSED(ringproof_lib_peek(NULL, 1, &chunk, &error), RINGPROOF_LIB_ARGUMENT, "`consumer`");
  REFUSED(ringproof_lib_release(NULL, 1, &error), RINGPROOF_LIB_ARGUMENT, "`consumer`");
  REFUSED(ringproof_lib_consumer_close(NULL, &error), RINGPROOF_LIB_ARGUMENT, "`consumer`");
  REFUSED(ringproof_lib_write(NULL, &number, &error), RINGPROOF_LIB_ARGUMENT, "`writer`");
  REFUSED(ringproof_lib_read(NULL, &number, 1, &error), RINGPROOF_LIB_ARGUMENT, "`reader`");
  REFUSED(ringproof_lib_try_read(NULL, &number, &error), RINGPROOF_LIB_ARGUMENT, "`reader`");
  CHECK(ringproof_lib_fd(NULL) == -1 && !ringproof_lib_is_lost(NULL) && ringproof_lib_producer_position(NULL) == 0);
  ringproof_lib_detach(NULL);
  ringproof_lib_producer_drop(NULL);
  ringproof_lib_consumer_drop(NULL);
  ringproof_lib_writer_drop(NULL);
  ringproof_lib_reader_drop(NULL);
  CHECK(ringproof_lib_create(NULL, &options, &item_payload, NULL, &segment, NULL) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_producer_open(segment, &producer, NULL) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_consumer_open(segment, &consumer, NULL) == RINGPROOF_LIB_OK);
  REFUSED(ringproof_lib_push(producer, NULL, &error), RINGPROOF_LIB_ARGUMENT, "`item`");
  REFUSED(ringproof_lib_push_slice(producer, NULL, 2, &count, &error), RINGPROOF_LIB_ARGUMENT, "`from`");
  REFUSED(ringproof_lib_push_slice(producer, &number, SIZE_MAX / 2, &count, &error), RINGPROOF_LIB_ARGUMENT, "`from`");
  REFUSED(ringproof_lib_push_slice(producer, &number, 1, NULL, &error), RINGPROOF_LIB_ARGUMENT, "`pushed`");
  REFUSED(ringproof_lib_reserve(producer, 1, NULL, &error), RINGPROOF_LIB_ARGUMENT, "`chunk`");
  REFUSED(ringproof_lib_pop(consumer, NULL, &error), RINGPROOF_LIB_ARGUMENT, "`item`");
  CHECK(ringproof_lib_push_slice(producer, NULL, 0, &count, NULL) == RINGPROOF_LIB_OK && count == 0);
  /* Without details, too. */
  CHECK(ringproof_lib_pop(consumer, NULL, NULL) == RINGPROOF_LIB_ARGUMENT && ringproof_lib_pop(consumer, &chunk, NULL) == RINGPROOF_LIB_EMPTY);
  ringproof_lib_consumer_drop(consumer);
  ringproof_lib_producer_drop(producer);
  ringproof_lib_detach(segment);
}

static void a_ring_keeps_order_and_bounds(void) {
  const struct ringproof_lib_options options = {.kind = RINGPROOF_LIB_RING, .capacity = 5, .slots = 8};
  struct ringproof_lib_segment *segment;
  struct ringproof_lib_producer *producer, *second;
  struct ringproof_lib_consumer *consumer;
  struct ringproof_lib_chunk chunk;
  struct ringproof_lib_end_state state;
  struct item items[8], item;
  size_t count;
  bool answer;
  uint64_t next = 0;
  CHECK(ringproof_lib_create(NULL, &options, &item_payload, NULL, &segment, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_producer_open(segment, &producer, &error) == RINGPROOF_LIB_OK);
  REFUSED(ringproof_lib_producer_open(segment, &second, &error), RINGPROOF_LIB_HELD, "producer");
  CHECK(second == NULL);
  CHECK(ringproof_lib_is_held(segment, RINGPROOF_LIB_PRODUCER, &answer, &error) == RINGPROOF_LIB_OK && answer);
  CHECK(ringproof_lib_is_held(segment, RINGPROOF_LIB_CONSUMER, &answer, &error) == RINGPROOF_LIB_OK && !answer);
  CHECK(ringproof_lib_consumer_open(segment, &consumer, &error) == RINGPROOF_LIB_OK);
  /* The ends keep the memory. */
  ringproof_lib_detach(segment);
  for (int lap = 0; lap < 20; lap++) {
    const uint64_t start = ringproof_lib_producer_position(producer);
    CHECK(ringproof_lib_reserve(producer, 3, &chunk, &error) == RINGPROOF_LIB_OK);
    CHECK(chunk.len == 3 && chunk.position == start && chunk.first.len + chunk.second.len == 3);
    for (size_t i = 0; i < 3; i++) {
      struct item *to = i < chunk.first.len ? (struct item *)chunk.first.items + i
                                            : (struct item *)chunk.second.items + i - chunk.first.len;
      to->seq = start + i;
      to->check = check_of(start + i);
    }
    REFUSED(ringproof_lib_commit(producer, 4, &error), RINGPROOF_LIB_OUT_OF_CHUNK, "4 items asked for in a chunk of 3");
    CHECK(ringproof_lib_commit(producer, 2, &error) == RINGPROOF_LIB_OK);
    /* What is left of it was taken back. */
    REFUSED(ringproof_lib_commit(producer, 1, &error), RINGPROOF_LIB_OUT_OF_CHUNK, "chunk of 0");
    for (size_t i = 0; i < 8; i++) {
      items[i].seq = start + 2 + i;
      items[i].check = check_of(start + 2 + i);
    }
    CHECK(ringproof_lib_push_slice(producer, items, 8, &count, &error) == RINGPROOF_LIB_OK && count == 3);
    REFUSED(ringproof_lib_push(producer, items, &error), RINGPROOF_LIB_FULL, "full");
    REFUSED(ringproof_lib_push_slice(producer, items, 1, &count, &error), RINGPROOF_LIB_FULL, "full");
    CHECK(count == 0);
    CHECK(ringproof_lib_consumer_state(consumer, &state, &error) == RINGPROOF_LIB_OK && state.occupancy == 5 &&
          state.capacity == 5 && state.epoch == 1 && state.peer_present && !state.closed);
    CHECK(ringproof_lib_peek(consumer, 2, &chunk, &error) == RINGPROOF_LIB_OK && chunk.len == 2);
    memcpy(&item, chunk.first.items, sizeof item);
    CHECK(item.seq == next && item.check == check_of(next) && chunk.position == next);
    CHECK(ringproof_lib_release(consumer, 1, &error) == RINGPROOF_LIB_OK);
    REFUSED(ringproof_lib_release(consumer, 1, &error), RINGPROOF_LIB_OUT_OF_CHUNK, "chunk of 0");
    CHECK(ringproof_lib_pop(consumer, &item, &error) == RINGPROOF_LIB_OK && item.seq == next + 1);
    CHECK(ringproof_lib_pop_slice(consumer, items, 8, &count, &error) == RINGPROOF_LIB_OK && count == 3);
    CHECK(items[2].seq == next + 4 && items[2].check == check_of(next + 4));
    REFUSED(ringproof_lib_pop(consumer, &item, &error), RINGPROOF_LIB_EMPTY, "empty");
    next += 5;
    CHECK(ringproof_lib_consumer_position(consumer) == next);
  }
  /* A push takes back what was reserved before it. */
  CHECK(ringproof_lib_reserve(producer, 2, &chunk, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_push(producer, &item, &error) == RINGPROOF_LIB_OK);
  REFUSED(ringproof_lib_commit(producer, 1, &error), RINGPROOF_LIB_OUT_OF_CHUNK, "chunk of 0");
  CHECK(ringproof_lib_producer_close(producer, &error) == RINGPROOF_LIB_OK);
  REFUSED(ringproof_lib_push(producer, &item, &error), RINGPROOF_LIB_CLOSED, "from this side");
  CHECK(ringproof_lib_pop(consumer, &item, &error) == RINGPROOF_LIB_OK);
  REFUSED(ringproof_lib_pop(consumer, &item, &error), RINGPROOF_LIB_PEER_CLOSED, "closed");
  CHECK(ringproof_lib_consumer_close(consumer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_producer_is_peer_closed(producer, &answer, &error) == RINGPROOF_LIB_OK && answer);
  ringproof_lib_consumer_drop(consumer);
  CHECK(ringproof_lib_producer_state(producer, &state, &error) == RINGPROOF_LIB_OK && state.closed &&
        !state.peer_present && state.occupancy == 0);
  ringproof_lib_producer_drop(producer);
}

static void corruption_is_told(void) {
  const struct ringproof_lib_options options = {.kind = RINGPROOF_LIB_RING, .capacity = 5, .slots = 8};
  const uint64_t wrong = 77;
  struct ringproof_lib_segment *segment;
  struct ringproof_lib_consumer *consumer;
  struct item item;
  CHECK(ringproof_lib_create(NULL, &options, &item_payload, NULL, &segment, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_consumer_open(segment, &consumer, &error) == RINGPROOF_LIB_OK);
  CHECK(pwrite(ringproof_lib_fd(segment), &wrong, sizeof wrong, 256) == sizeof wrong);
  REFUSED(ringproof_lib_pop(consumer, &item, &error), RINGPROOF_LIB_CORRUPT, "write_index is 77, but must be from 0 to 5");
  ringproof_lib_consumer_drop(consumer);
  ringproof_lib_detach(segment);
}

static void values_are_kept(uint32_t kind) {
  const struct ringproof_lib_options options = {.kind = kind};
  struct ringproof_lib_segment *segment, *other;
  struct ringproof_lib_writer *writer;
  struct ringproof_lib_reader *reader;
  struct ringproof_lib_producer *producer;
  struct value value, seen;
  REFUSED(ringproof_lib_create(NULL, &options, &(struct ringproof_lib_payload){3, 1, (struct ringproof_lib_field[]){{"a", 0, 3, RINGPROOF_LIB_U8}},
                                                         1, NULL},
                    NULL, &segment, &error),
          RINGPROOF_LIB_SIZE, "64-bit words");
  memset(&value, 1, sizeof value);
  CHECK(ringproof_lib_create(NULL, &options, &value_payload, &value, &segment, &error) == RINGPROOF_LIB_OK);
  /* By its descriptor, as another process would. */
  CHECK(ringproof_lib_attach_fd(ringproof_lib_fd(segment), kind, &value_payload, &other, &error) == RINGPROOF_LIB_OK);
  REFUSED(ringproof_lib_producer_open(segment, &producer, &error), RINGPROOF_LIB_MISMATCH, "one that has a producer");
  CHECK(ringproof_lib_reader_open(other, &reader, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_read(reader, &seen, 1, &error) == RINGPROOF_LIB_OK && memcmp(&seen, &value, sizeof seen) == 0);
  CHECK(ringproof_lib_writer_open(segment, &writer, &error) == RINGPROOF_LIB_OK);
  for (int i = 2; i < 9; i++) {
    memset(&value, i, sizeof value);
    CHECK(ringproof_lib_write(writer, &value, &error) == RINGPROOF_LIB_OK);
    CHECK(ringproof_lib_try_read(reader, &seen, &error) == RINGPROOF_LIB_OK && memcmp(&seen, &value, sizeof seen) == 0);
  }
  CHECK(ringproof_lib_writer_version(writer) == 7 && !ringproof_lib_writer_needs_repair(writer));
  ringproof_lib_detach(segment);
  ringproof_lib_detach(other);
  ringproof_lib_writer_drop(writer);
  CHECK(ringproof_lib_read(reader, &seen, 1, &error) == RINGPROOF_LIB_OK && seen.word[63] == value.word[0]);
  ringproof_lib_reader_drop(reader);
}

static void a_dead_writer_is_told(void) {
  const struct ringproof_lib_options options = {.kind = RINGPROOF_LIB_SEQLOCK};
  const uint64_t odd = 3;
  struct ringproof_lib_segment *segment;
  struct ringproof_lib_writer *writer;
  struct ringproof_lib_reader *reader;
  struct value value;
  memset(&value, 0, sizeof value);
  CHECK(ringproof_lib_create(NULL, &options, &value_payload, NULL, &segment, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_reader_open(segment, &reader, &error) == RINGPROOF_LIB_OK);
  CHECK(pwrite(ringproof_lib_fd(segment), &odd, sizeof odd, 256) == sizeof odd);
  REFUSED(ringproof_lib_try_read(reader, &value, &error), RINGPROOF_LIB_BUSY, "a write");
  REFUSED(ringproof_lib_read(reader, &value, 3, &error), RINGPROOF_LIB_WRITER_DEAD, "3 attempts");
  CHECK(ringproof_lib_writer_open(segment, &writer, &error) == RINGPROOF_LIB_OK);
  REFUSED(ringproof_lib_read(reader, &value, 3, &error), RINGPROOF_LIB_WRITER_STALLED, "3 attempts");
  CHECK(ringproof_lib_writer_needs_repair(writer) && ringproof_lib_writer_version(writer) == 2);
  CHECK(ringproof_lib_write(writer, &value, &error) == RINGPROOF_LIB_OK && !ringproof_lib_writer_needs_repair(writer));
  CHECK(ringproof_lib_read(reader, &value, 1, &error) == RINGPROOF_LIB_OK);
  ringproof_lib_writer_drop(writer);
  ringproof_lib_reader_drop(reader);
  ringproof_lib_detach(segment);
}

/* Items of the one library, taken by the other, in turns over one ring. */
static void the_header_only_library_is_a_peer(void) {
  const struct ringproof_lib_options options = {.kind = RINGPROOF_LIB_RING, .capacity = 5, .slots = 8};
  struct ringproof_lib_segment *lib;
  struct ringproof_segment header;
  struct ringproof_error header_error;
  struct quote quote, seen;
  memset(&quote, 0, sizeof quote);
  CHECK(ringproof_lib_create(name, &options, &quote_payload, NULL, &lib, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_attach(&header, name, RINGPROOF_RING, &quote_shape, &header_error) == RINGPROOF_OK);
  for (int lap = 0; lap < 30; lap++) {
    struct ringproof_lib_producer *producer;
    struct ringproof_lib_consumer *consumer;
    struct ringproof_producer other_producer;
    struct ringproof_consumer other_consumer;
    CHECK(ringproof_lib_producer_open(lib, &producer, &error) == RINGPROOF_LIB_OK);
    CHECK(ringproof_consumer_open(&other_consumer, &header, &header_error) == RINGPROOF_OK);
    quote.seq++;
    quote.price = (double)quote.seq / 3;
    CHECK(ringproof_lib_push(producer, &quote, &error) == RINGPROOF_LIB_OK);
    CHECK(ringproof_pop(&other_consumer, &seen) == RINGPROOF_OK);
    CHECK(memcmp(&seen, &quote, sizeof seen) == 0);
    ringproof_lib_producer_drop(producer);
    ringproof_consumer_drop(&other_consumer);
    CHECK(ringproof_producer_open(&other_producer, &header, &header_error) == RINGPROOF_OK);
    CHECK(ringproof_lib_consumer_open(lib, &consumer, &error) == RINGPROOF_LIB_OK);
    quote.seq++;
    quote.price = (double)quote.seq / 3;
    CHECK(ringproof_push(&other_producer, &quote) == RINGPROOF_OK);
    CHECK(ringproof_lib_pop(consumer, &seen, &error) == RINGPROOF_LIB_OK);
    CHECK(memcmp(&seen, &quote, sizeof seen) == 0);
    ringproof_lib_consumer_drop(consumer);
    ringproof_producer_drop(&other_producer);
  }
  ringproof_detach(&header);
  CHECK(ringproof_lib_unlink(lib, &error) == RINGPROOF_LIB_OK);
  ringproof_lib_detach(lib);
}

static void on_alarm(int signal) { (void)signal; }

static void a_wait_says_why_it_ended(void) {
  const struct ringproof_lib_options options = {.kind = RINGPROOF_LIB_RING, .capacity = 2};
  const struct ringproof_lib_options latch_options = {.kind = RINGPROOF_LIB_LATCH};
  const struct itimerval often = {{0, 5000}, {0, 5000}}, never = {{0, 0}, {0, 0}};
  static const struct quote quote = {7, 0, {0}, {{0, 0}}};
  const uint64_t forever = RINGPROOF_LIB_FOREVER, soon = 2000000;
  struct ringproof_lib_segment *segment;
  struct ringproof_lib_producer *producer;
  struct ringproof_lib_consumer *consumer;
  struct ringproof_lib_writer *writer;
  struct ringproof_lib_reader *reader;
  struct ringproof_lib_chunk chunk;
  struct sigaction action, before;
  struct quote found;
  uint64_t version = 5;
  CHECK(ringproof_lib_create(NULL, &options, &quote_payload, NULL, &segment, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_producer_open(segment, &producer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_consumer_open(segment, &consumer, &error) == RINGPROOF_LIB_OK);
  for (uint32_t how = 0; how < 4; how++) {
    CHECK(ringproof_lib_consumer_set_wait(consumer, how, &error) == RINGPROOF_LIB_OK);
    REFUSED(ringproof_lib_wait_items(consumer, 1, 0, &error), RINGPROOF_LIB_TIMED_OUT, "timed out");
    REFUSED(ringproof_lib_wait_items(consumer, 1, soon, &error), RINGPROOF_LIB_TIMED_OUT, "timed out");
  }
  REFUSED(ringproof_lib_consumer_set_wait(consumer, 4, &error), RINGPROOF_LIB_ARGUMENT, "4 is no enum");
  REFUSED(ringproof_lib_wait_items(consumer, 3, forever, &error), RINGPROOF_LIB_ARGUMENT, "3");
  REFUSED(ringproof_lib_wait_free(producer, 3, forever, &error), RINGPROOF_LIB_ARGUMENT, "3");
  REFUSED(ringproof_lib_wait_free(NULL, 1, 0, &error), RINGPROOF_LIB_ARGUMENT, "`producer` is null");
  REFUSED(ringproof_lib_wait_items(NULL, 1, 0, &error), RINGPROOF_LIB_ARGUMENT, "`consumer` is null");
  /* A signal that is handled ends it. */
  memset(&action, 0, sizeof action);
  action.sa_handler = on_alarm;
  CHECK(sigaction(SIGALRM, &action, &before) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
  CHECK(ringproof_lib_consumer_set_wait(consumer, RINGPROOF_LIB_WAIT_SLEEP_AT_ONCE, &error) == RINGPROOF_LIB_OK);
  REFUSED(ringproof_lib_wait_items(consumer, 1, forever, &error), RINGPROOF_LIB_INTERRUPTED, "signal");
  CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0 && sigaction(SIGALRM, &before, NULL) == 0);
  /* What is reserved or shown stays so. */
  CHECK(ringproof_lib_reserve(producer, 1, &chunk, &error) == RINGPROOF_LIB_OK);
  memcpy(chunk.first.items, &quote, sizeof quote);
  CHECK(ringproof_lib_wait_free(producer, 2, forever, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_commit(producer, 1, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_peek(consumer, 2, &chunk, &error) == RINGPROOF_LIB_OK && chunk.len == 1);
  REFUSED(ringproof_lib_wait_items(consumer, 2, soon, &error), RINGPROOF_LIB_TIMED_OUT, "timed out");
  CHECK(ringproof_lib_push(producer, &quote, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_wait_items(consumer, 2, forever, &error) == RINGPROOF_LIB_OK);
  REFUSED(ringproof_lib_wait_free(producer, 1, soon, &error), RINGPROOF_LIB_TIMED_OUT, "timed out");
  CHECK(ringproof_lib_release(consumer, 1, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_wait_free(producer, 1, 0, &error) == RINGPROOF_LIB_OK);
  /* What is left of one that is gone comes first. */
  ringproof_lib_producer_drop(producer);
  CHECK(ringproof_lib_wait_items(consumer, 1, forever, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_pop(consumer, &found, &error) == RINGPROOF_LIB_OK && found.seq == 7);
  REFUSED(ringproof_lib_wait_items(consumer, 1, forever, &error), RINGPROOF_LIB_PEER_GONE, "is gone");
  CHECK(ringproof_lib_producer_open(segment, &producer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_producer_close(producer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_wait_items(consumer, 1, forever, &error) == RINGPROOF_LIB_PEER_CLOSED);
  CHECK(ringproof_lib_wait_free(producer, 1, forever, &error) == RINGPROOF_LIB_CLOSED);
  ringproof_lib_producer_drop(producer);
  ringproof_lib_consumer_drop(consumer);
  ringproof_lib_detach(segment);
  CHECK(ringproof_lib_create(NULL, &latch_options, &quote_payload, NULL, &segment, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_writer_open(segment, &writer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_reader_open(segment, &reader, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_reader_version(reader) == 0 && ringproof_lib_reader_version(NULL) == 0);
  CHECK(ringproof_lib_wait_newer(reader, &version, forever, &error) == RINGPROOF_LIB_OK && version == 0);
  REFUSED(ringproof_lib_wait_newer(reader, &version, soon, &error), RINGPROOF_LIB_TIMED_OUT, "timed out");
  CHECK(ringproof_lib_write(writer, &quote, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_wait_newer(reader, &version, forever, &error) == RINGPROOF_LIB_OK && version == 1);
  CHECK(ringproof_lib_reader_version(reader) == 1);
  ringproof_lib_writer_drop(writer);
  REFUSED(ringproof_lib_wait_newer(reader, &version, forever, &error), RINGPROOF_LIB_PEER_GONE, "is gone");
  CHECK(version == 1);
  ringproof_lib_reader_drop(reader);
  ringproof_lib_detach(segment);
}

/* Whether it is by then. */
static bool is_readable(int descriptor, int timeout) {
  struct pollfd polled = {descriptor, POLLIN, 0};
  return poll(&polled, 1, timeout) == 1 && polled.revents == POLLIN;
}

static void a_producer_waits_until_all_is_taken(void) {
  const struct ringproof_lib_options options = {.kind = RINGPROOF_LIB_RING, .capacity = 2};
  const uint64_t forever = RINGPROOF_LIB_FOREVER, soon = 2000000;
  struct ringproof_lib_segment *segment;
  struct ringproof_lib_producer *producer;
  struct ringproof_lib_consumer *consumer;
  struct item item = {0, 0};
  CHECK(ringproof_lib_create(NULL, &options, &item_payload, NULL, &segment, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_producer_open(segment, &producer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_consumer_open(segment, &consumer, &error) == RINGPROOF_LIB_OK);
  REFUSED(ringproof_lib_wait_drained(NULL, 0, &error), RINGPROOF_LIB_ARGUMENT, "`producer` is null");
  CHECK(ringproof_lib_wait_drained(producer, forever, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_push(producer, &item, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_producer_close(producer, &error) == RINGPROOF_LIB_OK);
  REFUSED(ringproof_lib_wait_drained(producer, soon, &error), RINGPROOF_LIB_TIMED_OUT, "timed out");
  CHECK(ringproof_lib_pop(consumer, &item, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_wait_drained(producer, forever, &error) == RINGPROOF_LIB_OK);
  ringproof_lib_producer_drop(producer);
  ringproof_lib_consumer_drop(consumer);
  ringproof_lib_detach(segment);
}

static void a_descriptor_says_when_an_end_may_go_on(void) {
  const struct ringproof_lib_options options = {.kind = RINGPROOF_LIB_RING, .capacity = 2};
  const struct ringproof_lib_options latch_options = {.kind = RINGPROOF_LIB_LATCH};
  const int forever = -1;
  struct ringproof_lib_segment *segment;
  struct ringproof_lib_producer *producer;
  struct ringproof_lib_consumer *consumer;
  struct ringproof_lib_writer *writer;
  struct ringproof_lib_reader *reader;
  struct rlimit limit, none;
  struct item item = {0, 0};
  int descriptor = -1, first;
  CHECK(ringproof_lib_create(NULL, &options, &item_payload, NULL, &segment, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_producer_open(segment, &producer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_consumer_open(segment, &consumer, &error) == RINGPROOF_LIB_OK);
  REFUSED(ringproof_lib_producer_arm(NULL, &first, &error), RINGPROOF_LIB_ARGUMENT, "`producer` is null");
  REFUSED(ringproof_lib_consumer_arm(NULL, &first, &error), RINGPROOF_LIB_ARGUMENT, "`consumer` is null");
  REFUSED(ringproof_lib_reader_arm(NULL, 0, &first, &error), RINGPROOF_LIB_ARGUMENT, "`reader` is null");
  REFUSED(ringproof_lib_consumer_arm(consumer, NULL, &error), RINGPROOF_LIB_ARGUMENT, "`descriptor` is null");
  /* Without a descriptor there is none. */
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  none = limit;
  none.rlim_cur = 0;
  CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
  REFUSED(ringproof_lib_consumer_arm(consumer, &first, &error), RINGPROOF_LIB_SYSTEM, "make a descriptor to wait with");
  CHECK(error.os_error == EMFILE && setrlimit(RLIMIT_NOFILE, &limit) == 0);
  /* The same one each time, unreadable from then on, and readable with an item. */
  for (int i = 0; i < 5; i++) {
    CHECK(ringproof_lib_pop(consumer, &item, &error) == RINGPROOF_LIB_EMPTY);
    CHECK(ringproof_lib_consumer_arm(consumer, &first, &error) == RINGPROOF_LIB_OK);
    CHECK(descriptor == -1 || descriptor == first);
    descriptor = first;
    CHECK(fcntl(descriptor, F_GETFD) == FD_CLOEXEC && !is_readable(descriptor, 0));
    CHECK(ringproof_lib_push(producer, &item, &error) == RINGPROOF_LIB_OK);
    CHECK(is_readable(descriptor, forever));
    CHECK(ringproof_lib_pop(consumer, &item, &error) == RINGPROOF_LIB_OK);
  }
  /* With room, which is another end's. */
  while (ringproof_lib_push(producer, &item, &error) == RINGPROOF_LIB_OK) {
  }
  CHECK(ringproof_lib_producer_arm(producer, &descriptor, &error) == RINGPROOF_LIB_OK);
  CHECK(descriptor != first && !is_readable(descriptor, 0));
  CHECK(ringproof_lib_pop(consumer, &item, &error) == RINGPROOF_LIB_OK);
  CHECK(is_readable(descriptor, forever));
  /* It ends with its end, whatever that waits for; and who is gone is found out. */
  CHECK(ringproof_lib_push(producer, &item, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_push(producer, &item, &error) == RINGPROOF_LIB_FULL);
  CHECK(ringproof_lib_producer_arm(producer, &descriptor, &error) == RINGPROOF_LIB_OK);
  ringproof_lib_producer_drop(producer);
  CHECK(fcntl(descriptor, F_GETFD) == -1);
  while (ringproof_lib_pop(consumer, &item, &error) == RINGPROOF_LIB_OK) {
  }
  CHECK(ringproof_lib_consumer_arm(consumer, &first, &error) == RINGPROOF_LIB_OK);
  CHECK(is_readable(first, forever));
  CHECK(ringproof_lib_pop(consumer, &item, &error) == RINGPROOF_LIB_EMPTY);
  REFUSED(ringproof_lib_consumer_arm(consumer, &first, &error), RINGPROOF_LIB_PEER_GONE, "is gone");
  CHECK(is_readable(first, 0));
  /* A close is something to see. */
  CHECK(ringproof_lib_producer_open(segment, &producer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_consumer_arm(consumer, &first, &error) == RINGPROOF_LIB_OK && !is_readable(first, 0));
  CHECK(ringproof_lib_producer_close(producer, &error) == RINGPROOF_LIB_OK);
  CHECK(is_readable(first, forever));
  CHECK(ringproof_lib_pop(consumer, &item, &error) == RINGPROOF_LIB_PEER_CLOSED);
  ringproof_lib_producer_drop(producer);
  ringproof_lib_consumer_drop(consumer);
  ringproof_lib_detach(segment);
  CHECK(fcntl(first, F_GETFD) == -1);
  CHECK(ringproof_lib_create(NULL, &latch_options, &item_payload, NULL, &segment, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_writer_open(segment, &writer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_reader_open(segment, &reader, &error) == RINGPROOF_LIB_OK);
  for (uint64_t version = 0; version < 5; version++) {
    CHECK(ringproof_lib_reader_arm(reader, version, &descriptor, &error) == RINGPROOF_LIB_OK);
    CHECK(!is_readable(descriptor, 0));
    CHECK(ringproof_lib_write(writer, &item, &error) == RINGPROOF_LIB_OK);
    CHECK(is_readable(descriptor, forever) && ringproof_lib_reader_version(reader) == version + 1);
  }
  ringproof_lib_reader_drop(reader);
  ringproof_lib_writer_drop(writer);
  ringproof_lib_detach(segment);
  CHECK(fcntl(descriptor, F_GETFD) == -1);
}

static void a_segment_is_inspected(void) {
  const struct ringproof_lib_options options = {.kind = RINGPROOF_LIB_RING, .mode = 0640, .capacity = 5, .slots = 8};
  static char text[RINGPROOF_DESCRIPTION_MAX + 1];
  struct ringproof_lib_segment *segment;
  struct ringproof_lib_producer *producer;
  struct ringproof_lib_inspection seen;
  struct item item = {0, 0};
  uint64_t note = 0;
  size_t len;
  REFUSED(ringproof_lib_inspect(name, &seen, &error), RINGPROOF_LIB_NOT_FOUND, name);
  CHECK(ringproof_lib_create(name, &options, &item_payload, NULL, &segment, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_producer_open(segment, &producer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_push(producer, &item, &error) == RINGPROOF_LIB_OK && ringproof_lib_producer_close(producer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_set_note(segment, RINGPROOF_LIB_PRODUCER, 15, 42, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_note(segment, RINGPROOF_LIB_PRODUCER, 15, &note, &error) == RINGPROOF_LIB_OK && note == 42);
  REFUSED(ringproof_lib_note(segment, RINGPROOF_LIB_PRODUCER, 16, &note, &error), RINGPROOF_LIB_ARGUMENT, "note 16");
  REFUSED(ringproof_lib_set_note(segment, RINGPROOF_LIB_PRODUCER, 16, 0, &error), RINGPROOF_LIB_ARGUMENT, "note 16");
  REFUSED(ringproof_lib_set_note(segment, 7, 0, 0, &error), RINGPROOF_LIB_ARGUMENT, "7 is no enum ringproof_lib_role");
  CHECK(ringproof_lib_inspect(name, &seen, &error) == RINGPROOF_LIB_OK);
  CHECK(seen.kind == RINGPROOF_LIB_RING && seen.payload_size == 16 && seen.slots == 8 && seen.capacity == 5);
  CHECK(seen.write_index == 1 && seen.read_index == 0 && seen.end_index == 1);
  CHECK(seen.stop_index == UINT64_MAX && seen.producer.held && seen.producer.epoch == 1);
  CHECK(!seen.consumer.held && seen.consumer.epoch == 0 && !seen.retired);
  CHECK(ringproof_lib_description(name, text, sizeof text, &len, &error) == RINGPROOF_LIB_OK);
  CHECK(strstr(text, " 16\nvalue 0 u64x2\n") != NULL && len == strlen(text));
  CHECK(seen.fingerprint == ringproof_fingerprint(text, len));
  CHECK(ringproof_lib_unlink_name(name, &error) == RINGPROOF_LIB_OK);
  ringproof_lib_producer_drop(producer);
  REFUSED(ringproof_lib_producer_open(segment, &producer, &error), RINGPROOF_LIB_GONE, "open it anew");
  ringproof_lib_detach(segment);
}

/* The guard turns the signal into errors. */
static void truncation_is_told(void) {
  const struct ringproof_lib_options options = {.kind = RINGPROOF_LIB_RING, .capacity = 5, .slots = 8};
  struct ringproof_lib_segment *segment;
  struct ringproof_lib_consumer *consumer;
  struct item item;
  uint64_t note;
  char path[300];
  CHECK(ringproof_lib_guard_install(&error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_create(name, &options, &item_payload, NULL, &segment, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_consumer_open(segment, &consumer, &error) == RINGPROOF_LIB_OK && !ringproof_lib_is_lost(segment));
  snprintf(path, sizeof path, "/dev/shm/%s", name);
  CHECK(truncate(path, 0) == 0);
  REFUSED(ringproof_lib_pop(consumer, &item, &error), RINGPROOF_LIB_CORRUPT, "write_index");
  CHECK(ringproof_lib_is_lost(segment));
  REFUSED(ringproof_lib_set_note(segment, RINGPROOF_LIB_CONSUMER, 0, 1, &error), RINGPROOF_LIB_LOST, "truncated");
  REFUSED(ringproof_lib_note(segment, RINGPROOF_LIB_CONSUMER, 0, &note, &error), RINGPROOF_LIB_LOST, "truncated");
  ringproof_lib_consumer_drop(consumer);
  CHECK(ringproof_lib_unlink(segment, &error) == RINGPROOF_LIB_OK);
  ringproof_lib_detach(segment);
}

static int checks(void) {
  CHECK(strcmp(ringproof_lib_strerror(RINGPROOF_LIB_OK), "done") == 0);
  CHECK(strcmp(ringproof_lib_strerror(RINGPROOF_LIB_PANIC), "a defect of ringproof") == 0);
  CHECK(strcmp(ringproof_lib_strerror(RINGPROOF_LIB_INTERRUPTED + 1), "no status of ringproof") == 0);
  both_headers_describe_alike();
  what_is_no_payload_is_refused();
  segments_are_refused_with_the_reason();
  null_is_told();
  a_ring_keeps_order_and_bounds();
  corruption_is_told();
  values_are_kept(RINGPROOF_LIB_SEQLOCK);
  values_are_kept(RINGPROOF_LIB_LATCH);
  a_dead_writer_is_told();
  modes_are_refused_as_by_the_header();
  sizes_are_refused_as_by_the_header();
  a_chunk_does_not_outlive_a_close();
  who_is_attached_learns_what_became_of_the_name();
  the_header_only_library_is_a_peer();
  a_wait_says_why_it_ended();
  a_producer_waits_until_all_is_taken();
  a_descriptor_says_when_an_end_may_go_on();
  a_segment_is_inspected();
  truncation_is_told();
  return 0;
}

/* ---- Peers -------------------------------------------------------------------------------- */

static uint32_t how(void) {
  return getenv("RINGPROOF_PEER_SLEEPS") != NULL ? RINGPROOF_LIB_WAIT_SLEEP_AT_ONCE
                                                 : RINGPROOF_LIB_WAIT_SLEEP;
}

static bool polls(void) { return getenv("RINGPROOF_PEER_POLLS") != NULL; }

/* After a wait: one that was killed is started again. */
static bool goes_on(enum ringproof_lib_status status) {
  return status == RINGPROOF_LIB_OK || status == RINGPROOF_LIB_PEER_GONE;
}

static int send_all(struct ringproof_lib_segment *ring, uint64_t count) {
  struct ringproof_lib_producer *producer;
  CHECK(ringproof_lib_producer_open(ring, &producer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_producer_set_wait(producer, how(), &error) == RINGPROOF_LIB_OK);
  while (ringproof_lib_producer_position(producer) < count) {
    const uint64_t seq = ringproof_lib_producer_position(producer);
    enum ringproof_lib_status status;
    /* Singly, by the slice and in place, so that all of them are killed. */
    if (seq % 7 == 0 && seq + 5 <= count) {
      struct item items[5];
      size_t pushed;
      for (size_t i = 0; i < 5; i++) {
        items[i].seq = seq + i;
        items[i].check = check_of(seq + i);
      }
      status = ringproof_lib_push_slice(producer, items, 5, &pushed, &error);
    } else if (seq % 5 == 0) {
      struct ringproof_lib_chunk chunk;
      status = ringproof_lib_reserve(producer, 1, &chunk, &error);
      if (status == RINGPROOF_LIB_OK) {
        const struct item item = {seq, check_of(seq)};
        memcpy(chunk.first.items, &item, sizeof item);
        status = ringproof_lib_commit(producer, 1, &error);
      }
    } else {
      const struct item item = {seq, check_of(seq)};
      status = ringproof_lib_push(producer, &item, &error);
    }
    if (status == RINGPROOF_LIB_FULL) {
      int descriptor = -1;
      status = polls() ? ringproof_lib_producer_arm(producer, &descriptor, &error)
                       : ringproof_lib_wait_free(producer, 1, RINGPROOF_LIB_FOREVER, &error);
      CHECK(descriptor < 0 || is_readable(descriptor, -1));
    }
    CHECK(goes_on(status));
  }
  CHECK(ringproof_lib_producer_close(producer, &error) == RINGPROOF_LIB_OK);
  ringproof_lib_producer_drop(producer);
  return 0;
}

static void check_run(const struct ringproof_lib_run *run, uint64_t position) {
  for (size_t i = 0; i < run->len; i++) {
    struct item item;
    memcpy(&item, (const char *)run->items + i * sizeof item, sizeof item);
    CHECK(item.seq == position + i && item.check == check_of(position + i));
  }
}

static int recv_all(struct ringproof_lib_segment *ring, uint64_t count) {
  struct ringproof_lib_consumer *consumer;
  CHECK(ringproof_lib_consumer_open(ring, &consumer, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_consumer_set_wait(consumer, how(), &error) == RINGPROOF_LIB_OK);
  for (;;) {
    struct ringproof_lib_chunk chunk;
    enum ringproof_lib_status status = ringproof_lib_peek(consumer, 11, &chunk, &error);
    if (status == RINGPROOF_LIB_EMPTY) {
      int descriptor = -1;
      status = polls() ? ringproof_lib_consumer_arm(consumer, &descriptor, &error)
                       : ringproof_lib_wait_items(consumer, 1, RINGPROOF_LIB_FOREVER, &error);
      CHECK(descriptor < 0 || is_readable(descriptor, -1));
      if (goes_on(status)) {
        continue;
      }
    }
    if (status == RINGPROOF_LIB_PEER_CLOSED) {
      break;
    }
    CHECK(status == RINGPROOF_LIB_OK);
    check_run(&chunk.first, chunk.position);
    check_run(&chunk.second, chunk.position + chunk.first.len);
    CHECK(ringproof_lib_release(consumer, chunk.len, &error) == RINGPROOF_LIB_OK);
  }
  CHECK(ringproof_lib_consumer_position(consumer) == count);
  ringproof_lib_consumer_drop(consumer);
  return 0;
}

static int write_values(struct ringproof_lib_segment *segment, uint64_t count) {
  struct ringproof_lib_writer *writer;
  CHECK(ringproof_lib_writer_open(segment, &writer, &error) == RINGPROOF_LIB_OK);
  while (ringproof_lib_writer_version(writer) < count) {
    struct value value;
    for (size_t i = 0; i < 64; i++) {
      value.word[i] = ringproof_lib_writer_version(writer) + 1;
    }
    CHECK(ringproof_lib_write(writer, &value, &error) == RINGPROOF_LIB_OK);
  }
  ringproof_lib_writer_drop(writer);
  return 0;
}

static int read_values(struct ringproof_lib_segment *segment, uint64_t count) {
  struct ringproof_lib_reader *reader;
  uint64_t last = 0, version = 0;
  CHECK(ringproof_lib_reader_open(segment, &reader, &error) == RINGPROOF_LIB_OK);
  CHECK(ringproof_lib_reader_set_wait(reader, how(), &error) == RINGPROOF_LIB_OK);
  while (last < count) {
    struct value value;
    if (!polls()) {
      CHECK(goes_on(ringproof_lib_wait_newer(reader, &version, RINGPROOF_LIB_FOREVER, &error)));
    } else if (ringproof_lib_reader_version(reader) == version) {
      int descriptor = -1;
      CHECK(goes_on(ringproof_lib_reader_arm(reader, version, &descriptor, &error)));
      CHECK(descriptor < 0 || is_readable(descriptor, -1));
      continue;
    } else {
      version = ringproof_lib_reader_version(reader);
    }
    if (ringproof_lib_read(reader, &value, 1000, &error) != RINGPROOF_LIB_OK) {
      continue; /* its writer is stopped inside a write, or was killed there */
    }
    for (size_t i = 1; i < 64; i++) {
      CHECK(value.word[i] == value.word[0]);
    }
    CHECK(value.word[0] >= last);
    last = value.word[0];
  }
  ringproof_lib_reader_drop(reader);
  return 0;
}

int main(int count, char **arguments) {
  /* 64 slots for 50: it wraps all the time. */
  struct ringproof_lib_options options = {.kind = RINGPROOF_LIB_RING, .capacity = 50, .slots = 64};
  const struct ringproof_lib_payload *payload = &item_payload;
  const bool values = count == 5;
  struct ringproof_lib_segment *segment;
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
    options = (struct ringproof_lib_options){.kind = latch ? RINGPROOF_LIB_LATCH : RINGPROOF_LIB_SEQLOCK};
    payload = &value_payload;
  }
  CHECK(ringproof_lib_open_or_create(name, &options, payload, NULL, &segment, &error) == RINGPROOF_LIB_OK);
  if (strcmp(arguments[1], values ? "write" : "send") == 0) {
    outcome = (values ? write_values : send_all)(segment, number);
  } else if (strcmp(arguments[1], values ? "read" : "recv") == 0) {
    outcome = (values ? read_values : recv_all)(segment, number);
  }
  ringproof_lib_detach(segment);
  return outcome;
}
