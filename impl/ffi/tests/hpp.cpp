// ringproof.hpp: what it describes, what it can ask for, and that nothing goes on through what was
// moved from or never opened. Also compiled with -fno-exceptions. Exit 0: as it should be; 1: it is
// not, and standard error says how.
//
//   hpp NAME OTHER    two segments that do not exist, nor will when this ends
#include "ringproof.hpp"

#include <cstdio>
#include <poll.h>

// ---- Payloads, described in every place that there is -----------------------------------------

namespace market {
enum class side : std::uint8_t { buy, sell };
enum level : std::int16_t { low, high };
enum plain { first, second };
struct quote {
  std::uint64_t seq;
  std::array<float, 2> prices;
  side way;
  std::byte raw[3];
  plain kind;
  std::array<level, 4> levels;
};
RINGPROOF_DESCRIBE(quote, RINGPROOF_FIELD(quote, seq), RINGPROOF_FIELD(quote, prices),
                   RINGPROOF_FIELD(quote, way), RINGPROOF_FIELD(quote, raw),
                   RINGPROOF_FIELD(quote, kind), RINGPROOF_FIELD(quote, levels));

namespace detail {
struct deep {
  std::array<std::array<std::uint16_t, 2>, 3> table;
  std::array<std::uint16_t, 2> rows[2];
};
RINGPROOF_DESCRIBE(deep, RINGPROOF_FIELD(deep, table), RINGPROOF_FIELD(deep, rows));
} // namespace detail

class book {
public:
  struct entry {
    std::int64_t id;
  };
};
RINGPROOF_DESCRIBE(book::entry, RINGPROOF_FIELD(book::entry, id));

// Described below, outside of all.
struct trade {
  double price;
};
} // namespace market

RINGPROOF_DESCRIBE(market::trade, RINGPROOF_FIELD(market::trade, price));

namespace {
struct hidden {
  std::uint32_t number;
};
RINGPROOF_DESCRIBE(hidden, RINGPROOF_FIELD(hidden, number));

int failures = 0;

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                         \
      failures++;                                                                                  \
    }                                                                                              \
  } while (false)

// What cannot go on without.
#define NEED(condition)                                                                            \
  do {                                                                                             \
    CHECK(condition);                                                                              \
    if (failures > 0) {                                                                            \
      return;                                                                                      \
    }                                                                                              \
  } while (false)

template <class T> bool described(const char *expected) {
  static char text[RINGPROOF_DESCRIPTION_MAX + 1];
  std::size_t len = 0;
  ringproof_error details;
  if (ringproof_describe(&ringproof::shape_of<T>(), text, &len, &details) != RINGPROOF_OK) {
    std::fprintf(stderr, "%s\n", details.message);
    return false;
  }
  if (std::string(text, len) != expected) {
    std::fprintf(stderr, "expected\n%sfound\n%s", expected, text);
    return false;
  }
  return true;
}

void descriptions() {
  CHECK(described<market::quote>("ringproof-shape 1 little 32\nseq 0 u64\nprices 8 f32x2\n"
                                 "way 16 u8\nraw 17 u8x3\nkind 20 u32\nlevels 24 i16x4\n"));
  CHECK(described<market::detail::deep>("ringproof-shape 1 little 20\ntable 0 u16x6\n"
                                        "rows 12 u16x4\n"));
  CHECK(described<market::book::entry>("ringproof-shape 1 little 8\nid 0 i64\n"));
  CHECK(described<market::trade>("ringproof-shape 1 little 8\nprice 0 f64\n"));
  CHECK(described<hidden>("ringproof-shape 1 little 4\nnumber 0 u32\n"));
  // What is itself a number or an array of numbers.
  CHECK(described<market::side>("ringproof-shape 1 little 1\nvalue 0 u8\n"));
  CHECK((described<std::array<double, 3>>("ringproof-shape 1 little 24\nvalue 0 f64x3\n")));
  CHECK((described<std::array<market::level, 1>>("ringproof-shape 1 little 2\nvalue 0 i16\n")));
}

// ---- What can be asked ------------------------------------------------------------------------

using ints = ringproof::ring<int>;
using producer = ringproof::producer<int>;
using consumer = ringproof::consumer<int>;
using values = ringproof::latch<std::uint64_t>;

