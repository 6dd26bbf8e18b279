// A ring and a latch within one process, from C++.
//
//   quotes NAME    NAME is a segment that does not exist yet
#include "ringproof.hpp"

#include <iostream>

struct leg {
  std::int32_t qty;
  float ratio;
};
struct quote {
  std::uint64_t seq;
  double price;
  std::uint8_t tag[8];
  leg legs[2];
};
RINGPROOF_DESCRIBE(quote, RINGPROOF_FIELD(quote, seq), RINGPROOF_FIELD(quote, price),
                   RINGPROOF_FIELD(quote, tag), RINGPROOF_FIELD(quote, legs[0].qty),
                   RINGPROOF_FIELD(quote, legs[0].ratio), RINGPROOF_FIELD(quote, legs[1].qty),
                   RINGPROOF_FIELD(quote, legs[1].ratio));

namespace {

void stream(const std::string &name) {
  auto ring = ringproof::ring<quote>::create(name, ringproof_ring_options(4));
  ringproof::producer<quote> producer(ring);
  ringproof::consumer<quote> consumer(ring);
  // In place, two at once.
  auto [status, slots] = producer.reserve(2);
  if (status != RINGPROOF_OK || slots.size() != 2) {
    throw std::logic_error("no room in an empty ring");
  }
  slots[0] = quote{1, 2.5, {}, {}};
  slots[1] = quote{2, 3.5, {}, {}};
  producer.commit(slots, 2);
  producer.close();
  for (quote item = {};;) {
    const ringproof_status taken = consumer.pop(item);
    if (taken == RINGPROOF_PEER_CLOSED) {
      break;
    }
    if (taken != RINGPROOF_OK) {
      throw std::logic_error(ringproof_strerror(taken));
    }
    std::cout << "quote " << item.seq << " at " << item.price << "\n";
  }
  ring.unlink();
}

void latest(const std::string &name) {
  auto latch = ringproof::latch<quote>::create(name, ringproof_latch_options());
  ringproof::writer<quote> writer(latch);
  ringproof::reader<quote> reader(latch);
  writer.write(quote{3, 4.5, {}, {}});
  quote value = {};
  if (reader.read(value, 10) != RINGPROOF_OK) {
    throw std::logic_error("a latch has a value always");
  }
  std::cout << "latest " << value.seq << " at " << value.price << "\n";
  try {
    // Who expects something else gets an error.
    ringproof::ring<quote>::attach(name);
    throw std::logic_error("a latch passed for a ring");
  } catch (const ringproof::error &refused) {
    if (refused.status() != RINGPROOF_MISMATCH) {
      throw;
    }
    std::cout << "refused: " << refused.what() << "\n";
  }
  latch.unlink();
}

} // namespace

int main(int count, char **arguments) {
  if (count != 2) {
    std::cerr << "usage: quotes NAME\n";
    return 2;
  }
  try {
    stream(arguments[1]);
    latest(arguments[1]);
  } catch (const std::exception &problem) {
    std::cerr << "quotes: " << problem.what() << "\n";
    return 1;
  }
  return 0;
}
