/* What one process can see of ringproof.h. Exit 0: every check passed; 1: one did not, named on
 * standard error. The tests also run it against headers with a fault injected into them: then it
 * must fail.
 *
 *   checks NAME    NAME is a segment that does not exist, nor will when this ends; nor does NAME-2
 */
#include "ringproof.h"
#include <ftw.h>
#include <sys/wait.h>

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, #condition);                              \
      unlink(path);                                                                                \
      unlink(second_path);                                                                         \
      exit(1);                                                                                     \
    }                                                                                              \
  } while (0)

struct leg {
  int32_t qty;
  float ratio;
};
struct quote {
  uint64_t seq;
  double price;
  uint8_t tag[4];
  uint32_t flags;
  struct leg legs[2];
};
RINGPROOF_SHAPE(quote_shape, struct quote, RINGPROOF_FIELD(struct quote, seq),
                RINGPROOF_FIELD(struct quote, price), RINGPROOF_ARRAY(struct quote, tag),
                RINGPROOF_FIELD(struct quote, flags), RINGPROOF_FIELD(struct quote, legs[0].qty),
                RINGPROOF_FIELD(struct quote, legs[0].ratio),
                RINGPROOF_FIELD(struct quote, legs[1].qty),
                RINGPROOF_FIELD(struct quote, legs[1].ratio));

RINGPROOF_SHAPE(word_shape, uint64_t, RINGPROOF_VALUE(uint64_t));

struct padded {
  uint8_t first;
  uint64_t second;
};
RINGPROOF_SHAPE(padded_shape, struct padded, RINGPROOF_FIELD(struct padded, first),
                RINGPROOF_FIELD(struct padded, second));
RINGPROOF_SHAPE(short_shape, struct quote, RINGPROOF_FIELD(struct quote, seq));

struct twice {
  uint32_t first;
  uint32_t second[1];
};
RINGPROOF_SHAPE(single_shape, struct twice, RINGPROOF_FIELD(struct twice, first),
                RINGPROOF_ARRAY(struct twice, second));
static const struct ringproof_field same_fields[] = {{"a", 0, 4, 0, 'u'}, {"a", 4, 4, 0, 'u'}};
static const struct ringproof_shape same_shape = {8, 4, same_fields, 2};
static const struct ringproof_field odd_fields[] = {{"a", 0, 3, 0, 'u'}};
static const struct ringproof_shape odd_shape = {3, 1, odd_fields, 1};

/* As a 32-bit x86 compiler lays out a number and a long one, and as it must be here. */
static const struct ringproof_field i386_fields[] = {{"first", 0, 4, 0, 'u'},
                                                     {"second", 4, 8, 0, 'u'}};
static const struct ringproof_shape i386_shape = {12, 4, i386_fields, 2};
static const struct ringproof_field wide_fields[] = {
    {"first", 0, 4, 0, 'u'}, {"filler", 4, 4, 0, 'u'}, {"second", 8, 8, 0, 'u'}};
static const struct ringproof_shape wide_shape = {16, 8, wide_fields, 3};

static const char *name;
static char path[512], second_path[520]; /* of this segment, and of another one beside it */
static struct ringproof_error error;

/* Writes over the segment's file, as a broken or hostile peer would. */
static void overwrite(uint64_t offset, const void *bytes, size_t len) {
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  CHECK(fd >= 0);
  CHECK(ringproof_write_at(fd, bytes, len, offset));
  close(fd);
}

static void overwrite_word(uint64_t offset, uint64_t word) { overwrite(offset, &word, 8); }

static void make_ring(struct ringproof_segment *ring, uint64_t capacity) {
  struct ringproof_options options = ringproof_ring_options(capacity);
  options.slots = 8;
  CHECK(ringproof_create(ring, name, &options, &word_shape, NULL, &error) == RINGPROOF_OK);
}

static void end_of(struct ringproof_segment *segment) {
  CHECK(ringproof_unlink(segment, &error) == RINGPROOF_OK);
  ringproof_detach(segment);
  CHECK(access(path, F_OK) != 0);
}