using answer = std::pair<ringproof_status, std::uint64_t>;
using yes_or_no = std::pair<ringproof_status, bool>;

constexpr yes_or_no yes{RINGPROOF_OK, true}, no{RINGPROOF_OK, false};

void questions(const std::string &name) {
  ringproof_error details;
  ints ring = ints::create(name, ringproof_ring_options(3), details);
  NEED(ring && details.status == RINGPROOF_OK);
  CHECK(ring.capacity() == 3);
  CHECK(ring.is_current(details));
  CHECK(ring.name_status(details) == RINGPROOF_NAME_CURRENT && details.status == RINGPROOF_OK);
  CHECK(ring.is_held(RINGPROOF_PRODUCER) == no);
  CHECK((ring.note(RINGPROOF_CONSUMER, 2) == answer{RINGPROOF_OK, 0}));
  CHECK(ring.set_note(RINGPROOF_CONSUMER, 2, 77) == RINGPROOF_OK);
  CHECK((ring.note(RINGPROOF_CONSUMER, 2) == answer{RINGPROOF_OK, 77}));
  CHECK((ring.note(RINGPROOF_PRODUCER, 2) == answer{RINGPROOF_OK, 0}));
  CHECK((ring.note(RINGPROOF_CONSUMER, RINGPROOF_NOTES) == answer{RINGPROOF_SIZE, 0}));
  CHECK(ring.set_note(RINGPROOF_CONSUMER, RINGPROOF_NOTES, 1) == RINGPROOF_SIZE);

  { producer before(ring, details); }
  producer sender(ring, details);
  NEED(sender && details.status == RINGPROOF_OK);
  CHECK(ring.is_held(RINGPROOF_PRODUCER) == yes);
  CHECK(sender.epoch() == 2 && sender.capacity() == 3);
  CHECK(sender.peer_present() == no && sender.is_peer_closed() == RINGPROOF_OK);
  CHECK(sender.push(1) == RINGPROOF_OK && sender.push(2) == RINGPROOF_OK);
  CHECK((sender.occupancy() == answer{RINGPROOF_OK, 2}));
  {
    consumer receiver(ring, details);
    NEED(receiver && details.status == RINGPROOF_OK);
    CHECK(receiver.epoch() == 1 && receiver.capacity() == 3);
    CHECK(sender.peer_present() == yes && receiver.peer_present() == yes);
    CHECK((receiver.occupancy() == answer{RINGPROOF_OK, 2}));
    int item = 0;
    CHECK(receiver.pop(item) == RINGPROOF_OK && item == 1);
    CHECK((sender.occupancy() == answer{RINGPROOF_OK, 1}));
    CHECK(receiver.close() == RINGPROOF_OK);
  }
  CHECK(sender.is_peer_closed() == RINGPROOF_PEER_CLOSED);
  // A word that somebody wrote over: no number is made of it.
  ringproof_store_relaxed(&ringproof_header_of(ring.get())->consumer.index, 99);
  CHECK((sender.occupancy() == answer{RINGPROOF_CORRUPT, 0}));
  CHECK(sender.corruption().find("read_index is 99") != std::string::npos);
  {
    consumer receiver(ring, details);
    CHECK(receiver && (receiver.occupancy() == answer{RINGPROOF_CORRUPT, 0}));
    CHECK(receiver.corruption().find("write_index is 2") != std::string::npos);
  }
  // C would take what is before the zero byte for the name.
  for (const std::string &longer :
       {name + std::string(1, '\0'), name + '\0' + "more", std::string(1, '\0') + name}) {
    CHECK(!ints::attach(longer, details) && details.status == RINGPROOF_NAME);
    CHECK(std::string(details.message).find("a zero byte") != std::string::npos);
    CHECK(!ints::create(longer, ringproof_ring_options(3), details));
    CHECK(details.status == RINGPROOF_NAME);
    CHECK(!ints::open_or_create(longer, ringproof_ring_options(3), details));
    CHECK(details.status == RINGPROOF_NAME);
  }
  CHECK(ring.unlink(details) == RINGPROOF_OK);
  CHECK(!ring.is_current(details) && details.status == RINGPROOF_OK);
  CHECK(ring.name_status(details) == RINGPROOF_NAME_UNLINKED && details.status == RINGPROOF_OK);

  values latch = values::create(name, ringproof_latch_options(), 5, details);
  NEED(latch && details.status == RINGPROOF_OK);
  CHECK(ring.name_status(details) == RINGPROOF_NAME_REPLACED && details.status == RINGPROOF_OK);
  ringproof::writer<std::uint64_t> writer(latch, details);
  ringproof::reader<std::uint64_t> reader(latch, details);
  NEED(writer && reader && details.status == RINGPROOF_OK);
  std::uint64_t value = 0;
  CHECK(reader.try_read(value) == RINGPROOF_OK && value == 5);
  CHECK(writer.write(6) == RINGPROOF_OK && writer.version() == 1 && writer.epoch() == 1);
  CHECK(!writer.needs_repair());
  CHECK(reader.read(value, 1) == RINGPROOF_OK && value == 6);
  CHECK(latch.unlink(details) == RINGPROOF_OK);
}

