// ringproof for C++17: the segments and endpoints of ringproof.h as types that clean up after
// themselves. What may fail for good throws ringproof::error; what a ring or a reader says in the
// ordinary course of things is a ringproof_status.
//
// A payload is described once, at global scope; what is left out or padded does not compile:
//
//   struct quote { std::uint64_t seq; double price; };
//   RINGPROOF_DESCRIBE(quote, RINGPROOF_FIELD(quote, seq), RINGPROOF_FIELD(quote, price));
//
//   auto ring = ringproof::ring<quote>::open("quotes", ringproof_ring_options(100));
//   ringproof::producer<quote> producer(ring);
//   producer.push({1, 2.5});
#ifndef RINGPROOF_HPP
#define RINGPROOF_HPP

#include "ringproof.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace ringproof {

// ---- Descriptions --------------------------------------------------------------------------

namespace detail {

// The letter of a kind; a type that is no primitive does not compile.
template <class T> constexpr char letter() {
  using element = std::remove_cv_t<std::remove_all_extents_t<std::remove_reference_t<T>>>;
#ifdef __SIZEOF_INT128__
  __extension__ using i128 = __int128;
  __extension__ using u128 = unsigned __int128;
  if (std::is_same_v<element, i128> || std::is_same_v<element, u128>) {
    return std::is_same_v<element, i128> ? 'i' : 'u';
  }
  constexpr bool wide = std::is_same_v<element, i128> || std::is_same_v<element, u128>;
#else
  constexpr bool wide = false;
#endif
  static_assert(wide || std::is_same_v<element, float> || std::is_same_v<element, double> ||
                    (std::is_integral_v<element> && !std::is_same_v<element, bool> &&
                     !std::is_same_v<element, wchar_t> && !std::is_same_v<element, char16_t> &&
                     !std::is_same_v<element, char32_t>),
                "a field of a payload is an integer, a float, a double or an array of them");
  return std::is_floating_point_v<element> ? 'f' : std::is_signed_v<element> ? 'i' : 'u';
}

template <class T> constexpr ringproof_field leaf(const char *name, std::size_t offset) {
  using plain = std::remove_reference_t<T>;
  constexpr std::size_t element = sizeof(std::remove_all_extents_t<plain>);
  return {name, offset, element, std::is_array_v<plain> ? sizeof(plain) / element : 0,
          letter<T>()};
}

// Whether the fields follow each other without gaps and fill the payload.
constexpr bool fills(const ringproof_field *fields, std::size_t count, std::size_t size) {
  std::size_t end = 0;
  for (std::size_t i = 0; i < count; i++) {
    if (fields[i].offset != end) {
      return false;
    }
    end += fields[i].element_size * (fields[i].count == 0 ? 1 : fields[i].count);
  }
  return end == size;
}

} // namespace detail

// The fields of a payload. RINGPROOF_DESCRIBE defines it for a struct; numbers have it already.
template <class T> struct fields_of {
  static_assert(std::is_arithmetic_v<std::remove_all_extents_t<T>>,
                "describe this payload with RINGPROOF_DESCRIBE");
  static constexpr ringproof_field list[] = {detail::leaf<T>("value", 0)};
};

template <class T> const ringproof_shape &shape_of() {
  static constexpr ringproof_shape shape = {sizeof(T), alignof(T), fields_of<T>::list,
                                            sizeof fields_of<T>::list / sizeof(ringproof_field)};
  return shape;
}

#define RINGPROOF_FIELD(type, field)                                                               \
  ::ringproof::detail::leaf<decltype(static_cast<type *>(nullptr)->field)>(#field,                \
                                                                            offsetof(type, field))

#define RINGPROOF_DESCRIBE(type, ...)                                                              \
  static_assert(std::is_trivially_copyable_v<type> && std::is_standard_layout_v<type>,             \
                "the bytes of a payload are all there is to it");                                  \
  template <> struct ringproof::fields_of<type> {                                                  \
    static constexpr ringproof_field list[] = {__VA_ARGS__};                                       \
    static_assert(::ringproof::detail::fills(list, sizeof list / sizeof list[0], sizeof(type)),    \
                  "fields left out or out of order, or padding");                                  \
  }

// ---- Errors --------------------------------------------------------------------------------

class error : public std::runtime_error {
public:
  error(ringproof_status status, const std::string &message)
      : std::runtime_error(message), status_(status) {}
  ringproof_status status() const noexcept { return status_; }

private:
  ringproof_status status_;
};

namespace detail {

inline void check(ringproof_status status, const ringproof_error &details) {
  if (status != RINGPROOF_OK) {
    throw error(status, details.message);
  }
}

} // namespace detail