static void descriptions(void) {
  static char text[RINGPROOF_DESCRIPTION_MAX + 1];
  size_t len;
  const char *expected = "ringproof-shape 1 little 40\nseq 0 u64\nprice 8 f64\ntag 16 u8x4\n"
                         "flags 20 u32\nlegs[0].qty 24 i32\nlegs[0].ratio 28 f32\n"
                         "legs[1].qty 32 i32\nlegs[1].ratio 36 f32\n";
  CHECK(ringproof_describe(&quote_shape, text, &len, &error) == RINGPROOF_OK);
  CHECK(len == strlen(expected) && memcmp(text, expected, len) == 0);
  CHECK(ringproof_describe(&word_shape, text, &len, &error) == RINGPROOF_OK);
  CHECK(strcmp(text, "ringproof-shape 1 little 8\nvalue 0 u64\n") == 0);
  CHECK(ringproof_describe(&padded_shape, text, &len, &error) == RINGPROOF_SHAPE_BAD);
  CHECK(strstr(error.message, "`second`") != NULL);
  CHECK(ringproof_describe(&short_shape, text, &len, &error) == RINGPROOF_SHAPE_BAD);
  CHECK(ringproof_describe(&same_shape, text, &len, &error) == RINGPROOF_SHAPE_BAD);
  CHECK(strstr(error.message, "two fields `a`") != NULL);
  CHECK(ringproof_describe(&odd_shape, text, &len, &error) == RINGPROOF_SHAPE_BAD);
  CHECK(strstr(error.message, "no primitive") != NULL);
  /* An array of one is what it is an array of. */
  CHECK(ringproof_describe(&single_shape, text, &len, &error) == RINGPROOF_OK);
  CHECK(strcmp(text, "ringproof-shape 1 little 8\nfirst 0 u32\nsecond 4 u32\n") == 0);
  /* Published values of FNV-1a. */
  CHECK(ringproof_fingerprint("", 0) == UINT64_C(0xcbf29ce484222325));
  CHECK(ringproof_fingerprint("a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
  CHECK(ringproof_fingerprint("foobar", 6) == UINT64_C(0x85944171f73967e8));
  CHECK(ringproof_is_field_name("legs[0][12]._a1"));
  for (const char **bad = (const char *[]){"", "1a", "a.", ".a", "a[]", "a[i]", "a[1", "a b", NULL};
       *bad != NULL; bad++) {
    CHECK(!ringproof_is_field_name(*bad));
  }
}

static void other_descriptions_are_reported_field_by_field(void) {
  struct ringproof_segment segment, other;
  const struct ringproof_options options = ringproof_ring_options(4);
  CHECK(ringproof_create(&segment, name, &options, &i386_shape, NULL, &error) == RINGPROOF_OK);
  CHECK(ringproof_attach(&other, name, RINGPROOF_RING, &i386_shape, &error) == RINGPROOF_OK);
  ringproof_detach(&other);
  CHECK(ringproof_attach(&other, name, RINGPROOF_RING, &wide_shape, &error) == RINGPROOF_MISMATCH);
  CHECK(strcmp(error.field, "payload") == 0);
  CHECK(strstr(error.message,
               "` holds another payload: field \"filler\": offset 4, u32 here; not in the segment; "
               "field \"second\": offset 8, u64 here; offset 4, u64 in the segment (a 32-bit x86 "
               "layout puts 8-byte fields on 4-byte boundaries); size: 16 here; 12 in the "
               "segment") != NULL);
  CHECK(ringproof_attach(&other, name, RINGPROOF_RING, &wide_shape, NULL) == RINGPROOF_MISMATCH);
  /* A right description over another size. */
  overwrite_word(offsetof(struct ringproof_fixed, payload_size), 16);
  overwrite_word(offsetof(struct ringproof_fixed, segment_len),
                 segment.fixed.data_offset + 16 * segment.fixed.slots);
  CHECK(truncate(path, (off_t)(segment.fixed.data_offset + 16 * segment.fixed.slots)) == 0);
  CHECK(ringproof_attach(&other, name, RINGPROOF_RING, &i386_shape, &error) == RINGPROOF_MISMATCH);
  CHECK(strcmp(error.field, "payload_size") == 0);
  end_of(&segment);
}

/* Writes over the description and what the header says of it. */
static void describe_as(const char *text, size_t len) {
  overwrite(4096, text, len);
  overwrite_word(offsetof(struct ringproof_fixed, description_len), len);
  overwrite_word(offsetof(struct ringproof_fixed, fingerprint), ringproof_fingerprint(text, len));
}

#define TITLE "ringproof-shape 1 little "
#define LONG_NAME                                                                                  \
  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                               \
  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                               \
  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                               \
  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* Numbers that need 64 bits are none where a size has 32. */
#if SIZE_MAX > UINT32_MAX
#define NOT_WITHIN_8 "does not end within 8"
#else
#define NOT_WITHIN_8 "describes no field"
#endif

static void hostile_descriptions_are_refused_with_the_reason(void) {
  static const struct {
    const char *text, *reason;
  } texts[] = {
      {"\n", "does not begin"},
      {TITLE "8", "not ended"},
      {"ringproof-shape 2 little 8\na 0 u64\n", "does not begin"},
      {"ringproof-shape 1 middle 8\na 0 u64\n", "byte order"},
      {"ringproof-shape 1 little\na 0 u64\n", "byte order"},
      {TITLE "8 8\na 0 u64\n", "no number"},
      {TITLE "-8\na 0 u64\n", "no number"},
      {TITLE "08\na 0 u64\n", "no number"},
      {TITLE "8\n", "no fields"},
      {TITLE "8\n\n", "line 2 describes no field"},
      {TITLE "8\na 0\n", "line 2 describes no field"},
      {TITLE "8\na 0 \n", "line 2 describes no field"},
      {TITLE "8\na 0 u\n", "line 2 describes no field"},
      {TITLE "8\na 0 u64 \n", "line 2 describes no field"},
      {TITLE "16\na 0 u64\nb 8 u65\n", "line 3 describes no field"},
      {TITLE "8\na 0 f16\n", "line 2 describes no field"},
      {TITLE "8\na 0 x64\n", "line 2 describes no field"},
      {TITLE "8\na 0 u8x\n", "line 2 describes no field"},
      {TITLE "8\na 0 u8x0\n", "line 2 describes no field"},
      {TITLE "8\na 0 u8x1\n", "line 2 describes no field"},
      {TITLE "8\na 0 u8x02\n", "line 2 describes no field"},
      {TITLE "8\na 00 u64\n", "line 2 describes no field"},
      {TITLE "8\na +0 u64\n", "line 2 describes no field"},
      {TITLE "8\na 18446744073709551616 u8\n", "line 2 describes no field"},
      {TITLE "8\na 18446744073709551615 u8\n", NOT_WITHIN_8},
      {TITLE "8\na 0 u64x2305843009213693953\n", NOT_WITHIN_8},
      {TITLE "8\na 0 u8x9\n", "does not end within 8"},
      {TITLE "16\nb 8 u64\na 0 u64\n", "begins within"},
      {TITLE "16\na 0 u64\nb 7 u8\n", "begins within"},
      {TITLE "16\na 0 u64\na 8 u64\n", "two fields"},
      {TITLE "8\na 0 u64\r\n", "not ASCII"},
      {TITLE "8\n\xc3\xa4 0 u64\n", "not ASCII"},
      {TITLE "8\n1a 0 u64\n", "describes no field"},
      {TITLE "8\n 0 u64\n", "describes no field"},
      {TITLE "8\na. 0 u64\n", "describes no field"},
      {TITLE "8\na[] 0 u64\n", "describes no field"},
      {TITLE "8\na[0]b 0 u64\n", "describes no field"},
      {TITLE "8\na" LONG_NAME " 0 u64\n", "describes no field"},
      /* Right ones, of other payloads. */
      {"ringproof-shape 1 big 8\nvalue 0 u64\n", "byte order: little here; big in the segment"},
      {TITLE "8\n" LONG_NAME " 0 u64\n", "not here; offset 0, u64"},
      {TITLE "8\nvalue 0 u32\n", "offset 0, u64 here; offset 0, u32"},
  };
  static char text[RINGPROOF_DESCRIPTION_MAX + 1];
  struct ringproof_segment segment, other;
  size_t len;
  make_ring(&segment, 5);
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    describe_as(texts[i].text, strlen(texts[i].text));
    CHECK(ringproof_attach(&other, name, RINGPROOF_RING, &word_shape, &error) ==
          RINGPROOF_MISMATCH);
    if (strstr(error.message, texts[i].reason) == NULL) {
      fprintf(stderr, "%sis refused otherwise: %s\n", texts[i].text, error.message);
    }
    CHECK(strstr(error.message, texts[i].reason) != NULL);
  }
  /* A text that ends at a zero, and one that is not what its fingerprint says. */
  describe_as(TITLE "8\nvalue 0 u64\n\0\n", sizeof TITLE "8\nvalue 0 u64\n\0\n" - 1);
  CHECK(ringproof_attach(&other, name, RINGPROOF_RING, &word_shape, &error) == RINGPROOF_MISMATCH);
  CHECK(strstr(error.message, "not ASCII") != NULL);
  describe_as(TITLE "8\nvalue 0 u64\n", strlen(TITLE "8\nvalue 0 u64\n"));
  CHECK(ringproof_attach(&other, name, RINGPROOF_RING, &word_shape, &error) == RINGPROOF_OK);
  ringproof_detach(&other);
  overwrite_word(offsetof(struct ringproof_fixed, fingerprint), 1);
  CHECK(ringproof_attach(&other, name, RINGPROOF_RING, &word_shape, &error) == RINGPROOF_MISMATCH);
  CHECK(strcmp(error.field, "fingerprint") == 0);
  end_of(&segment);
  /* One field more than may be; as many are another payload. */
  for (unsigned count = RINGPROOF_FIELDS_MAX; count <= RINGPROOF_FIELDS_MAX + 1; count++) {
    static struct ringproof_description description;
    char problem[64];
    len = (size_t)sprintf(text, TITLE "%u\n", count);
    for (unsigned i = 0; i < count; i++) {
      len += (size_t)sprintf(text + len, "f%u %u u8\n", i, i);
    }
    CHECK(ringproof_parse(text, len, &description, problem, sizeof problem) ==
          (count == RINGPROOF_FIELDS_MAX));
    CHECK(problem[0] == '\0' || strstr(problem, "more than 1024") != NULL);
  }
}

static void every_wrong_field_is_refused_by_name(void) {
  static const struct {
    const char *field;
    size_t offset, len;
    uint64_t value;
  } changes[] = {
      {"magic", 0, 8, 1},
      {"magic", 0, 8, UINT64_C(0x314652504e475249) - 1},
      {"version", 8, 4, 2},
      {"header_len", 12, 4, 64},
      {"kind", 16, 4, 4},
      {"kind", 16, 4, 0},
      {"flags", 20, 4, 1},
      {"payload_size", 24, 8, 0},
      {"payload_align", 32, 8, 3},
      {"payload_align", 32, 8, 8192},
      {"slots", 40, 8, 7},
      {"slots", 40, 8, 0},
      {"slots", 40, 8, UINT64_C(1) << 63},
      {"capacity", 48, 8, 0},
      {"capacity", 48, 8, 9},
      {"data_offset", 56, 8, 128},
      {"data_offset", 56, 8, 0},
      {"segment_len", 64, 8, 4096},
      {"segment_len", 56, 8, 12288}, /* a data_offset that the length does not go with */
      {"description_offset", 72, 8, 8},
      {"description_offset", 72, 8, 8192},
      {"description_offset", 72, 8, UINT64_MAX},
      {"description_len", 80, 8, UINT64_MAX},
      {"description_len", 80, 8, 65537},
      {"description_len", 80, 8, 0},
      {"description_offset", 80, 8, 4097},
      {"fingerprint", 88, 8, 0},
  };
  for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
    struct ringproof_segment ring, other;
    make_ring(&ring, 5);
    overwrite(changes[i].offset, &changes[i].value, changes[i].len);
    CHECK(ringproof_attach(&other, name, RINGPROOF_RING, &word_shape, &error) ==
          RINGPROOF_MISMATCH);
    if (strcmp(error.field, changes[i].field) != 0) {
      fprintf(stderr, "change %zu: %s, not %s\n", i, error.message, changes[i].field);
    }
    CHECK(strcmp(error.field, changes[i].field) == 0);
    CHECK(other.fd == -1 && other.map == NULL);
    end_of(&ring);
  }
}

static void other_files_are_refused(void) {
  struct ringproof_segment ring, other;
  const struct ringproof_options latch = ringproof_latch_options();
  CHECK(ringproof_attach(&other, name, RINGPROOF_RING, &word_shape, &error) == RINGPROOF_NOT_FOUND);
  CHECK(ringproof_attach(&other, "a/b", RINGPROOF_RING, &word_shape, &error) == RINGPROOF_NAME);
  CHECK(ringproof_attach(&other, ".a", RINGPROOF_RING, &word_shape, &error) == RINGPROOF_NAME);
  CHECK(ringproof_attach(&other, "", RINGPROOF_RING, &word_shape, &error) == RINGPROOF_NAME);
  CHECK(symlink("/dev/null", path) == 0);
  CHECK(ringproof_attach(&other, name, RINGPROOF_RING, &word_shape, &error) == RINGPROOF_MISMATCH);
  CHECK(strcmp(error.field, "file type") == 0);
  CHECK(strcmp(error.found, "a symbolic link") == 0);
  CHECK(unlink(path) == 0 && mkfifo(path, 0600) == 0);
  CHECK(ringproof_attach(&other, name, RINGPROOF_RING, &word_shape, &error) == RINGPROOF_MISMATCH);
  CHECK(unlink(path) == 0);
  make_ring(&ring, 5);
  CHECK(ringproof_create(&other, name, &latch, &word_shape, NULL, &error) == RINGPROOF_EXISTS);
  CHECK(ringproof_attach(&other, name, RINGPROOF_LATCH, &word_shape, &error) ==
        RINGPROOF_MISMATCH);
  CHECK(strcmp(error.field, "kind") == 0);
  CHECK(truncate(path, 5000) == 0);
  CHECK(ringproof_attach(&other, name, RINGPROOF_RING, &word_shape, &error) == RINGPROOF_MISMATCH);
  CHECK(strcmp(error.field, "file length") == 0);
  CHECK(truncate(path, 100) == 0);
  CHECK(ringproof_attach(&other, name, RINGPROOF_RING, &word_shape, &error) == RINGPROOF_MISMATCH);
  CHECK(unlink(path) == 0);
  ringproof_detach(&ring);
}

static void impossible_sizes_are_refused(void) {
  static const uint64_t sizes[][2] = {{3, 1}, {4, 0}, {4, 5}, {UINT64_C(1) << 62, 1}};
  struct ringproof_options latch = ringproof_latch_options();
  struct ringproof_segment segment;
  struct ringproof_options huge = ringproof_ring_options(UINT64_MAX);
  struct ringproof_options none = ringproof_ring_options(4);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct ringproof_options options = ringproof_ring_options(sizes[i][1]);
    options.slots = sizes[i][0];
    CHECK(ringproof_create(&segment, name, &options, &word_shape, NULL, &error) == RINGPROOF_SIZE);
  }
  CHECK(ringproof_create(&segment, name, &huge, &word_shape, NULL, &error) == RINGPROOF_SIZE);
  CHECK(ringproof_create(&segment, name, &latch, &i386_shape, NULL, &error) == RINGPROOF_SIZE);
  latch.slots = 1;
  CHECK(ringproof_create(&segment, name, &latch, &word_shape, NULL, &error) == RINGPROOF_SIZE);
  /* Nothing of a kind that could not be attached is made. */
  none.kind = (enum ringproof_kind)0;
  CHECK(ringproof_create(&segment, name, &none, &word_shape, NULL, &error) == RINGPROOF_MISMATCH);
  none.kind = (enum ringproof_kind)4;
  CHECK(ringproof_create(&segment, name, &none, &word_shape, NULL, &error) == RINGPROOF_MISMATCH);
  CHECK(strcmp(error.field, "kind") == 0);
}