// ---- Waiting ----------------------------------------------------------------------------------

void waits(const std::string &name) {
  using namespace std::chrono_literals;
  using clock = std::chrono::steady_clock;
  using seen = std::pair<ringproof_status, std::uint64_t>;
  ringproof_error details;
  ints ring = ints::create(name, ringproof_ring_options(2), details);
  producer sender(ring, details);
  consumer receiver(ring, details);
  NEED(sender && receiver);
  CHECK(receiver.wait_for(0s) == RINGPROOF_TIMED_OUT && receiver.wait_for(-1h) == RINGPROOF_TIMED_OUT);
  CHECK(receiver.wait_for(1ns) == RINGPROOF_TIMED_OUT);
  CHECK(receiver.wait_for(std::chrono::duration<double>(1e-4)) == RINGPROOF_TIMED_OUT);
  CHECK(receiver.wait_until(clock::now() + 1ms) == RINGPROOF_TIMED_OUT);
  CHECK(receiver.wait_until(clock::time_point::min()) == RINGPROOF_TIMED_OUT);
  CHECK(receiver.wait(3) == RINGPROOF_SIZE && sender.wait(3) == RINGPROOF_SIZE);
  CHECK(sender.wait(2) == RINGPROOF_OK && sender.push(1) == RINGPROOF_OK);
  CHECK(receiver.wait() == RINGPROOF_OK && receiver.wait_for(std::chrono::hours::max()) == RINGPROOF_OK);
  CHECK(receiver.wait_until(clock::time_point::max()) == RINGPROOF_OK);
  CHECK(receiver.wait_for(1ms, 2) == RINGPROOF_TIMED_OUT);
  CHECK(sender.push(2) == RINGPROOF_OK && sender.wait_for(1ms) == RINGPROOF_TIMED_OUT);
  CHECK(sender.wait_until(clock::now()) == RINGPROOF_TIMED_OUT);
  CHECK(sender.wait_drained_for(1ms) == RINGPROOF_TIMED_OUT);
  CHECK(sender.wait_drained_until(clock::now()) == RINGPROOF_TIMED_OUT);
  for (const ringproof_wait how : {RINGPROOF_WAIT_SLEEP, RINGPROOF_WAIT_SLEEP_AT_ONCE,
                                   RINGPROOF_WAIT_YIELD, RINGPROOF_WAIT_SPIN}) {
    sender.set_wait(how);
    CHECK(sender.wait_for(1ms) == RINGPROOF_TIMED_OUT);
  }
  CHECK(receiver.close() == RINGPROOF_OK && sender.wait() == RINGPROOF_PEER_CLOSED);
  CHECK(sender.wait_drained() == RINGPROOF_PEER_CLOSED);
  CHECK(receiver.wait() == RINGPROOF_CLOSED);
  CHECK(ring.unlink(details) == RINGPROOF_OK);

  values latch = values::create(name, ringproof_latch_options(), details);
  ringproof::writer<std::uint64_t> writer(latch, details);
  ringproof::reader<std::uint64_t> reader(latch, details);
  NEED(writer && reader);
  reader.set_wait(RINGPROOF_WAIT_SLEEP_AT_ONCE);
  CHECK(reader.version() == 0 && (reader.wait_for(1ms, 0) == seen{RINGPROOF_TIMED_OUT, 0}));
  CHECK((reader.wait_until(clock::now(), 0) == seen{RINGPROOF_TIMED_OUT, 0}));
  CHECK(writer.write(5) == RINGPROOF_OK);
  CHECK(reader.version() == 1 && (reader.wait(0) == seen{RINGPROOF_OK, 1}));
  CHECK(latch.unlink(details) == RINGPROOF_OK);
}