// ---- Segments ------------------------------------------------------------------------------

// A segment of one kind that carries T. Must outlive its endpoints.
template <class T, ringproof_kind Kind> class segment {
  static_assert(Kind == RINGPROOF_RING || sizeof(T) % 8 == 0,
                "the payload of a seqlock or latch must fill a whole number of 64-bit words");

public:
  // Attaches to the segment `name`.
  static segment attach(const std::string &name) {
    return made([&](ringproof_segment *raw, ringproof_error *details) {
      return ringproof_attach(raw, name.c_str(), Kind, &shape_of<T>(), details);
    });
  }

  // Makes it; `initial` is the first value of a seqlock or latch.
  static segment create(const std::string &name, ringproof_options options,
                        const T &initial = T{}) {
    return made([&](ringproof_segment *raw, ringproof_error *details) {
      options.kind = Kind;
      return ringproof_create(raw, name.c_str(), &options, &shape_of<T>(), &initial, details);
    });
  }

  // Attaches to it, or makes it if there is none.
  static segment open(const std::string &name, ringproof_options options, const T &initial = T{}) {
    return made([&](ringproof_segment *raw, ringproof_error *details) {
      options.kind = Kind;
      return ringproof_open(raw, name.c_str(), &options, &shape_of<T>(), &initial, details);
    });
  }

  // Takes its name away; who has a role may go on.
  void unlink() {
    ringproof_error details;
    detail::check(ringproof_unlink(raw_.get(), &details), details);
  }

  const ringproof_segment *get() const noexcept { return raw_.get(); }

private:
  struct detach {
    void operator()(ringproof_segment *raw) const noexcept {
      ringproof_detach(raw);
      delete raw;
    }
  };

  template <class Make> static segment made(Make make) {
    segment result;
    ringproof_error details;
    std::unique_ptr<ringproof_segment> raw(new ringproof_segment);
    detail::check(make(raw.get(), &details), details);
    result.raw_.reset(raw.release());
    return result;
  }

  std::unique_ptr<ringproof_segment, detach> raw_;
};

template <class T> using ring = segment<T, RINGPROOF_RING>;
template <class T> using seqlock = segment<T, RINGPROOF_SEQLOCK>;
template <class T> using latch = segment<T, RINGPROOF_LATCH>;

// ---- Endpoints -----------------------------------------------------------------------------

// Items that lie one after the other.
template <class T> class span {
public:
  span(T *items, std::size_t len) : items_(items), len_(len) {}
  T *begin() const noexcept { return items_; }
  T *end() const noexcept { return items_ + len_; }
  T *data() const noexcept { return items_; }
  std::size_t size() const noexcept { return len_; }
  T &operator[](std::size_t index) const noexcept { return items_[index]; }

private:
  T *items_;
  std::size_t len_;
};

// A batch of slots, before and after the end of memory; see ringproof_chunk. `T` is const for a
// consumer's. Valid until the next call on its endpoint.
template <class T> class chunk {
public:
  explicit chunk(const ringproof_chunk &raw) : raw_(raw) {}
  std::size_t size() const noexcept { return raw_.len; }
  std::uint64_t position() const noexcept { return raw_.position; }
  span<T> first() const noexcept { return run(raw_.first); }
  span<T> second() const noexcept { return run(raw_.second); }
  // Item `index`, below size(), 0 the oldest.
  T &operator[](std::size_t index) const noexcept {
    return index < raw_.first.len ? first()[index] : second()[index - raw_.first.len];
  }
  const ringproof_chunk *get() const noexcept { return &raw_; }

private:
  static span<T> run(const ringproof_run &run) { return {static_cast<T *>(run.items), run.len}; }

  ringproof_chunk raw_;
};

namespace detail {

// An endpoint of C, given back once. Raw is movable: its words are reached by pointers.
template <class Raw, void (*Drop)(Raw *)> class endpoint {
public:
  template <class Open> explicit endpoint(const ringproof_segment *segment, Open open) {
    ringproof_error details;
    check(open(&raw_, segment, &details), details);
    held_ = true;
  }
  endpoint(endpoint &&other) noexcept
      : raw_(other.raw_), held_(std::exchange(other.held_, false)) {}
  endpoint &operator=(endpoint &&other) noexcept {
    std::swap(raw_, other.raw_);
    std::swap(held_, other.held_);
    return *this;
  }
  ~endpoint() {
    if (held_) {
      Drop(&raw_);
    }
  }

protected:
  Raw raw_;

private:
  bool held_ = false;
};

inline std::string explain(const ringproof_corruption &corruption) {
  char text[256];
  ringproof_explain(&corruption, text, sizeof text);
  return text;
}

} // namespace detail

