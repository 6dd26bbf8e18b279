/* Prints how C describes the payloads of shapes.h, and what it says of each to who expects another.
 *
 *   shapes NAME    NAME is a segment that does not exist, nor will when this ends
 */
#include "ringproof.h"

#define SHAPE(name, ...) RINGPROOF_SHAPE(name##_shape, struct name, __VA_ARGS__)
#define ARRAY RINGPROOF_ARRAY
#define SHAPE_OF(name) &name##_shape
#include "shapes.h"

int main(int count, char **arguments) { return count == 2 ? print_shapes(arguments[1]) : 2; }
