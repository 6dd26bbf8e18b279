/* Sends a number through a ring of the library that has no name. Exit 0: it came. */
#include <ringproof_lib.h>
#include <stdio.h>

int main(void) {
  const struct ringproof_lib_field fields[] = {RINGPROOF_LIB_VALUE(uint64_t, RINGPROOF_LIB_U64)};
  const struct ringproof_lib_payload payload = RINGPROOF_LIB_PAYLOAD(uint64_t, fields);
  const struct ringproof_lib_options options = {.kind = RINGPROOF_LIB_RING, .capacity = 4};
  const uint64_t sent = 7;
  uint64_t got = 0;
  struct ringproof_lib_segment *ring = NULL;
  struct ringproof_lib_producer *producer = NULL;
  struct ringproof_lib_consumer *consumer = NULL;
  struct ringproof_lib_error error;
  const int done = ringproof_lib_create(NULL, &options, &payload, NULL, &ring, &error) == RINGPROOF_LIB_OK &&
                   ringproof_lib_producer_open(ring, &producer, &error) == RINGPROOF_LIB_OK &&
                   ringproof_lib_consumer_open(ring, &consumer, &error) == RINGPROOF_LIB_OK &&
                   ringproof_lib_push(producer, &sent, &error) == RINGPROOF_LIB_OK &&
                   ringproof_lib_pop(consumer, &got, &error) == RINGPROOF_LIB_OK;
  if (!done) {
    fprintf(stderr, "%s\n", error.message);
  }
  ringproof_lib_consumer_drop(consumer);
  ringproof_lib_producer_drop(producer);
  ringproof_lib_detach(ring);
  return done && got == sent ? 0 : 1;
}