// ---- Waiting in an event loop -----------------------------------------------------------------

bool is_readable(const ringproof::notifier &bell, int timeout = 0) {
  pollfd polled = {bell.descriptor(), POLLIN, 0};
  return poll(&polled, 1, timeout) == 1 && polled.revents == POLLIN;
}

void notifies(const std::string &name) {
  const int forever = -1;
  ringproof_error details;
  ints ring = ints::create(name, ringproof_ring_options(1), details);
  producer sender(ring, details);
  consumer receiver(ring, details);
  NEED(sender && receiver);
  ringproof::notifier items(receiver, details), room(sender, details);
  NEED(items && room && details.status == RINGPROOF_OK);
  CHECK(is_readable(items) && is_readable(room));
  for (int round = 0; round < 5; round++) {
    int item = -1;
    CHECK(receiver.pop(item) == RINGPROOF_EMPTY && items.arm(receiver) == RINGPROOF_OK);
    CHECK(!is_readable(items) && sender.push(round) == RINGPROOF_OK && is_readable(items, forever));
    CHECK(sender.push(round) == RINGPROOF_FULL && room.arm(sender) == RINGPROOF_OK);
    CHECK(!is_readable(room) && receiver.pop(item) == RINGPROOF_OK && item == round);
    CHECK(is_readable(room, forever));
  }
  CHECK(items.arm(sender) == RINGPROOF_NOT_OPEN);
  // Either may be moved, also while the thread waits.
  int item = -1;
  CHECK(receiver.pop(item) == RINGPROOF_EMPTY && items.arm(receiver) == RINGPROOF_OK);
  ringproof::notifier moved(std::move(items));
  consumer elsewhere(std::move(receiver));
  CHECK(!is_readable(moved) && sender.push(7) == RINGPROOF_OK && is_readable(moved, forever));
  CHECK(elsewhere.pop(item) == RINGPROOF_OK && item == 7);
  CHECK(elsewhere.pop(item) == RINGPROOF_EMPTY && moved.arm(elsewhere) == RINGPROOF_OK);
  CHECK(sender.close() == RINGPROOF_OK && is_readable(moved, forever));
  CHECK(elsewhere.pop(item) == RINGPROOF_PEER_CLOSED);
  CHECK(ring.unlink(details) == RINGPROOF_OK);

  values latch = values::create(name, ringproof_latch_options(), details);
  ringproof::writer<std::uint64_t> writer(latch, details);
  ringproof::reader<std::uint64_t> reader(latch, details);
  NEED(writer && reader);
  ringproof::notifier newer(reader, details);
  NEED(newer);
  CHECK(newer.arm(reader, 0) == RINGPROOF_OK && !is_readable(newer));
  CHECK(writer.write(5) == RINGPROOF_OK && is_readable(newer, forever));
  CHECK(latch.unlink(details) == RINGPROOF_OK);
}

// ---- What is not open -------------------------------------------------------------------------

// Every call on what is not open, and no other.
void refuses(ints &ring) {
  ringproof_error details;
  CHECK(!ring && ring.get() == nullptr && ring.capacity() == 0);
  CHECK(ring.unlink(details) == RINGPROOF_NOT_OPEN && details.status == RINGPROOF_NOT_OPEN);
  CHECK(std::string(details.message) == ringproof_strerror(RINGPROOF_NOT_OPEN));
  details.status = RINGPROOF_OK;
  CHECK(!ring.is_current(details) && details.status == RINGPROOF_NOT_OPEN);
  details.status = RINGPROOF_OK;
  (void)ring.name_status(details);
  CHECK(details.status == RINGPROOF_NOT_OPEN);
  CHECK((ring.is_held(RINGPROOF_PRODUCER) == yes_or_no{RINGPROOF_NOT_OPEN, false}));
  CHECK((ring.note(RINGPROOF_PRODUCER, 0) == answer{RINGPROOF_NOT_OPEN, 0}));
  CHECK(ring.set_note(RINGPROOF_PRODUCER, 0, 1) == RINGPROOF_NOT_OPEN);
  producer sender(ring, details);
  CHECK(!sender && details.status == RINGPROOF_NOT_OPEN);
}

