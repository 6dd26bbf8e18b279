/* Sends a number through a ring of the library that has no name. Exit 0: it came. */
#include <ringproof_lib.h>
#include <stdio.h>

int main(void) {
  const struct rp_field fields[] = {RP_VALUE(uint64_t, RP_U64)};
  const struct rp_payload payload = RP_PAYLOAD(uint64_t, fields);
  const struct rp_options options = {.kind = RP_RING, .capacity = 4};
  const uint64_t sent = 7;
  uint64_t got = 0;
  struct rp_segment *ring = NULL;
  struct rp_producer *producer = NULL;
  struct rp_consumer *consumer = NULL;
  struct rp_error error;
  const int done = rp_create(NULL, &options, &payload, NULL, &ring, &error) == RP_OK &&
                   rp_producer_open(ring, &producer, &error) == RP_OK &&
                   rp_consumer_open(ring, &consumer, &error) == RP_OK &&
                   rp_push(producer, &sent, &error) == RP_OK &&
                   rp_pop(consumer, &got, &error) == RP_OK;
  if (!done) {
    fprintf(stderr, "%s\n", error.message);
  }
  rp_consumer_drop(consumer);
  rp_producer_drop(producer);
  rp_detach(ring);
  return done && got == sent ? 0 : 1;
}
