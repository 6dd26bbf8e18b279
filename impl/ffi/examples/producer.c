/* Sends lines of standard input through a ring of fixed-size items: see consumer.c.
 *
 *   producer NAME < FILE
 */
#include "line.h"

int main(int count, char **arguments) {
  const struct ringproof_options options = ringproof_ring_options(1024);
  struct ringproof_segment ring;
  struct ringproof_producer producer;
  struct ringproof_error error;
  struct line line = {0, 0, {0}};
  if (count != 2) {
    fprintf(stderr, "usage: producer NAME\n");
    return 2;
  }
  if (ringproof_open_or_create(&ring, arguments[1], &options, &line_shape, NULL, &error) != RINGPROOF_OK ||
      ringproof_producer_open(&producer, &ring, &error) != RINGPROOF_OK) {
    fprintf(stderr, "producer: %s\n", error.message);
    return 1;
  }
  while (fgets(line.text, sizeof line.text, stdin) != NULL) {
    enum ringproof_status status;
    line.number = ringproof_producer_position(&producer);
    line.len = strlen(line.text);
    do {
      /* Asleep, without limit, also while there is no consumer. */
      status = ringproof_wait_free(&producer, 1, RINGPROOF_FOREVER);
    } while (status == RINGPROOF_PEER_GONE || status == RINGPROOF_INTERRUPTED);
    if (status == RINGPROOF_OK) {
      status = ringproof_push_sized(&producer, &line, sizeof line);
    }
    if (status != RINGPROOF_OK) {
      fprintf(stderr, "producer: %s\n", ringproof_strerror(status));
      return 1;
    }
  }
  ringproof_producer_close(&producer);
  ringproof_producer_drop(&producer);
  ringproof_detach(&ring);
  return 0;
}