void refuses(producer &end) {
  const int items[2] = {1, 2};
  CHECK(!end);
  CHECK(end.push(1) == RINGPROOF_NOT_OPEN);
  CHECK((end.push_slice(items, 2) == std::pair{RINGPROOF_NOT_OPEN, std::size_t{0}}));
  CHECK((end.push_slice(items, 0) == std::pair{RINGPROOF_NOT_OPEN, std::size_t{0}}));
  const auto [status, slots] = end.reserve(1);
  CHECK(status == RINGPROOF_NOT_OPEN && slots.size() == 0);
  CHECK(end.commit(slots, 0) == RINGPROOF_NOT_OPEN);
  CHECK(end.close() == RINGPROOF_NOT_OPEN);
  CHECK(end.wait() == RINGPROOF_NOT_OPEN && end.wait(0) == RINGPROOF_NOT_OPEN);
  CHECK(end.wait_drained_for(std::chrono::seconds(0)) == RINGPROOF_NOT_OPEN);
  CHECK((end.occupancy() == answer{RINGPROOF_NOT_OPEN, 0}));
  CHECK((end.peer_present() == yes_or_no{RINGPROOF_NOT_OPEN, false}));
  CHECK(end.is_peer_closed() == RINGPROOF_NOT_OPEN);
  CHECK(end.position() == 0 && end.capacity() == 0 && end.epoch() == 0);
  CHECK(end.corruption() == ringproof_strerror(RINGPROOF_NOT_OPEN));
}

void refuses(consumer &end) {
  int items[2] = {8, 9};
  CHECK(!end);
  CHECK(end.pop(items[0]) == RINGPROOF_NOT_OPEN && items[0] == 8);
  CHECK((end.pop_slice(items, 2) == std::pair{RINGPROOF_NOT_OPEN, std::size_t{0}}));
  CHECK((end.pop_slice(items, 0) == std::pair{RINGPROOF_NOT_OPEN, std::size_t{0}}));
  const auto [status, shown] = end.peek(1);
  CHECK(status == RINGPROOF_NOT_OPEN && shown.size() == 0);
  CHECK(end.release(shown, 0) == RINGPROOF_NOT_OPEN);
  CHECK(end.close() == RINGPROOF_NOT_OPEN);
  CHECK(end.wait() == RINGPROOF_NOT_OPEN && end.wait(0) == RINGPROOF_NOT_OPEN);
  CHECK((end.occupancy() == answer{RINGPROOF_NOT_OPEN, 0}));
  CHECK((end.peer_present() == yes_or_no{RINGPROOF_NOT_OPEN, false}));
  CHECK(end.position() == 0 && end.capacity() == 0 && end.epoch() == 0);
  CHECK(end.corruption() == ringproof_strerror(RINGPROOF_NOT_OPEN));
}

void refuses(ringproof::writer<std::uint64_t> &end) {
  CHECK(!end && end.write(1) == RINGPROOF_NOT_OPEN);
  CHECK(end.version() == 0 && end.epoch() == 0 && !end.needs_repair());
}

void refuses(const ringproof::reader<std::uint64_t> &end) {
  std::uint64_t value = 3;
  CHECK(!end && end.try_read(value) == RINGPROOF_NOT_OPEN);
  CHECK(end.read(value, 2) == RINGPROOF_NOT_OPEN && value == 3);
  CHECK(end.version() == 0);
  CHECK((end.wait(4) == std::pair{RINGPROOF_NOT_OPEN, std::uint64_t{4}}));
}

// Also by ends that are open.
producer *some_producer;
consumer *some_consumer;
ringproof::reader<std::uint64_t> *some_reader;