static void ring_keeps_order_and_bounds(void) {
  struct ringproof_segment ring;
  struct ringproof_producer producer;
  struct ringproof_consumer consumer;
  struct ringproof_chunk chunk;
  uint64_t items[8] = {0}, item, live, next_in = 0, next_out = 0;
  size_t moved;
  make_ring(&ring, 5);
  CHECK(ringproof_producer_open(&producer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_consumer_open(&consumer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_EMPTY);
  /* An item of another size is refused before it overruns anything. */
  CHECK(ringproof_push_sized(&producer, &item, 4) == RINGPROOF_SIZE);
  CHECK(ringproof_push_sized(&producer, &item, sizeof item) == RINGPROOF_OK);
  CHECK(ringproof_pop_sized(&consumer, items, sizeof items) == RINGPROOF_SIZE);
  CHECK(ringproof_pop_sized(&consumer, &item, sizeof item) == RINGPROOF_OK);
  next_in = next_out = 1;
  /* Over the end of memory many times, in batches of every size. */
  for (size_t round = 0; round < 200; round++) {
    const size_t count = round % 7;
    for (size_t i = 0; i < count; i++) {
      items[i] = next_in + i;
    }
    if (ringproof_push_slice(&producer, items, count, &moved) == RINGPROOF_OK) {
      next_in += moved;
    }
    CHECK(ringproof_producer_occupancy(&producer, &live) == RINGPROOF_OK);
    CHECK(live == next_in - next_out && live <= 5);
    if (ringproof_pop_slice(&consumer, items, (round * 3) % 6, &moved) == RINGPROOF_OK) {
      for (size_t i = 0; i < moved; i++) {
        CHECK(items[i] == next_out++);
      }
    }
  }
  while (ringproof_pop(&consumer, &item) == RINGPROOF_OK) {
    CHECK(item == next_out++);
  }
  CHECK(next_out == next_in && next_in > 200);
  for (item = 0; item < 5; item++) {
    CHECK(ringproof_push(&producer, &item) == RINGPROOF_OK);
  }
  CHECK(ringproof_push(&producer, &item) == RINGPROOF_FULL);
  /* A chunk is used once, and no further than it goes; what is not released stays. */
  CHECK(ringproof_peek(&consumer, 3, &chunk) == RINGPROOF_OK && chunk.len == 3);
  CHECK(ringproof_release(&consumer, &chunk, 4) == RINGPROOF_OUT_OF_CHUNK);
  CHECK(ringproof_release(&consumer, &chunk, 2) == RINGPROOF_OK);
  CHECK(ringproof_release(&consumer, &chunk, 1) == RINGPROOF_OUT_OF_CHUNK);
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_OK && item == 2);
  CHECK(ringproof_reserve(&producer, 8, &chunk) == RINGPROOF_OK && chunk.len == 3);
  CHECK(ringproof_commit(&producer, &chunk, 4) == RINGPROOF_OUT_OF_CHUNK);
  CHECK(ringproof_commit(&producer, &chunk, 0) == RINGPROOF_OK);
  /* What was committed before the close is taken before the end is seen. */
  ringproof_producer_close(&producer);
  CHECK(ringproof_push(&producer, &item) == RINGPROOF_CLOSED);
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_OK && item == 3);
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_OK && item == 4);
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_PEER_CLOSED);
  ringproof_consumer_close(&consumer);
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_CLOSED);
  ringproof_producer_drop(&producer);
  ringproof_consumer_drop(&consumer);
  end_of(&ring);
}

static void producer_learns_of_the_stop(void) {
  struct ringproof_segment ring;
  struct ringproof_producer producer;
  struct ringproof_consumer consumer;
  uint64_t item = 7;
  make_ring(&ring, 2);
  CHECK(ringproof_producer_open(&producer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_consumer_open(&consumer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_push(&producer, &item) == RINGPROOF_OK);
  CHECK(ringproof_producer_is_peer_closed(&producer) == RINGPROOF_OK);
  ringproof_consumer_close(&consumer);
  CHECK(ringproof_push(&producer, &item) == RINGPROOF_OK);
  CHECK(ringproof_push(&producer, &item) == RINGPROOF_PEER_CLOSED);
  CHECK(ringproof_producer_is_peer_closed(&producer) == RINGPROOF_PEER_CLOSED);
  ringproof_producer_drop(&producer);
  ringproof_consumer_drop(&consumer);
  end_of(&ring);
  /* One that closed may ask, too, and stays closed whatever room it sees. */
  make_ring(&ring, 2);
  CHECK(ringproof_producer_open(&producer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_consumer_open(&consumer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_push(&producer, &item) == RINGPROOF_OK);
  ringproof_producer_close(&producer);
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_OK);
  CHECK(ringproof_producer_is_peer_closed(&producer) == RINGPROOF_OK);
  CHECK(ringproof_push(&producer, &item) == RINGPROOF_CLOSED);
  ringproof_producer_drop(&producer);
  ringproof_consumer_drop(&consumer);
  end_of(&ring);
}

static void a_ring_ends_at_its_last_position(void) {
  struct ringproof_segment ring;
  struct ringproof_producer producer;
  struct ringproof_consumer consumer;
  struct ringproof_chunk chunk;
  uint64_t item = 7, live;
  make_ring(&ring, 5);
  overwrite_word(256, RINGPROOF_LAST_INDEX - 3);
  overwrite_word(640, RINGPROOF_LAST_INDEX - 3);
  CHECK(ringproof_producer_open(&producer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_consumer_open(&consumer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_push(&producer, &item) == RINGPROOF_OK);
  /* There is room for four, and positions for two. */
  CHECK(ringproof_reserve(&producer, 4, &chunk) == RINGPROOF_OK && chunk.len == 2);
  CHECK(ringproof_commit(&producer, &chunk, 2) == RINGPROOF_OK);
  CHECK(ringproof_producer_position(&producer) == RINGPROOF_LAST_INDEX);
  CHECK(ringproof_push(&producer, &item) == RINGPROOF_CLOSED);
  CHECK(ringproof_reserve(&producer, 1, &chunk) == RINGPROOF_CLOSED);
  CHECK(ringproof_producer_occupancy(&producer, &live) == RINGPROOF_OK && live == 3);
  for (int i = 0; i < 3; i++) {
    CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_OK);
  }
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_PEER_CLOSED);
  ringproof_producer_drop(&producer);
  CHECK(ringproof_producer_open(&producer, &ring, &error) == RINGPROOF_OK && producer.closed);
  ringproof_producer_drop(&producer);
  ringproof_consumer_drop(&consumer);
  end_of(&ring);
}

static void corruption_is_an_error(void) {
  static const uint64_t writes[] = {1, 8, UINT64_MAX, UINT64_C(1) << 63};
  struct ringproof_segment ring;
  struct ringproof_producer producer;
  struct ringproof_consumer consumer;
  struct ringproof_chunk chunk;
  uint64_t item = 7;
  char text[256];
  make_ring(&ring, 5);
  CHECK(ringproof_producer_open(&producer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_consumer_open(&consumer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_push(&producer, &item) == RINGPROOF_OK);
  CHECK(ringproof_push(&producer, &item) == RINGPROOF_OK);
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_OK);
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_OK);
  /* Backwards, and beyond the capacity. */
  for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
    overwrite_word(256, writes[i]);
    CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_CORRUPT);
    CHECK(strcmp(consumer.corruption.word, "write_index") == 0);
    CHECK(consumer.corruption.found == writes[i]);
  }
  ringproof_explain(&consumer.corruption, text, sizeof text);
  CHECK(strstr(text, "must be from 2 to 7") != NULL);
  overwrite_word(256, 2);
  /* The bit of the close is no part of the index, and makes no index good. */
  overwrite_word(256, 1 | RINGPROOF_CLOSED_BIT);
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_CORRUPT);
  CHECK(consumer.corruption.found == (1 | RINGPROOF_CLOSED_BIT));
  overwrite_word(256, 2 | RINGPROOF_CLOSED_BIT);
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_PEER_CLOSED);
  overwrite_word(256, 2);
  for (uint64_t i = 0; i < 3; i++) {
    CHECK(ringproof_push(&producer, &item) == RINGPROOF_OK);
  }
  /* Backwards, within what may be live. */
  CHECK(ringproof_peek(&consumer, 3, &chunk) == RINGPROOF_OK && chunk.len == 3);
  overwrite_word(256, 4);
  CHECK(ringproof_consumer_occupancy(&consumer, &item) == RINGPROOF_CORRUPT);
  overwrite_word(256, 5);
  overwrite_word(640, 6);
  CHECK(ringproof_producer_occupancy(&producer, &item) == RINGPROOF_CORRUPT);
  CHECK(strcmp(producer.corruption.word, "read_index") == 0);
  overwrite_word(640, 6 | RINGPROOF_CLOSED_BIT);
  CHECK(ringproof_producer_is_peer_closed(&producer) == RINGPROOF_CORRUPT);
  overwrite_word(640, 2 | RINGPROOF_CLOSED_BIT);
  CHECK(ringproof_producer_is_peer_closed(&producer) == RINGPROOF_PEER_CLOSED);
  ringproof_producer_drop(&producer);
  ringproof_consumer_drop(&consumer);
  end_of(&ring);
}

