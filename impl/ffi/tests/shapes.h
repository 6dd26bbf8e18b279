/* Payloads that C, C++ and Rust describe in the same words: c_peers.rs has them once more. Who
 * includes this has included the header of its language, and defined what describes a payload,
 * SHAPE(name, fields...), and what an array of it, ARRAY(type, field). SHAPE_OF(name) is the shape.
 */
#ifndef SHAPES_H
#define SHAPES_H

struct leg {
  int32_t qty;
  float ratio;
};
struct quote {
  uint64_t seq;
  double price;
  uint8_t tag[4];
  uint32_t flags;
  struct leg legs[2];
};
/* The same size, and two fields in each other's place. */
struct reordered {
  double price;
  uint64_t seq;
  uint8_t tag[4];
  uint32_t flags;
  struct leg legs[2];
};
struct renamed {
  uint64_t seq;
  double price;
  uint8_t tag[4];
  uint32_t mask;
  struct leg legs[2];
};
/* Arrays of one element, and signs. */
struct small {
  signed char sign;
  uint8_t one[1];
  int16_t two[2];
  signed char text[2];
  struct leg legs[1][2];
};
struct nest {
  struct {
    struct leg leg;
    uint64_t words[2];
  } inner;
  uint16_t rest[4];
};
#pragma pack(push, 1)
struct packed {
  uint8_t tag;
  uint64_t seq;
  uint16_t level;
};
#pragma pack(pop)
/* As a compiler for 32-bit x86 lays out a number, a long one and a short one; and as others do. */
#pragma pack(push, 4)
struct narrow {
  uint32_t kind;
  uint64_t seq;
  uint32_t level;
};
#pragma pack(pop)
struct wide {
  uint32_t kind;
  uint32_t filler;
  uint64_t seq;
  uint32_t level;
  uint32_t end;
};
#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 big_number;
__extension__ typedef __int128 big_difference;
struct big {
  big_number id;
  big_difference sum;
};
SHAPE(big, RINGPROOF_FIELD(struct big, id), RINGPROOF_FIELD(struct big, sum));
#endif

SHAPE(quote, RINGPROOF_FIELD(struct quote, seq), RINGPROOF_FIELD(struct quote, price),
      ARRAY(struct quote, tag), RINGPROOF_FIELD(struct quote, flags),
      RINGPROOF_FIELD(struct quote, legs[0].qty), RINGPROOF_FIELD(struct quote, legs[0].ratio),
      RINGPROOF_FIELD(struct quote, legs[1].qty), RINGPROOF_FIELD(struct quote, legs[1].ratio));
SHAPE(reordered, RINGPROOF_FIELD(struct reordered, price), RINGPROOF_FIELD(struct reordered, seq),
      ARRAY(struct reordered, tag), RINGPROOF_FIELD(struct reordered, flags),
      RINGPROOF_FIELD(struct reordered, legs[0].qty),
      RINGPROOF_FIELD(struct reordered, legs[0].ratio),
      RINGPROOF_FIELD(struct reordered, legs[1].qty),
      RINGPROOF_FIELD(struct reordered, legs[1].ratio));
SHAPE(renamed, RINGPROOF_FIELD(struct renamed, seq), RINGPROOF_FIELD(struct renamed, price),
      ARRAY(struct renamed, tag), RINGPROOF_FIELD(struct renamed, mask),
      RINGPROOF_FIELD(struct renamed, legs[0].qty), RINGPROOF_FIELD(struct renamed, legs[0].ratio),
      RINGPROOF_FIELD(struct renamed, legs[1].qty), RINGPROOF_FIELD(struct renamed, legs[1].ratio));
SHAPE(small, RINGPROOF_FIELD(struct small, sign), ARRAY(struct small, one),
      ARRAY(struct small, two), ARRAY(struct small, text),
      RINGPROOF_FIELD(struct small, legs[0][0].qty), RINGPROOF_FIELD(struct small, legs[0][0].ratio),
      RINGPROOF_FIELD(struct small, legs[0][1].qty), RINGPROOF_FIELD(struct small, legs[0][1].ratio));
SHAPE(nest, RINGPROOF_FIELD(struct nest, inner.leg.qty),
      RINGPROOF_FIELD(struct nest, inner.leg.ratio), ARRAY(struct nest, inner.words),
      ARRAY(struct nest, rest));
SHAPE(packed, RINGPROOF_FIELD(struct packed, tag), RINGPROOF_FIELD(struct packed, seq),
      RINGPROOF_FIELD(struct packed, level));
SHAPE(narrow, RINGPROOF_FIELD(struct narrow, kind), RINGPROOF_FIELD(struct narrow, seq),
      RINGPROOF_FIELD(struct narrow, level));
SHAPE(wide, RINGPROOF_FIELD(struct wide, kind), RINGPROOF_FIELD(struct wide, filler),
      RINGPROOF_FIELD(struct wide, seq), RINGPROOF_FIELD(struct wide, level),
      RINGPROOF_FIELD(struct wide, end));

static const struct {
  const char *name;
  const struct ringproof_shape *shape;
} shapes[] = {{"quote", SHAPE_OF(quote)},   {"reordered", SHAPE_OF(reordered)},
              {"renamed", SHAPE_OF(renamed)}, {"small", SHAPE_OF(small)},
              {"nest", SHAPE_OF(nest)},       {"packed", SHAPE_OF(packed)},
              {"narrow", SHAPE_OF(narrow)},   {"wide", SHAPE_OF(wide)},
#ifdef __SIZEOF_INT128__
              {"big", SHAPE_OF(big)},
#endif
};

static inline int problem_with(const char *what, const struct ringproof_error *error) {
  fprintf(stderr, "%s: %s\n", what, error->message);
  return 1;
}

/* Prints each description, and what is said to who expects one and finds another. Uses the name for
 * segments. Zero unless something went wrong. */
static inline int print_shapes(const char *segment_name) {
  static char text[RINGPROOF_DESCRIPTION_MAX + 1];
  const size_t count = sizeof shapes / sizeof shapes[0];
  const struct ringproof_options options = ringproof_ring_options(1);
  struct ringproof_error error;
  size_t len = 0;
  for (size_t i = 0; i < count; i++) {
    if (ringproof_describe(shapes[i].shape, text, &len, &error) != RINGPROOF_OK) {
      return problem_with(shapes[i].name, &error);
    }
    printf("%s\n%s", shapes[i].name, text);
  }
  for (size_t i = 0; i < count; i++) {
    struct ringproof_segment made, attached;
    if (ringproof_create(&made, segment_name, &options, shapes[i].shape, NULL, &error) !=
        RINGPROOF_OK) {
      return problem_with(shapes[i].name, &error);
    }
    for (size_t j = 0; j < count; j++) {
      const enum ringproof_status status =
          ringproof_attach(&attached, segment_name, RINGPROOF_RING, shapes[j].shape, &error);
      if (status == RINGPROOF_OK) {
        printf("%s for %s\n", shapes[i].name, shapes[j].name);
        ringproof_detach(&attached);
      } else {
        printf("%s for %s: %s\n", shapes[i].name, shapes[j].name, error.message);
      }
    }
    ringproof_unlink(&made, NULL);
    ringproof_detach(&made);
  }
  return 0;
}

#endif
