// The library from C++: its header, its macros, one exchange in place. Exit 0: as it should be.
#include "ringproof_lib.h"
#include <cstdio>
#include <cstring>

namespace {
struct quote {
  uint64_t seq;
  double price;
  unsigned char tag[8];
};
const ringproof_lib_field fields[] = {
    RINGPROOF_LIB_FIELD(quote, seq, RINGPROOF_LIB_U64),
    RINGPROOF_LIB_FIELD(quote, price, RINGPROOF_LIB_F64),
    RINGPROOF_LIB_FIELD(quote, tag, RINGPROOF_LIB_U8),
};
const ringproof_lib_payload payload = RINGPROOF_LIB_PAYLOAD(quote, fields);

ringproof_lib_error error;

bool done(ringproof_lib_status status) {
  if (status != RINGPROOF_LIB_OK) {
    std::fprintf(stderr, "%s: %s\n", ringproof_lib_strerror(status), error.message);
  }
  return status == RINGPROOF_LIB_OK;
}
} // namespace

int main() {
  ringproof_lib_options options = {};
  options.kind = RINGPROOF_LIB_RING;
  options.capacity = 8;
  ringproof_lib_segment *segment = nullptr;
  ringproof_lib_producer *producer = nullptr;
  ringproof_lib_consumer *consumer = nullptr;
  ringproof_lib_chunk chunk;
  quote sent = {1, 2.5, {'c', '+', '+'}}, seen = {};
  const bool all = done(ringproof_lib_create(nullptr, &options, &payload, nullptr, &segment, &error)) &&
                   done(ringproof_lib_producer_open(segment, &producer, &error)) &&
                   done(ringproof_lib_consumer_open(segment, &consumer, &error)) &&
                   done(ringproof_lib_push(producer, &sent, &error)) &&
                   done(ringproof_lib_peek(consumer, 1, &chunk, &error));
  if (all) {
    std::memcpy(&seen, chunk.first.items, sizeof seen);
  }
  ringproof_lib_consumer_drop(consumer);
  ringproof_lib_producer_drop(producer);
  ringproof_lib_detach(segment);
  return all && std::memcmp(&seen, &sent, sizeof seen) == 0 ? 0 : 1;
}
