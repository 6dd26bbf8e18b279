/* What stands between lib.c and one function of the library, the one that RINGPROOF_INJECTED names: each is
 * wrong in its own way, and lib.c must notice. */
#include "ringproof_lib.h"

#include <stdlib.h>
#include <string.h>

static bool injected(const char *function) {
  const char *text = getenv("RINGPROOF_INJECTED");
  return text != NULL && strcmp(text, function) == 0;
}

/* With `parameters`, which are called `arguments`; the rest is what it does. */
#define WRONG(function, parameters, arguments, ...)                                                \
  enum rp_status __real_##function parameters;                                                     \
  enum rp_status __wrap_##function parameters;                                                     \
  enum rp_status __wrap_##function parameters {                                                    \
    enum rp_status (*const real) parameters = __real_##function;                                   \
    if (!injected(#function)) {                                                                     \
      return real arguments;                                                                       \
    }                                                                                              \
    __VA_ARGS__                                                                                    \
  }

WRONG(rp_commit, (struct rp_producer *p, size_t count, struct rp_error *e), (p, count, e),
      return real(p, count > 1 ? count - 1 : count, e);)

WRONG(rp_producer_close, (struct rp_producer *p, struct rp_error *e), (p, e),
      return RP_OK;)

WRONG(rp_name_status, (const struct rp_segment *s, enum rp_name *found, struct rp_error *e),
      (s, found, e),
      enum rp_status status = real(s, found, e);
      if (status == RP_OK && *found == RP_NAME_REPLACED) { *found = RP_NAME_UNLINKED; }
      return status;)

WRONG(rp_push, (struct rp_producer *p, const void *item, struct rp_error *e), (p, item, e),
      enum rp_status status = real(p, item, e);
      return status == RP_FULL ? RP_OK : status;)

WRONG(rp_pop, (struct rp_consumer *c, void *item, struct rp_error *e), (c, item, e),
      enum rp_status status = real(c, item, e);
      if (status == RP_OK) { *(char *)item ^= 1; }
      return status;)

WRONG(rp_release, (struct rp_consumer *c, size_t count, struct rp_error *e), (c, count, e),
      return RP_OK;)

WRONG(rp_write, (struct rp_writer *w, const void *value, struct rp_error *e), (w, value, e),
      return RP_OK;)

WRONG(rp_try_read, (const struct rp_reader *r, void *value, struct rp_error *e), (r, value, e),
      real(r, value, e);
      return RP_OK;)

WRONG(rp_producer_open,
      (const struct rp_segment *s, struct rp_producer **p, struct rp_error *e), (s, p, e),
      enum rp_status status = real(s, p, e);
      return status == RP_HELD ? RP_OK : status;)

WRONG(rp_describe,
      (const struct rp_payload *p, char *text, size_t size, size_t *len, struct rp_error *e),
      (p, text, size, len, e),
      enum rp_status status = real(p, text, size, len, e);
      if (status == RP_OK) { *text = 'R'; }
      return status;)
