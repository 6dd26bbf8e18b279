// One end of a market, in C++: peer.c says how it is called.
#include <ringproof.hpp>

#include "market.h"

#include <iostream>
#include <sched.h>
#include <string>

RINGPROOF_DESCRIBE(order, RINGPROOF_FIELD(order, seq), RINGPROOF_FIELD(order, price),
                   RINGPROOF_FIELD(order, qty), RINGPROOF_FIELD(order, venue),
                   RINGPROOF_FIELD(order, tag));
RINGPROOF_DESCRIBE(picture, RINGPROOF_FIELD(picture, number), RINGPROOF_FIELD(picture, best),
                   RINGPROOF_FIELD(picture, levels));

namespace {

std::uint64_t seed, count;

void need(ringproof_status status) {
  if (status != RINGPROOF_OK) {
    throw std::runtime_error(ringproof_strerror(status));
  }
}

void send_orders(const ringproof::ring<order> &ring) {
  ringproof::producer<order> producer(ring);
  std::uint64_t sum = 0;
  for (std::uint64_t seq = 0; seq < count;) {
    // In place, as many at once as there is room for.
    auto [status, slots] = producer.reserve(64);
    if (status == RINGPROOF_FULL) {
      sched_yield();
      continue;
    }
    need(status);
    std::size_t filled = 0;
    for (; filled < slots.size() && seq < count; filled++, seq++) {
      slots[filled] = order_of(seed, seq);
      sum = sum_with(sum, &slots[filled]);
    }
    need(producer.commit(slots, filled));
  }
  producer.close();
  std::cout << count << " " << sum << "\n";
}

void receive_orders(const ringproof::ring<order> &ring) {
  ringproof::consumer<order> consumer(ring);
  std::uint64_t next = 0, sum = 0;
  for (order item;;) {
    const ringproof_status status = consumer.pop(item);
    if (status == RINGPROOF_EMPTY) {
      sched_yield();
      continue;
    }
    if (status == RINGPROOF_PEER_CLOSED) {
      break;
    }
    need(status);
    if (item.seq != next) {
      throw std::runtime_error("order " + std::to_string(item.seq) + " came where " +
                               std::to_string(next) + " was due");
    }
    sum = sum_with(sum, &item);
    next++;
  }
  std::cout << next << " " << sum << "\n";
}

template <class Segment> void write_pictures(const Segment &segment) {
  ringproof::writer<picture> writer(segment);
  for (std::uint64_t number = 1; number <= count; number++) {
    writer.write(picture_of(seed, number));
  }
}

template <class Segment> void read_pictures(const Segment &segment) {
  ringproof::reader<picture> reader(segment);
  std::uint64_t last = 0, reads = 0;
  for (picture value; last < count;) {
    if (reader.read(value, 1000) != RINGPROOF_OK) {
      sched_yield();
      continue;
    }
    if (!is_whole(seed, &value)) {
      throw std::runtime_error("a picture is a mixture");
    }
    if (value.number < last) {
      throw std::runtime_error("a picture is older than one before");
    }
    last = value.number;
    reads++;
  }
  std::cout << reads << "\n";
}

template <class Segment> void write_or_read(const std::string &what, const Segment &segment) {
  if (what == "write") {
    write_pictures(segment);
  } else {
    read_pictures(segment);
  }
}

void run(const std::string &what, const std::string &name, const std::string &kind) {
  if (kind.empty()) {
    const auto ring = ringproof::ring<order>::open_or_create(name, ringproof_ring_options(1024));
    if (what == "send") {
      send_orders(ring);
    } else {
      receive_orders(ring);
    }
  } else if (kind == "latch") {
    write_or_read(what, ringproof::latch<picture>::open_or_create(name, ringproof_latch_options(),
                                                        picture_of(seed, 0)));
  } else {
    write_or_read(what, ringproof::seqlock<picture>::open_or_create(name, ringproof_seqlock_options(),
                                                          picture_of(seed, 0)));
  }
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 5 && argc != 6) {
    std::cerr << "peer: see the comment at the beginning of peer.c\n";
    return 2;
  }
  try {
    seed = std::stoull(argv[2]);
    count = std::stoull(argv[4]);
    run(argv[1], argv[3], argc == 6 ? argv[5] : "");
  } catch (const std::exception &problem) {
    std::cerr << "peer: " << problem.what() << "\n";
    return 1;
  }
  return 0;
}
