/* What stands between lib.c and one function of the library, the one that RINGPROOF_INJECTED names: each is
 * wrong in its own way, and lib.c must notice. */
#include "ringproof_lib.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool injected(const char *function) {
  const char *text = getenv("RINGPROOF_INJECTED");
  return text != NULL && strcmp(text, function) == 0;
}

/* With `parameters`, which are called `arguments`; the rest is what it does. */
#define WRONG(function, parameters, arguments, ...)                                                \
  enum ringproof_lib_status __real_##function parameters;                                                     \
  enum ringproof_lib_status __wrap_##function parameters;                                                     \
  enum ringproof_lib_status __wrap_##function parameters {                                                    \
    enum ringproof_lib_status (*const real) parameters = __real_##function;                                   \
    if (!injected(#function)) {                                                                     \
      return real arguments;                                                                       \
    }                                                                                              \
    __VA_ARGS__                                                                                    \
  }

WRONG(ringproof_lib_commit, (struct ringproof_lib_producer *p, size_t count, struct ringproof_lib_error *e), (p, count, e),
      return real(p, count > 1 ? count - 1 : count, e);)

WRONG(ringproof_lib_producer_close, (struct ringproof_lib_producer *p, struct ringproof_lib_error *e), (p, e),
      return RINGPROOF_LIB_OK;)

WRONG(ringproof_lib_name_status, (const struct ringproof_lib_segment *s, enum ringproof_lib_name *found, struct ringproof_lib_error *e),
      (s, found, e),
      enum ringproof_lib_status status = real(s, found, e);
      if (status == RINGPROOF_LIB_OK && *found == RINGPROOF_LIB_NAME_REPLACED) { *found = RINGPROOF_LIB_NAME_UNLINKED; }
      return status;)

WRONG(ringproof_lib_push, (struct ringproof_lib_producer *p, const void *item, struct ringproof_lib_error *e), (p, item, e),
      enum ringproof_lib_status status = real(p, item, e);
      return status == RINGPROOF_LIB_FULL ? RINGPROOF_LIB_OK : status;)

WRONG(ringproof_lib_pop, (struct ringproof_lib_consumer *c, void *item, struct ringproof_lib_error *e), (c, item, e),
      enum ringproof_lib_status status = real(c, item, e);
      if (status == RINGPROOF_LIB_OK) { *(char *)item ^= 1; }
      return status;)

WRONG(ringproof_lib_wait_items,
      (struct ringproof_lib_consumer *c, size_t count, uint64_t timeout, struct ringproof_lib_error *e),
      (c, count, timeout, e),
      enum ringproof_lib_status status = real(c, count, timeout, e);
      return status == RINGPROOF_LIB_INTERRUPTED ? real(c, count, timeout > 1 ? 1 : timeout, e) : status;)

WRONG(ringproof_lib_wait_drained, (struct ringproof_lib_producer *p, uint64_t timeout, struct ringproof_lib_error *e),
      (p, timeout, e),
      enum ringproof_lib_status status = real(p, timeout, e);
      return status == RINGPROOF_LIB_TIMED_OUT ? RINGPROOF_LIB_OK : status;)

WRONG(ringproof_lib_producer_arm,
      (struct ringproof_lib_producer *p, int *descriptor, struct ringproof_lib_error *e), (p, descriptor, e),
      enum ringproof_lib_status status = real(p, descriptor, e);
      if (status == RINGPROOF_LIB_OK) { *descriptor = dup(*descriptor); }
      return status;)

WRONG(ringproof_lib_consumer_arm,
      (struct ringproof_lib_consumer *c, int *descriptor, struct ringproof_lib_error *e), (c, descriptor, e),
      enum ringproof_lib_status status = real(c, descriptor, e);
      return status == RINGPROOF_LIB_PEER_GONE ? RINGPROOF_LIB_OK : status;)

WRONG(ringproof_lib_reader_arm,
      (struct ringproof_lib_reader *r, uint64_t since, int *descriptor, struct ringproof_lib_error *e),
      (r, since, descriptor, e),
      enum ringproof_lib_status status = real(r, since, descriptor, e);
      if (status == RINGPROOF_LIB_OK) { *descriptor = dup(*descriptor); }
      return status;)

WRONG(ringproof_lib_wait_newer,
      (const struct ringproof_lib_reader *r, uint64_t *version, uint64_t timeout, struct ringproof_lib_error *e),
      (r, version, timeout, e),
      uint64_t known = *version;
      return real(r, &known, timeout, e);)

WRONG(ringproof_lib_release, (struct ringproof_lib_consumer *c, size_t count, struct ringproof_lib_error *e), (c, count, e),
      return RINGPROOF_LIB_OK;)

WRONG(ringproof_lib_write, (struct ringproof_lib_writer *w, const void *value, struct ringproof_lib_error *e), (w, value, e),
      return RINGPROOF_LIB_OK;)

WRONG(ringproof_lib_try_read, (const struct ringproof_lib_reader *r, void *value, struct ringproof_lib_error *e), (r, value, e),
      real(r, value, e);
      return RINGPROOF_LIB_OK;)

WRONG(ringproof_lib_producer_open,
      (const struct ringproof_lib_segment *s, struct ringproof_lib_producer **p, struct ringproof_lib_error *e), (s, p, e),
      enum ringproof_lib_status status = real(s, p, e);
      return status == RINGPROOF_LIB_HELD ? RINGPROOF_LIB_OK : status;)

WRONG(ringproof_lib_describe,
      (const struct ringproof_lib_payload *p, char *text, size_t size, size_t *len, struct ringproof_lib_error *e),
      (p, text, size, len, e),
      enum ringproof_lib_status status = real(p, text, size, len, e);
      if (status == RINGPROOF_LIB_OK) { *text = 'R'; }
      return status;)
