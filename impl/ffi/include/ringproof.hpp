// ringproof for C++17: the segments and endpoints of ringproof.h as types that clean up after
// themselves. What a ring or a reader says in the ordinary course of things is a ringproof_status;
// what keeps something from being opened throws ringproof::error, or, where a ringproof_error is
// given as the last argument (as it must be with -fno-exceptions), has the details there.
//
// What was moved from, or could not be opened, is false as a condition, and answers every call with
// RINGPROOF_NOT_OPEN.
//
// Neither a segment nor an end goes over a fork() or daemon(): in the child, what opens is refused
// with RINGPROOF_FORKED, and a call on an end (push, pop, write, read ...) dies of SIGSEGV. They may
// be destroyed there. Open them in the child; see ringproof.h.
//
// A payload is described once, in its own namespace or outside of all; what is left out or padded
// does not compile:
//
//   struct quote { std::uint64_t seq; double price; };
//   RINGPROOF_DESCRIBE(quote, RINGPROOF_FIELD(quote, seq), RINGPROOF_FIELD(quote, price));
//
//   auto ring = ringproof::ring<quote>::open_or_create("quotes", ringproof_ring_options(100));
//   ringproof::producer<quote> producer(ring);
//   producer.push({1, 2.5});
#ifndef RINGPROOF_HPP
#define RINGPROOF_HPP

#if !defined __cplusplus || __cplusplus < 201703L
#error "ringproof.hpp needs C++17: compile with -std=c++17 or later; for C there is ringproof.h"
#endif

#include "ringproof.h"

