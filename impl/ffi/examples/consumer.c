/* Prints the lines that producer.c sends, and removes the ring at its end. Killed and started
 * again, it goes on; a line that it printed and had not released is printed twice.
 *
 *   consumer NAME
 */
#include "line.h"

int main(int count, char **arguments) {
  const struct ringproof_options options = ringproof_ring_options(1024);
  struct ringproof_segment ring;
  struct ringproof_consumer consumer;
  struct ringproof_error error;
  enum ringproof_status status;
  if (count != 2) {
    fprintf(stderr, "usage: consumer NAME\n");
    return 2;
  }
  if (ringproof_open_or_create(&ring, arguments[1], &options, &line_shape, NULL, &error) != RINGPROOF_OK ||
      ringproof_consumer_open(&consumer, &ring, &error) != RINGPROOF_OK) {
    fprintf(stderr, "consumer: %s\n", error.message);
    return 1;
  }
  do {
    struct ringproof_chunk chunk;
    struct line line;
    status = ringproof_peek(&consumer, 1, &chunk);
    if (status == RINGPROOF_EMPTY) {
      /* Asleep, without limit: it is woken by the next line, or the end of them. A producer that was
       * killed is started again, so it is waited for, too. */
      status = ringproof_wait_items(&consumer, 1, RINGPROOF_FOREVER);
      if (status == RINGPROOF_PEER_GONE || status == RINGPROOF_INTERRUPTED) {
        status = RINGPROOF_OK;
      }
    } else if (status == RINGPROOF_OK) {
      /* A copy, which no peer changes between its check and its use. */
      memcpy(&line, chunk.first.items, sizeof line);
      if (line.len > sizeof line.text || fwrite(line.text, 1, line.len, stdout) != line.len) {
        return 1;
      }
      status = ringproof_release(&consumer, &chunk, 1);
    }
  } while (status == RINGPROOF_OK);
  if (status != RINGPROOF_PEER_CLOSED || fflush(stdout) != 0) {
    char why[256] = "cannot write";
    if (status == RINGPROOF_CORRUPT) {
      ringproof_explain(&consumer.corruption, why, sizeof why);
    } else if (status != RINGPROOF_PEER_CLOSED) {
      snprintf(why, sizeof why, "%s", ringproof_strerror(status));
    }
    fprintf(stderr, "consumer: %s\n", why);
    return 1;
  }
  status = ringproof_unlink(&ring, &error);
  if (status != RINGPROOF_OK) {
    fprintf(stderr, "consumer: %s\n", error.message);
  }
  ringproof_consumer_drop(&consumer);
  ringproof_detach(&ring);
  return status == RINGPROOF_OK ? 0 : 1;
}
