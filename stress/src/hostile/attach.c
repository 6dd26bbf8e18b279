/* Attaches to the segments that are named on its standard input, one on a line after the number
 * of the kind, and says what came of each: whether it is attached, the length of the message and the message.
 */
#include "ringproof.h"

RINGPROOF_SHAPE(number, uint64_t, RINGPROOF_VALUE(uint64_t));

struct four {
  uint64_t value[4];
};
RINGPROOF_SHAPE(numbers, struct four, RINGPROOF_ARRAY(struct four, value));

int main(void) {
  char name[256];
  int kind;
  while (scanf("%d %255s", &kind, name) == 2) {
    struct ringproof_segment segment;
    struct ringproof_error error = {0};
    const struct ringproof_shape *shape = kind == RINGPROOF_RING ? &number : &numbers;
    const int attached = ringproof_attach(&segment, name, (enum ringproof_kind)kind, shape,
                                          &error) == RINGPROOF_OK;
    ringproof_detach(&segment);
    printf("%d %zu\n%s", attached, strlen(error.message), error.message);
    fflush(stdout);
  }
  return 0;
}