static void a_role_has_one_holder(void) {
  struct ringproof_segment ring, again;
  struct ringproof_producer first, second;
  struct ringproof_consumer consumer;
  struct ringproof_writer writer;
  bool present = true;
  uint64_t item = 7;
  int outcome;
  pid_t child;
  make_ring(&ring, 5);
  CHECK(ringproof_attach(&again, name, RINGPROOF_RING, &word_shape, &error) == RINGPROOF_OK);
  CHECK(ringproof_producer_open(&first, &ring, &error) == RINGPROOF_OK);
  CHECK(first.claim.epoch == 1);
  CHECK(ringproof_producer_open(&second, &ring, &error) == RINGPROOF_HELD);
  CHECK(ringproof_producer_open(&second, &again, &error) == RINGPROOF_HELD);
  CHECK(ringproof_producer_peer_present(&first, &present) == RINGPROOF_OK && !present);
  CHECK(ringproof_consumer_open(&consumer, &again, &error) == RINGPROOF_OK);
  CHECK(ringproof_producer_peer_present(&first, &present) == RINGPROOF_OK && present);
  CHECK(ringproof_writer_open(&writer, &ring, &error) == RINGPROOF_MISMATCH);
  CHECK(ringproof_push(&first, &item) == RINGPROOF_OK);
  /* A forked child that drops what it inherited takes nothing from its parent. */
  child = fork();
  if (child == 0) {
    ringproof_producer_drop(&first);
    _exit(0);
  }
  CHECK(waitpid(child, &outcome, 0) == child && outcome == 0);
  CHECK(ringproof_producer_open(&second, &again, &error) == RINGPROOF_HELD);
  ringproof_producer_drop(&first);
  CHECK(ringproof_producer_open(&second, &again, &error) == RINGPROOF_OK);
  CHECK(second.claim.epoch == 2 && ringproof_producer_position(&second) == 1);
  ringproof_producer_drop(&second);
  ringproof_consumer_drop(&consumer);
  ringproof_detach(&again);
  end_of(&ring);
}

static void what_was_unlinked_is_gone(void) {
  struct ringproof_segment old, newer, other;
  struct ringproof_consumer consumer;
  struct ringproof_producer producer;
  uint64_t item = 7;
  bool current = false;
  make_ring(&old, 5);
  CHECK(ringproof_producer_open(&producer, &old, &error) == RINGPROOF_OK);
  CHECK(ringproof_is_current(&old, &current, &error) == RINGPROOF_OK && current);
  CHECK(ringproof_unlink(&old, &error) == RINGPROOF_OK);
  CHECK(ringproof_is_current(&old, &current, &error) == RINGPROOF_OK && !current);
  /* Its holder goes on; no other begins. */
  CHECK(ringproof_push(&producer, &item) == RINGPROOF_OK);
  CHECK(ringproof_consumer_open(&consumer, &old, &error) == RINGPROOF_GONE);
  CHECK(ringproof_producer_open(&producer, &old, &error) == RINGPROOF_GONE);
  /* The name is another segment's now, and to unlink the old one again leaves it alone. */
  make_ring(&newer, 5);
  CHECK(ringproof_is_current(&old, &current, &error) == RINGPROOF_OK && !current);
  CHECK(ringproof_is_current(&newer, &current, &error) == RINGPROOF_OK && current);
  CHECK(ringproof_unlink(&old, &error) == RINGPROOF_OK);
  CHECK(access(path, F_OK) == 0);
  ringproof_detach(&old);
  /* Removed by name alone, without the mark. */
  CHECK(unlink(path) == 0);
  CHECK(ringproof_consumer_open(&consumer, &newer, &error) == RINGPROOF_GONE);
  ringproof_detach(&newer);
  /* Retired by one that died before it took the name away: who comes next does. */
  make_ring(&newer, 5);
  CHECK(ringproof_attach(&other, name, RINGPROOF_RING, &word_shape, &error) == RINGPROOF_OK);
  overwrite_word(128, 1);
  CHECK(ringproof_consumer_open(&consumer, &other, &error) == RINGPROOF_GONE);
  CHECK(access(path, F_OK) != 0);
  ringproof_detach(&other);
  ringproof_detach(&newer);
}

static void dead_writer_is_told_and_repaired(void) {
  const struct ringproof_options options = ringproof_seqlock_options();
  struct ringproof_segment lock;
  struct ringproof_writer writer;
  struct ringproof_reader reader;
  uint64_t value = 5;
  CHECK(ringproof_create(&lock, name, &options, &word_shape, &value, &error) == RINGPROOF_OK);
  CHECK(ringproof_reader_open(&reader, &lock, &error) == RINGPROOF_OK);
  value = 0;
  CHECK(ringproof_read(&reader, &value, 1) == RINGPROOF_OK && value == 5);
  CHECK(ringproof_writer_open(&writer, &lock, &error) == RINGPROOF_OK);
  value = 6;
  ringproof_write(&writer, &value);
  CHECK(ringproof_read(&reader, &value, 1) == RINGPROOF_OK && value == 6);
  /* Inside a write, and alive; then dead. */
  overwrite_word(256, 3);
  CHECK(ringproof_try_read(&reader, &value) == RINGPROOF_BUSY);
  CHECK(ringproof_read(&reader, &value, 10) == RINGPROOF_WRITER_STALLED);
  ringproof_writer_drop(&writer);
  CHECK(ringproof_read(&reader, &value, 10) == RINGPROOF_WRITER_DEAD);
  CHECK(ringproof_writer_open(&writer, &lock, &error) == RINGPROOF_OK);
  CHECK(ringproof_writer_needs_repair(&writer) && ringproof_writer_version(&writer) == 2);
  value = 7;
  ringproof_write(&writer, &value);
  CHECK(ringproof_writer_version(&writer) == 3 && writer.index == 6);
  value = 0;
  CHECK(ringproof_read(&reader, &value, 1) == RINGPROOF_OK && value == 7);
  ringproof_writer_drop(&writer);
  ringproof_reader_drop(&reader);
  end_of(&lock);
}

static void latch_keeps_its_last_value(void) {
  const struct ringproof_options options = ringproof_latch_options();
  struct ringproof_segment latch;
  struct ringproof_writer writer;
  struct ringproof_reader reader;
  uint64_t value = 5;
  const uint64_t half = 99;
  CHECK(ringproof_create(&latch, name, &options, &word_shape, &value, &error) == RINGPROOF_OK);
  CHECK(ringproof_reader_open(&reader, &latch, &error) == RINGPROOF_OK);
  value = 0;
  CHECK(ringproof_read(&reader, &value, 1) == RINGPROOF_OK && value == 5);
  CHECK(ringproof_writer_open(&writer, &latch, &error) == RINGPROOF_OK);
  for (uint64_t i = 1; i < 10; i++) {
    ringproof_write(&writer, &i);
    CHECK(ringproof_read(&reader, &value, 1) == RINGPROOF_OK && value == i);
  }
  /* Version 9 lies where the layout says. */
  memcpy(&value, (const char *)latch.map + latch.fixed.data_offset + 8 * (9 % 4), 8);
  CHECK(value == 9);
  /* As a writer leaves it that dies before it publishes version 10. */
  overwrite(latch.fixed.data_offset + 8 * (10 % 4), &half, 8);
  CHECK(ringproof_read(&reader, &value, 1) == RINGPROOF_OK && value == 9);
  overwrite_word(256, RINGPROOF_NO_VERSION);
  ringproof_writer_drop(&writer);
  CHECK(ringproof_read(&reader, &value, 3) == RINGPROOF_WRITER_STALLED);
  ringproof_reader_drop(&reader);
  end_of(&latch);
}

static void notes_are_kept(void) {
  struct ringproof_segment ring;
  ringproof_word *note;
  make_ring(&ring, 5);
  note = ringproof_note(&ring, RINGPROOF_CONSUMER, 15);
  CHECK(ringproof_read_note(note) == 0);
  ringproof_write_note(note, 42);
  CHECK(ringproof_read_note(note) == 42);
  CHECK((char *)note - (char *)ring.map == 1016);
  CHECK(ringproof_note(&ring, RINGPROOF_CONSUMER, 16) == NULL);
  end_of(&ring);
}

/* What a segment's file holds, header and slots. */
static void copy_of(const struct ringproof_segment *segment, void *bytes) {
  CHECK(ringproof_read_at(segment->fd, bytes, segment->len, 0));
}

static bool is_as_it_was(const struct ringproof_segment *segment, const void *before) {
  static unsigned char now[3 * 4096];
  CHECK(segment->len <= sizeof now);
  copy_of(segment, now);
  return memcmp(now, before, segment->len) == 0;
}

static const char *second_name(void) { return strrchr(second_path, '/') + 1; }

