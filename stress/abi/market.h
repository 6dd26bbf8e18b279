/* What a market's programs tell each other. The Rust ones have the same two structs. */
#ifndef MARKET_H
#define MARKET_H

#include <stdint.h>
#include <string.h>

struct order {
  uint64_t seq;
  double price;
  int32_t qty;
  uint32_t venue;
  uint8_t tag[8];
};

/* Every word follows from the number, so that a mixture of two pictures shows. */
struct picture {
  uint64_t number;
  double best;
  uint64_t levels[30];
};

static inline struct order order_of(uint64_t seed, uint64_t seq) {
  struct order order;
  order.seq = seq;
  order.price = (double)(seq % 100000) * 0.25;
  order.qty = (int32_t)(seq % 2000) - 1000;
  order.venue = (uint32_t)(seed + seq * 7);
  for (unsigned i = 0; i < sizeof order.tag; i++) {
    order.tag[i] = (uint8_t)(seq >> i);
  }
  return order;
}

/* The checksum of all orders so far, of which this is the last. */
static inline uint64_t sum_with(uint64_t sum, const struct order *order) {
  uint64_t words[4];
  memcpy(words, order, sizeof words);
  for (unsigned i = 0; i < 4; i++) {
    sum = (sum ^ words[i]) * UINT64_C(0x100000001b3);
  }
  return sum;
}

static inline struct picture picture_of(uint64_t seed, uint64_t number) {
  struct picture picture;
  picture.number = number;
  picture.best = (double)(number % 100000) * 0.5;
  for (unsigned i = 0; i < 30; i++) {
    picture.levels[i] = (seed ^ number) + i;
  }
  return picture;
}

static inline int is_whole(uint64_t seed, const struct picture *picture) {
  const struct picture whole = picture_of(seed, picture->number);
  return memcmp(&whole, picture, sizeof whole) == 0;
}

#endif
