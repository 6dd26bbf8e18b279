// The same in C++.
#include <ringproof.hpp>

int main(int count, char **arguments) {
  if (count != 2) {
    return 2;
  }
  auto ring =
      ringproof::ring<std::uint64_t>::create(arguments[1], ringproof_ring_options(4));
  ringproof::producer<std::uint64_t> producer(ring);
  ringproof::consumer<std::uint64_t> consumer(ring);
  ring.unlink();
  std::uint64_t got = 0;
  const bool came = producer.push(7) == RINGPROOF_OK && consumer.pop(got) == RINGPROOF_OK;
  return came && got == 7 ? 0 : 1;
}