static void a_chunk_is_of_one_end_and_good_once(void) {
  static unsigned char before[3 * 4096];
  const struct ringproof_options options = {RINGPROOF_RING, 5, 8, 0600};
  const struct ringproof_chunk none = {0};
  struct ringproof_segment ring, other;
  struct ringproof_producer producer, stranger;
  struct ringproof_consumer consumer;
  struct ringproof_chunk chunk, later, foreign;
  uint64_t item = 7, items[8] = {0};
  size_t moved;
  make_ring(&ring, 5);
  CHECK(ringproof_producer_open(&producer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_consumer_open(&consumer, &ring, &error) == RINGPROOF_OK);
  /* Of another ring, of which the end stands at the same place. */
  CHECK(ringproof_create(&other, second_name(), &options, &word_shape, NULL, &error) ==
        RINGPROOF_OK);
  CHECK(ringproof_producer_open(&stranger, &other, &error) == RINGPROOF_OK);
  CHECK(ringproof_reserve(&stranger, 2, &foreign) == RINGPROOF_OK);
  CHECK(ringproof_reserve(&producer, 2, &chunk) == RINGPROOF_OK);
  copy_of(&ring, before);
  CHECK(ringproof_commit(&producer, &foreign, 2) == RINGPROOF_OUT_OF_CHUNK);
  /* Whatever its number: every source file counts its own ends. */
  foreign.number = chunk.number;
  CHECK(ringproof_commit(&producer, &foreign, 2) == RINGPROOF_OUT_OF_CHUNK);
  CHECK(ringproof_commit(&producer, &foreign, 0) == RINGPROOF_OUT_OF_CHUNK);
  CHECK(ringproof_commit(&producer, &none, 0) == RINGPROOF_OUT_OF_CHUNK);
  /* Of the other side, which stands at the same place while the ring is empty. */
  CHECK(ringproof_release(&consumer, &chunk, 2) == RINGPROOF_OUT_OF_CHUNK);
  CHECK(ringproof_release(&consumer, &chunk, 0) == RINGPROOF_OUT_OF_CHUNK);
  CHECK(ringproof_peek(&consumer, 0, &later) == RINGPROOF_OK && later.len == 0);
  CHECK(ringproof_commit(&producer, &later, 0) == RINGPROOF_OUT_OF_CHUNK);
  /* Used up by less, taken back by another one, by a push, and by a batch of none. */
  CHECK(ringproof_commit(&producer, &chunk, 0) == RINGPROOF_OK);
  CHECK(ringproof_commit(&producer, &chunk, 0) == RINGPROOF_OUT_OF_CHUNK);
  CHECK(ringproof_commit(&producer, &chunk, 2) == RINGPROOF_OUT_OF_CHUNK);
  CHECK(ringproof_reserve(&producer, 3, &chunk) == RINGPROOF_OK);
  CHECK(ringproof_reserve(&producer, 2, &later) == RINGPROOF_OK);
  CHECK(ringproof_commit(&producer, &chunk, 3) == RINGPROOF_OUT_OF_CHUNK);
  CHECK(ringproof_push_slice(&producer, items, 0, &moved) == RINGPROOF_OK);
  CHECK(ringproof_commit(&producer, &later, 2) == RINGPROOF_OUT_OF_CHUNK);
  CHECK(is_as_it_was(&ring, before));
  CHECK(ringproof_reserve(&producer, 3, &chunk) == RINGPROOF_OK);
  CHECK(ringproof_push(&producer, &item) == RINGPROOF_OK);
  CHECK(ringproof_commit(&producer, &chunk, 1) == RINGPROOF_OUT_OF_CHUNK);
  CHECK(ringproof_reserve(&producer, 3, &chunk) == RINGPROOF_OK);
  ((uint64_t *)chunk.first.items)[0] = 8;
  ((uint64_t *)chunk.first.items)[1] = 9;
  CHECK(ringproof_commit(&producer, &chunk, 2) == RINGPROOF_OK);
  CHECK(ringproof_commit(&producer, &chunk, 1) == RINGPROOF_OUT_OF_CHUNK);
  /* The same on the other side. */
  copy_of(&ring, before);
  CHECK(ringproof_peek(&consumer, 3, &chunk) == RINGPROOF_OK && chunk.len == 3);
  CHECK(ringproof_peek(&consumer, 1, &later) == RINGPROOF_OK && later.len == 1);
  CHECK(ringproof_release(&consumer, &chunk, 3) == RINGPROOF_OUT_OF_CHUNK);
  CHECK(ringproof_release(&consumer, &later, 0) == RINGPROOF_OK);
  CHECK(ringproof_release(&consumer, &later, 1) == RINGPROOF_OUT_OF_CHUNK);
  CHECK(ringproof_release(&consumer, &none, 0) == RINGPROOF_OUT_OF_CHUNK);
  CHECK(is_as_it_was(&ring, before));
  CHECK(ringproof_peek(&consumer, 3, &chunk) == RINGPROOF_OK);
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_OK && item == 7);
  CHECK(ringproof_release(&consumer, &chunk, 1) == RINGPROOF_OUT_OF_CHUNK);
  CHECK(ringproof_peek(&consumer, 2, &chunk) == RINGPROOF_OK && chunk.len == 2);
  CHECK(ringproof_release(&consumer, &chunk, 2) == RINGPROOF_OK);
  CHECK(ringproof_release(&consumer, &chunk, 0) == RINGPROOF_OUT_OF_CHUNK);
  /* It does not outlive its end, also if a next one stands at the same place. */
  CHECK(ringproof_reserve(&producer, 2, &chunk) == RINGPROOF_OK);
  CHECK(ringproof_peek(&consumer, 0, &later) == RINGPROOF_OK);
  copy_of(&ring, before);
  ringproof_producer_drop(&producer);
  ringproof_consumer_drop(&consumer);
  CHECK(ringproof_commit(&producer, &chunk, 2) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_release(&consumer, &later, 0) == RINGPROOF_NOT_OPEN);
  CHECK(is_as_it_was(&ring, before));
  CHECK(ringproof_producer_open(&producer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_consumer_open(&consumer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_commit(&producer, &chunk, 2) == RINGPROOF_OUT_OF_CHUNK);
  CHECK(ringproof_release(&consumer, &later, 0) == RINGPROOF_OUT_OF_CHUNK);
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_EMPTY);
  ringproof_producer_drop(&producer);
  ringproof_consumer_drop(&consumer);
  /* The first chunk of either life. */
  for (int life = 0; life < 2; life++) {
    CHECK(ringproof_producer_open(&producer, &ring, &error) == RINGPROOF_OK);
    CHECK(ringproof_consumer_open(&consumer, &ring, &error) == RINGPROOF_OK);
    CHECK(ringproof_reserve(&producer, 2, life == 0 ? &chunk : &foreign) == RINGPROOF_OK);
    CHECK(ringproof_peek(&consumer, 0, life == 0 ? &later : &foreign) == RINGPROOF_OK);
    if (life == 1) {
      CHECK(ringproof_commit(&producer, &chunk, 2) == RINGPROOF_OUT_OF_CHUNK);
      CHECK(ringproof_release(&consumer, &later, 0) == RINGPROOF_OUT_OF_CHUNK);
    }
    ringproof_producer_drop(&producer);
    ringproof_consumer_drop(&consumer);
  }
  ringproof_producer_drop(&stranger);
  CHECK(ringproof_unlink(&other, &error) == RINGPROOF_OK);
  ringproof_detach(&other);
  end_of(&ring);
  /* The first chunk of one ring, and of another that is mapped where that was. */
  for (int number = 0; number < 2; number++) {
    make_ring(&ring, 5);
    CHECK(ringproof_producer_open(&producer, &ring, &error) == RINGPROOF_OK);
    CHECK(ringproof_consumer_open(&consumer, &ring, &error) == RINGPROOF_OK);
    CHECK(ringproof_reserve(&producer, 2, number == 0 ? &chunk : &foreign) == RINGPROOF_OK);
    chunk.end = producer.write_word;
    CHECK(ringproof_peek(&consumer, 0, number == 0 ? &later : &foreign) == RINGPROOF_OK);
    later.end = consumer.read_word;
    if (number == 1) {
      CHECK(ringproof_commit(&producer, &chunk, 2) == RINGPROOF_OUT_OF_CHUNK);
      CHECK(ringproof_release(&consumer, &later, 0) == RINGPROOF_OUT_OF_CHUNK);
    }
    ringproof_producer_drop(&producer);
    ringproof_consumer_drop(&consumer);
    end_of(&ring);
  }
}

static void a_close_takes_chunks_back(void) {
  static unsigned char before[3 * 4096];
  struct ringproof_segment ring;
  struct ringproof_producer producer;
  struct ringproof_consumer consumer;
  struct ringproof_chunk chunk;
  uint64_t item = 7, live;
  size_t moved;
  /* The producer closes: what was reserved is never sent. */
  make_ring(&ring, 4);
  CHECK(ringproof_producer_open(&producer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_consumer_open(&consumer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_reserve(&producer, 2, &chunk) == RINGPROOF_OK);
  CHECK(ringproof_producer_close(&producer) == RINGPROOF_OK);
  copy_of(&ring, before);
  CHECK(ringproof_commit(&producer, &chunk, 2) == RINGPROOF_CLOSED);
  CHECK(ringproof_commit(&producer, &chunk, 0) == RINGPROOF_CLOSED);
  CHECK(ringproof_push(&producer, &item) == RINGPROOF_CLOSED);
  CHECK(ringproof_reserve(&producer, 1, &chunk) == RINGPROOF_CLOSED);
  CHECK(is_as_it_was(&ring, before));
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_PEER_CLOSED);
  /* A successor finds the ring closed and has no chunk of it, either. */
  ringproof_producer_drop(&producer);
  CHECK(ringproof_producer_open(&producer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_reserve(&producer, 1, &chunk) == RINGPROOF_CLOSED);
  CHECK(ringproof_commit(&producer, &chunk, 1) == RINGPROOF_CLOSED);
  ringproof_producer_drop(&producer);
  ringproof_consumer_drop(&consumer);
  end_of(&ring);
  /* The consumer closes: what it looked at stays in the ring, and nothing is free. */
  make_ring(&ring, 4);
  CHECK(ringproof_producer_open(&producer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_consumer_open(&consumer, &ring, &error) == RINGPROOF_OK);
  for (item = 0; item < 4; item++) {
    CHECK(ringproof_push(&producer, &item) == RINGPROOF_OK);
  }
  CHECK(ringproof_peek(&consumer, 2, &chunk) == RINGPROOF_OK && chunk.len == 2);
  CHECK(ringproof_consumer_close(&consumer) == RINGPROOF_OK);
  copy_of(&ring, before);
  CHECK(ringproof_release(&consumer, &chunk, 2) == RINGPROOF_CLOSED);
  CHECK(ringproof_release(&consumer, &chunk, 0) == RINGPROOF_CLOSED);
  CHECK(ringproof_pop_slice(&consumer, &item, 1, &moved) == RINGPROOF_CLOSED && moved == 0);
  CHECK(is_as_it_was(&ring, before));
  CHECK(ringproof_push(&producer, &item) == RINGPROOF_PEER_CLOSED);
  CHECK(ringproof_producer_occupancy(&producer, &live) == RINGPROOF_OK && live == 4);
  ringproof_producer_drop(&producer);
  ringproof_consumer_drop(&consumer);
  end_of(&ring);
  /* The consumer closes while something is reserved, and the producer learns it. */
  make_ring(&ring, 4);
  CHECK(ringproof_producer_open(&producer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_consumer_open(&consumer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_reserve(&producer, 2, &chunk) == RINGPROOF_OK);
  CHECK(ringproof_consumer_close(&consumer) == RINGPROOF_OK);
  CHECK(ringproof_producer_is_peer_closed(&producer) == RINGPROOF_PEER_CLOSED);
  copy_of(&ring, before);
  CHECK(ringproof_commit(&producer, &chunk, 2) == RINGPROOF_PEER_CLOSED);
  CHECK(ringproof_push(&producer, &item) == RINGPROOF_PEER_CLOSED);
  CHECK(ringproof_push_slice(&producer, &item, 1, &moved) == RINGPROOF_PEER_CLOSED && moved == 0);
  CHECK(is_as_it_was(&ring, before));
  ringproof_producer_drop(&producer);
  ringproof_consumer_drop(&consumer);
  end_of(&ring);
}

/* What a wait says that need not wait, by one look: so a fault is no hang. (sleepers.c has those that do.) */
static void a_wait_says_what_no_waiting_changes(void) {
  const struct ringproof_options options = ringproof_ring_options(3);
  const struct ringproof_options latch_options = ringproof_latch_options();
  struct ringproof_segment segment;
  struct ringproof_producer producer;
  struct ringproof_consumer consumer;
  struct ringproof_writer writer;
  struct ringproof_reader reader;
  struct ringproof_chunk chunk;
  uint64_t item = 7, version = 9;
  CHECK(ringproof_create(&segment, name, &options, &word_shape, NULL, &error) == RINGPROOF_OK);
  CHECK(ringproof_producer_open(&producer, &segment, &error) == RINGPROOF_OK);
  CHECK(ringproof_consumer_open(&consumer, &segment, &error) == RINGPROOF_OK);
  CHECK(ringproof_wait_free(&producer, 3, 0) == RINGPROOF_OK);
  CHECK(ringproof_wait_free(&producer, 4, 0) == RINGPROOF_SIZE);
  CHECK(ringproof_wait_items(&consumer, 4, 0) == RINGPROOF_SIZE);
  CHECK(ringproof_wait_items(&consumer, 1, 0) == RINGPROOF_TIMED_OUT);
  /* What is reserved stays so. */
  CHECK(ringproof_reserve(&producer, 2, &chunk) == RINGPROOF_OK);
  memcpy(chunk.first.items, &item, sizeof item);
  CHECK(ringproof_wait_free(&producer, 3, 0) == RINGPROOF_OK);
  CHECK(ringproof_commit(&producer, &chunk, 1) == RINGPROOF_OK);
  /* And what is shown. */
  CHECK(ringproof_peek(&consumer, 3, &chunk) == RINGPROOF_OK && chunk.len == 1);
  CHECK(ringproof_wait_items(&consumer, 2, 0) == RINGPROOF_TIMED_OUT);
  CHECK(ringproof_release(&consumer, &chunk, 0) == RINGPROOF_OK);
  CHECK(ringproof_push(&producer, &item) == RINGPROOF_OK);
  CHECK(ringproof_wait_items(&consumer, 2, 0) == RINGPROOF_OK);
  CHECK(ringproof_producer_close(&producer) == RINGPROOF_OK);
  CHECK(ringproof_wait_free(&producer, 1, 0) == RINGPROOF_CLOSED);
  /* The last items come first, and no more than they are. */
  CHECK(ringproof_wait_items(&consumer, 3, 0) == RINGPROOF_SIZE);
  CHECK(ringproof_wait_items(&consumer, 2, 0) == RINGPROOF_OK);
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_OK);
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_OK);
  CHECK(ringproof_wait_items(&consumer, 1, 0) == RINGPROOF_PEER_CLOSED);
  CHECK(ringproof_consumer_close(&consumer) == RINGPROOF_OK);
  CHECK(ringproof_wait_items(&consumer, 1, 0) == RINGPROOF_CLOSED);
  ringproof_producer_drop(&producer);
  ringproof_consumer_drop(&consumer);
  end_of(&segment);
  CHECK(ringproof_create(&segment, name, &options, &word_shape, NULL, &error) == RINGPROOF_OK);
  CHECK(ringproof_producer_open(&producer, &segment, &error) == RINGPROOF_OK);
  CHECK(ringproof_consumer_open(&consumer, &segment, &error) == RINGPROOF_OK);
  overwrite_word(256, 99);
  overwrite_word(640, 98);
  CHECK(ringproof_wait_items(&consumer, 1, 0) == RINGPROOF_CORRUPT);
  CHECK(consumer.corruption.found == 99);
  CHECK(ringproof_wait_free(&producer, 4, 0) == RINGPROOF_CORRUPT);
  ringproof_producer_drop(&producer);
  ringproof_consumer_drop(&consumer);
  end_of(&segment);
  CHECK(ringproof_create(&segment, name, &latch_options, &word_shape, NULL, &error) == RINGPROOF_OK);
  CHECK(ringproof_writer_open(&writer, &segment, &error) == RINGPROOF_OK);
  CHECK(ringproof_reader_open(&reader, &segment, &error) == RINGPROOF_OK);
  /* Of another version than the present one; also of one that was never. */
  CHECK(ringproof_wait_newer(&reader, &version, 0) == RINGPROOF_OK && version == 0);
  CHECK(ringproof_wait_newer(&reader, &version, 0) == RINGPROOF_TIMED_OUT && version == 0);
  CHECK(ringproof_write(&writer, &item) == RINGPROOF_OK);
  CHECK(ringproof_wait_newer(&reader, &version, 0) == RINGPROOF_OK && version == 1);
  ringproof_writer_drop(&writer);
  ringproof_reader_drop(&reader);
  end_of(&segment);
}

/* All that can be asked of the four ends; they are not open. */
static void are_not_open(struct ringproof_producer *producer, struct ringproof_consumer *consumer,
                         struct ringproof_writer *writer, struct ringproof_reader *reader) {
  struct ringproof_chunk chunk = {0};
  uint64_t item = 7, live = 1;
  size_t moved = 1;
  bool present = false;
  CHECK(ringproof_push_sized(producer, &item, sizeof item) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_push_sized(producer, &item, 0) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_push(producer, &item) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_push_slice(producer, &item, 1, &moved) == RINGPROOF_NOT_OPEN && moved == 0);
  CHECK(ringproof_push_slice(producer, &item, 0, &moved) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_reserve(producer, 1, &chunk) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_reserve(producer, 0, &chunk) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_commit(producer, &chunk, 0) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_producer_is_peer_closed(producer) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_producer_peer_present(producer, &present) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_producer_occupancy(producer, &live) == RINGPROOF_NOT_OPEN && live == 0);
  CHECK(ringproof_wait_free(producer, 0, 0) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_wait_drained(producer, 0) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_producer_close(producer) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_producer_position(producer) == 0 && !ringproof_producer_is_open(producer));
  moved = 1;
  CHECK(ringproof_pop_sized(consumer, &item, sizeof item) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_pop_sized(consumer, &item, 0) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_pop(consumer, &item) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_pop_slice(consumer, &item, 1, &moved) == RINGPROOF_NOT_OPEN && moved == 0);
  CHECK(ringproof_peek(consumer, 1, &chunk) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_peek(consumer, 0, &chunk) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_release(consumer, &chunk, 0) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_consumer_peer_present(consumer, &present) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_consumer_occupancy(consumer, &live) == RINGPROOF_NOT_OPEN && live == 0);
  CHECK(ringproof_wait_items(consumer, 0, 0) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_consumer_close(consumer) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_consumer_position(consumer) == 0 && !ringproof_consumer_is_open(consumer));
  CHECK(ringproof_write(writer, &item) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_writer_version(writer) == 0 && !ringproof_writer_needs_repair(writer));
  CHECK(ringproof_try_read(reader, &item) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_read(reader, &item, 3) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_reader_version(reader) == 0);
  CHECK(ringproof_wait_newer(reader, &item, 0) == RINGPROOF_NOT_OPEN);
  CHECK(item == 7);
  /* And again: nothing is given back twice. */
  ringproof_producer_drop(producer);
  ringproof_consumer_drop(consumer);
  ringproof_writer_drop(writer);
  ringproof_reader_drop(reader);
}

/* All that can be asked of a segment that is not attached. */
static void is_not_attached(struct ringproof_segment *segment) {
  struct ringproof_producer producer;
  struct ringproof_consumer consumer;
  struct ringproof_writer writer;
  struct ringproof_reader reader;
  enum ringproof_name found;
  bool current = true;
  CHECK(ringproof_producer_open(&producer, segment, &error) == RINGPROOF_NOT_OPEN);
  CHECK(strstr(error.message, "is not attached") != NULL);
  CHECK(ringproof_consumer_open(&consumer, segment, &error) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_writer_open(&writer, segment, &error) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_reader_open(&reader, segment, &error) == RINGPROOF_NOT_OPEN);
  are_not_open(&producer, &consumer, &writer, &reader);
  CHECK(ringproof_unlink(segment, &error) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_name_status(segment, &found, &error) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_is_current(segment, &current, &error) == RINGPROOF_NOT_OPEN && !current);
  CHECK(ringproof_is_held(segment->shared, RINGPROOF_PRODUCER, &current) == RINGPROOF_NOT_OPEN);
  CHECK(ringproof_note(segment, RINGPROOF_PRODUCER, 0) == NULL);
  ringproof_detach(segment);
}

static void what_is_not_open_does_nothing(void) {
  static const struct ringproof_segment no_segment = {0};
  static const struct ringproof_producer no_producer = {0};
  static const struct ringproof_consumer no_consumer = {0};
  static const struct ringproof_writer no_writer = {0};
  static const struct ringproof_reader no_reader = {0};
  static unsigned char before[3 * 4096];
  const struct ringproof_options kinds[] = {ringproof_seqlock_options(), ringproof_latch_options()};
  struct ringproof_segment ring, values, nothing = no_segment;
  struct ringproof_producer producer = no_producer;
  struct ringproof_consumer consumer = no_consumer;
  struct ringproof_writer writer = no_writer;
  struct ringproof_reader reader = no_reader;
  struct stat own, found;
  uint64_t item = 7;
  const int kept = dup(0);
  /* A file of its own as the descriptor that zeros name. It could be locked, and closed. */
  const int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  CHECK(fd >= 0 && fstat(fd, &own) == 0 && dup2(fd, 0) == 0);
  are_not_open(&producer, &consumer, &writer, &reader);
  is_not_attached(&nothing);
  CHECK(fstat(0, &found) == 0 && found.st_ino == own.st_ino && found.st_dev == own.st_dev);
  /* What failed to be made, or to be attached, is as good as zeros. */
  CHECK(ringproof_attach(&nothing, name, RINGPROOF_RING, &word_shape, &error) ==
        RINGPROOF_NOT_FOUND);
  is_not_attached(&nothing);
  /* What was dropped or detached stores nothing any more, whoever has the role now. */
  make_ring(&ring, 4);
  CHECK(ringproof_create(&values, second_name(), &kinds[0], &word_shape, NULL, &error) ==
        RINGPROOF_OK);
  CHECK(ringproof_producer_open(&producer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_consumer_open(&consumer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_writer_open(&writer, &values, &error) == RINGPROOF_OK);
  CHECK(ringproof_reader_open(&reader, &values, &error) == RINGPROOF_OK);
  /* One item in the ring, and room for others. */
  CHECK(ringproof_push(&producer, &item) == RINGPROOF_OK);
  CHECK(ringproof_write(&writer, &item) == RINGPROOF_OK);
  ringproof_producer_drop(&producer);
  ringproof_consumer_drop(&consumer);
  ringproof_writer_drop(&writer);
  ringproof_reader_drop(&reader);
  copy_of(&ring, before);
  are_not_open(&producer, &consumer, &writer, &reader);
  CHECK(is_as_it_was(&ring, before));
  CHECK(ringproof_unlink(&values, &error) == RINGPROOF_OK);
  ringproof_detach(&values);
  is_not_attached(&values);
  CHECK(ringproof_create(&values, second_name(), &kinds[1], &word_shape, NULL, &error) ==
        RINGPROOF_OK);
  CHECK(ringproof_writer_open(&writer, &values, &error) == RINGPROOF_OK);
  CHECK(ringproof_reader_open(&reader, &values, &error) == RINGPROOF_OK);
  ringproof_writer_drop(&writer);
  ringproof_reader_drop(&reader);
  are_not_open(&producer, &consumer, &writer, &reader);
  CHECK(ringproof_unlink(&values, &error) == RINGPROOF_OK);
  ringproof_detach(&values);
  end_of(&ring);
  is_not_attached(&ring);
  CHECK(fstat(0, &found) == 0 && found.st_ino == own.st_ino && found.st_dev == own.st_dev);
  CHECK(kept < 0 ? close(0) == 0 : dup2(kept, 0) == 0 && close(kept) == 0);
  close(fd);
}

static void names_are_of_utf8(void) {
  static const struct {
    const char *name, *message;
  } bad[] = {
      {"", "segment name ``: it is empty"},
      {"a/b", "segment name `a/b`: it contains a slash or a zero byte"},
      {".a", "segment name `.a`: it starts with a dot"},
      {"\xff", "segment name `\\xff`: it is not UTF-8"},
      {"caf\xe9", "segment name `caf\\xe9`: it is not UTF-8"},
      {"\xc3", "segment name `\\xc3`: it is not UTF-8"},
      {"\xc3\xa4\x80z", "segment name `\xc3\xa4\\x80z`: it is not UTF-8"},
      {"\xc0\xaf", "segment name `\\xc0\\xaf`: it is not UTF-8"},
      {"\xe0\x9f\xbf", "segment name `\\xe0\\x9f\\xbf`: it is not UTF-8"},
      {"\xed\xa0\x80", "segment name `\\xed\\xa0\\x80`: it is not UTF-8"},
      {"\xe2\x82", "segment name `\\xe2\\x82`: it is not UTF-8"},
      {"\xf0\x8f\xbf\xbf", "segment name `\\xf0\\x8f\\xbf\\xbf`: it is not UTF-8"},
      {"\xf4\x90\x80\x80", "segment name `\\xf4\\x90\\x80\\x80`: it is not UTF-8"},
      {"\xf5\x80\x80\x80", "segment name `\\xf5\\x80\\x80\\x80`: it is not UTF-8"},
      {"/\xff", "segment name `/\\xff`: it is not UTF-8"},
  };
  static const char *const good[] = {
      "a",        "\xc2\x80",         "\xdf\xbf",         "\xe0\xa0\x80",     "\xed\x9f\xbf",
      "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "a\x1b[31m\n",
  };
  const struct ringproof_options options = ringproof_ring_options(4);
  struct ringproof_segment segment;
  char text[RINGPROOF_PATH_MAX], long_name[2000];
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    /* Asked before it could make one. */
    CHECK(ringproof_path(bad[i].name, text, sizeof text, &error) == RINGPROOF_NAME);
    CHECK(ringproof_create(&segment, bad[i].name, &options, &word_shape, NULL, &error) ==
          RINGPROOF_NAME);
    if (strcmp(error.message, bad[i].message) != 0) {
      fprintf(stderr, "%s, not %s\n", error.message, bad[i].message);
    }
    CHECK(strcmp(error.message, bad[i].message) == 0);
    CHECK(ringproof_attach(&segment, bad[i].name, RINGPROOF_RING, &word_shape, NULL) ==
          RINGPROOF_NAME);
    CHECK(ringproof_open_or_create(&segment, bad[i].name, &options, &word_shape, NULL, NULL) ==
          RINGPROOF_NAME);
  }
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    CHECK(ringproof_path(good[i], text, sizeof text, &error) == RINGPROOF_OK);
  }
  /* However long it is, it is written as far as there is room. */
  memset(long_name, 0xff, sizeof long_name);
  for (size_t len = 1; len < sizeof long_name; len = len * 3 / 2 + 1) {
    long_name[len] = '\0';
    CHECK(ringproof_path(long_name, text, sizeof text, &error) == RINGPROOF_NAME);
    CHECK(strstr(error.message, "\\xff`: it is not UTF-8") != NULL);
    long_name[len] = '\xff';
  }
}

static void a_mode_is_of_permissions_that_its_owner_has(void) {
  static const mode_t bad[] = {0, 0066, 0200, 0400, 0577, 01000, 01600, 02660, 04755, 0100600};
  static const mode_t good[] = {0600, 0640, 0660, 0666, 0777};
  struct ringproof_options options = ringproof_ring_options(4);
  struct ringproof_segment segment;
  struct stat file;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    char expected[512];
    options.mode = bad[i];
    CHECK(ringproof_create(&segment, name, &options, &word_shape, NULL, &error) == RINGPROOF_MODE);
    snprintf(expected, sizeof expected,
             "segment `%s`: a mode of %o; it must be from 600 to 777, in octal: permissions and "
             "nothing else, and its owner may read and write", name, (unsigned)bad[i]);
    CHECK(strcmp(error.message, expected) == 0);
    CHECK(ringproof_open_or_create(&segment, name, &options, &word_shape, NULL, NULL) == RINGPROOF_MODE);
    CHECK(access(path, F_OK) != 0);
  }
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    options.mode = good[i];
    CHECK(ringproof_create(&segment, name, &options, &word_shape, NULL, &error) == RINGPROOF_OK);
    CHECK(stat(path, &file) == 0 && (file.st_mode & 07777) == good[i]);
    end_of(&segment);
  }
}

static enum ringproof_name status_of(const struct ringproof_segment *segment) {
  enum ringproof_name found = RINGPROOF_NAME_CURRENT;
  CHECK(ringproof_name_status(segment, &found, &error) == RINGPROOF_OK);
  return found;
}

static void who_is_attached_learns_what_became_of_the_name(void) {
  const struct ringproof_options options = ringproof_latch_options();
  struct ringproof_segment latch, newer;
  struct ringproof_reader reader;
  uint64_t value = 5;
  CHECK(ringproof_create(&latch, name, &options, &word_shape, &value, &error) == RINGPROOF_OK);
  CHECK(ringproof_reader_open(&reader, &latch, &error) == RINGPROOF_OK);
  CHECK(status_of(&latch) == RINGPROOF_NAME_CURRENT);
  CHECK(ringproof_unlink(&latch, &error) == RINGPROOF_OK);
  CHECK(status_of(&latch) == RINGPROOF_NAME_UNLINKED);
  make_ring(&newer, 4);
  CHECK(status_of(&latch) == RINGPROOF_NAME_REPLACED);
  CHECK(status_of(&newer) == RINGPROOF_NAME_CURRENT);
  end_of(&newer);
  CHECK(status_of(&latch) == RINGPROOF_NAME_UNLINKED);
  CHECK(symlink("/dev/null", path) == 0);
  CHECK(status_of(&latch) == RINGPROOF_NAME_REPLACED);
  CHECK(unlink(path) == 0);
  CHECK(ringproof_read(&reader, &value, 1) == RINGPROOF_OK && value == 5);
  ringproof_reader_drop(&reader);
  ringproof_detach(&latch);
}

/* In the words of the Rust library. */
static void a_system_error_is_told_with_its_number(void) {
  const struct ringproof_options options = ringproof_ring_options(4);
  struct ringproof_segment ring, other;
  struct rlimit before, none;
  char expected[768];
  make_ring(&ring, 4);
  CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
  none = before;
  none.rlim_cur = 0;
  CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
  CHECK(ringproof_attach(&other, name, RINGPROOF_RING, &word_shape, &error) == RINGPROOF_SYSTEM);
  snprintf(expected, sizeof expected, "segment `%s`: cannot open it: %s (os error %d)", name,
           strerror(EMFILE), EMFILE);
  CHECK(strcmp(error.message, expected) == 0 && error.os_error == EMFILE);
  CHECK(ringproof_create(&other, second_name(), &options, &word_shape, NULL, &error) ==
        RINGPROOF_SYSTEM);
  CHECK(strstr(error.message, " (os error ") != NULL && error.os_error == EMFILE);
  CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
  end_of(&ring);
}

/* The number that a message suggests, after these words. */
static uint64_t suggested(const char *words) {
  const char *at = strstr(error.message, words);
  CHECK(at != NULL);
  return strtoull(at + strlen(words), NULL, 10);
}

static void what_a_message_suggests_is_accepted(void) {
  static const struct ringproof_field large_fields[] = {{"value", 0, 8, SIZE_MAX / 64, 'u'}};
  static const struct ringproof_shape large_shape = {SIZE_MAX / 64 * 8, 8, large_fields, 1};
  static const uint64_t capacities[] = {0, 1, 5, 9, 4097, UINT64_C(1) << 40, UINT64_C(1) << 63,
                                        UINT64_MAX};
  static const uint64_t counts[] = {0, 1, 3, 8, 1000, UINT64_C(1) << 40, (UINT64_C(1) << 62) + 1,
                                    UINT64_C(1) << 63, UINT64_MAX};
  const struct ringproof_shape *const shapes[] = {&word_shape, &large_shape};
  unsigned refusals = 0;
  for (size_t i = 0; i < sizeof capacities / sizeof capacities[0] * 9 * 2; i++) {
    struct ringproof_options options = ringproof_ring_options(capacities[i / 18]);
    const struct ringproof_shape *shape = shapes[i % 2];
    struct ringproof_fixed fixed;
    unsigned rounds = 0;
    options.slots = counts[i / 2 % 9];
    /* Each suggestion is taken; then at most the other number is wrong. */
    while (ringproof_lay_out(&fixed, &options, shape, 41, name, &error) != RINGPROOF_OK) {
      CHECK(++rounds <= 2);
      refusals++;
      /* Slots are mentioned only to those who asked for some. */
      CHECK(options.slots != 0 || strstr(error.message, "a capacity of ") != NULL);
      if (strstr(error.message, "for example ") != NULL) {
        options.slots = suggested("for example ");
      } else if (strstr(error.message, "the most slots") != NULL) {
        options.capacity = suggested("address, ");
      } else {
        options.capacity = suggested("the number of slots, ");
      }
    }
    CHECK(fixed.slots >= fixed.capacity && fixed.segment_len > 0);
  }
  CHECK(refusals > 60);
}

/* ---- Memory that there is not ---- */

/* A folder with files of another machine's; empty: there is none now. */
static char machine[64];

static int remove_one(const char *file, const struct stat *of, int kind, struct FTW *where) {
  (void)of;
  (void)kind;
  (void)where;
  return remove(file);
}

static void remove_machine(void) {
  if (machine[0] != '\0') {
    nftw(machine, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    machine[0] = '\0';
  }
}

static void new_machine(void) {
  remove_machine();
  strcpy(machine, "/tmp/ringproof-checks-XXXXXX");
  CHECK(mkdtemp(machine) != NULL);
}

static void put(const char *file, const char *text) {
  char full[512];
  FILE *out;
  snprintf(full, sizeof full, "%s%s", machine, file);
  for (char *at = strchr(full + strlen(machine) + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
    *at = '\0';
    (void)mkdir(full, 0700);
    *at = '/';
  }
  out = fopen(full, "w");
  CHECK(out != NULL && fputs(text, out) >= 0 && fclose(out) == 0);
}

static void check_room(uint64_t available, const char *limit) {
  struct ringproof_room room;
  CHECK(!ringproof_is_short(machine, available, &room));
  CHECK(ringproof_is_short(machine, available + 1, &room));
  CHECK(room.available == available && strcmp(room.limit, limit) == 0);
  CHECK(ringproof_is_short(machine, UINT64_MAX, &room) && room.available == available);
}

static void put_group(const char *group, const char *most) {
  char file[128];
  snprintf(file, sizeof file, "/sys/fs/cgroup%s/memory.max", group);
  put(file, most);
  snprintf(file, sizeof file, "/sys/fs/cgroup%s/memory.current", group);
  put(file, "0\n");
}

/* The same cases as those of impl/src/room.rs. */
static void the_tightest_limit_on_memory_is_found(void) {
  static const char meminfo[] = "MemTotal:       25165824 kB\nMemAvailable:   16777216 kB\n"
                                "SwapTotal:       2097152 kB\nSwapFree:        1048576 kB\n";
  static const char new_mounts[] = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
  static const char *const groups[3] = {"/a/b/c", "/a/b", "/a"};
  static const char *const outside[2] = {"4:memory:/elsewhere\n", "4:memory:/docker/1/../2\n"};
  const uint64_t gib = UINT64_C(1) << 30;
  struct ringproof_room room;
  /* What cannot be read is no limit. */
  new_machine();
  CHECK(!ringproof_is_short(machine, UINT64_MAX, &room));
  put("/proc/meminfo", "MemAvailable: a lot\nMemAvailable");
  put("/proc/self/cgroup", "nonsense\n0:\n:::\n0::/a\n");
  CHECK(!ringproof_is_short(machine, UINT64_MAX, &room));
  put("/proc/self/mountinfo", new_mounts);
  put("/sys/fs/cgroup/a/memory.max", "1000\n");
  CHECK(!ringproof_is_short(machine, UINT64_MAX, &room));
  /* The machine, and a group within another one. */
  new_machine();
  put("/proc/meminfo", meminfo);
  check_room(17 * gib, "MemAvailable and SwapFree in /proc/meminfo");
  put("/proc/self/cgroup", "1:name=systemd:/x\n0::/a/b\n");
  put("/proc/self/mountinfo", new_mounts);
  put("/sys/fs/cgroup/a/b/memory.max", "max\n");
  put("/sys/fs/cgroup/a/b/memory.current", "5000\n");
  put("/sys/fs/cgroup/a/memory.max", "10000\n");
  put("/sys/fs/cgroup/a/memory.current", "9000\n");
  put("/sys/fs/cgroup/a/memory.stat",
      "anon 7000\nfile 2000\ninactive_file 300\nactive_file 200\nslab_reclaimable 7\n");
  check_room(1000 + gib + 507, "memory.max in /sys/fs/cgroup/a");
  put("/sys/fs/cgroup/a/memory.swap.max", "700\n");
  put("/sys/fs/cgroup/a/memory.swap.current", "650\n");
  check_room(1000 + 50 + 507, "memory.max in /sys/fs/cgroup/a");
  /* Whichever level is the tightest. */
  new_machine();
  put("/proc/self/cgroup", "0::/a/b/c\n");
  put("/proc/self/mountinfo", new_mounts);
  for (int tight = 0; tight < 3; tight++) {
    char limit[64];
    for (int level = 0; level < 3; level++) {
      put_group(groups[level], level == tight ? "100\n" : "300\n");
    }
    snprintf(limit, sizeof limit, "memory.max in /sys/fs/cgroup%s", groups[tight]);
    check_room(100, limit);
  }
  /* The first version, from within a container: its group is what is mounted. */
  new_machine();
  put("/proc/meminfo", meminfo);
  put("/proc/self/cgroup", "9:cpu,cpuacct:/docker/1\n4:memory:/docker/1/job\n0::/\n");
  put("/proc/self/mountinfo",
      "22 1 0:5 / /proc rw - proc proc rw\n"
      "33 25 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
      "34 25 0:31 /docker/1 /sys/fs/cgroup/memory rw shared:9 - cgroup none rw,memory\n");
  put("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "9223372036854771712\n");
  put("/sys/fs/cgroup/memory/job/memory.usage_in_bytes", "100\n");
  put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "10000\n");
  put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "4000\n");
  put("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", "10500\n");
  put("/sys/fs/cgroup/memory/memory.memsw.usage_in_bytes", "4100\n");
  put("/sys/fs/cgroup/memory/memory.stat",
      "inactive_file 1\ntotal_inactive_file 30\ntotal_active_file 40\n");
  check_room(6000 + 400 + 70, "memory.limit_in_bytes in /sys/fs/cgroup/memory");
  /* What is swapped out counts as well. */
  put("/sys/fs/cgroup/memory/memory.memsw.usage_in_bytes", "10100\n");
  check_room(400 + 70, "memory.limit_in_bytes in /sys/fs/cgroup/memory");
  put("/sys/fs/cgroup/memory/memory.memsw.usage_in_bytes", "4100\n");
  /* A group that cannot be seen from here is looked for where one can. */
  for (int i = 0; i < 2; i++) {
    put("/proc/self/cgroup", outside[i]);
    put("/sys/fs/cgroup/2/memory.limit_in_bytes", "7\n");
    put("/sys/fs/cgroup/2/memory.usage_in_bytes", "7\n");
    put("/sys/fs/cgroup/2/memory.memsw.limit_in_bytes", "7\n");
    put("/sys/fs/cgroup/2/memory.memsw.usage_in_bytes", "7\n");
    check_room(6000 + 400 + 70, "memory.limit_in_bytes in /sys/fs/cgroup/memory");
  }
  remove_machine();
}

/* Nothing is taken of what would be the last of it. */
static void more_than_there_is_is_refused(void) {
  struct ringproof_options options = ringproof_ring_options(UINT64_C(1) << 27);
  struct ringproof_segment ring;
  struct rlimit before, limit;
  uint64_t words[1024];
  struct ringproof_field field = {"value", 0, 8, 1024, 'u'};
  const struct ringproof_shape shape = {sizeof words, 8, &field, 1};
  if (sizeof(size_t) < 8) {
    return; /* as much cannot be asked for */
  }
  options.capacity <<= 6; /* 64 TiB */
  /* If it is asked for nevertheless, this is in the way. */
  CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
  limit = before;
  limit.rlim_cur = 1 << 30;
  CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  CHECK(ringproof_create(&ring, name, &options, &shape, NULL, &error) == RINGPROOF_NO_SPACE);
  CHECK(strstr(error.message, "bytes of memory can be had (") != NULL);
  CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
}

int main(int count, char **arguments) {
  if (count != 2) {
    fprintf(stderr, "checks: see the comment at its beginning\n");
    return 2;
  }
  name = arguments[1];
  snprintf(path, sizeof path, "/dev/shm/%s", name);
  snprintf(second_path, sizeof second_path, "%s-2", path);
  atexit(remove_machine);
  descriptions();
  other_descriptions_are_reported_field_by_field();
  hostile_descriptions_are_refused_with_the_reason();
  every_wrong_field_is_refused_by_name();
  other_files_are_refused();
  impossible_sizes_are_refused();
  ring_keeps_order_and_bounds();
  producer_learns_of_the_stop();
  a_ring_ends_at_its_last_position();
  corruption_is_an_error();
  a_role_has_one_holder();
  what_was_unlinked_is_gone();
  dead_writer_is_told_and_repaired();
  latch_keeps_its_last_value();
  notes_are_kept();
  a_chunk_is_of_one_end_and_good_once();
  a_close_takes_chunks_back();
  a_wait_says_what_no_waiting_changes();
  what_is_not_open_does_nothing();
  names_are_of_utf8();
  a_mode_is_of_permissions_that_its_owner_has();
  who_is_attached_learns_what_became_of_the_name();
  a_system_error_is_told_with_its_number();
  what_a_message_suggests_is_accepted();
  the_tightest_limit_on_memory_is_found();
  more_than_there_is_is_refused();
  return 0;
}
