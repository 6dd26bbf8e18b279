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
const rp_field fields[] = {
    RP_FIELD(quote, seq, RP_U64),
    RP_FIELD(quote, price, RP_F64),
    RP_FIELD(quote, tag, RP_U8),
};
const rp_payload payload = RP_PAYLOAD(quote, fields);

rp_error error;

bool done(rp_status status) {
  if (status != RP_OK) {
    std::fprintf(stderr, "%s: %s\n", rp_strerror(status), error.message);
  }
  return status == RP_OK;
}
} // namespace

int main() {
  rp_options options = {};
  options.kind = RP_RING;
  options.capacity = 8;
  rp_segment *segment = nullptr;
  rp_producer *producer = nullptr;
  rp_consumer *consumer = nullptr;
  rp_chunk chunk;
  quote sent = {1, 2.5, {'c', '+', '+'}}, seen = {};
  const bool all = done(rp_create(nullptr, &options, &payload, nullptr, &segment, &error)) &&
                   done(rp_producer_open(segment, &producer, &error)) &&
                   done(rp_consumer_open(segment, &consumer, &error)) &&
                   done(rp_push(producer, &sent, &error)) &&
                   done(rp_peek(consumer, 1, &chunk, &error));
  if (all) {
    std::memcpy(&seen, chunk.first.items, sizeof seen);
  }
  rp_consumer_drop(consumer);
  rp_producer_drop(producer);
  rp_detach(segment);
  return all && std::memcmp(&seen, &sent, sizeof seen) == 0 ? 0 : 1;
}
