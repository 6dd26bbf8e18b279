// Prints how C++ describes the payloads of shapes.h, as shapes.c does; and that endpoints are given
// back once. Exit 0: they are.
//
//   shapes NAME    NAME is a segment that does not exist, nor will when this ends
#include "ringproof.hpp"

#include <iostream>
#include <vector>

#define SHAPE(name, ...) RINGPROOF_DESCRIBE(name, __VA_ARGS__)
#define ARRAY RINGPROOF_FIELD
#define SHAPE_OF(name) &ringproof::shape_of<name>()
#include "shapes.h"

struct grid {
  std::uint16_t cells[2][3];
  signed char one[1];
  signed char last;
};
RINGPROOF_DESCRIBE(grid, RINGPROOF_FIELD(grid, cells), RINGPROOF_FIELD(grid, one),
                   RINGPROOF_FIELD(grid, last));

namespace {

int failures = 0;

template <class T> void expect(const std::string &expected) {
  std::vector<char> text(RINGPROOF_DESCRIPTION_MAX + 1);
  std::size_t len = 0;
  ringproof_error details;
  const ringproof_shape &shape = ringproof::shape_of<T>();
  if (ringproof_describe(&shape, text.data(), &len, &details) != RINGPROOF_OK) {
    throw ringproof::error(details.status, details.message);
  }
  const std::string found(text.data(), len);
  if (found != expected) {
    std::cerr << "expected\n" << expected << "found\n" << found;
    failures++;
  }
}

void expect(bool right, const char *what) {
  if (!right) {
    std::cerr << what << "\n";
    failures++;
  }
}

void endpoints(const std::string &name) {
  auto ring = ringproof::ring<double>::create(name, ringproof_ring_options(3));
  auto again = ringproof::ring<double>::attach(name);
  {
    ringproof::producer<double> first(ring);
    try {
      ringproof::producer<double> second(again);
      expect(false, "two producers");
    } catch (const ringproof::error &refused) {
      expect(refused.status() == RINGPROOF_HELD, refused.what());
    }
    ringproof::producer<double> moved(std::move(first));
    expect(moved.push(1.5) == RINGPROOF_OK, "a moved producer");
  }
  ringproof::producer<double> next(again);
  ringproof::consumer<double> consumer(ring);
  expect(next.position() == 1, "a successor");
  expect(next.push(2.5) == RINGPROOF_OK, "its push");
  const auto [status, items] = consumer.peek(5);
  expect(status == RINGPROOF_OK && items.size() == 2, "a look at both");
  expect(items[0] == 1.5 && items[1] == 2.5, "their values");
  expect(consumer.release(items, 2) == RINGPROOF_OK, "their release");
  ring.unlink();
}

} // namespace

int main(int count, char **arguments) {
  if (count != 2) {
    return 2;
  }
  try {
    expect<grid>("ringproof-shape 1 little 14\ncells 0 u16x6\none 12 i8\nlast 13 i8\n");
    expect<std::int64_t>("ringproof-shape 1 little 8\nvalue 0 i64\n");
    endpoints(arguments[1]);
    failures += print_shapes(arguments[1]);
  } catch (const std::exception &problem) {
    std::cerr << problem.what() << "\n";
    return 1;
  }
  return failures == 0 ? 0 : 1;
}