// Of C++ also where this is included inside `extern "C"`, in which there are no templates.
extern "C++" {

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

// By this argument the function that RINGPROOF_DESCRIBE defines is found: among those of the
// payload's namespace, and among those outside of all, because this is declared here.
template <class T> struct ringproof_payload {};

namespace ringproof {

// ---- Descriptions --------------------------------------------------------------------------

namespace detail {

// What a type is made of: arrays, of C and of the library, are taken apart.
template <class T> struct parts {
  using element = T;
  static constexpr bool array = false;
};
template <class T, std::size_t N> struct parts<T[N]> {
  using element = typename parts<std::remove_cv_t<T>>::element;
  static constexpr bool array = true;
};
template <class T, std::size_t N> struct parts<std::array<T, N>> {
  static_assert(N > 0, "an array of a payload has elements");
  static_assert(N == 0 || sizeof(std::array<T, N>) == N * sizeof(T), "an unusual std::array");
  using element = typename parts<std::remove_cv_t<T>>::element;
  static constexpr bool array = true;
};

// What an enumeration is stored as; other types are themselves.
template <class T, bool = std::is_enum_v<T>> struct stored {
  using type = T;
};
template <class T> struct stored<T, true> {
  using type = std::underlying_type_t<T>;
};

#ifdef __SIZEOF_INT128__
__extension__ using i128 = __int128;
__extension__ using u128 = unsigned __int128;
template <class T>
inline constexpr bool is_128 = std::is_same_v<T, i128> || std::is_same_v<T, u128>;
template <class T> inline constexpr bool is_i128 = std::is_same_v<T, i128>;
#else
template <class T> inline constexpr bool is_128 = false;
template <class T> inline constexpr bool is_i128 = false;
#endif

template <class T>
inline constexpr bool is_number =
    is_128<T> || std::is_same_v<T, float> || std::is_same_v<T, double> ||
    (std::is_integral_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, wchar_t> &&
     !std::is_same_v<T, char16_t> && !std::is_same_v<T, char32_t>);

// A field of this type; one that is not made of numbers does not compile.
template <class T> constexpr ringproof_field leaf(const char *name, std::size_t offset) {
  using plain = std::remove_cv_t<std::remove_reference_t<T>>;
  using element = typename parts<plain>::element;
  using number = typename stored<element>::type;
  static_assert(is_number<number>, "a field of a payload is an integer, an enumeration, a float, a "
                                   "double or an array of them");
  constexpr std::size_t size = sizeof(element);
  return {name, offset, size, parts<plain>::array ? sizeof(plain) / size : 0,
          std::is_floating_point_v<number>                ? 'f'
          : is_i128<number> || std::is_signed_v<number> ? 'i'
                                                        : 'u'};
}

template <std::size_t N>
constexpr std::array<ringproof_field, N> listed(const ringproof_field (&fields)[N]) {
  std::array<ringproof_field, N> list{};
  for (std::size_t i = 0; i < N; i++) {
    list[i] = fields[i];
  }
  return list;
}

// Whether the fields follow each other without gaps and fill the payload.
template <class T, std::size_t N>
constexpr bool fill(const std::array<ringproof_field, N> &fields) {
  std::size_t end = 0;
  for (const ringproof_field &field : fields) {
    if (field.offset != end) {
      return false;
    }
    end += field.element_size * (field.count == 0 ? 1 : field.count);
  }
  return end == sizeof(T);
}

template <class T, class = void> inline constexpr bool is_described = false;
template <class T>
inline constexpr bool
    is_described<T, std::void_t<decltype(ringproof_fields(ringproof_payload<T>()))>> = true;

// The fields of a payload: RINGPROOF_DESCRIBE says those of a struct; a number or an array is one.
template <class T> constexpr auto fields_of() {
  if constexpr (is_described<T>) {
    return ringproof_fields(ringproof_payload<T>());
  } else {
    using element = typename parts<T>::element;
    static_assert(std::is_arithmetic_v<element> || std::is_enum_v<element> || is_128<element>,
                  "describe this payload with RINGPROOF_DESCRIBE, in its own namespace or outside "
                  "of all");
    return std::array<ringproof_field, 1>{{leaf<T>("value", 0)}};
  }
}

} // namespace detail

// What a payload is, for the functions of ringproof.h.
template <class T> const ringproof_shape &shape_of() noexcept {
  static constexpr auto fields = detail::fields_of<T>();
  static constexpr ringproof_shape shape = {sizeof(T), alignof(T), fields.data(), fields.size()};
  return shape;
}

// An enumeration is described as the integer that it is stored as, so a process that breaks the
// protocol may send one that has no name. A std::array of structs cannot be described; an array of
// C can, field by field: `legs[0].qty`.
#define RINGPROOF_FIELD(type, field)                                                               \
  ::ringproof::detail::leaf<decltype(static_cast<type *>(nullptr)->field)>(#field,                \
                                                                            offsetof(type, field))

#define RINGPROOF_DESCRIBE(type, ...)                                                              \
  extern "C++" [[maybe_unused]] constexpr auto ringproof_fields(::ringproof_payload<type>) {       \
    static_assert(::std::is_trivially_copyable_v<type> && ::std::is_standard_layout_v<type>,       \
                  "the bytes of a payload are all there is to it");                                \
    constexpr ::ringproof_field list[] = {__VA_ARGS__};                                            \
    return ::ringproof::detail::listed(list);                                                      \
  }                                                                                                \
  static_assert(                                                                                   \
      ::ringproof::detail::fill<type>(ringproof_fields(::ringproof_payload<type>())),              \
      "fields left out or out of order, or padding")

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

// Calls what takes a pointer to details. They have its status in any case, and words of a failure.
template <class Call> ringproof_status report(ringproof_error &details, Call call) noexcept {
  details.message[0] = '\0';
  const ringproof_status status = call(&details);
  // Some fail without words; and some succeed after another way has failed.
  if (status == RINGPROOF_OK || details.message[0] == '\0') {
    const char *const words = status == RINGPROOF_OK ? "" : ringproof_strerror(status);
    ringproof_fail(&details, status, "%s", words);
  }
  return status;
}

inline ringproof_status not_open(ringproof_error *details) noexcept {
  return ringproof_fail(details, RINGPROOF_NOT_OPEN, "%s", ringproof_strerror(RINGPROOF_NOT_OPEN));
}

// Throws where the details are of a failure. T is any type that is known only where this is used.
template <class T> void check(const ringproof_error &details) {
#ifdef __cpp_exceptions
  if (details.status != RINGPROOF_OK) {
    throw error(details.status, details.message);
  }
#else
  static_assert(sizeof(T) == 0, "without exceptions, give a ringproof_error as the last argument, "
                                "and look whether what is opened is open");
  (void)details;
#endif
}

} // namespace detail

// ---- Segments ------------------------------------------------------------------------------

// A segment of one kind that carries T. Must outlive its endpoints, and stay where it is. Not for a
// child that is forked later.
template <class T, ringproof_kind Kind> class segment {
  static_assert(Kind == RINGPROOF_RING || sizeof(T) % 8 == 0,
                "the payload of a seqlock or latch must fill a whole number of 64-bit words");

public:
  // Attaches to the segment `name`.
  static segment attach(const std::string &name) {
    ringproof_error details;
    segment made = attach(name, details);
    detail::check<T>(details);
    return made;
  }
  static segment attach(const std::string &name, ringproof_error &details) noexcept {
    return made(name, details, [&](ringproof_segment *raw, ringproof_error *error) {
      return ringproof_attach(raw, name.c_str(), Kind, &shape_of<T>(), error);
    });
  }

  // Makes it; `initial` is the first value of a seqlock or latch.
  static segment create(const std::string &name, const ringproof_options &options,
                        const T &initial = T{}) {
    ringproof_error details;
    segment made = create(name, options, initial, details);
    detail::check<T>(details);
    return made;
  }
  static segment create(const std::string &name, const ringproof_options &options,
                        ringproof_error &details) noexcept {
    return create(name, options, T{}, details);
  }
  static segment create(const std::string &name, ringproof_options options, const T &initial,
                        ringproof_error &details) noexcept {
    return made(name, details, [&](ringproof_segment *raw, ringproof_error *error) {
      options.kind = Kind;
      return ringproof_create(raw, name.c_str(), &options, &shape_of<T>(), &initial, error);
    });
  }

  // Attaches to it, or makes it if there is none. One that exists keeps what it is and holds,
  // whatever `options` and `initial` say; see ringproof_open_or_create.
  static segment open_or_create(const std::string &name, const ringproof_options &options,
                                const T &initial = T{}) {
    ringproof_error details;
    segment made = open_or_create(name, options, initial, details);
    detail::check<T>(details);
    return made;
  }
  static segment open_or_create(const std::string &name, const ringproof_options &options,
                                ringproof_error &details) noexcept {
    return open_or_create(name, options, T{}, details);
  }
  static segment open_or_create(const std::string &name, ringproof_options options,
                                const T &initial, ringproof_error &details) noexcept {
    return made(name, details, [&](ringproof_segment *raw, ringproof_error *error) {
      options.kind = Kind;
      return ringproof_open_or_create(raw, name.c_str(), &options, &shape_of<T>(), &initial, error);
    });
  }

  // Whether it is open: neither moved from nor failed.
  explicit operator bool() const noexcept { return raw_ != nullptr; }

  // Takes its name away; who has a role may go on.
  void unlink() {
    ringproof_error details;
    unlink(details);
    detail::check<T>(details);
  }
  ringproof_status unlink(ringproof_error &details) noexcept {
    return report(details, [](const ringproof_segment *raw, ringproof_error *error) {
      return ringproof_unlink(raw, error);
    });
  }

  // Whether its name still leads to it; see ringproof_is_current.
  bool is_current() const {
    ringproof_error details;
    const bool current = is_current(details);
    detail::check<T>(details);
    return current;
  }
  bool is_current(ringproof_error &details) const noexcept {
    bool current = false;
    report(details, [&](const ringproof_segment *raw, ringproof_error *error) {
      return ringproof_is_current(raw, &current, error);
    });
    return current;
  }

  // What its name leads to by now; see ringproof_name_status.
  ringproof_name name_status() const {
    ringproof_error details;
    const ringproof_name found = name_status(details);
    detail::check<T>(details);
    return found;
  }
  ringproof_name name_status(ringproof_error &details) const noexcept {
    ringproof_name found = RINGPROOF_NAME_UNLINKED;
    report(details, [&](const ringproof_segment *raw, ringproof_error *error) {
      return ringproof_name_status(raw, &found, error);
    });
    return found;
  }

  // Whether anybody holds the role now.
  std::pair<ringproof_status, bool> is_held(ringproof_role role) const noexcept {
    bool held = false;
    const ringproof_status status =
        raw_ ? ringproof_is_held(raw_->shared, role, &held) : RINGPROOF_NOT_OPEN;
    return {status, held};
  }

  // How many items may be live at once; 0 if it is not open.
  std::uint64_t capacity() const noexcept { return raw_ ? raw_->fixed.capacity : 0; }

  // One of the words that an application keeps beside the structure, RINGPROOF_NOTES for each role;
  // RINGPROOF_SIZE if there is no such. Only the holder of the role should write.
  std::pair<ringproof_status, std::uint64_t> note(ringproof_role role,
                                                  unsigned index) const noexcept {
    const auto [status, word] = find_note(role, index);
    return {status, word == nullptr ? 0 : ringproof_read_note(word)};
  }
  ringproof_status set_note(ringproof_role role, unsigned index, std::uint64_t value) noexcept {
    const auto [status, word] = find_note(role, index);
    if (word != nullptr) {
      ringproof_write_note(word, value);
    }
    return status;
  }

  // For the functions of ringproof.h; null if it is not open.
  const ringproof_segment *get() const noexcept { return raw_.get(); }

private:
  struct detach {
    void operator()(ringproof_segment *raw) const noexcept {
      ringproof_detach(raw);
      delete raw;
    }
  };

  template <class Make>
  static segment made(const std::string &name, ringproof_error &details, Make make) noexcept {
    segment result;
    std::unique_ptr<ringproof_segment> raw(new (std::nothrow) ringproof_segment);
    const ringproof_status status = detail::report(details, [&](ringproof_error *error) {
      if (raw == nullptr) {
        errno = ENOMEM;
        return ringproof_fail_system(error, name.c_str(), "have memory for it");
      }
      if (name.find('\0') != std::string::npos) {
        // C would take what is before it for all of the name.
        return ringproof_fail(error, RINGPROOF_NAME,
                              "segment name `%s...`: it contains a slash or a zero byte",
                              name.c_str());
      }
      return make(raw.get(), error);
    });
    if (status == RINGPROOF_OK) {
      result.raw_.reset(raw.release());
    }
    return result;
  }

  template <class Call> ringproof_status report(ringproof_error &details, Call call) const noexcept {
    return detail::report(details, [&](ringproof_error *error) {
      return raw_ ? call(raw_.get(), error) : detail::not_open(error);
    });
  }

  std::pair<ringproof_status, ringproof_word *> find_note(ringproof_role role,
                                                          unsigned index) const noexcept {
    if (!raw_) {
      return {RINGPROOF_NOT_OPEN, nullptr};
    }
    ringproof_word *const word = ringproof_note(raw_.get(), role, index);
    return {word == nullptr ? RINGPROOF_SIZE : RINGPROOF_OK, word};
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
  span(T *items, std::size_t len) noexcept : items_(items), len_(len) {}
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
// consumer's. Valid until the next call on its endpoint. What it is moved from is left empty.
template <class T> class chunk {
public:
  explicit chunk(const ringproof_chunk &raw) noexcept : raw_(raw) {}
  chunk(chunk &&other) noexcept : raw_(std::exchange(other.raw_, ringproof_chunk())) {}
  chunk &operator=(chunk &&other) noexcept {
    const ringproof_chunk raw = std::exchange(other.raw_, ringproof_chunk());
    raw_ = raw;
    return *this;
  }
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
  static span<T> run(const ringproof_run &items) noexcept {
    return {static_cast<T *>(items.items), items.len};
  }

  ringproof_chunk raw_;
};

namespace detail {

inline ringproof_status take(ringproof_producer &end, const ringproof_segment *from,
                             ringproof_error *details) noexcept {
  return ringproof_producer_open(&end, from, details);
}
inline ringproof_status take(ringproof_consumer &end, const ringproof_segment *from,
                             ringproof_error *details) noexcept {
  return ringproof_consumer_open(&end, from, details);
}
inline ringproof_status take(ringproof_writer &end, const ringproof_segment *from,
                             ringproof_error *details) noexcept {
  return ringproof_writer_open(&end, from, details);
}
inline ringproof_status take(ringproof_reader &end, const ringproof_segment *from,
                             ringproof_error *details) noexcept {
  return ringproof_reader_open(&end, from, details);
}
inline void give_back(ringproof_producer &end) noexcept { ringproof_producer_drop(&end); }
inline void give_back(ringproof_consumer &end) noexcept { ringproof_consumer_drop(&end); }
inline void give_back(ringproof_writer &end) noexcept { ringproof_writer_drop(&end); }
inline void give_back(ringproof_reader &end) noexcept { ringproof_reader_drop(&end); }

// For a constructor that throws what fails.
template <class T> struct throws {};

// A timeout as C has it; one that no clock reaches is none.
template <class Rep, class Period>
std::uint64_t nanoseconds(const std::chrono::duration<Rep, Period> &timeout) noexcept {
  using namespace std::chrono;
  if (!(timeout > duration<Rep, Period>::zero())) {
    return 0;
  }
  if (duration<long double>(timeout) >= duration<long double>(9'000'000'000)) {
    return RINGPROOF_FOREVER;
  }
  return static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::nanoseconds>(timeout).count());
}

// What is left until then.
template <class Duration>
std::uint64_t
nanoseconds(const std::chrono::time_point<std::chrono::steady_clock, Duration> &deadline) noexcept {
  const auto now = std::chrono::steady_clock::now();
  return deadline > now ? nanoseconds(deadline - now) : 0;
}

// An endpoint of C, given back once. Raw is movable: its words are reached by pointers. Unless it
// is open, all of it is zero, so that its items have no size.
template <class Raw> class endpoint {
public:
  endpoint(endpoint &&other) noexcept
      : raw_(std::exchange(other.raw_, Raw())), open_(std::exchange(other.open_, false)) {}
  // What it was before is given back.
  endpoint &operator=(endpoint &&other) noexcept {
    if (this != &other) {
      drop();
      raw_ = std::exchange(other.raw_, Raw());
      open_ = std::exchange(other.open_, false);
    }
    return *this;
  }
  ~endpoint() { drop(); }

  // Whether it is open: neither moved from nor failed.
  explicit operator bool() const noexcept { return open_; }

protected:
  endpoint(const ringproof_segment *from, ringproof_error &details) noexcept {
    open(from, details);
  }
  template <class T> endpoint(const ringproof_segment *from, throws<T>) {
    ringproof_error details;
    open(from, details);
    check<T>(details);
  }

  std::string explain(const ringproof_corruption &corruption) const {
    char text[256];
    if (!open_) {
      return ringproof_strerror(RINGPROOF_NOT_OPEN);
    }
    ringproof_explain(&corruption, text, sizeof text);
    return text;
  }

  Raw raw_ = Raw();

private:
  void open(const ringproof_segment *from, ringproof_error &details) noexcept {
    const ringproof_status status = report(details, [&](ringproof_error *error) {
      return from == nullptr ? not_open(error) : take(raw_, from, error);
    });
    open_ = status == RINGPROOF_OK;
    if (!open_) {
      raw_ = Raw();
    }
  }
  void drop() noexcept {
    if (open_) {
      give_back(raw_);
    }
  }

  bool open_ = false;
};

} // namespace detail

// The sending end of a ring. A status RINGPROOF_CORRUPT is explained by corruption().
// A forked child that uses it dies of it.
template <class T> class producer : detail::endpoint<ringproof_producer> {
  using base = detail::endpoint<ringproof_producer>;
  friend class notifier;

public:
  explicit producer(const ring<T> &from) : base(from.get(), detail::throws<T>()) {}
  producer(const ring<T> &from, ringproof_error &details) noexcept : base(from.get(), details) {}
  using base::operator bool;

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
  ringproof_status commit(const chunk<T> &reserved, std::size_t count) noexcept {
    return ringproof_commit(&this->raw_, reserved.get(), count);
  }
  ringproof_status close() noexcept {
    return ringproof_producer_close(&this->raw_);
  }

  // Waits until `count` slots are free: without limit, for some time, or until a moment. After
  // RINGPROOF_OK as many items can be pushed; see ringproof_wait_free.
  ringproof_status wait(std::size_t count = 1) noexcept {
    return ringproof_wait_free(&this->raw_, count, RINGPROOF_FOREVER);
  }
  template <class Rep, class Period>
  ringproof_status wait_for(const std::chrono::duration<Rep, Period> &timeout,
                            std::size_t count = 1) noexcept {
    return ringproof_wait_free(&this->raw_, count, detail::nanoseconds(timeout));
  }
  template <class Duration>
  ringproof_status
  wait_until(const std::chrono::time_point<std::chrono::steady_clock, Duration> &deadline,
             std::size_t count = 1) noexcept {
    return ringproof_wait_free(&this->raw_, count, detail::nanoseconds(deadline));
  }
  // The same until the consumer has released every item; see ringproof_wait_drained.
  ringproof_status wait_drained() noexcept {
    return ringproof_wait_drained(&this->raw_, RINGPROOF_FOREVER);
  }
  template <class Rep, class Period>
  ringproof_status
  wait_drained_for(const std::chrono::duration<Rep, Period> &timeout) noexcept {
    return ringproof_wait_drained(&this->raw_, detail::nanoseconds(timeout));
  }
  template <class Duration>
  ringproof_status wait_drained_until(
      const std::chrono::time_point<std::chrono::steady_clock, Duration> &deadline) noexcept {
    return ringproof_wait_drained(&this->raw_, detail::nanoseconds(deadline));
  }
  // How it waits from now on.
  void set_wait(ringproof_wait how) noexcept { ringproof_producer_set_wait(&this->raw_, how); }

  // The sequence number of the next item; of an end that is not open all numbers are 0.
  std::uint64_t position() const noexcept { return ringproof_producer_position(&this->raw_); }
  // How many items may be live at once.
  std::uint64_t capacity() const noexcept { return this->raw_.capacity; }
  // How many are live now.
  std::pair<ringproof_status, std::uint64_t> occupancy() noexcept {
    std::uint64_t live = 0;
    const ringproof_status status = ringproof_producer_occupancy(&this->raw_, &live);
    return {status, status == RINGPROOF_OK ? live : 0};
  }
  // How many times this role was taken, this time included.
  std::uint64_t epoch() const noexcept { return this->raw_.claim.epoch; }
  // Whether there is a consumer now.
  std::pair<ringproof_status, bool> peer_present() const noexcept {
    bool present = false;
    const ringproof_status status = ringproof_producer_peer_present(&this->raw_, &present);
    return {status, present};
  }
  // Whether the consumer closed the ring: RINGPROOF_PEER_CLOSED, else RINGPROOF_OK.
  ringproof_status is_peer_closed() noexcept {
    return ringproof_producer_is_peer_closed(&this->raw_);
  }
  std::string corruption() const { return base::explain(this->raw_.corruption); }
};

// The receiving end of a ring. A forked child that uses it dies of it.
template <class T> class consumer : detail::endpoint<ringproof_consumer> {
  using base = detail::endpoint<ringproof_consumer>;
  friend class notifier;

public:
  explicit consumer(const ring<T> &from) : base(from.get(), detail::throws<T>()) {}
  consumer(const ring<T> &from, ringproof_error &details) noexcept : base(from.get(), details) {}
  using base::operator bool;

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
  ringproof_status release(const chunk<const T> &shown, std::size_t count) noexcept {
    return ringproof_release(&this->raw_, shown.get(), count);
  }
  ringproof_status close() noexcept {
    return ringproof_consumer_close(&this->raw_);
  }

  // Waits until `count` items are there, as a producer for slots; see ringproof_wait_items.
  ringproof_status wait(std::size_t count = 1) noexcept {
    return ringproof_wait_items(&this->raw_, count, RINGPROOF_FOREVER);
  }
  template <class Rep, class Period>
  ringproof_status wait_for(const std::chrono::duration<Rep, Period> &timeout,
                            std::size_t count = 1) noexcept {
    return ringproof_wait_items(&this->raw_, count, detail::nanoseconds(timeout));
  }
  template <class Duration>
  ringproof_status
  wait_until(const std::chrono::time_point<std::chrono::steady_clock, Duration> &deadline,
             std::size_t count = 1) noexcept {
    return ringproof_wait_items(&this->raw_, count, detail::nanoseconds(deadline));
  }
  void set_wait(ringproof_wait how) noexcept { ringproof_consumer_set_wait(&this->raw_, how); }

  // As of a producer.
  std::uint64_t position() const noexcept { return ringproof_consumer_position(&this->raw_); }
  std::uint64_t capacity() const noexcept { return this->raw_.capacity; }
  std::pair<ringproof_status, std::uint64_t> occupancy() noexcept {
    std::uint64_t live = 0;
    const ringproof_status status = ringproof_consumer_occupancy(&this->raw_, &live);
    return {status, status == RINGPROOF_OK ? live : 0};
  }
  std::uint64_t epoch() const noexcept { return this->raw_.claim.epoch; }
  // Whether there is a producer now.
  std::pair<ringproof_status, bool> peer_present() const noexcept {
    bool present = false;
    const ringproof_status status = ringproof_consumer_peer_present(&this->raw_, &present);
    return {status, present};
  }
  std::string corruption() const { return base::explain(this->raw_.corruption); }
};

// The writing end of a seqlock or latch. A forked child that uses it dies of it.
template <class T> class writer : detail::endpoint<ringproof_writer> {
  using base = detail::endpoint<ringproof_writer>;

public:
  template <ringproof_kind Kind>
  explicit writer(const segment<T, Kind> &from) : base(from.get(), detail::throws<T>()) {}
  template <ringproof_kind Kind>
  writer(const segment<T, Kind> &from, ringproof_error &details) noexcept
      : base(from.get(), details) {}
  using base::operator bool;

  // Never waits for readers.
  ringproof_status write(const T &value) noexcept {
    return ringproof_write(&this->raw_, &value);
  }

  // How many values were written; of an end that is not open all numbers are 0.
  std::uint64_t version() const noexcept { return ringproof_writer_version(&this->raw_); }
  // How many times this role was taken, this time included.
  std::uint64_t epoch() const noexcept { return this->raw_.claim.epoch; }
  // Whether the last writer of a seqlock died inside a write, and nothing was written since.
  bool needs_repair() const noexcept { return ringproof_writer_needs_repair(&this->raw_); }
};

// A reading end of a seqlock or latch. A forked child that uses it dies of it.
template <class T> class reader : detail::endpoint<ringproof_reader> {
  using base = detail::endpoint<ringproof_reader>;
  friend class notifier;

public:
  template <ringproof_kind Kind>
  explicit reader(const segment<T, Kind> &from) : base(from.get(), detail::throws<T>()) {}
  template <ringproof_kind Kind>
  reader(const segment<T, Kind> &from, ringproof_error &details) noexcept
      : base(from.get(), details) {}
  using base::operator bool;

  // In one attempt; unless RINGPROOF_OK, `value` may be a mixture.
  ringproof_status try_read(T &value) const noexcept {
    return ringproof_try_read(&this->raw_, &value);
  }
  // In at most `attempts` attempts, as try_read().
  ringproof_status read(T &value, unsigned attempts) const noexcept {
    return ringproof_read(&this->raw_, &value, attempts);
  }

  // The version of the last value; 0 of an end that is not open.
  std::uint64_t version() const noexcept { return ringproof_reader_version(&this->raw_); }

  // Waits until the version is no longer this one; the second is what it is then. See
  // ringproof_wait_newer.
  std::pair<ringproof_status, std::uint64_t> wait(std::uint64_t known) const noexcept {
    return newer(known, RINGPROOF_FOREVER);
  }
  template <class Rep, class Period>
  std::pair<ringproof_status, std::uint64_t>
  wait_for(const std::chrono::duration<Rep, Period> &timeout, std::uint64_t known) const noexcept {
    return newer(known, detail::nanoseconds(timeout));
  }
  template <class Duration>
  std::pair<ringproof_status, std::uint64_t>
  wait_until(const std::chrono::time_point<std::chrono::steady_clock, Duration> &deadline,
             std::uint64_t known) const noexcept {
    return newer(known, detail::nanoseconds(deadline));
  }
  void set_wait(ringproof_wait how) noexcept { ringproof_reader_set_wait(&this->raw_, how); }

private:
  std::pair<ringproof_status, std::uint64_t> newer(std::uint64_t known,
                                                   std::uint64_t timeout) const noexcept {
    const ringproof_status status = ringproof_wait_newer(&this->raw_, &known, timeout);
    return {status, known};
  }
};

// ---- Waiting in an event loop --------------------------------------------------------------

namespace detail {

inline ringproof_status open(ringproof_notifier *made, const ringproof_producer &end,
                             ringproof_error *details) noexcept {
  return ringproof_producer_notifier_open(made, &end, details);
}
inline ringproof_status open(ringproof_notifier *made, const ringproof_consumer &end,
                             ringproof_error *details) noexcept {
  return ringproof_consumer_notifier_open(made, &end, details);
}
inline ringproof_status open(ringproof_notifier *made, const ringproof_reader &end,
                             ringproof_error *details) noexcept {
  return ringproof_reader_notifier_open(made, &end, details);
}

} // namespace detail

// A descriptor for poll, epoll and the like that is readable when an end may go on, and a thread that
// sleeps for it: see ringproof_notifier. It may be moved, and so may the end; the segment must outlive it.
class notifier {
public:
  // For a producer, a consumer or a reader that is open.
  template <class End> explicit notifier(const End &end) {
    ringproof_error details;
    open(end, details);
    detail::check<End>(details);
  }
  template <class End> notifier(const End &end, ringproof_error &details) noexcept {
    open(end, details);
  }

  // Whether it is open: neither moved from nor failed.
  explicit operator bool() const noexcept { return raw_ != nullptr; }

  // It keeps the descriptor; -1 if it is not open.
  int descriptor() const noexcept { return raw_ ? ringproof_notifier_descriptor(raw_.get()) : -1; }

  // After the end said RINGPROOF_FULL or RINGPROOF_EMPTY, or of a reader after its version was `since`:
  // makes the descriptor unreadable until it may go on; see ringproof_producer_arm.
  template <class T> ringproof_status arm(const producer<T> &end) noexcept {
    return raw_ ? ringproof_producer_arm(raw_.get(), &end.raw_) : RINGPROOF_NOT_OPEN;
  }
  template <class T> ringproof_status arm(const consumer<T> &end) noexcept {
    return raw_ ? ringproof_consumer_arm(raw_.get(), &end.raw_) : RINGPROOF_NOT_OPEN;
  }
  template <class T> ringproof_status arm(const reader<T> &end, std::uint64_t since) noexcept {
    return raw_ ? ringproof_reader_arm(raw_.get(), &end.raw_, since) : RINGPROOF_NOT_OPEN;
  }

private:
  struct close {
    void operator()(ringproof_notifier *raw) const noexcept {
      ringproof_notifier_close(raw);
      delete raw;
    }
  };

  template <class End> void open(const End &end, ringproof_error &details) noexcept {
    std::unique_ptr<ringproof_notifier> raw(new (std::nothrow) ringproof_notifier);
    const ringproof_status status = detail::report(details, [&](ringproof_error *error) {
      if (raw == nullptr) {
        errno = ENOMEM;
        return ringproof_fail_system(error, "", "have memory for a notifier");
      }
      return detail::open(raw.get(), end.raw_, error);
    });
    if (status == RINGPROOF_OK) {
      raw_.reset(raw.release());
    }
  }

  std::unique_ptr<ringproof_notifier, close> raw_;
};

} // namespace ringproof

} // extern "C++"

#endif // RINGPROOF_HPP