void refuses(ringproof::notifier &bell) {
  CHECK(!bell && bell.descriptor() == -1);
  CHECK(bell.arm(*some_producer) == RINGPROOF_NOT_OPEN);
  CHECK(bell.arm(*some_consumer) == RINGPROOF_NOT_OPEN);
  CHECK(bell.arm(*some_reader, 0) == RINGPROOF_NOT_OPEN);
}

template <class Chunk> void is_empty(const Chunk &chunk) {
  CHECK(chunk.size() == 0 && chunk.first().size() == 0 && chunk.second().size() == 0);
}

// Moves it to a new one, which must work as before; what it is moved from must refuse everything.
template <class Open, class Works> void moves(Open &&first, Works works) {
  using kind = std::remove_reference_t<Open>;
  kind second(std::move(first));
  refuses(first);
  CHECK(second && works(second));
  first = std::move(second);
  refuses(second);
  CHECK(first && works(first));
  kind &same = first;
  first = std::move(same);
  CHECK(first && works(first));
}

void moved_from(const std::string &name, const std::string &other) {
  ringproof_error details;
  ints made = ints::create(name, ringproof_ring_options(4), details);
  NEED(made);
  moves(std::move(made), [&](const ints &ring) {
    return ring.is_current(details) && ring.capacity() == 4;
  });
  producer sender(made, details);
  consumer receiver(made, details);
  NEED(sender && receiver);
  std::uint64_t sent = 0;
  moves(std::move(sender), [&](producer &end) {
    return end.position() == sent && end.push(static_cast<int>(sent++)) == RINGPROOF_OK;
  });
  int next = 0;
  moves(std::move(receiver), [&](consumer &end) {
    int item = -1;
    return end.pop(item) == RINGPROOF_OK && item == next++;
  });
  CHECK(sent == 3 && next == 3);
  ringproof::notifier bell(receiver, details);
  {
    values latch = values::create(other, ringproof_latch_options(), details);
    ringproof::reader<std::uint64_t> reader(latch, details);
    NEED(bell && reader);
    some_producer = &sender;
    some_consumer = &receiver;
    some_reader = &reader;
    moves(std::move(bell), [&](ringproof::notifier &moved) {
      int item = -1;
      return moved.descriptor() >= 0 && receiver.pop(item) == RINGPROOF_EMPTY &&
             moved.arm(receiver) == RINGPROOF_OK;
    });
    CHECK(latch.unlink(details) == RINGPROOF_OK);
  }

  // What is used up, moved from, or of a failed call.
  auto [reserved, slots] = sender.reserve(2);
  CHECK(reserved == RINGPROOF_OK && slots.size() == 2);
  slots[0] = 3;
  auto moved = std::move(slots);
  is_empty(slots);
  CHECK(sender.commit(slots, 1) == RINGPROOF_OUT_OF_CHUNK);
  slots = std::move(moved);
  is_empty(moved);
  CHECK(sender.commit(moved, 1) == RINGPROOF_OUT_OF_CHUNK);
  CHECK(sender.commit(slots, 1) == RINGPROOF_OK);
  CHECK(sender.commit(slots, 1) == RINGPROOF_OUT_OF_CHUNK);
  auto [peeked, shown] = receiver.peek(2);
  CHECK(peeked == RINGPROOF_OK && shown.size() == 1 && shown[0] == 3);
  const auto kept = std::move(shown);
  is_empty(shown);
  CHECK(receiver.release(shown, 1) == RINGPROOF_OUT_OF_CHUNK);
  CHECK(receiver.release(kept, 1) == RINGPROOF_OK);

  // What an end was before it was assigned to is given back, not to the one that it comes from.
  ints elsewhere = ints::create(other, ringproof_ring_options(4), details);
  NEED(elsewhere);
  {
    producer replaced(elsewhere, details);
    NEED(replaced);
    replaced = std::move(sender);
    refuses(sender);
    CHECK(elsewhere.is_held(RINGPROOF_PRODUCER) == no && made.is_held(RINGPROOF_PRODUCER) == yes);
    CHECK(replaced.push(4) == RINGPROOF_OK && replaced.position() == 5);
  }
  CHECK(made.is_held(RINGPROOF_PRODUCER) == no);
  CHECK(elsewhere.unlink(details) == RINGPROOF_OK && made.unlink(details) == RINGPROOF_OK);

  values latch = values::create(name, ringproof_latch_options(), details);
  NEED(latch);
  ringproof::writer<std::uint64_t> writer(latch, details);
  ringproof::reader<std::uint64_t> reader(latch, details);
  NEED(writer && reader);
  moves(std::move(writer), [](auto &end) {
    const std::uint64_t version = end.version();
    return end.write(version) == RINGPROOF_OK && end.version() == version + 1;
  });
  moves(std::move(reader), [](const auto &end) {
    std::uint64_t value = 0;
    return end.try_read(value) == RINGPROOF_OK && value == 2;
  });
  CHECK(latch.unlink(details) == RINGPROOF_OK);
}

