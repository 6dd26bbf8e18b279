// What a forked child has of its parent's segments, with ringproof.hpp. As fork.c, of which it says
// less: the functions beneath are the same.
//
//   fork NAME    NAME is a segment that does not exist, nor will when this ends
#include "ringproof.hpp"

#include "fork.h"

#include <vector>

namespace {

// Whether it is refused because the segment is the parent's.
template <class Open> bool is_refused(Open open) {
  try {
    open();
  } catch (const ringproof::error &error) {
    return error.status() == RINGPROOF_FORKED;
  }
  return false;
}

void a_ring() {
  auto ring = ringproof::ring<std::uint64_t>::create(name, ringproof_ring_options(8));
  taken = ring.get()->len;
  ringproof::producer<std::uint64_t> producer(ring);
  ringproof::consumer<std::uint64_t> consumer(ring);
  std::uint64_t item = 0;
  CHECK(producer.push(1) == RINGPROOF_OK);
  for (bool first : {true, false}) {
    early = first;
    IN_CHILD({
      std::vector<char> own(264 * 1024 - 4096, 0);
      occupy();
      CHECK(FAULTS(producer.push(2)));
      CHECK(FAULTS(consumer.pop(item)));
      CHECK(FAULTS(producer.close()));
      CHECK(FAULTS(consumer.close()));
      CHECK(intact() && own == std::vector<char>(264 * 1024 - 4096, 0));
      CHECK(is_refused([&] { ringproof::producer<std::uint64_t> another(ring); }));
      CHECK(is_refused([&] { ringproof::consumer<std::uint64_t> another(ring); }));
      CHECK(is_refused([&] { ring.unlink(); }));
      // What it inherited it may destroy, and then it attaches as anybody does.
      { auto gone = std::move(producer); }
      { auto gone = std::move(ring); }
      auto own_ring = ringproof::ring<std::uint64_t>::attach(name);
      CHECK(!is_refused([&] { ringproof::producer<std::uint64_t> another(own_ring); }));
    });
  }
  IN_CHILD({
    // The usual order: open everything, then leave the terminal.
    CHECK(daemon(1, 1) == 0);
    CHECK(FAULTS(producer.push(2)));
  });
  CHECK(producer.push(3) == RINGPROOF_OK);
  CHECK(consumer.pop(item) == RINGPROOF_OK && item == 1);
  CHECK(consumer.pop(item) == RINGPROOF_OK && item == 3);
  CHECK(consumer.pop(item) == RINGPROOF_EMPTY);
  ring.unlink();
}

template <class Segment> void a_value(ringproof_options options) {
  auto segment = Segment::create(name, options, 7);
  taken = segment.get()->len;
  ringproof::writer<std::uint64_t> writer(segment);
  ringproof::reader<std::uint64_t> reader(segment);
  std::uint64_t value = 0;
  IN_CHILD({
    occupy();
    CHECK(FAULTS(writer.write(8)));
    CHECK(FAULTS(reader.read(value, 1)));
    CHECK(intact());
    CHECK(is_refused([&] { ringproof::writer<std::uint64_t> another(segment); }));
    CHECK(is_refused([&] { ringproof::reader<std::uint64_t> another(segment); }));
  });
  CHECK(reader.read(value, 1) == RINGPROOF_OK && value == 7);
  segment.unlink();
}

} // namespace

int main(int count, char **arguments) {
  if (count != 2) {
    return 2;
  }
  begin(arguments[1]);
  a_ring();
  a_value<ringproof::seqlock<std::uint64_t>>(ringproof_seqlock_options());
  a_value<ringproof::latch<std::uint64_t>>(ringproof_latch_options());
  return 0;
}
