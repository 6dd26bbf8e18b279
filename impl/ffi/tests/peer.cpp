// One end of a ring, or of a seqlock or latch, as a process: what peer.c does, in C++, and only waiting.
//
//   peer send NAME COUNT     pushes items up to position COUNT, then closes
//   peer recv NAME COUNT     takes items to the end, which must be at COUNT
//   peer write KIND NAME N   writes up to N values to a seqlock or latch
//   peer read KIND NAME N    reads until the Nth value; none may be torn or older than the one before
//
// With RINGPROOF_PEER_SLEEPS and RINGPROOF_PEER_POLLS in the environment as there.
//
// Exit 0: as it should be; 1: it is not, and standard error says how; 2: the arguments are wrong.
#include "ringproof.hpp"

#include <csignal>
#include <cstdio>
#include <optional>
#include <poll.h>
#include <sys/prctl.h>

namespace {

// As in peer.c.
using item = std::array<std::uint64_t, 2>;
using value = std::array<std::uint64_t, 64>;

std::uint64_t check_of(std::uint64_t seq) {
  seq = (seq ^ (seq >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  seq = (seq ^ (seq >> 27)) * UINT64_C(0x94d049bb133111eb);
  return seq ^ (seq >> 31);
}

// One that is gone is started again.
bool goes_on(ringproof_status status) {
  return status == RINGPROOF_OK || status == RINGPROOF_PEER_GONE;
}

int failed(const char *what, ringproof_status status) {
  std::fprintf(stderr, "peer: %s: %s\n", what, ringproof_strerror(status));
  return 1;
}

template <class End> End &waiting(End &end) {
  end.set_wait(std::getenv("RINGPROOF_PEER_SLEEPS") != nullptr ? RINGPROOF_WAIT_SLEEP_AT_ONCE
                                                               : RINGPROOF_WAIT_SLEEP);
  return end;
}

// A notifier of the end, where it is to poll.
template <class End> std::optional<ringproof::notifier> notifier_of(const End &end) {
  if (std::getenv("RINGPROOF_PEER_POLLS") == nullptr) {
    return std::nullopt;
  }
  return ringproof::notifier(end);
}

// Waits until the descriptor is readable, if it is armed.
ringproof_status polled(const ringproof::notifier &notifier, ringproof_status armed) {
  pollfd descriptor = {notifier.descriptor(), POLLIN, 0};
  if (armed == RINGPROOF_OK && poll(&descriptor, 1, -1) != 1) {
    return RINGPROOF_SYSTEM;
  }
  return armed;
}

// One look, and unless that finds something a wait.
template <class End>
ringproof_status wait(End &end, std::optional<ringproof::notifier> &notifier) {
  using namespace std::chrono_literals;
  if (!notifier) {
    return end.wait();
  }
  for (;;) {
    ringproof_status status = end.wait_for(0s);
    if (status != RINGPROOF_TIMED_OUT) {
      return status;
    }
    status = polled(*notifier, notifier->arm(end));
    if (status != RINGPROOF_OK) {
      return status;
    }
  }
}

int send(const ringproof::ring<item> &ring, std::uint64_t count) {
  ringproof::producer<item> producer(ring);
  auto notifier = notifier_of(producer);
  waiting(producer);
  while (producer.position() < count) {
    const ringproof_status status = wait(producer, notifier);
    if (status == RINGPROOF_OK) {
      const std::uint64_t seq = producer.position();
      producer.push({seq, check_of(seq)});
    } else if (!goes_on(status)) {
      return failed("send", status);
    }
  }
  producer.close();
  return 0;
}

int recv(const ringproof::ring<item> &ring, std::uint64_t count) {
  ringproof::consumer<item> consumer(ring);
  auto notifier = notifier_of(consumer);
  waiting(consumer);
  for (;;) {
    const ringproof_status status = wait(consumer, notifier);
    if (status == RINGPROOF_PEER_CLOSED) {
      break;
    }
    if (!goes_on(status)) {
      return failed("recv", status);
    }
    const std::uint64_t seq = consumer.position();
    item found;
    if (status == RINGPROOF_OK &&
        (consumer.pop(found) != RINGPROOF_OK || found != item{seq, check_of(seq)})) {
      std::fprintf(stderr, "peer: a wrong item\n");
      return 1;
    }
  }
  return consumer.position() == count ? 0 : 1;
}

template <class Segment> int write(const Segment &from, std::uint64_t count) {
  ringproof::writer<value> writer(from);
  while (writer.version() < count) {
    value next;
    next.fill(writer.version() + 1);
    writer.write(next);
  }
  return 0;
}

template <class Segment> int read(const Segment &from, std::uint64_t count) {
  ringproof::reader<value> reader(from);
  auto notifier = notifier_of(reader);
  std::uint64_t last = 0, version = 0;
  waiting(reader);
  while (last < count) {
    if (notifier && reader.version() == version) {
      const ringproof_status status = polled(*notifier, notifier->arm(reader, version));
      if (!goes_on(status)) {
        return failed("read", status);
      }
      continue;
    }
    const auto [status, newer] = reader.wait(version);
    if (!goes_on(status)) {
      return failed("read", status);
    }
    version = newer;
    value found;
    if (reader.read(found, 1000) != RINGPROOF_OK) {
      continue;
    }
    for (const std::uint64_t word : found) {
      if (word != found[0] || word < last) {
        std::fprintf(stderr, "peer: a torn value, or an older one\n");
        return 1;
      }
    }
    last = found[0];
  }
  return 0;
}

template <class Segment>
int either(const Segment &segment, const std::string &verb, std::uint64_t count) {
  return verb == "write" ? write(segment, count) : read(segment, count);
}

} // namespace

int main(int count, char **arguments) {
  // No test leaves a process behind, whatever becomes of it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (count != 4 && count != 5) {
    std::fprintf(stderr, "peer: see the comment at its beginning\n");
    return 2;
  }
  const std::string verb = arguments[1], name = arguments[count - 2];
  const std::uint64_t number = std::strtoull(arguments[count - 1], nullptr, 10);
  try {
    if (count == 4) {
      ringproof_options options = ringproof_ring_options(50);
      options.slots = 64;
      const auto ring = ringproof::ring<item>::open_or_create(name, options);
      return verb == "send" ? send(ring, number) : recv(ring, number);
    }
    if (arguments[2] == std::string("latch")) {
      return either(ringproof::latch<value>::open_or_create(name, ringproof_latch_options()), verb,
                    number);
    }
    return either(ringproof::seqlock<value>::open_or_create(name, ringproof_seqlock_options()),
                  verb, number);
  } catch (const ringproof::error &problem) {
    std::fprintf(stderr, "peer: %s\n", problem.what());
    return 1;
  }
}
