/* One event as another compiler, another flag or another hand lays it out: BARE, PACKED and
 * REORDERED say which hand. Prints what the header answers.
 *
 *   variants create NAME    makes a ring of such events
 *   variants attach NAME    attaches to one
 */
#include "ringproof.h"

#define FIELD(field) RINGPROOF_FIELD(struct event, field)

#if defined REORDERED
struct event {
  uint32_t filler;
  uint32_t kind;
  uint64_t seq;
  uint32_t level;
  uint32_t end;
};
RINGPROOF_SHAPE(event_shape, struct event, FIELD(filler), FIELD(kind), FIELD(seq), FIELD(level),
                FIELD(end));
#elif defined BARE
#ifdef PACKED
#pragma pack(1)
#endif
struct event {
  uint32_t kind;
  uint64_t seq;
  uint32_t level;
};
RINGPROOF_SHAPE(event_shape, struct event, FIELD(kind), FIELD(seq), FIELD(level));
#else
/* What a 64-bit compiler would pad has a name: these lie everywhere alike. */
struct event {
  uint32_t kind;
  uint32_t filler;
  uint64_t seq;
  uint32_t level;
  uint32_t end;
};
RINGPROOF_SHAPE(event_shape, struct event, FIELD(kind), FIELD(filler), FIELD(seq), FIELD(level),
                FIELD(end));
#endif

int main(int count, char **arguments) {
  const struct ringproof_options options = ringproof_ring_options(4);
  struct ringproof_segment segment;
  struct ringproof_error error;
  enum ringproof_status status;
  if (count != 3) {
    return 2;
  }
  if (strcmp(arguments[1], "create") == 0) {
    status = ringproof_create(&segment, arguments[2], &options, &event_shape, NULL, &error);
  } else {
    status = ringproof_attach(&segment, arguments[2], RINGPROOF_RING, &event_shape, &error);
  }
  puts(status == RINGPROOF_OK ? ringproof_strerror(status) : error.message);
  ringproof_detach(&segment);
  return 0;
}
