/* What one side finds that looks in the middle of the other's operation. Compiled against a copy of
 * the header that calls the three functions below at those places. Exit 0: all is as it should be.
 *
 *   meetings NAME    NAME is a segment that does not exist, nor will when this ends
 */
static void in_a_write(void);
static void in_a_read(void);
static void published(void);
#include "ringproof.h"

RINGPROOF_SHAPE(shape, uint64_t, RINGPROOF_VALUE(uint64_t));

static struct ringproof_writer writer;
static struct ringproof_reader reader;
static struct ringproof_consumer consumer;
static uint64_t writes, number; /* made in the middle of a read; the last value */
static bool looking;            /* a reader looks in the middle of a write */
static int failures;

static void expect(bool right, const char *what) {
  if (!right) {
    fprintf(stderr, "%s\n", what);
    failures++;
  }
}

static void in_a_read(void) {
  for (; writes > 0; writes--) {
    number++;
    ringproof_write(&writer, &number);
  }
}

static void in_a_write(void) {
  if (looking) {
    uint64_t value = 0;
    const enum ringproof_status status = ringproof_try_read(&reader, &value);
    if (writer.latch) {
      expect(status == RINGPROOF_OK && value + 1 == number, "a latch's last value in a write");
    } else {
      expect(status == RINGPROOF_BUSY, "a seqlock's value in a write");
    }
  }
}

static void published(void) {
  uint64_t item = 0;
  expect(ringproof_pop(&consumer, &item) == RINGPROOF_OK && item == number, "what was published");
}

/* Whether a read accepts that many writes in its middle. */
static bool accepts(uint64_t count) {
  uint64_t value;
  writes = count;
  return ringproof_try_read(&reader, &value) == RINGPROOF_OK;
}

static void values(const char *name, struct ringproof_options options, uint64_t most) {
  struct ringproof_segment segment;
  struct ringproof_error error;
  number = 0;
  if (ringproof_create(&segment, name, &options, &shape, NULL, &error) != RINGPROOF_OK ||
      ringproof_writer_open(&writer, &segment, &error) != RINGPROOF_OK ||
      ringproof_reader_open(&reader, &segment, &error) != RINGPROOF_OK) {
    fprintf(stderr, "%s\n", error.message);
    exit(1);
  }
  expect(accepts(most), "as many writes as a read stands");
  expect(!accepts(most + 1), "one write too many");
  looking = true;
  number++;
  ringproof_write(&writer, &number);
  looking = false;
  ringproof_unlink(&segment, NULL);
  ringproof_reader_drop(&reader);
  ringproof_writer_drop(&writer);
  ringproof_detach(&segment);
}

static void ring(const char *name) {
  const struct ringproof_options options = ringproof_ring_options(4);
  struct ringproof_segment segment;
  struct ringproof_producer producer;
  struct ringproof_error error;
  if (ringproof_create(&segment, name, &options, &shape, NULL, &error) != RINGPROOF_OK ||
      ringproof_producer_open(&producer, &segment, &error) != RINGPROOF_OK ||
      ringproof_consumer_open(&consumer, &segment, &error) != RINGPROOF_OK) {
    fprintf(stderr, "%s\n", error.message);
    exit(1);
  }
  number = 77;
  expect(ringproof_push(&producer, &number) == RINGPROOF_OK, "a push");
  ringproof_unlink(&segment, NULL);
  ringproof_consumer_drop(&consumer);
  ringproof_producer_drop(&producer);
  ringproof_detach(&segment);
}

int main(int count, char **arguments) {
  if (count != 2) {
    return 2;
  }
  values(arguments[1], ringproof_seqlock_options(), 0);
  values(arguments[1], ringproof_latch_options(), 2);
  ring(arguments[1]);
  return failures == 0 ? 0 : 1;
}