// The sending end of a ring. A status RINGPROOF_CORRUPT is explained by corruption().
template <class T>
class producer : detail::endpoint<ringproof_producer, ringproof_producer_drop> {
  using base = detail::endpoint<ringproof_producer, ringproof_producer_drop>;

public:
  explicit producer(const ring<T> &ring) : base(ring.get(), ringproof_producer_open) {}
  ringproof_status push(const T &item) noexcept {
    return ringproof_push_sized(&this->raw_, &item, sizeof item);
  }
  // As many of the items as fit, in one commit; the second says how many.
  std::pair<ringproof_status, std::size_t> push_slice(const T *items, std::size_t count) noexcept {
    std::size_t pushed = 0;
    const ringproof_status status = ringproof_push_slice(&this->raw_, items, count, &pushed);
    return {status, pushed};
  }
  // Reserves up to `count` slots, which commit() then makes visible. The chunk is empty unless
  // RINGPROOF_OK.
  std::pair<ringproof_status, chunk<T>> reserve(std::size_t count) noexcept {
    ringproof_chunk raw = {};
    const ringproof_status status = ringproof_reserve(&this->raw_, count, &raw);
    return {status, chunk<T>(raw)};
  }
  ringproof_status commit(const chunk<T> &chunk, std::size_t count) noexcept {
    return ringproof_commit(&this->raw_, chunk.get(), count);
  }
  void close() noexcept { ringproof_producer_close(&this->raw_); }
  std::uint64_t position() const noexcept { return ringproof_producer_position(&this->raw_); }
  std::string corruption() const { return detail::explain(this->raw_.corruption); }
};

// The receiving end of a ring.
template <class T>
class consumer : detail::endpoint<ringproof_consumer, ringproof_consumer_drop> {
  using base = detail::endpoint<ringproof_consumer, ringproof_consumer_drop>;

public:
  explicit consumer(const ring<T> &ring) : base(ring.get(), ringproof_consumer_open) {}
  ringproof_status pop(T &item) noexcept {
    return ringproof_pop_sized(&this->raw_, &item, sizeof item);
  }
  // As many of the oldest items as there are, `count` at most; the second says how many.
  std::pair<ringproof_status, std::size_t> pop_slice(T *items, std::size_t count) noexcept {
    std::size_t popped = 0;
    const ringproof_status status = ringproof_pop_slice(&this->raw_, items, count, &popped);
    return {status, popped};
  }
  // Shows up to `count` items, which release() then gives back. The chunk is empty unless
  // RINGPROOF_OK.
  std::pair<ringproof_status, chunk<const T>> peek(std::size_t count) noexcept {
    ringproof_chunk raw = {};
    const ringproof_status status = ringproof_peek(&this->raw_, count, &raw);
    return {status, chunk<const T>(raw)};
  }
  ringproof_status release(const chunk<const T> &chunk, std::size_t count) noexcept {
    return ringproof_release(&this->raw_, chunk.get(), count);
  }
  void close() noexcept { ringproof_consumer_close(&this->raw_); }
  std::uint64_t position() const noexcept { return ringproof_consumer_position(&this->raw_); }
  std::string corruption() const { return detail::explain(this->raw_.corruption); }
};

// The writing end of a seqlock or latch.
template <class T> class writer : detail::endpoint<ringproof_writer, ringproof_writer_drop> {
  using base = detail::endpoint<ringproof_writer, ringproof_writer_drop>;

public:
  template <ringproof_kind Kind>
  explicit writer(const segment<T, Kind> &segment) : base(segment.get(), ringproof_writer_open) {}
  void write(const T &value) noexcept { ringproof_write(&this->raw_, &value); }
  std::uint64_t version() const noexcept { return ringproof_writer_version(&this->raw_); }
};

// A reading end of a seqlock or latch.
template <class T> class reader : detail::endpoint<ringproof_reader, ringproof_reader_drop> {
  using base = detail::endpoint<ringproof_reader, ringproof_reader_drop>;

public:
  template <ringproof_kind Kind>
  explicit reader(const segment<T, Kind> &segment) : base(segment.get(), ringproof_reader_open) {}
  // In at most `attempts` attempts; unless RINGPROOF_OK, `value` may be a mixture.
  ringproof_status read(T &value, unsigned attempts) const noexcept {
    return ringproof_read(&this->raw_, &value, attempts);
  }
};

} // namespace ringproof

#endif // RINGPROOF_HPP
