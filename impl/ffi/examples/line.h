/* The payload of producer.c and consumer.c. */
#ifndef LINE_H
#define LINE_H

#include "ringproof.h"

struct line {
  uint64_t number;
  uint64_t len;
  char text[112];
};
RINGPROOF_SHAPE(line_shape, struct line, RINGPROOF_FIELD(struct line, number),
                RINGPROOF_FIELD(struct line, len), RINGPROOF_ARRAY(struct line, text));

#endif