void failed(const std::string &name) {
  ringproof_error details;
  ints none = ints::attach(name, details);
  CHECK(details.status == RINGPROOF_NOT_FOUND && details.message[0] != '\0');
  refuses(none);
  ints ring = ints::open_or_create(name, ringproof_ring_options(4), details);
  NEED(ring && details.status == RINGPROOF_OK && details.message[0] == '\0');
  producer first(ring, details);
  consumer taken(ring, details);
  NEED(first && taken);
  producer second(ring, details);
  CHECK(details.status == RINGPROOF_HELD && details.message[0] != '\0');
  refuses(second);
  consumer another(ring, details);
  CHECK(details.status == RINGPROOF_HELD);
  refuses(another);
  ringproof::notifier bell(another, details);
  CHECK(!bell && details.status == RINGPROOF_NOT_OPEN && details.message[0] != '\0');
  values wrong = values::attach(name, details);
  CHECK(details.status == RINGPROOF_MISMATCH && std::string(details.field) == "kind");
  CHECK(!wrong);
  ringproof::writer<std::uint64_t> writer(wrong, details);
  CHECK(details.status == RINGPROOF_NOT_OPEN);
  refuses(writer);
  ringproof::reader<std::uint64_t> reader(wrong, details);
  CHECK(details.status == RINGPROOF_NOT_OPEN);
  refuses(reader);
  CHECK(ring.unlink(details) == RINGPROOF_OK);
}

#ifdef __cpp_exceptions
template <class Call> ringproof_status thrown(Call call) {
  try {
    call();
  } catch (const ringproof::error &error) {
    return error.what()[0] == '\0' ? RINGPROOF_OK : error.status();
  }
  return RINGPROOF_OK;
}

void exceptions(const std::string &name) {
  CHECK(thrown([&] { ints::attach(name); }) == RINGPROOF_NOT_FOUND);
  ints ring = ints::create(name, ringproof_ring_options(4));
  CHECK(thrown([&] { ints::create(name, ringproof_ring_options(4)); }) == RINGPROOF_EXISTS);
  CHECK(thrown([&] { values::open_or_create(name, ringproof_latch_options(), 3); }) ==
        RINGPROOF_MISMATCH);
  producer first(ring);
  CHECK(thrown([&] { producer second(ring); }) == RINGPROOF_HELD);
  ints moved(std::move(ring));
  CHECK(moved.is_current() && moved.name_status() == RINGPROOF_NAME_CURRENT);
  CHECK(thrown([&] { consumer none(ring); }) == RINGPROOF_NOT_OPEN);
  producer open(std::move(first));
  CHECK(thrown([&] { ringproof::notifier none(first); }) == RINGPROOF_NOT_OPEN);
  CHECK(is_readable(ringproof::notifier(open)));
  CHECK(thrown([&] { ring.unlink(); }) == RINGPROOF_NOT_OPEN);
  CHECK(thrown([&] { (void)ring.is_current(); }) == RINGPROOF_NOT_OPEN);
  moved.unlink();
}
#else
void exceptions(const std::string &) {}
#endif

} // namespace

int main(int count, char **arguments) {
  if (count != 3) {
    return 2;
  }
  const std::string name = arguments[1], other = arguments[2];
  descriptions();
  questions(name);
  waits(name);
  notifies(name);
  moved_from(name, other);
  failed(name);
  exceptions(name);
  return failures == 0 ? 0 : 1;
}
