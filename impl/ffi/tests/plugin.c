/* A plugin that has ringproof.h in it, for host.c. */
#include "ringproof.h"

RINGPROOF_SHAPE(word_shape, uint64_t, RINGPROOF_VALUE(uint64_t));

int plugin_use(const char *name);

/* Makes the ring, uses it, and gives everything back; 0, or a status. */
int plugin_use(const char *name) {
  const struct ringproof_options options = ringproof_ring_options(8);
  struct ringproof_segment ring;
  struct ringproof_producer producer;
  uint64_t item = 7;
  enum ringproof_status status =
      ringproof_create(&ring, name, &options, &word_shape, NULL, NULL);
  if (status != RINGPROOF_OK) {
    return (int)status;
  }
  status = ringproof_producer_open(&producer, &ring, NULL);
  if (status == RINGPROOF_OK) {
    status = ringproof_push(&producer, &item);
    ringproof_producer_drop(&producer);
  }
  ringproof_unlink(&ring, NULL);
  ringproof_detach(&ring);
  return (int)status;
}
