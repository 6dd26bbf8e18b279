/* Sends a number through a ring of the header-only library. Exit 0: it came. */
#include <ringproof.h>

RINGPROOF_SHAPE(number, uint64_t, RINGPROOF_VALUE(uint64_t));

int main(int count, char **arguments) {
  const struct ringproof_options options = ringproof_ring_options(4);
  const uint64_t sent = 7;
  uint64_t got = 0;
  struct ringproof_segment ring;
  struct ringproof_producer producer;
  struct ringproof_consumer consumer;
  struct ringproof_error error;
  if (count != 2 ||
      ringproof_create(&ring, arguments[1], &options, &number, NULL, &error) != RINGPROOF_OK) {
    return 2;
  }
  if (ringproof_producer_open(&producer, &ring, &error) == RINGPROOF_OK &&
      ringproof_consumer_open(&consumer, &ring, &error) == RINGPROOF_OK &&
      ringproof_push_sized(&producer, &sent, sizeof sent) == RINGPROOF_OK) {
    ringproof_pop_sized(&consumer, &got, sizeof got);
  }
  ringproof_unlink(&ring, &error);
  return got == sent && sizeof(off_t) == 8 ? 0 : 1;
}
