/* One end of a market, in C.
 *
 *   peer send SEED NAME COUNT          sends orders through the ring NAME and closes it
 *   peer recv SEED NAME COUNT          takes them until the end
 *   peer write SEED NAME COUNT KIND    replaces the picture in a seqlock or latch
 *   peer read SEED NAME COUNT KIND     reads it until it has the last one
 *
 * The ends of a ring print how many orders they had and their checksum; a reader how often it read.
 * Exit 0: all were right; 1: standard error says what was not; 2: wrong usage.
 */
#include <ringproof.h>

#include "market.h"

#include <inttypes.h>
#include <sched.h>

RINGPROOF_SHAPE(order_shape, struct order, RINGPROOF_FIELD(struct order, seq),
                RINGPROOF_FIELD(struct order, price), RINGPROOF_FIELD(struct order, qty),
                RINGPROOF_FIELD(struct order, venue), RINGPROOF_ARRAY(struct order, tag));
RINGPROOF_SHAPE(picture_shape, struct picture, RINGPROOF_FIELD(struct picture, number),
                RINGPROOF_FIELD(struct picture, best), RINGPROOF_ARRAY(struct picture, levels));

static uint64_t seed, count;
static struct ringproof_error error;

static int stop(const char *why) {
  fprintf(stderr, "peer: %s\n", why);
  return 1;
}

static int send_orders(const struct ringproof_segment *ring) {
  struct ringproof_producer producer;
  uint64_t sum = 0;
  if (ringproof_producer_open(&producer, ring, &error) != RINGPROOF_OK) {
    return stop(error.message);
  }
  for (uint64_t seq = 0; seq < count; seq++) {
    const struct order order = order_of(seed, seq);
    enum ringproof_status status;
    while ((status = ringproof_push_sized(&producer, &order, sizeof order)) == RINGPROOF_FULL) {
      sched_yield();
    }
    if (status != RINGPROOF_OK) {
      return stop(ringproof_strerror(status));
    }
    sum = sum_with(sum, &order);
  }
  ringproof_producer_close(&producer);
  ringproof_producer_drop(&producer);
  printf("%" PRIu64 " %" PRIu64 "\n", count, sum);
  return 0;
}

static int receive_orders(const struct ringproof_segment *ring) {
  struct ringproof_consumer consumer;
  uint64_t next = 0, sum = 0;
  if (ringproof_consumer_open(&consumer, ring, &error) != RINGPROOF_OK) {
    return stop(error.message);
  }
  for (;;) {
    struct order orders[64];
    size_t taken;
    const enum ringproof_status status = ringproof_pop_slice(&consumer, orders, 64, &taken);
    if (status == RINGPROOF_EMPTY) {
      sched_yield();
    } else if (status == RINGPROOF_PEER_CLOSED) {
      break;
    } else if (status != RINGPROOF_OK) {
      return stop(ringproof_strerror(status));
    }
    for (size_t i = 0; i < taken; i++) {
      if (orders[i].seq != next) {
        fprintf(stderr, "peer: order %" PRIu64 " came where %" PRIu64 " was due\n", orders[i].seq,
                next);
        return 1;
      }
      sum = sum_with(sum, &orders[i]);
      next++;
    }
  }
  ringproof_consumer_drop(&consumer);
  printf("%" PRIu64 " %" PRIu64 "\n", next, sum);
  return 0;
}

static int write_pictures(const struct ringproof_segment *segment) {
  struct ringproof_writer writer;
  if (ringproof_writer_open(&writer, segment, &error) != RINGPROOF_OK) {
    return stop(error.message);
  }
  for (uint64_t number = 1; number <= count; number++) {
    const struct picture picture = picture_of(seed, number);
    ringproof_write(&writer, &picture);
  }
  ringproof_writer_drop(&writer);
  return 0;
}

static int read_pictures(const struct ringproof_segment *segment) {
  struct ringproof_reader reader;
  uint64_t last = 0, reads = 0;
  if (ringproof_reader_open(&reader, segment, &error) != RINGPROOF_OK) {
    return stop(error.message);
  }
  while (last < count) {
    struct picture picture;
    if (ringproof_read(&reader, &picture, 1000) != RINGPROOF_OK) {
      sched_yield();
      continue;
    }
    if (!is_whole(seed, &picture)) {
      return stop("a picture is a mixture");
    }
    if (picture.number < last) {
      return stop("a picture is older than one before");
    }
    last = picture.number;
    reads++;
  }
  ringproof_reader_drop(&reader);
  printf("%" PRIu64 "\n", reads);
  return 0;
}

int main(int argc, char **argv) {
  const bool ring = argc == 5;
  struct ringproof_options options = ringproof_ring_options(1024);
  struct ringproof_segment segment;
  struct picture first;
  enum ringproof_status status;
  int result = 2;
  if (argc != 5 && argc != 6) {
    fprintf(stderr, "peer: see the comment at its beginning\n");
    return 2;
  }
  seed = strtoull(argv[2], NULL, 10);
  count = strtoull(argv[4], NULL, 10);
  if (ring) {
    status = ringproof_open_or_create(&segment, argv[3], &options, &order_shape, NULL, &error);
  } else {
    options = strcmp(argv[5], "latch") == 0 ? ringproof_latch_options()
                                            : ringproof_seqlock_options();
    first = picture_of(seed, 0);
    status = ringproof_open_or_create(&segment, argv[3], &options, &picture_shape, &first, &error);
  }
  if (status != RINGPROOF_OK) {
    return stop(error.message);
  }
  if (strcmp(argv[1], ring ? "send" : "write") == 0) {
    result = (ring ? send_orders : write_pictures)(&segment);
  } else if (strcmp(argv[1], ring ? "recv" : "read") == 0) {
    result = (ring ? receive_orders : read_pictures)(&segment);
  }
  ringproof_detach(&segment);
  return result;
}
