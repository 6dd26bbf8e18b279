/* ringproof for C11 and C++17: a single-producer single-consumer ring, a seqlock and a latch in
 * memory shared between processes. Header-only; the wire layout is version 1, the same as that
 * of the Rust library, and so are the algorithms, their orderings and what they do in a crash.
 *
 * Every access to a shared word names its site and the site that it pairs with: the table is
 * impl/src/site.rs, which says why each ordering is what it is.
 *
 * Linux only. Needs _GNU_SOURCE: define it on the command line, or include this header first.
 *
 * Functions return RINGPROOF_OK or say why not; those of a whole segment take a
 * `struct ringproof_error` besides, which may be NULL, for the details. Nothing here prints,
 * exits or installs a signal handler; what it keeps outside the structs given to it is a list of
 * what is attached, for the handlers of forks. Only a notifier starts a thread. A segment and its
 * endpoints belong to one thread at a time.
 *
 * Forks: neither a segment nor its endpoints go over a fork(), nor over daemon(), which is one.
 * For the child what can fail is RINGPROOF_FORKED, and an operation of an endpoint (push, pop,
 * write, read ...) dies of SIGSEGV. To drop endpoints and detach is fine: attach anew in the child.
 * vfork(), posix_spawn() and system() change nothing. A bare clone() or _Fork() goes unnoticed: its
 * child must not touch an endpoint. A handler of your own for pthread_atfork() that attaches, detaches,
 * opens, drops or uses anything here must be registered after the same source file has attached its
 * first segment: run between those of this header it would wait for itself for ever, or an endpoint
 * would still work in the child.
 *
 * A segment or an end whose bytes are all zero (`= {0}`) is one that is not open, and so is what was
 * detached or dropped: it can be detached or dropped again, which does nothing, and everything else
 * says RINGPROOF_NOT_OPEN, without a look at anything. One that was never given a value cannot be
 * distinguished from one that is open; nor is a copy, which must not be made.
 *
 * What it does not do: a process that may write a segment's file can also truncate it, and a
 * later access then raises SIGBUS. Give write permission only to processes trusted that far.
 *
 * With a C library that has its threads apart (glibc before 2.34) compile and link with -pthread.
 */
#ifndef RINGPROOF_H
#define RINGPROOF_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#ifndef __linux__
#error "ringproof needs Linux: open-file-description locks, O_TMPFILE and /proc"
#endif

#ifdef __cplusplus
/* Of C++ also where this is included inside `extern "C"`, in which <atomic> could not be. */
extern "C++" {
/* The casts and the null pointers below are C's. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wzero-as-null-pointer-constant"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wuseless-cast"
#endif
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if !defined F_OFD_SETLK || !defined O_TMPFILE
#error "ringproof needs _GNU_SOURCE: compile with -D_GNU_SOURCE, or include ringproof.h first"
#endif

#ifdef __cplusplus
#include <atomic>
#define RINGPROOF_ASSERT(condition, text) static_assert(condition, text)
#define RINGPROOF_ALIGNAS(bytes) alignas(bytes)
#else
#if __STDC_VERSION__ < 201112L || defined __STDC_NO_ATOMICS__
#error "ringproof needs C11 with <stdatomic.h>"
#endif
#include <stdatomic.h>
#include <stdbool.h>
#define RINGPROOF_ASSERT(condition, text) _Static_assert(condition, text)
#define RINGPROOF_ALIGNAS(bytes) _Alignas(bytes)
#endif

/* A lock inside an atomic would be private to a process, and no protection between two. */
#if ATOMIC_LLONG_LOCK_FREE != 2
#error "ringproof needs 64-bit atomics that are always lock-free"
#endif
RINGPROOF_ASSERT(sizeof(off_t) == 8,
                 "ringproof needs a 64-bit off_t: compile with -D_FILE_OFFSET_BITS=64");
RINGPROOF_ASSERT(sizeof(long long) == 8 && CHAR_BIT == 8, "an unusual machine");

/* ---- Status and errors ------------------------------------------------------------------- */

enum ringproof_status {
  RINGPROOF_OK = 0,
  /* What a ring or a reader says in the ordinary course of things. */
  RINGPROOF_FULL,        /* `capacity` items are live: the consumer has to release some first */
  RINGPROOF_EMPTY,       /* every committed item was released; more may come */
  RINGPROOF_CLOSED,      /* this side closed the ring, now or in an earlier life */
  /* The other side closed the ring: the consumer takes no more items, or the producer sends no
   * more and every item was released. */
  RINGPROOF_PEER_CLOSED,
  RINGPROOF_BUSY,           /* one attempt to read met a write */
  RINGPROOF_WRITER_STALLED, /* every attempt met a write; the writer lives, or that is not known */
  RINGPROOF_WRITER_DEAD,    /* every attempt met a write, and a seqlock's writer died inside one */
  /* Why a wait ended without what was waited for. */
  RINGPROOF_TIMED_OUT,
  /* Nobody holds the role of the other side, which somebody held before, and nothing is left to go on
   * with. A successor may come: wait again to wait for it. */
  RINGPROOF_PEER_GONE,
  RINGPROOF_INTERRUPTED, /* a signal was handled while it slept: wait again to go on */
  /* What the other side or the caller did wrong. */
  RINGPROOF_CORRUPT,      /* a word of the peer's breaks the ring's invariant */
  RINGPROOF_OUT_OF_CHUNK, /* more items than the chunk holds, or a chunk that is used up, taken back
                             or another end's */
  /* What a segment or a role refuses. */
  RINGPROOF_NAME,      /* this cannot be the name of a segment */
  RINGPROOF_SIZE,      /* the sizes asked for cannot be had, or an item has another one */
  RINGPROOF_SHAPE_BAD, /* the shape describes no payload without padding */
  RINGPROOF_NOT_FOUND, /* there is no segment of this name */
  RINGPROOF_EXISTS,    /* there is one already */
  RINGPROOF_NO_SPACE,  /* the file system has no room for it, or the machine no memory */
  RINGPROOF_MISMATCH,  /* the file is not what is needed: field, found and expected say how */
  RINGPROOF_HELD,      /* somebody has the role */
  RINGPROOF_GONE,      /* unlinked or retired since it was opened: open it anew */
  RINGPROOF_SYSTEM,    /* the system refused: os_error says why */
  RINGPROOF_NOT_OPEN,  /* the segment or the end is not open: given back, moved from, never opened */
  RINGPROOF_FORKED,    /* attached by the process that this one was forked from: attach it anew */
  RINGPROOF_MODE       /* these cannot be the permissions of a segment */
};

/* What the status means, in a few words. */
static inline const char *ringproof_strerror(enum ringproof_status status) {
  switch (status) {
  case RINGPROOF_OK: return "done";
  case RINGPROOF_FULL: return "the ring is full";
  case RINGPROOF_EMPTY: return "the ring is empty";
  case RINGPROOF_CLOSED: return "the ring was closed from this side";
  case RINGPROOF_PEER_CLOSED:
    return "the ring was closed from the other side: no more items come, or no more are taken";
  case RINGPROOF_BUSY: return "a write was in progress";
  case RINGPROOF_WRITER_STALLED: return "the writer is inside a write, or too fast";
  case RINGPROOF_WRITER_DEAD: return "the writer died inside a write";
  case RINGPROOF_TIMED_OUT: return "timed out";
  case RINGPROOF_PEER_GONE: return "the process at the other end is gone, and left nothing to go on with";
  case RINGPROOF_INTERRUPTED: return "interrupted by a signal";
  case RINGPROOF_CORRUPT: return "corrupt ring: a word holds what no correct peer can have stored";
  case RINGPROOF_OUT_OF_CHUNK:
    return "more items than the chunk holds, or a chunk that is used up, taken back or another end's";
  case RINGPROOF_NAME: return "this cannot be the name of a segment";
  case RINGPROOF_SIZE: return "the sizes asked for cannot be had, or an item has another one";
  case RINGPROOF_SHAPE_BAD: return "the shape describes no payload without padding";
  case RINGPROOF_NOT_FOUND: return "there is no segment of this name";
  case RINGPROOF_EXISTS: return "there is a segment of this name already";
  case RINGPROOF_NO_SPACE: return "there is no room or memory for the segment";
  case RINGPROOF_MISMATCH: return "the segment is not what is needed here";
  case RINGPROOF_HELD: return "another process or endpoint holds the role";
  case RINGPROOF_GONE: return "the segment was unlinked since it was opened; open it anew";
  case RINGPROOF_SYSTEM: return "the system refused";
  case RINGPROOF_NOT_OPEN: return "it is not open: given back, moved from, or never opened";
  case RINGPROOF_FORKED:
    return "the segment is the parent's of this process; attach to it anew";
  case RINGPROOF_MODE: return "these cannot be the permissions of a segment";
  }
  return "no status of ringproof";
}

/* The details of a failure. Only after one that is returned do the fields mean anything. */
struct ringproof_error {
  enum ringproof_status status;
  int os_error;        /* for RINGPROOF_SYSTEM: an errno */
  char field[32];      /* for RINGPROOF_MISMATCH: the header's field, or property of the file */
  char found[128];     /* what it holds */
  char expected[128];  /* what would do */
  char message[2048];  /* all of it in words */
};

__attribute__((format(printf, 3, 0))) static inline void
ringproof_format(char *text, size_t room, const char *format, va_list arguments) {
  if (vsnprintf(text, room, format, arguments) < 0) {
    text[0] = '\0';
  }
}

__attribute__((format(printf, 3, 4))) static inline enum ringproof_status
ringproof_fail(struct ringproof_error *error, enum ringproof_status status, const char *format,
               ...) {
  if (error != NULL) {
    va_list arguments;
    error->status = status;
    error->os_error = 0;
    error->field[0] = error->found[0] = error->expected[0] = '\0';
    va_start(arguments, format);
    ringproof_format(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
  }
  return status;
}

static inline enum ringproof_status
ringproof_fail_system(struct ringproof_error *error, const char *segment, const char *action) {
  int os_error = errno;
  ringproof_fail(error, RINGPROOF_SYSTEM, "segment `%s`: cannot %s: %s (os error %d)", segment,
                 action, strerror(os_error), os_error);
  if (error != NULL) {
    error->os_error = os_error;
  }
  return RINGPROOF_SYSTEM;
}

/* `expected` is said as `format` says. */
__attribute__((format(printf, 5, 6))) static inline enum ringproof_status
ringproof_mismatch(struct ringproof_error *error, const char *segment, const char *field,
                   const char *found, const char *format, ...) {
  char expected[128];
  va_list arguments;
  va_start(arguments, format);
  ringproof_format(expected, sizeof expected, format, arguments);
  va_end(arguments);
  ringproof_fail(error, RINGPROOF_MISMATCH, "segment `%s`: %s is %s, expected %s", segment, field,
                 found, expected);
  if (error != NULL) {
    snprintf(error->field, sizeof error->field, "%s", field);
    snprintf(error->found, sizeof error->found, "%s", found);
    snprintf(error->expected, sizeof error->expected, "%s", expected);
  }
  return RINGPROOF_MISMATCH;
}

static inline enum ringproof_status
ringproof_mismatch_number(struct ringproof_error *error, const char *segment, const char *field,
                          uint64_t found, uint64_t expected) {
  char text[24];
  snprintf(text, sizeof text, "%llu", (unsigned long long)found);
  return ringproof_mismatch(error, segment, field, text, "%llu", (unsigned long long)expected);
}

/* ---- Shared words ------------------------------------------------------------------------ */

/* A 64-bit word in shared memory, on an 8-byte boundary also where a 64-bit integer is not: it
 * never straddles a cache line, and a store never tears. */
typedef struct ringproof_word {
#ifdef __cplusplus
  RINGPROOF_ALIGNAS(8) std::atomic<uint64_t> value;
#else
  RINGPROOF_ALIGNAS(8) _Atomic uint64_t value;
#endif
} ringproof_word;

RINGPROOF_ASSERT(sizeof(ringproof_word) == 8, "a word in shared memory has 8 bytes");

/* One function for each ordering in use: a release load cannot be written. */
#ifdef __cplusplus
static inline uint64_t ringproof_load_relaxed(ringproof_word *word) {
  return word->value.load(std::memory_order_relaxed);
}
static inline uint64_t ringproof_load_acquire(ringproof_word *word) {
  return word->value.load(std::memory_order_acquire);
}
static inline void ringproof_store_relaxed(ringproof_word *word, uint64_t value) {
  word->value.store(value, std::memory_order_relaxed);
}
static inline void ringproof_store_release(ringproof_word *word, uint64_t value) {
  word->value.store(value, std::memory_order_release);
}
/* Unless it holds more, in one step. */
static inline void ringproof_raise_relaxed(ringproof_word *word, uint64_t value) {
  uint64_t found = word->value.load(std::memory_order_relaxed);
  while (found < value &&
         !word->value.compare_exchange_weak(found, value, std::memory_order_relaxed)) {
  }
}
static inline void ringproof_fence_acquire(void) {
  std::atomic_thread_fence(std::memory_order_acquire);
}
static inline void ringproof_fence_release(void) {
  std::atomic_thread_fence(std::memory_order_release);
}
static inline void ringproof_fence_seq_cst(void) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
}
static inline void ringproof_fence_light(void) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
}
static inline void ringproof_compiler_fence(void) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
}
#else
static inline uint64_t ringproof_load_relaxed(ringproof_word *word) {
  return atomic_load_explicit(&word->value, memory_order_relaxed);
}
static inline uint64_t ringproof_load_acquire(ringproof_word *word) {
  return atomic_load_explicit(&word->value, memory_order_acquire);
}
static inline void ringproof_store_relaxed(ringproof_word *word, uint64_t value) {
  atomic_store_explicit(&word->value, value, memory_order_relaxed);
}
static inline void ringproof_store_release(ringproof_word *word, uint64_t value) {
  atomic_store_explicit(&word->value, value, memory_order_release);
}
/* Unless it holds more, in one step. */
static inline void ringproof_raise_relaxed(ringproof_word *word, uint64_t value) {
  uint64_t found = atomic_load_explicit(&word->value, memory_order_relaxed);
  while (found < value &&
         !atomic_compare_exchange_weak_explicit(&word->value, &found, value, memory_order_relaxed,
                                                memory_order_relaxed)) {
  }
}
static inline void ringproof_fence_acquire(void) { atomic_thread_fence(memory_order_acquire); }
static inline void ringproof_fence_release(void) { atomic_thread_fence(memory_order_release); }
static inline void ringproof_fence_seq_cst(void) { atomic_thread_fence(memory_order_seq_cst); }
static inline void ringproof_fence_light(void) { atomic_signal_fence(memory_order_seq_cst); }
static inline void ringproof_compiler_fence(void) { atomic_signal_fence(memory_order_seq_cst); }
#endif

/* What the kernel does for who sleeps. The numbers are those of linux/membarrier.h and linux/futex.h,
 * which not every C library has beside it. */
#define RINGPROOF_GLOBAL_EXPEDITED (1 << 1)
#define RINGPROOF_REGISTER_GLOBAL_EXPEDITED (1 << 2)
#define RINGPROOF_FUTEX_WAIT 0
#define RINGPROOF_FUTEX_WAKE 1

/* How the call takes a time, whatever time_t is by now. */
#ifdef SYS_futex
#define RINGPROOF_SYS_FUTEX SYS_futex
typedef long ringproof_futex_time;
#else
#define RINGPROOF_SYS_FUTEX SYS_futex_time64
typedef int64_t ringproof_futex_time;
#endif

static inline bool ringproof_membarrier(int command) {
#ifdef SYS_membarrier
  return syscall(SYS_membarrier, command, 0, 0) == 0;
#else
  (void)command;
  return false;
#endif
}

/* Whether the barriers of other processes reach this one, which it registers for. */
static inline bool ringproof_is_reached(void) {
  return ringproof_membarrier(RINGPROOF_REGISTER_GLOBAL_EXPEDITED);
}

/* Makes all threads of all processes that are registered go through a fence, this thread included;
 * false where the kernel is too old, or something forbids it. */
static inline bool ringproof_barrier(void) {
  return ringproof_membarrier(RINGPROOF_GLOBAL_EXPEDITED);
}

/* The low 32 bits of a word: the kernel compares no more. */
static inline uint32_t *ringproof_low_half(ringproof_word *word) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  return (uint32_t *)(void *)word;
#else
  return (uint32_t *)(void *)word + 1;
#endif
}

/* Sleeps while these are those of `mark`, for at most `nanos`: 0 if it was woken, else an errno. Not a
 * private futex: processes meet by it. */
static inline int ringproof_futex_wait(ringproof_word *word, uint64_t mark, uint64_t nanos) {
  const ringproof_futex_time limit[2] = {(ringproof_futex_time)(nanos / 1000000000),
                                         (ringproof_futex_time)(nanos % 1000000000)};
  const long result = syscall(RINGPROOF_SYS_FUTEX, ringproof_low_half(word), RINGPROOF_FUTEX_WAIT,
                              (uint32_t)mark, limit, NULL, 0);
  return result == 0 ? 0 : errno;
}

/* Wakes all threads that sleep so. Who is not woken, for whatever reason, wakes up after an interval. */
static inline void ringproof_futex_wake(ringproof_word *word) {
  (void)syscall(RINGPROOF_SYS_FUTEX, ringproof_low_half(word), RINGPROOF_FUTEX_WAKE, INT_MAX, NULL,
                NULL, 0);
}

/* Off the hot path: kept out of it. What is cold moreover is not what a branch is laid out for. */
#define RINGPROOF_APART __attribute__((noinline, unused))
#define RINGPROOF_COLD __attribute__((cold, noinline, unused))

/* Tells the processor that this thread waits for another one. */
static inline void ringproof_spin(void) {
#if defined __x86_64__ || defined __i386__
  __builtin_ia32_pause();
#elif defined __aarch64__
  __asm__ volatile("isb");
#endif
}

/* ---- The wire layout, version 1: impl/src/layout.rs --------------------------------------- */

#define RINGPROOF_MAGIC UINT64_C(0x52494e4750524631) /* RINGPRF1 */
#define RINGPROOF_VERSION UINT32_C(1)
#define RINGPROOF_HEADER_LEN UINT32_C(4096)
#define RINGPROOF_NOTES 16u
#define RINGPROOF_CLOSED_BIT (UINT64_C(1) << 63) /* in an index word of a ring: its side closed it */
#define RINGPROOF_LAST_INDEX (RINGPROOF_CLOSED_BIT - 1) /* a ring closes itself there */
#define RINGPROOF_NO_VERSION (UINT64_C(1) << 63) /* a latch's version that names no value */
#define RINGPROOF_DESCRIPTION_MAX UINT32_C(65536)
#define RINGPROOF_FIELDS_MAX 1024u
#define RINGPROOF_FIELD_NAME_MAX 255u

enum ringproof_kind { RINGPROOF_RING = 1, RINGPROOF_SEQLOCK = 2, RINGPROOF_LATCH = 3 };

/* What the creator says of a segment; it never changes. */
struct ringproof_fixed {
  uint64_t magic;
  uint32_t version;
  uint32_t header_len;
  uint32_t kind;
  uint32_t flags;
  uint64_t payload_size;
  uint64_t payload_align;
  uint64_t slots;
  uint64_t capacity;
  uint64_t data_offset;
  uint64_t segment_len;
  uint64_t description_offset;
  uint64_t description_len;
  uint64_t fingerprint;
  uint64_t reserved[4];
};

struct ringproof_role_words {
  RINGPROOF_ALIGNAS(128) ringproof_word index; /* write_index, read_index, seq or version */
  ringproof_word answers;                      /* how often this role woke the other one */
  ringproof_word hot[14];
  ringproof_word epoch;
  /* Which answer of the other role this one asked for last. Readers of a value ask as the consumer. */
  ringproof_word asks;
  ringproof_word cold[14];
  ringproof_word notes[RINGPROOF_NOTES];
};

struct ringproof_header {
  ringproof_word fixed[16]; /* read through the file, never here: a peer may write it any time */
  ringproof_word retired;
  ringproof_word control[15];
  struct ringproof_role_words producer;
  struct ringproof_role_words consumer;
  ringproof_word reserved[384];
};

RINGPROOF_ASSERT(sizeof(struct ringproof_fixed) == 128, "the wire layout");
RINGPROOF_ASSERT(offsetof(struct ringproof_fixed, payload_size) == 24, "the wire layout");
RINGPROOF_ASSERT(offsetof(struct ringproof_fixed, segment_len) == 64, "the wire layout");
RINGPROOF_ASSERT(offsetof(struct ringproof_fixed, fingerprint) == 88, "the wire layout");
RINGPROOF_ASSERT(sizeof(struct ringproof_header) == RINGPROOF_HEADER_LEN, "the wire layout");
RINGPROOF_ASSERT(offsetof(struct ringproof_header, retired) == 128, "the wire layout");
RINGPROOF_ASSERT(offsetof(struct ringproof_header, producer.index) == 256, "the wire layout");
RINGPROOF_ASSERT(offsetof(struct ringproof_header, producer.answers) == 264, "the wire layout");
RINGPROOF_ASSERT(offsetof(struct ringproof_header, producer.epoch) == 384, "the wire layout");
RINGPROOF_ASSERT(offsetof(struct ringproof_header, producer.asks) == 392, "the wire layout");
RINGPROOF_ASSERT(offsetof(struct ringproof_header, producer.notes) == 512, "the wire layout");
RINGPROOF_ASSERT(offsetof(struct ringproof_header, consumer.index) == 640, "the wire layout");
RINGPROOF_ASSERT(offsetof(struct ringproof_header, consumer.answers) == 648, "the wire layout");
RINGPROOF_ASSERT(offsetof(struct ringproof_header, consumer.epoch) == 768, "the wire layout");
RINGPROOF_ASSERT(offsetof(struct ringproof_header, consumer.asks) == 776, "the wire layout");
RINGPROOF_ASSERT(offsetof(struct ringproof_header, consumer.notes) == 896, "the wire layout");

/* ---- The payload's description ----------------------------------------------------------- */

/* One leaf of a payload: a primitive, or an array of primitives. */
struct ringproof_field {
  const char *name;
  size_t offset;
  size_t element_size;
  size_t count; /* of its elements if it is an array; 0: it is none */
  char letter;  /* u, i or f: with the element's bits, its kind */
};

struct ringproof_shape {
  size_t size;
  size_t align;
  const struct ringproof_field *fields; /* in order of offset, without gaps */
  size_t count;
};

#ifndef __cplusplus
/* Bytes of a payload are described field by field:
 *
 *   struct quote { uint64_t seq; double price; uint8_t tag[8]; struct { int32_t qty; } legs[2]; };
 *   RINGPROOF_SHAPE(quote_shape, struct quote,
 *                   RINGPROOF_FIELD(struct quote, seq),
 *                   RINGPROOF_FIELD(struct quote, price),
 *                   RINGPROOF_ARRAY(struct quote, tag),
 *                   RINGPROOF_FIELD(struct quote, legs[0].qty),
 *                   RINGPROOF_FIELD(struct quote, legs[1].qty));
 *
 * Pointers, enumerations of unusual size, long double and structs do not compile as a field. A
 * field left out, and padding, are refused when the shape is used.
 */
#define RINGPROOF_SHAPE(shape, type, ...)                                                          \
  static const struct ringproof_field shape##_fields[] = {__VA_ARGS__};                            \
  static const struct ringproof_shape shape = {sizeof(type), _Alignof(type), shape##_fields,       \
                                               sizeof shape##_fields / sizeof shape##_fields[0]}

#define RINGPROOF_FIELD(type, field)                                                               \
  {#field, offsetof(type, field), sizeof(((type *)0)->field), 0,                                   \
   RINGPROOF_LETTER(((type *)0)->field)}

/* An array of primitives of one dimension. */
#define RINGPROOF_ARRAY(type, field)                                                               \
  {#field, offsetof(type, field),                                                                  \
   sizeof(((type *)0)->field[0]) + RINGPROOF_REFUSE_POINTER(((type *)0)->field),                   \
   sizeof(((type *)0)->field) / sizeof(((type *)0)->field[0]),                                     \
   RINGPROOF_LETTER(((type *)0)->field[0])}

/* The one field of a payload that is itself a primitive. */
#define RINGPROOF_VALUE(type) {"value", 0, sizeof(type), 0, RINGPROOF_LETTER((type)0)}

/* The one field of a payload that is an array of `number` primitives. */
#define RINGPROOF_VALUES(type, number)                                                             \
  {"value", 0, sizeof(type), number, RINGPROOF_LETTER((type)0)}

#ifdef __SIZEOF_INT128__
__extension__ typedef __int128 ringproof_i128;
__extension__ typedef unsigned __int128 ringproof_u128;
#define RINGPROOF_LETTER_128 , ringproof_i128 : 'i', ringproof_u128 : 'u'
#else
#define RINGPROOF_LETTER_128
#endif

#define RINGPROOF_LETTER(value)                                                                    \
  _Generic((value), char: (char)-1 < 0 ? 'i' : 'u',                                                \
      signed char: 'i', short: 'i', int: 'i', long: 'i', long long: 'i', unsigned char: 'u',       \
      unsigned short: 'u', unsigned int: 'u', unsigned long: 'u', unsigned long long: 'u',         \
      float: 'f', double: 'f' RINGPROOF_LETTER_128)

/* Zero for an array; for a pointer, which could be indexed as well, an array of -1 elements. */
#define RINGPROOF_REFUSE_POINTER(value)                                                            \
  (0 * sizeof(char[_Generic(&(value), __typeof__((value)[0]) **: -1, default: 1)]))
#endif /* C; the macros of the same names for C++ are in ringproof.hpp */

/* FNV-1a, 64 bits. Zero is the header's "none", and becomes 1. */
static inline uint64_t ringproof_fingerprint(const char *text, size_t len) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < len; i++) {
    hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
  }
  return hash == 0 ? 1 : hash;
}

static inline bool ringproof_is_letter(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static inline bool ringproof_is_digit(char c) { return c >= '0' && c <= '9'; }

/* Identifiers joined by dots, with [number] after those of arrays. */
static inline bool ringproof_is_field_name(const char *name) {
  if (strlen(name) > RINGPROOF_FIELD_NAME_MAX) {
    return false;
  }
  for (;;) {
    if (!ringproof_is_letter(*name)) {
      return false;
    }
    while (ringproof_is_letter(*name) || ringproof_is_digit(*name)) {
      name++;
    }
    while (*name == '[') {
      name++;
      if (!ringproof_is_digit(*name)) {
        return false;
      }
      while (ringproof_is_digit(*name)) {
        name++;
      }
      if (*name++ != ']') {
        return false;
      }
    }
    if (*name != '.') {
      return *name == '\0';
    }
    name++;
  }
}

static inline bool ringproof_is_primitive(char letter, size_t size) {
  const bool number = size == 4 || size == 8;
  return letter == 'f' ? number
                       : (letter == 'u' || letter == 'i') &&
                             (number || size == 1 || size == 2 || size == 16);
}

/* The field of this name; NULL if there is none. */
static inline const struct ringproof_field *
ringproof_field_named(const struct ringproof_field *fields, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++) {
    if (strcmp(fields[i].name, name) == 0) {
      return &fields[i];
    }
  }
  return NULL;
}

/* Appends to the text, which is cut to `room` bytes. */
__attribute__((format(printf, 3, 4))) static inline void
ringproof_add(char *text, size_t room, const char *format, ...) {
  const size_t len = strlen(text);
  va_list arguments;
  va_start(arguments, format);
  ringproof_format(text + len, room - len, format, arguments);
  va_end(arguments);
}

static inline size_t ringproof_times(const struct ringproof_field *field) {
  return field->count == 0 ? 1 : field->count;
}

/* What a field is, as a description says it: u64, or u8x4. An array of one is written as what it is
 * an array of: the bytes are the same. */
struct ringproof_kind_text {
  char text[48];
};

static inline struct ringproof_kind_text ringproof_kind_of(const struct ringproof_field *field) {
  struct ringproof_kind_text kind;
  snprintf(kind.text, sizeof kind.text, "%c%zu", field->letter, field->element_size * 8);
  if (ringproof_times(field) != 1) {
    ringproof_add(kind.text, sizeof kind.text, "x%zu", field->count);
  }
  return kind;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define RINGPROOF_BYTE_ORDER "little"
#define RINGPROOF_OTHER_BYTE_ORDER "big"
#else
#define RINGPROOF_BYTE_ORDER "big"
#define RINGPROOF_OTHER_BYTE_ORDER "little"
#endif

/* Writes the description of `shape` to `text`, which has room for RINGPROOF_DESCRIPTION_MAX bytes
 * and one, and its length to `len`. Fails with RINGPROOF_SHAPE_BAD. */
static inline enum ringproof_status ringproof_describe(const struct ringproof_shape *shape,
                                                       char *text, size_t *len,
                                                       struct ringproof_error *error) {
  const size_t room = (size_t)RINGPROOF_DESCRIPTION_MAX + 1;
  size_t end = 0;
  if (shape->count == 0 || shape->count > RINGPROOF_FIELDS_MAX) {
    return ringproof_fail(error, RINGPROOF_SHAPE_BAD, "the shape has %zu fields, not 1 to %u",
                          shape->count, RINGPROOF_FIELDS_MAX);
  }
  *len = (size_t)snprintf(text, room, "ringproof-shape 1 " RINGPROOF_BYTE_ORDER " %zu\n",
                          shape->size);
  for (size_t i = 0; i < shape->count; i++) {
    const struct ringproof_field *field = &shape->fields[i];
    int more;
    if (!ringproof_is_field_name(field->name)) {
      return ringproof_fail(error, RINGPROOF_SHAPE_BAD,
                            "field `%.300s`: a name is made of identifiers, dots and [numbers], of "
                            "at most %u bytes", field->name, RINGPROOF_FIELD_NAME_MAX);
    }
    if (ringproof_field_named(shape->fields, i, field->name) != NULL) {
      return ringproof_fail(error, RINGPROOF_SHAPE_BAD, "there are two fields `%s`", field->name);
    }
    if (!ringproof_is_primitive(field->letter, field->element_size)) {
      return ringproof_fail(error, RINGPROOF_SHAPE_BAD, "field `%s` is no primitive: `%c` of %zu "
                            "bytes", field->name, field->letter, field->element_size);
    }
    /* Padding would carry bytes of this process, never written, to another one. */
    if (field->offset != end) {
      return ringproof_fail(error, RINGPROOF_SHAPE_BAD,
                            "field `%s` is at offset %zu, but the fields before it end at %zu: "
                            "fields left out or out of order, or padding", field->name,
                            field->offset, end);
    }
    end += field->element_size * ringproof_times(field);
    more = snprintf(text + *len, room - *len, "%s %zu %s\n", field->name, field->offset,
                    ringproof_kind_of(field).text);
    if (more < 0 || (size_t)more >= room - *len) {
      return ringproof_fail(error, RINGPROOF_SHAPE_BAD, "the description is longer than %u bytes",
                            (unsigned)RINGPROOF_DESCRIPTION_MAX);
    }
    *len += (size_t)more;
  }
  if (end != shape->size) {
    return ringproof_fail(error, RINGPROOF_SHAPE_BAD,
                          "the fields end at %zu, the payload at %zu: fields left out, or padding",
                          end, shape->size);
  }
  return RINGPROOF_OK;
}

/* The rest of a text after `start`; NULL if it does not begin so. */
static inline char *ringproof_after(char *text, const char *start) {
  const size_t len = strlen(start);
  return strncmp(text, start, len) == 0 ? text + len : NULL;
}

/* The rest of a text after a decimal number, without a sign or zeros before it; NULL if it begins
 * with none, or with one that no size here can have. */
static inline char *ringproof_after_number(char *text, size_t *number) {
  char *at = text;
  size_t value = 0;
  for (; ringproof_is_digit(*at); at++) {
    const size_t digit = (size_t)(*at - '0');
    if (value > (SIZE_MAX - digit) / 10) {
      return NULL;
    }
    value = value * 10 + digit;
  }
  *number = value;
  return at == text || (text[0] == '0' && at > text + 1) ? NULL : at;
}

/* A line that describes a field; a zero is put after its name. */
static inline bool ringproof_parse_field(char *line, struct ringproof_field *field) {
  char *at = strchr(line, ' ');
  size_t bits = 0;
  if (at == NULL) {
    return false;
  }
  *at = '\0';
  field->name = line;
  at = ringproof_after_number(at + 1, &field->offset);
  if (at == NULL || at[0] != ' ' || at[1] == '\0') {
    return false;
  }
  field->letter = at[1];
  at = ringproof_after_number(at + 2, &bits);
  field->element_size = bits / 8;
  field->count = 0;
  if (at == NULL || bits % 8 != 0 || !ringproof_is_primitive(field->letter, bits / 8)) {
    return false;
  }
  if (*at == 'x') {
    at = ringproof_after_number(at + 1, &field->count);
    /* One is not written, and none is no field. */
    if (at == NULL || field->count < 2) {
      return false;
    }
  }
  return *at == '\0';
}

/* Whether the field can stand after others that end at `end`, in a payload of this size. */
static inline bool ringproof_fits(const struct ringproof_field *field, size_t end, size_t size) {
  return field->offset >= end && field->offset <= size &&
         ringproof_times(field) <= (size - field->offset) / field->element_size;
}

/* What a segment says that its payload is. */
struct ringproof_description {
  bool swapped; /* its numbers are in the other byte order */
  size_t size;
  size_t count;
  struct ringproof_field fields[RINGPROOF_FIELDS_MAX]; /* in order, none over another */
};

/* Reads a description, whoever wrote it: only what ringproof_describe could have written, but that
 * there may be gaps. `text` has room for `len` bytes and one; its lines are cut into pieces, to which
 * `description` points. Unless true, `problem` says why not. */
static inline bool ringproof_parse(char *text, size_t len,
                                   struct ringproof_description *description, char *problem,
                                   size_t room) {
  char *line, *stop;
  size_t end = 0;
  problem[0] = '\0';
  for (size_t i = 0; i < len; i++) {
    if ((text[i] < ' ' || text[i] > '~') && text[i] != '\n') {
      ringproof_add(problem, room, "it is not ASCII that can be printed");
      return false;
    }
  }
  if (len == 0 || text[len - 1] != '\n') {
    ringproof_add(problem, room, "its last line is not ended");
    return false;
  }
  text[len] = '\0';
  stop = strchr(text, '\n');
  *stop = '\0';
  line = ringproof_after(text, "ringproof-shape 1 ");
  if (line == NULL) {
    ringproof_add(problem, room, "it does not begin with `ringproof-shape 1`");
    return false;
  }
  description->swapped = ringproof_after(line, RINGPROOF_BYTE_ORDER " ") == NULL;
  line = ringproof_after(line, description->swapped ? RINGPROOF_OTHER_BYTE_ORDER " "
                                                    : RINGPROOF_BYTE_ORDER " ");
  if (line == NULL) {
    ringproof_add(problem, room, "line 1: the byte order is neither `little` nor `big`");
    return false;
  }
  line = ringproof_after_number(line, &description->size);
  if (line == NULL || *line != '\0') {
    ringproof_add(problem, room, "line 1: the size is no number");
    return false;
  }
  for (description->count = 0; stop + 1 < text + len; description->count++) {
    struct ringproof_field *field = &description->fields[description->count];
    const unsigned number = (unsigned)description->count + 2;
    line = stop + 1;
    stop = strchr(line, '\n');
    *stop = '\0';
    if (description->count == RINGPROOF_FIELDS_MAX) {
      ringproof_add(problem, room, "it has more than %u fields", RINGPROOF_FIELDS_MAX);
      return false;
    }
    if (!ringproof_parse_field(line, field) || !ringproof_is_field_name(field->name)) {
      ringproof_add(problem, room, "line %u describes no field", number);
      return false;
    }
    if (ringproof_field_named(description->fields, description->count, field->name) != NULL) {
      ringproof_add(problem, room, "there are two fields \"%s\"", field->name);
      return false;
    }
    if (!ringproof_fits(field, end, description->size)) {
      ringproof_add(problem, room, "field \"%s\" begins within the one before it, or does not end "
                    "within %zu bytes", field->name, description->size);
      return false;
    }
    end = field->offset + field->element_size * ringproof_times(field);
  }
  if (description->count == 0) {
    ringproof_add(problem, room, "it has no fields");
    return false;
  }
  return true;
}

static inline bool ringproof_same_kind(const struct ringproof_field *one,
                                       const struct ringproof_field *other) {
  return one->letter == other->letter && one->element_size == other->element_size &&
         ringproof_times(one) == ringproof_times(other);
}

/* Where a field of that alignment lies after what ends at `end`. */
static inline size_t ringproof_aligned(size_t end, size_t align) {
  return (end + align - 1) / align * align;
}

/* Whether the fields that both have lie as 64-bit compilers put them on one side, and on the other
 * as 32-bit x86 ones do, where 8 bytes need a multiple of 4. */
static inline bool ringproof_explains_i386(const struct ringproof_shape *here,
                                           const struct ringproof_description *there) {
  bool as_64[2] = {true, true}, as_32[2] = {true, true};
  size_t end[2] = {0, 0};
  for (size_t i = 0; i < here->count; i++) {
    const struct ringproof_field *sides[2] = {&here->fields[i], NULL};
    sides[1] = ringproof_field_named(there->fields, there->count, here->fields[i].name);
    if (sides[1] == NULL) {
      continue;
    }
    if (!ringproof_same_kind(sides[0], sides[1])) {
      return false;
    }
    for (size_t side = 0; side < 2; side++) {
      const size_t offset = sides[side]->offset, size = sides[side]->element_size;
      as_64[side] = as_64[side] && offset == ringproof_aligned(end[side], size);
      as_32[side] = as_32[side] && offset == ringproof_aligned(end[side], size == 8 ? 4 : size);
      end[side] = offset + size * ringproof_times(sides[side]);
    }
  }
  return (as_64[0] && as_32[1]) || (as_32[0] && as_64[1]);
}

/* Appends what differs between the shape here and the one in the segment, field by field in order
 * of offset, in the words of the Rust library. */
static inline void ringproof_add_differences(char *text, size_t room,
                                             const struct ringproof_shape *here,
                                             const struct ringproof_description *there) {
  const char *hint = ringproof_explains_i386(here, there)
                         ? " (a 32-bit x86 layout puts 8-byte fields on 4-byte boundaries)"
                         : "";
  const char *separator = "";
  size_t i = 0, j = 0;
  if (there->swapped) {
    ringproof_add(text, room, "byte order: " RINGPROOF_BYTE_ORDER
                  " here; " RINGPROOF_OTHER_BYTE_ORDER " in the segment");
    separator = "; ";
  }
  while (i < here->count || j < there->count) {
    const struct ringproof_field *ours = i < here->count ? &here->fields[i] : NULL;
    const struct ringproof_field *theirs = j < there->count ? &there->fields[j] : NULL;
    if (ours == NULL || (theirs != NULL && theirs->offset < ours->offset)) {
      j++;
      if (ringproof_field_named(here->fields, here->count, theirs->name) == NULL) {
        ringproof_add(text, room, "%sfield \"%s\": not here; offset %zu, %s in the segment",
                      separator, theirs->name, theirs->offset, ringproof_kind_of(theirs).text);
        separator = "; ";
      }
      continue;
    }
    i++;
    theirs = ringproof_field_named(there->fields, there->count, ours->name);
    if (theirs != NULL && theirs->offset == ours->offset && ringproof_same_kind(ours, theirs)) {
      continue;
    }
    ringproof_add(text, room, "%sfield \"%s\": offset %zu, %s here; ", separator, ours->name,
                  ours->offset, ringproof_kind_of(ours).text);
    separator = "; ";
    if (theirs == NULL) {
      ringproof_add(text, room, "not in the segment");
    } else {
      ringproof_add(text, room, "offset %zu, %s in the segment", theirs->offset,
                    ringproof_kind_of(theirs).text);
      if (theirs->offset != ours->offset) {
        ringproof_add(text, room, "%s", hint);
        hint = "";
      }
    }
  }
  if (here->size != there->size) {
    ringproof_add(text, room, "%ssize: %zu here; %zu in the segment", separator, here->size,
                  there->size);
  }
}

/* ---- Segments ---------------------------------------------------------------------------- */

#define RINGPROOF_DIRECTORY "/dev/shm"

/* How often a name that comes and goes is tried again before that is called an error. */
#define RINGPROOF_ROUNDS 64

enum ringproof_role { RINGPROOF_PRODUCER, RINGPROOF_CONSUMER, RINGPROOF_WRITER };

/* How to make a segment. Start from one of the three functions below. */
struct ringproof_options {
  enum ringproof_kind kind;
  uint64_t capacity; /* items live at once */
  uint64_t slots;    /* memory cycled through: a power of two; 0: of a ring enough and 256 KiB at
                        least, of a latch 4, of a seqlock 1 */
  mode_t mode;       /* permission bits, from 0600 to 0777, whatever the umask */
};

/* A ring in which up to `capacity` items are live at once. */
static inline struct ringproof_options ringproof_ring_options(uint64_t capacity) {
  struct ringproof_options options = {RINGPROOF_RING, capacity, 0, 0600};
  return options;
}

static inline struct ringproof_options ringproof_seqlock_options(void) {
  struct ringproof_options options = {RINGPROOF_SEQLOCK, 1, 1, 0600};
  return options;
}

/* A latch of 4 slots. More let a reader be slower without having to try again. */
static inline struct ringproof_options ringproof_latch_options(void) {
  struct ringproof_options options = {RINGPROOF_LATCH, 1, 4, 0600};
  return options;
}

/* What a segment and its endpoints share of one attachment: its memory and its locks. From the
 * heap, in the list of its program or library, until the last of them is gone. */
struct ringproof_attachment {
  struct ringproof_attachment *next, *previous;
  struct ringproof_forks *forks; /* whose list it is in, and whose lock guards what follows */
  unsigned users;                /* the segment, its claims and its readers */
  unsigned held;                 /* the bytes that it has locked, one bit each: for locks of one
                                    description the kernel knows no second holder */
  void *map;                     /* NULL once it is unmapped */
  size_t len;
  /* An open file description for the locks of this attachment alone: neither the one that was
   * mapped (what looks at a dying process's memory keeps it alive) nor ever passed to another
   * process. The only descriptor that is kept. */
  int fd;
  int os_error;   /* why it is none of its own: then it locks nothing. 0: it is */
  pid_t owner;    /* who attached it */
  bool inherited; /* this process was forked from that one, and has memory without access there */
};

/* Shared memory with a header, mapped into this process. Must outlive its endpoints, and not be
 * copied. It takes one descriptor, its endpoints none. A forked child has no access to it: see
 * above. */
struct ringproof_segment {
  char name[256]; /* empty: the rest means nothing */
  int fd;         /* the attachment's, once there is one */
  void *map;
  size_t len;
  struct ringproof_attachment *shared;
  struct ringproof_fixed fixed; /* as it was checked; the mapped copy is never consulted */
};

static inline struct ringproof_header *
ringproof_header_of(const struct ringproof_segment *segment) {
  return (struct ringproof_header *)segment->map;
}

static inline const char *ringproof_kind_name(uint32_t kind) {
  switch (kind) {
  case RINGPROOF_RING: return "1 (ring)";
  case RINGPROOF_SEQLOCK: return "2 (seqlock)";
  case RINGPROOF_LATCH: return "3 (latch)";
  default: return "unknown";
  }
}

/* The bytes of the character at which the text begins, 0 if that is none of UTF-8 or its end. */
static inline size_t ringproof_utf8_len(const char *text) {
  const unsigned char *at = (const unsigned char *)text;
  size_t len = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
  /* What the second byte may be: a character is not written with more bytes than it needs, is no
   * half of a pair of UTF-16, and is at most U+10FFFF. */
  unsigned char lowest = 0x80, highest = 0xbf;
  if (at[0] < 0x80) {
    return at[0] == 0 ? 0 : 1;
  }
  if (at[0] < 0xc2 || at[0] > 0xf4) {
    return 0;
  }
  switch (at[0]) {
  case 0xe0: lowest = 0xa0; break;
  case 0xed: highest = 0x9f; break;
  case 0xf0: lowest = 0x90; break;
  case 0xf4: highest = 0x8f; break;
  default: break;
  }
  if (at[1] < lowest || at[1] > highest) {
    return 0;
  }
  for (size_t i = 2; i < len; i++) {
    if (at[i] < 0x80 || at[i] > 0xbf) {
      return 0;
    }
  }
  return len;
}

static inline bool ringproof_is_utf8(const char *text) {
  size_t len;
  while ((len = ringproof_utf8_len(text)) > 0) {
    text += len;
  }
  return *text == '\0';
}

/* Appends a name that need not be UTF-8, as the Rust library says one: what is no character byte by
 * byte, as \xff. Cut where there is no room for more. */
static inline void ringproof_add_name(char *text, size_t room, const char *name) {
  while (*name != '\0' && strlen(text) + sizeof "\\xff" <= room) {
    const size_t len = ringproof_utf8_len(name);
    if (len == 0) {
      ringproof_add(text, room, "\\x%02x", (unsigned)(unsigned char)*name);
    } else {
      ringproof_add(text, room, "%.*s", (int)len, name);
    }
    name += len == 0 ? 1 : len;
  }
}

/* One rule for names in every language: impl/ABI.md. */
static inline enum ringproof_status ringproof_path(const char *name, char *path, size_t room,
                                                   struct ringproof_error *error) {
  const char *problem = NULL;
  if (!ringproof_is_utf8(name)) {
    problem = "it is not UTF-8";
  } else if (name[0] == '\0') {
    problem = "it is empty";
  } else if (strlen(name) > 255) {
    problem = "it is longer than 255 bytes";
  } else if (strchr(name, '/') != NULL) {
    problem = "it contains a slash or a zero byte";
  } else if (name[0] == '.') {
    problem = "it starts with a dot";
  }
  if (problem != NULL) {
    char shown[1100] = "";
    ringproof_add_name(shown, sizeof shown, name);
    return ringproof_fail(error, RINGPROOF_NAME, "segment name `%s`: %s", shown, problem);
  }
  snprintf(path, room, "%s/%s", RINGPROOF_DIRECTORY, name);
  return RINGPROOF_OK;
}

#define RINGPROOF_PATH_MAX (sizeof RINGPROOF_DIRECTORY + 256)

static inline bool ringproof_read_at(int fd, void *bytes, size_t len, uint64_t offset) {
  while (len > 0) {
    const ssize_t got = pread(fd, bytes, len, (off_t)offset);
    if (got > 0) {
      bytes = (char *)bytes + got;
      len -= (size_t)got;
      offset += (uint64_t)got;
    } else if (got == 0) {
      errno = EIO; /* it became shorter than it said */
      return false;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

static inline bool ringproof_write_at(int fd, const void *bytes, size_t len, uint64_t offset) {
  while (len > 0) {
    const ssize_t done = pwrite(fd, bytes, len, (off_t)offset);
    if (done >= 0) {
      bytes = (const char *)bytes + done;
      len -= (size_t)done;
      offset += (uint64_t)done;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

static inline bool ringproof_is_power_of_two(uint64_t number) {
  return number != 0 && (number & (number - 1)) == 0;
}

/* The bytes of a segment, 0 if a process cannot map as many. */
static inline uint64_t ringproof_segment_len(uint64_t data_offset, uint64_t slots,
                                             uint64_t payload_size) {
  const uint64_t most = (uint64_t)PTRDIFF_MAX;
  if (payload_size == 0 || data_offset > most || slots > (most - data_offset) / payload_size) {
    return 0;
  }
  return data_offset + slots * payload_size;
}

/* The most slots that a process can map, a power of two; 0 if not even one. */
static inline uint64_t ringproof_most_slots(uint64_t data_offset, uint64_t payload_size) {
  uint64_t slots = UINT64_C(1) << 63;
  while (slots > 0 && ringproof_segment_len(data_offset, slots, payload_size) == 0) {
    slots >>= 1;
  }
  return slots;
}

/* The lowest power of two from `least` on, 2^63 if there is none. */
static inline uint64_t ringproof_power_of_two_from(uint64_t least) {
  uint64_t power = 1;
  while (power < least && power != UINT64_C(1) << 63) {
    power <<= 1;
  }
  return power;
}

/* Checks that the header of an existing segment is consistent in itself. */
static inline enum ringproof_status ringproof_check(const struct ringproof_fixed *fixed,
                                                    uint64_t file_len, const char *segment,
                                                    struct ringproof_error *error) {
  char found[64];
  uint64_t len;
  uint64_t least = 1;
  if (fixed->magic == __builtin_bswap64(RINGPROOF_MAGIC)) {
    return ringproof_mismatch(error, segment, "magic", "in the other byte order",
                              "this machine's byte order");
  }
  if (fixed->magic != RINGPROOF_MAGIC) {
    snprintf(found, sizeof found, "%#018llx", (unsigned long long)fixed->magic);
    return ringproof_mismatch(error, segment, "magic", found,
                              "%#018llx (it is no ringproof segment)",
                              (unsigned long long)RINGPROOF_MAGIC);
  }
  if (fixed->version != RINGPROOF_VERSION) {
    return ringproof_mismatch_number(error, segment, "version", fixed->version, RINGPROOF_VERSION);
  }
  if (fixed->header_len != RINGPROOF_HEADER_LEN) {
    return ringproof_mismatch_number(error, segment, "header_len", fixed->header_len,
                                     RINGPROOF_HEADER_LEN);
  }
  if (fixed->flags != 0) {
    return ringproof_mismatch_number(error, segment, "flags", fixed->flags, 0);
  }
  snprintf(found, sizeof found, "%lu", (unsigned long)fixed->kind);
  if (fixed->kind < RINGPROOF_RING || fixed->kind > RINGPROOF_LATCH) {
    return ringproof_mismatch(error, segment, "kind", found, "1 (ring), 2 (seqlock) or 3 (latch)");
  }
  if (fixed->payload_size == 0) {
    return ringproof_mismatch(error, segment, "payload_size", "0", "at least 1");
  }
  if (fixed->kind != RINGPROOF_RING && fixed->payload_size % 8 != 0) {
    snprintf(found, sizeof found, "%llu", (unsigned long long)fixed->payload_size);
    return ringproof_mismatch(error, segment, "payload_size", found,
                              "a whole number of 64-bit words");
  }
  if (!ringproof_is_power_of_two(fixed->payload_align) ||
      fixed->payload_align > RINGPROOF_HEADER_LEN) {
    snprintf(found, sizeof found, "%llu", (unsigned long long)fixed->payload_align);
    return ringproof_mismatch(error, segment, "payload_align", found, "a power of two up to %u",
                              (unsigned)RINGPROOF_HEADER_LEN);
  }
  if (fixed->kind == RINGPROOF_SEQLOCK && fixed->slots != 1) {
    return ringproof_mismatch_number(error, segment, "slots", fixed->slots, 1);
  }
  if (fixed->kind == RINGPROOF_LATCH) {
    least = 2;
  }
  snprintf(found, sizeof found, "%llu", (unsigned long long)fixed->slots);
  if (!ringproof_is_power_of_two(fixed->slots) || fixed->slots < least) {
    return ringproof_mismatch(error, segment, "slots", found, "a power of two from %u",
                              (unsigned)least);
  }
  if (fixed->kind != RINGPROOF_RING && fixed->capacity != 1) {
    return ringproof_mismatch_number(error, segment, "capacity", fixed->capacity, 1);
  }
  if (fixed->capacity == 0 || fixed->capacity > fixed->slots) {
    snprintf(found, sizeof found, "%llu", (unsigned long long)fixed->capacity);
    return ringproof_mismatch(error, segment, "capacity", found,
                              "from 1 to the number of slots, %llu",
                              (unsigned long long)fixed->slots);
  }
  if (fixed->data_offset < RINGPROOF_HEADER_LEN || fixed->data_offset % RINGPROOF_HEADER_LEN != 0) {
    snprintf(found, sizeof found, "%llu", (unsigned long long)fixed->data_offset);
    return ringproof_mismatch(error, segment, "data_offset", found, "a multiple of %u",
                              (unsigned)RINGPROOF_HEADER_LEN);
  }
  len = ringproof_segment_len(fixed->data_offset, fixed->slots, fixed->payload_size);
  if (len == 0) {
    return ringproof_mismatch(error, segment, "slots", found,
                              "as many as this machine can address");
  }
  if (fixed->segment_len != len) {
    return ringproof_mismatch_number(error, segment, "segment_len", fixed->segment_len, len);
  }
  if (fixed->description_len == 0 || fixed->description_len > RINGPROOF_DESCRIPTION_MAX) {
    snprintf(found, sizeof found, "%llu", (unsigned long long)fixed->description_len);
    return ringproof_mismatch(error, segment, "description_len", found, "from 1 to %u",
                              (unsigned)RINGPROOF_DESCRIPTION_MAX);
  }
  if (fixed->description_offset < RINGPROOF_HEADER_LEN ||
      fixed->description_len > fixed->data_offset ||
      fixed->description_offset > fixed->data_offset - fixed->description_len) {
    snprintf(found, sizeof found, "%llu", (unsigned long long)fixed->description_offset);
    return ringproof_mismatch(error, segment, "description_offset", found,
                              "from %u to where its %llu bytes end before data_offset, %llu",
                              (unsigned)RINGPROOF_HEADER_LEN,
                              (unsigned long long)fixed->description_len,
                              (unsigned long long)fixed->data_offset);
  }
  if (file_len < fixed->segment_len) {
    snprintf(found, sizeof found, "%llu", (unsigned long long)file_len);
    return ringproof_mismatch(error, segment, "file length", found,
                              "at least segment_len, %llu", (unsigned long long)fixed->segment_len);
  }
  return RINGPROOF_OK;
}

/* ---- Forks: impl/src/fork.rs says why it is done so --------------------------------------- */

/* What is attached by this program or shared library, as far as it is this source file's. */
struct ringproof_forks {
  pthread_mutex_t lock; /* no memory is had or given back under it */
  struct ringproof_attachment *first;
  pid_t parent;   /* who forks, from before that until after it */
  pid_t handlers; /* RINGPROOF_REGISTERED; otherwise who is at it, or 0 */
  pthread_t forking; /* the thread that has it locked for a fork, or 0 */
  uint64_t ends;     /* how many ends of rings were opened */
};

#define RINGPROOF_REGISTERED ((pid_t)-1)

__attribute__((unused)) static struct ringproof_forks ringproof_attached = {
    PTHREAD_MUTEX_INITIALIZER, NULL, 0, 0, 0, 0};

/* Whether this thread has the list locked for a fork. By it a handler that is registered twice knows
 * whether it has run. */
static inline bool ringproof_is_forking(void) {
  const pthread_t thread = __atomic_load_n(&ringproof_attached.forking, __ATOMIC_RELAXED);
  return pthread_equal(thread, pthread_self()) != 0;
}

/* Whether it is the attachment of the process that forks: where the mapping of another one was, as
 * of that which made this one by a bare clone(), there may be anything by now. */
static inline bool ringproof_forks_with(const struct ringproof_attachment *shared) {
  return !shared->inherited && shared->owner == ringproof_attached.parent;
}

/* Says of every mapping whether a child inherits it. */
static inline void ringproof_advise(int advice) {
  struct ringproof_attachment *each;
  for (each = ringproof_attached.first; each != NULL; each = each->next) {
    if (ringproof_forks_with(each) && each->map != NULL) {
      (void)madvise(each->map, each->len, advice);
    }
  }
}

/* They are inherited after all, so that no handler that runs before ours in the child can map
 * something of its own there. */
static inline void ringproof_before_fork(void) {
  if (ringproof_is_forking()) {
    return;
  }
  pthread_mutex_lock(&ringproof_attached.lock);
  __atomic_store_n(&ringproof_attached.forking, pthread_self(), __ATOMIC_RELAXED);
  ringproof_attached.parent = getpid();
  ringproof_advise(MADV_DOFORK);
}

static inline void ringproof_in_parent(void) {
  if (!ringproof_is_forking()) {
    return; /* it has run, and another thread may be in a fork by now */
  }
  ringproof_advise(MADV_DONTFORK);
  __atomic_store_n(&ringproof_attached.forking, (pthread_t)0, __ATOMIC_RELAXED);
  pthread_mutex_unlock(&ringproof_attached.lock);
}

/* Puts memory without access in the place of each: a hole would be filled by what is mapped
 * next. */
static inline void ringproof_in_child(void) {
  struct ringproof_attachment *each;
  if (!ringproof_is_forking()) {
    return;
  }
  for (each = ringproof_attached.first; each != NULL; each = each->next) {
    if (!ringproof_forks_with(each)) {
      continue;
    }
    if (each->map != NULL &&
        mmap(each->map, each->len, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED) {
      /* There is no memory for one more mapping. */
      (void)mprotect(each->map, each->len, PROT_NONE);
    }
    each->inherited = true;
  }
  /* Also where the thread that registers has not come to say so. */
  __atomic_store_n(&ringproof_attached.handlers, RINGPROOF_REGISTERED, __ATOMIC_RELEASE);
  __atomic_store_n(&ringproof_attached.forking, (pthread_t)0, __ATOMIC_RELAXED);
  pthread_mutex_unlock(&ringproof_attached.lock);
}

/* Registers the handlers, once for the process and all that it forks; an errno if that fails. No
 * lock, because a child may be forked while another thread of its parent is at it. It finds a pid
 * that is not its own: they are not registered, as a rule. If they were, one of them has marked it,
 * unless the fork had begun before: then they are registered twice, which they bear. */
static inline int ringproof_watch_forks(void) {
  const pid_t self = getpid();
  for (;;) {
    pid_t found = __atomic_load_n(&ringproof_attached.handlers, __ATOMIC_ACQUIRE);
    if (found == RINGPROOF_REGISTERED) {
      return 0;
    }
    if (found == self) {
      sched_yield();
    } else if (__atomic_compare_exchange_n(&ringproof_attached.handlers, &found, self, false,
                                           __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
      const int os_error =
          pthread_atfork(ringproof_before_fork, ringproof_in_parent, ringproof_in_child);
      __atomic_store_n(&ringproof_attached.handlers, os_error == 0 ? RINGPROOF_REGISTERED : 0,
                       __ATOMIC_RELEASE);
      return os_error;
    }
  }
}

/* Whether this process has it from the one that forked it. */
static inline bool ringproof_is_inherited(const struct ringproof_attachment *shared) {
  return shared->inherited || getpid() != shared->owner;
}

static inline enum ringproof_status
ringproof_check_attached(const struct ringproof_segment *segment, struct ringproof_error *error) {
  return segment->shared != NULL
             ? RINGPROOF_OK
             : ringproof_fail(error, RINGPROOF_NOT_OPEN,
                              "segment `%s` is not attached: it was detached, or never made",
                              segment->name);
}

/* Refuses what would touch memory that is not mapped, or only the parent of this process. */
static inline enum ringproof_status ringproof_check_access(const struct ringproof_segment *segment,
                                                           struct ringproof_error *error) {
  const enum ringproof_status status = ringproof_check_attached(segment, error);
  if (status != RINGPROOF_OK || !ringproof_is_inherited(segment->shared)) {
    return status;
  }
  return ringproof_fail(error, RINGPROOF_FORKED,
                        "segment `%s` was attached by the process that this one was forked from, "
                        "and a forked child has no access to its memory; attach to it anew",
                        segment->name);
}

/* One user more. */
static inline struct ringproof_attachment *ringproof_share(struct ringproof_attachment *shared) {
  pthread_mutex_lock(&shared->forks->lock);
  shared->users++;
  pthread_mutex_unlock(&shared->forks->lock);
  return shared;
}

/* One user less; after the last one it is gone. */
static inline void ringproof_let_go(struct ringproof_attachment *shared) {
  struct ringproof_forks *const forks = shared->forks;
  bool last;
  pthread_mutex_lock(&forks->lock);
  last = --shared->users == 0;
  if (last) {
    *(shared->previous == NULL ? &forks->first : &shared->previous->next) = shared->next;
    if (shared->next != NULL) {
      shared->next->previous = shared->previous;
    }
  }
  pthread_mutex_unlock(&forks->lock);
  if (last) {
    close(shared->fd);
    free(shared);
  }
}

/* Opens the file behind a descriptor anew. The descriptor directory reaches the very inode, also
 * when the name is another file's by now. */
static inline int ringproof_open_anew(int fd) {
  char own[64];
  snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
  return open(own, O_RDWR | O_CLOEXEC);
}

/* Gives back the mapping and the descriptor. The segment itself, its name and its roles stay. One
 * that is not attached stays as it is. */
static inline void ringproof_detach(struct ringproof_segment *segment) {
  struct ringproof_attachment *const shared = segment->shared;
  if (shared != NULL) {
    /* After a bare clone() there may be anything. */
    const bool mapped = shared->inherited || shared->owner == getpid();
    /* Before it is unmapped: else a fork in between would put its pages over what another thread
     * has mapped there since. */
    pthread_mutex_lock(&shared->forks->lock);
    shared->map = NULL;
    pthread_mutex_unlock(&shared->forks->lock);
    if (mapped) {
      munmap(segment->map, segment->len);
    }
    ringproof_let_go(shared);
    segment->shared = NULL;
    segment->map = NULL;
    segment->fd = -1;
  }
  /* One of zeros has no name yet, and its descriptor 0 is somebody else's. */
  if (segment->name[0] != '\0' && segment->fd >= 0) {
    close(segment->fd);
    segment->fd = -1;
  }
}

static inline void ringproof_segment_init(struct ringproof_segment *segment, const char *name) {
  memset(segment, 0, sizeof *segment);
  snprintf(segment->name, sizeof segment->name, "%s", name);
  segment->fd = -1;
}

/* Adds what is mapped to the list. */
static inline void ringproof_enlist(struct ringproof_attachment *shared) {
  struct ringproof_forks *const forks = &ringproof_attached;
  shared->forks = forks;
  pthread_mutex_lock(&forks->lock);
  shared->next = forks->first;
  if (shared->next != NULL) {
    shared->next->previous = shared;
  }
  forks->first = shared;
  pthread_mutex_unlock(&forks->lock);
}

/* Maps the file, then opens it anew for its locks, and closes the descriptor that was mapped.
 * Where there is no /proc, or the file's mode is in the way, it stays: that is enough for who
 * takes no role. */
static inline enum ringproof_status ringproof_map(struct ringproof_segment *segment,
                                                  struct ringproof_error *error) {
  struct ringproof_attachment *shared;
  int own;
  segment->len = (size_t)segment->fixed.segment_len;
  shared = (struct ringproof_attachment *)calloc(1, sizeof *shared);
  if (shared == NULL) {
    return ringproof_fail_system(error, segment->name, "have memory for what its ends share");
  }
  own = ringproof_open_anew(segment->fd);
  if (own < 0) {
    shared->os_error = errno;
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES && errno != EPERM) {
      const enum ringproof_status status = ringproof_fail_system(
          error, segment->name, "open the segment anew through /proc/self/fd to lock it");
      free(shared);
      return status;
    }
  }
  errno = ringproof_watch_forks();
  shared->map = errno != 0 ? MAP_FAILED
                           : mmap(NULL, segment->len, PROT_READ | PROT_WRITE, MAP_SHARED,
                                  segment->fd, 0);
  if (shared->map == MAP_FAILED) {
    const enum ringproof_status status = ringproof_fail_system(error, segment->name, "map it");
    if (own >= 0) {
      close(own);
    }
    free(shared);
    return status;
  }
  if (own >= 0) {
    close(segment->fd);
    segment->fd = own;
  }
  shared->users = 1;
  shared->len = segment->len;
  shared->fd = segment->fd;
  shared->owner = getpid();
  segment->map = shared->map;
  segment->shared = shared;
  ringproof_enlist(shared);
  /* A forked child gets no access: it could only corrupt the stream. */
  if (madvise(segment->map, segment->len, MADV_DONTFORK) != 0) {
    return ringproof_fail_system(error, segment->name, "keep it from forked children");
  }
  return RINGPROOF_OK;
}

/* The header of a new segment with a description of this length. */
static inline enum ringproof_status
ringproof_lay_out(struct ringproof_fixed *fixed, const struct ringproof_options *options,
                  const struct ringproof_shape *shape, size_t description_len, const char *name,
                  struct ringproof_error *error) {
  const uint64_t page = RINGPROOF_HEADER_LEN;
  const uint64_t data_offset = page + (description_len + page - 1) / page * page;
  const uint64_t most = ringproof_most_slots(data_offset, shape->size);
  const uint64_t least = options->kind == RINGPROOF_LATCH ? 2 : 1;
  uint64_t slots = options->slots;
  if (options->kind < RINGPROOF_RING || options->kind > RINGPROOF_LATCH) {
    return ringproof_mismatch(error, name, "kind", ringproof_kind_name((uint32_t)options->kind),
                              "1 (ring), 2 (seqlock) or 3 (latch)");
  }
  if (shape->align > RINGPROOF_HEADER_LEN) {
    return ringproof_fail(error, RINGPROOF_SIZE,
                          "segment `%s`: a payload aligned to %zu bytes; at most %u can be had",
                          name, shape->align, (unsigned)RINGPROOF_HEADER_LEN);
  }
  if (options->kind != RINGPROOF_RING && shape->size % 8 != 0) {
    return ringproof_fail(error, RINGPROOF_SIZE,
                          "segment `%s`: the %zu bytes of the payload of a seqlock or latch must "
                          "fill a whole number of 64-bit words", name, shape->size);
  }
  if (options->kind == RINGPROOF_LATCH && options->slots != 0 && options->slots < 2) {
    return ringproof_fail(error, RINGPROOF_SIZE, "segment `%s`: %llu slots; a latch needs at least 2",
                          name, (unsigned long long)options->slots);
  }
  if (options->kind == RINGPROOF_SEQLOCK && options->slots > 1) {
    return ringproof_fail(error, RINGPROOF_SIZE, "segment `%s`: %llu slots; a seqlock has 1", name,
                          (unsigned long long)options->slots);
  }
  if (options->kind != RINGPROOF_RING && options->capacity != 1) {
    return ringproof_fail(error, RINGPROOF_SIZE,
                          "segment `%s`: a capacity of %llu; of a seqlock or latch it is 1", name,
                          (unsigned long long)options->capacity);
  }
  if (most < least) {
    return ringproof_fail(error, RINGPROOF_SIZE,
                          "segment `%s`: a payload of %zu bytes is more than this machine can "
                          "address", name, shape->size);
  }
  if (options->capacity > most) {
    return ringproof_fail(error, RINGPROOF_SIZE,
                          "segment `%s`: a capacity of %llu; it must be from 1 to the most slots "
                          "that this machine can address, %llu", name,
                          (unsigned long long)options->capacity, (unsigned long long)most);
  }
  if (slots == 0) {
    const uint64_t memory = UINT64_C(256) * 1024 / shape->size;
    slots = options->kind == RINGPROOF_SEQLOCK ? 1
            : options->kind == RINGPROOF_LATCH
                ? 4
                : ringproof_power_of_two_from(options->capacity > memory ? options->capacity
                                                                         : memory);
  }
  if (!ringproof_is_power_of_two(slots) || slots > most) {
    const uint64_t example =
        ringproof_power_of_two_from(slots > options->capacity ? slots : options->capacity);
    return ringproof_fail(error, RINGPROOF_SIZE,
                          "segment `%s`: %llu slots of %zu bytes; it must be a power of two up to "
                          "%llu, for example %llu", name, (unsigned long long)slots, shape->size,
                          (unsigned long long)most,
                          (unsigned long long)(example > most ? most : example));
  }
  if (options->capacity == 0 || options->capacity > slots) {
    return ringproof_fail(error, RINGPROOF_SIZE,
                          "segment `%s`: a capacity of %llu; it must be from 1 to the number of "
                          "slots, %llu", name, (unsigned long long)options->capacity,
                          (unsigned long long)slots);
  }
  memset(fixed, 0, sizeof *fixed);
  fixed->magic = RINGPROOF_MAGIC;
  fixed->version = RINGPROOF_VERSION;
  fixed->header_len = RINGPROOF_HEADER_LEN;
  fixed->kind = (uint32_t)options->kind;
  fixed->payload_size = shape->size;
  fixed->payload_align = shape->align;
  fixed->slots = slots;
  fixed->capacity = options->capacity;
  fixed->data_offset = data_offset;
  fixed->segment_len = ringproof_segment_len(data_offset, slots, shape->size);
  fixed->description_offset = page;
  fixed->description_len = description_len;
  return RINGPROOF_OK;
}

/* ---- Memory for a new segment: impl/src/room.rs says why it is asked for ------------------ */

#define RINGPROOF_LONG_PATH 4608

/* What memory can be had, where it is too little. */
struct ringproof_room {
  uint64_t available;
  char limit[256]; /* what says so; empty: there is enough */
};

/* Keeps the tightest limit that leaves less than `needed` bytes. */
static inline void ringproof_consider(struct ringproof_room *room, uint64_t needed,
                                      uint64_t available, const char *file, const char *place) {
  if (available < needed && (room->limit[0] == '\0' || available < room->available)) {
    room->available = available;
    room->limit[0] = '\0';
    ringproof_add(room->limit, sizeof room->limit, "%s in %s", file, place);
  }
}

static inline uint64_t ringproof_plus(uint64_t one, uint64_t other) {
  return one > UINT64_MAX - other ? UINT64_MAX : one + other;
}

static inline uint64_t ringproof_minus(uint64_t one, uint64_t other) {
  return one < other ? 0 : one - other;
}

/* The number that follows `word` at the beginning of a line, or without a word the one that the
 * file begins with; false if there is none. `root` stands before every path; it is empty but in a
 * test. */
static inline bool ringproof_number_in(const char *root, const char *place, const char *file,
                                       const char *word, uint64_t *number) {
  char path[RINGPROOF_LONG_PATH];
  char *line = NULL;
  size_t room = 0;
  bool found = false;
  FILE *lines;
  path[0] = '\0';
  ringproof_add(path, sizeof path, "%s%s/%s", root, place, file);
  lines = fopen(path, "re");
  if (lines == NULL) {
    return false;
  }
  while (!found && getline(&line, &room, lines) > 0) {
    const size_t len = strlen(word);
    const char *at = line + len;
    if (strncmp(line, word, len) == 0 && (len == 0 || *at == ' ' || *at == '\t')) {
      at += strspn(at, " \t");
      found = ringproof_is_digit(*at);
      if (found) {
        *number = strtoull(at, NULL, 10);
      }
    }
  }
  free(line);
  fclose(lines);
  return found;
}

/* How much of a limit is left; false if there is none. */
static inline bool ringproof_left(const char *root, const char *place, const char *limit,
                                  const char *used, uint64_t *left) {
  uint64_t most = 0, taken = 0;
  /* Without a limit there is another word, or a number beyond every machine. */
  if (!ringproof_number_in(root, place, limit, "", &most) ||
      !ringproof_number_in(root, place, used, "", &taken)) {
    return false;
  }
  *left = ringproof_minus(most, taken);
  return true;
}

/* What a control group uses and would be given back before anybody is killed. */
static inline uint64_t ringproof_cached_in(const char *root, const char *place, bool old) {
  static const char *const words[2][3] = {
      {"inactive_file", "active_file", "slab_reclaimable"},
      {"total_inactive_file", "total_active_file", "total_active_file"}};
  uint64_t sum = 0;
  for (size_t i = 0; i < (old ? 2u : 3u); i++) {
    uint64_t cached = 0;
    (void)ringproof_number_in(root, place, "memory.stat", words[old][i], &cached);
    sum = ringproof_plus(sum, cached);
  }
  return sum;
}

/* What a control group of either version has left. */
static inline void ringproof_room_in(const char *root, const char *place, bool old, uint64_t swap,
                                     uint64_t needed, struct ringproof_room *room) {
  const char *const limit = old ? "memory.limit_in_bytes" : "memory.max";
  uint64_t left = 0, other = 0;
  if (!ringproof_left(root, place, limit, old ? "memory.usage_in_bytes" : "memory.current",
                      &left)) {
    return;
  }
  if (!old && ringproof_left(root, place, "memory.swap.max", "memory.swap.current", &other)) {
    swap = other < swap ? other : swap;
  }
  left = ringproof_plus(left, swap);
  /* The older version counts memory and swap together. */
  if (old && ringproof_left(root, place, "memory.memsw.limit_in_bytes",
                            "memory.memsw.usage_in_bytes", &other)) {
    left = other < left ? other : left;
  }
  /* Asked only where it matters: the kernel adds it up for whoever asks. */
  if (left < needed) {
    left = ringproof_plus(left, ringproof_cached_in(root, place, old));
  }
  ringproof_consider(room, needed, left, limit, place);
}

/* Whether `word` is in a list with commas. */
static inline bool ringproof_lists(const char *list, const char *word) {
  const size_t len = strlen(word);
  for (; list != NULL; list = strchr(list, ',')) {
    list += *list == ',';
    if (strncmp(list, word, len) == 0 && (list[len] == '\0' || list[len] == ',')) {
      return true;
    }
  }
  return false;
}

/* Where control groups that count memory are mounted. */
struct ringproof_mount {
  char point[2048];
  char root[2048]; /* the control group that is found there */
};

static inline bool ringproof_find_mount(const char *root, bool old, struct ringproof_mount *mount) {
  char path[RINGPROOF_LONG_PATH], type[16], options[1024];
  char *line = NULL;
  size_t room = 0;
  bool found = false;
  FILE *lines;
  path[0] = '\0';
  ringproof_add(path, sizeof path, "%s/proc/self/mountinfo", root);
  lines = fopen(path, "re");
  if (lines == NULL) {
    return false;
  }
  while (!found && getline(&line, &room, lines) > 0) {
    const char *const rest = strstr(line, " - ");
    found = rest != NULL &&
            sscanf(line, "%*s %*s %*s %2047s %2047s", mount->root, mount->point) == 2 &&
            sscanf(rest + 3, "%15s %*s %1023s", type, options) == 2 &&
            (old ? strcmp(type, "cgroup") == 0 && ringproof_lists(options, "memory")
                 : strcmp(type, "cgroup2") == 0);
  }
  free(line);
  fclose(lines);
  return found;
}

/* What is left in a control group, of a line of /proc/self/cgroup, and in all that it is in. */
static inline void ringproof_room_of(const char *root, char *line, uint64_t swap, uint64_t needed,
                                     struct ringproof_room *room) {
  struct ringproof_mount mount;
  char place[RINGPROOF_LONG_PATH];
  size_t top;
  bool old;
  char *controllers = strchr(line, ':');
  char *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
  if (group == NULL) {
    return;
  }
  *controllers++ = '\0';
  *group++ = '\0';
  group[strcspn(group, "\n")] = '\0';
  old = ringproof_lists(controllers, "memory");
  if ((!old && controllers[0] != '\0') || !ringproof_find_mount(root, old, &mount)) {
    return;
  }
  top = strcmp(mount.root, "/") == 0 ? 0 : strlen(mount.root);
  /* What lies outside of all that is mounted is looked for at the outermost one that is. */
  if (strncmp(group, mount.root, top) != 0 || (group[top] != '/' && group[top] != '\0') ||
      strstr(group, "/..") != NULL) {
    group[top = 0] = '\0';
  }
  place[0] = '\0';
  ringproof_add(place, sizeof place, "%s", mount.point);
  ringproof_add(place, sizeof place, "%s", strcmp(&group[top], "/") == 0 ? "" : &group[top]);
  for (top = strlen(mount.point);;) {
    char *const last = strrchr(place, '/');
    ringproof_room_in(root, place, old, swap, needed, room);
    if (last == NULL || (size_t)(last - place) < top) {
      return;
    }
    *last = '\0';
  }
}

/* The tightest limit on memory, if it leaves less than `needed` bytes. A memory file system may
 * have no limit of its own, and then the system goes on giving it pages until it has to kill
 * somebody for them. It errs on the side of trying: what cannot be read is no limit. */
static inline bool ringproof_is_short(const char *root, uint64_t needed,
                                      struct ringproof_room *room) {
  char path[RINGPROOF_LONG_PATH];
  char *line = NULL;
  size_t size = 0;
  uint64_t memory = 0, swap = 0;
  FILE *groups;
  room->available = 0;
  room->limit[0] = '\0';
  (void)ringproof_number_in(root, "/proc", "meminfo", "SwapFree:", &swap);
  swap = swap > UINT64_MAX / 1024 ? UINT64_MAX : swap * 1024;
  if (ringproof_number_in(root, "/proc", "meminfo", "MemAvailable:", &memory)) {
    memory = memory > UINT64_MAX / 1024 ? UINT64_MAX : memory * 1024;
    ringproof_consider(room, needed, ringproof_plus(memory, swap), "MemAvailable and SwapFree",
                       "/proc/meminfo");
  }
  path[0] = '\0';
  ringproof_add(path, sizeof path, "%s/proc/self/cgroup", root);
  groups = fopen(path, "re");
  while (groups != NULL && getline(&line, &size, groups) > 0) {
    ringproof_room_of(root, line, swap, needed, room);
  }
  if (groups != NULL) {
    fclose(groups);
  }
  free(line);
  return room->limit[0] != '\0';
}

/* A system error in the making of a segment. At every step the file system may be out of what it
 * needs: an inode for the file, memory for its bytes or for its name, or what a quota leaves of them. */
static inline enum ringproof_status
ringproof_fail_making(const struct ringproof_segment *segment, const char *action,
                      struct ringproof_error *error) {
  if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG || errno == ENOMEM) {
    return ringproof_fail(error, RINGPROOF_NO_SPACE,
                          "no room for segment `%s` of %llu bytes; ask for fewer slots, or free or "
                          "enlarge the file system that holds it (it may be out of bytes or inodes, "
                          "or a quota used up)", segment->name,
                          (unsigned long long)segment->fixed.segment_len);
  }
  return ringproof_fail_system(error, segment->name, action);
}

/* Gives a new file its memory and its first contents. No other process can see it yet. */
static inline enum ringproof_status
ringproof_initialise(const struct ringproof_segment *segment, const char *description,
                     const void *initial, struct ringproof_error *error) {
  const struct ringproof_fixed *fixed = &segment->fixed;
  struct ringproof_room room;
  struct rlimit limit;
  if (ringproof_is_short("", fixed->segment_len, &room)) {
    return ringproof_fail(error, RINGPROOF_NO_SPACE,
                          "no room for segment `%s` of %llu bytes; %llu bytes of memory can be had "
                          "(%s); ask for fewer slots", segment->name,
                          (unsigned long long)fixed->segment_len,
                          (unsigned long long)room.available, room.limit);
  }
  /* Asked for more than this, the system would not only refuse but also send SIGXFSZ. */
  if (getrlimit(RLIMIT_FSIZE, &limit) != 0) {
    return ringproof_fail_system(error, segment->name, "ask how long its file may be");
  }
  if (limit.rlim_cur != RLIM_INFINITY && fixed->segment_len > limit.rlim_cur) {
    return ringproof_fail(error, RINGPROOF_SIZE,
                          "segment `%s`: its %llu bytes are more than a file of this process may "
                          "have: RLIMIT_FSIZE is %llu (in a shell, ulimit -f)", segment->name,
                          (unsigned long long)fixed->segment_len,
                          (unsigned long long)limit.rlim_cur);
  }
  /* All of it now, so that a full file system is an error here and not a signal later. */
  while (fallocate(segment->fd, 0, 0, (off_t)fixed->segment_len) != 0) {
    if (errno != EINTR) {
      return ringproof_fail_making(segment, "give it memory", error);
    }
  }
  if (!ringproof_write_at(segment->fd, description, (size_t)fixed->description_len,
                          fixed->description_offset) ||
      (initial != NULL && !ringproof_write_at(segment->fd, initial, (size_t)fixed->payload_size,
                                              fixed->data_offset)) ||
      !ringproof_write_at(segment->fd, fixed, sizeof *fixed, 0)) {
    return ringproof_fail_making(segment, "initialise it", error);
  }
  return RINGPROOF_OK;
}

/* Makes, fills and links the file behind `segment`, whose header and name are set. */
static inline enum ringproof_status ringproof_publish_segment(struct ringproof_segment *segment,
                                                              const char *path, mode_t mode,
                                                              const char *description,
                                                              const void *initial,
                                                              struct ringproof_error *error) {
  enum ringproof_status status;
  char own[64];
  segment->fd = open(RINGPROOF_DIRECTORY, O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
  if (segment->fd < 0) {
    return ringproof_fail_making(segment, "create an unnamed file in " RINGPROOF_DIRECTORY, error);
  }
  if (fchmod(segment->fd, mode) != 0) {
    return ringproof_fail_system(error, segment->name, "set its mode");
  }
  status = ringproof_initialise(segment, description, initial, error);
  if (status != RINGPROOF_OK) {
    return status;
  }
  /* Mapped before it is linked: a creator that fails leaves nothing behind. */
  status = ringproof_map(segment, error);
  if (status != RINGPROOF_OK) {
    return status;
  }
  snprintf(own, sizeof own, "/proc/self/fd/%d", segment->fd);
  if (linkat(AT_FDCWD, own, AT_FDCWD, path, AT_SYMLINK_FOLLOW) != 0) {
    if (errno == EEXIST) {
      return ringproof_fail(error, RINGPROOF_EXISTS,
                            "segment `%s` exists already; attach to it, or unlink it first",
                            segment->name);
    }
    return ringproof_fail_making(segment, "link it under its name through /proc/self/fd", error);
  }
  return RINGPROOF_OK;
}

/* Makes the segment `name`, for this process and not for what it forks. `initial` is a seqlock's or
 * latch's first value; NULL: all zero. Afterwards, also after a failure, the segment may be
 * detached. */
static inline enum ringproof_status
ringproof_create(struct ringproof_segment *segment, const char *name,
                 const struct ringproof_options *options, const struct ringproof_shape *shape,
                 const void *initial, struct ringproof_error *error) {
  char path[RINGPROOF_PATH_MAX];
  char *description;
  size_t len = 0;
  enum ringproof_status status;
  ringproof_segment_init(segment, name);
  status = ringproof_path(name, path, sizeof path, error);
  if (status != RINGPROOF_OK) {
    return status;
  }
  if (options->mode < 0600 || options->mode > 0777) {
    return ringproof_fail(error, RINGPROOF_MODE,
                          "segment `%s`: a mode of %o; it must be from 600 to 777, in octal: "
                          "permissions and nothing else, and its owner may read and write", name,
                          (unsigned)options->mode);
  }
  description = (char *)malloc((size_t)RINGPROOF_DESCRIPTION_MAX + 1);
  if (description == NULL) {
    return ringproof_fail_system(error, name, "have memory for its description");
  }
  status = ringproof_describe(shape, description, &len, error);
  if (status == RINGPROOF_OK) {
    status = ringproof_lay_out(&segment->fixed, options, shape, len, name, error);
  }
  if (status == RINGPROOF_OK) {
    segment->fixed.fingerprint = ringproof_fingerprint(description, len);
    status = ringproof_publish_segment(segment, path, options->mode, description,
                                       options->kind == RINGPROOF_RING ? NULL : initial, error);
  }
  free(description);
  if (status != RINGPROOF_OK) {
    ringproof_detach(segment);
  }
  return status;
}

/* Opens an existing file of this name, and nothing that is no regular file; says how long it is. */
static inline enum ringproof_status ringproof_open_file(struct ringproof_segment *segment,
                                                        const char *path, uint64_t *len,
                                                        struct ringproof_error *error) {
  struct stat file;
  /* Neither follow a link that somebody planted nor wait for a FIFO's other end. */
  segment->fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (segment->fd < 0) {
    switch (errno) {
    case ENOENT:
      return ringproof_fail(error, RINGPROOF_NOT_FOUND, "segment `%s` does not exist",
                            segment->name);
    case ELOOP:
      return ringproof_mismatch(error, segment->name, "file type", "a symbolic link",
                                "a regular file");
    case EISDIR:
      return ringproof_mismatch(error, segment->name, "file type", "a directory",
                                "a regular file");
    case ENXIO:
      return ringproof_mismatch(error, segment->name, "file type", "a socket or device",
                                "a regular file");
    default: return ringproof_fail_system(error, segment->name, "open it");
    }
  }
  if (fstat(segment->fd, &file) != 0) {
    return ringproof_fail_system(error, segment->name, "look up its properties");
  }
  if (!S_ISREG(file.st_mode)) {
    return ringproof_mismatch(error, segment->name, "file type",
                              S_ISFIFO(file.st_mode) ? "a FIFO" : "a device, or something stranger",
                              "a regular file");
  }
  *len = (uint64_t)file.st_size;
  return RINGPROOF_OK;
}

/* Memory to compare descriptions in: bounded, whatever a segment says. */
struct ringproof_comparison {
  char ours[RINGPROOF_DESCRIPTION_MAX + 1];
  char theirs[RINGPROOF_DESCRIPTION_MAX + 1];
  struct ringproof_description description;
};

/* Compares the shape with the description in the segment, after a check of that one. */
static inline enum ringproof_status ringproof_compare(const struct ringproof_segment *segment,
                                                      const struct ringproof_shape *shape,
                                                      struct ringproof_comparison *memory,
                                                      struct ringproof_error *error) {
  const size_t len = (size_t)segment->fixed.description_len; /* checked: at most 65536 */
  char *const ours = memory->ours, *const theirs = memory->theirs;
  char problem[384];
  size_t our_len = 0;
  uint64_t fingerprint;
  bool differs;
  const enum ringproof_status status = ringproof_describe(shape, ours, &our_len, error);
  if (status != RINGPROOF_OK) {
    return status;
  }
  if (!ringproof_read_at(segment->fd, theirs, len, segment->fixed.description_offset)) {
    return ringproof_fail_system(error, segment->name, "read its description");
  }
  fingerprint = ringproof_fingerprint(theirs, len);
  /* Before it is cut into pieces. */
  differs = our_len != len || memcmp(ours, theirs, len) != 0;
  if (!ringproof_parse(theirs, len, &memory->description, problem, sizeof problem)) {
    return ringproof_mismatch(error, segment->name, "description", problem,
                              "the description of a payload");
  }
  if (segment->fixed.fingerprint != fingerprint) {
    char found[24];
    snprintf(found, sizeof found, "%#018llx", (unsigned long long)segment->fixed.fingerprint);
    return ringproof_mismatch(error, segment->name, "fingerprint", found,
                              "%#018llx, which is its description's",
                              (unsigned long long)fingerprint);
  }
  if (segment->fixed.payload_size != memory->description.size) {
    char found[24];
    snprintf(found, sizeof found, "%llu", (unsigned long long)segment->fixed.payload_size);
    return ringproof_mismatch(error, segment->name, "payload_size", found,
                              "%zu, as its description says", memory->description.size);
  }
  if (differs) {
    ringproof_mismatch(error, segment->name, "payload", "another one", "the one described here");
    if (error != NULL) {
      snprintf(error->message, sizeof error->message, "segment `%s` holds another payload: ",
               segment->name);
      ringproof_add_differences(error->message, sizeof error->message, shape, &memory->description);
    }
    return RINGPROOF_MISMATCH;
  }
  return RINGPROOF_OK;
}

static inline enum ringproof_status ringproof_check_shape(const struct ringproof_segment *segment,
                                                          const struct ringproof_shape *shape,
                                                          struct ringproof_error *error) {
  struct ringproof_comparison *memory = (struct ringproof_comparison *)malloc(sizeof *memory);
  enum ringproof_status status;
  if (memory == NULL) {
    return ringproof_fail_system(error, segment->name, "have memory for its description");
  }
  status = ringproof_compare(segment, shape, memory, error);
  free(memory);
  return status;
}

static inline enum ringproof_status
ringproof_attach_file(struct ringproof_segment *segment, const char *path,
                      enum ringproof_kind kind, const struct ringproof_shape *shape,
                      struct ringproof_error *error) {
  uint64_t len = 0;
  enum ringproof_status status = ringproof_open_file(segment, path, &len, error);
  if (status != RINGPROOF_OK) {
    return status;
  }
  if (len < sizeof segment->fixed) {
    char found[24];
    snprintf(found, sizeof found, "%llu", (unsigned long long)len);
    return ringproof_mismatch(error, segment->name, "file length", found,
                              "at least the length of a header, 4096 (it is no ringproof segment)");
  }
  /* Through the file, never through the mapping: a copy that no peer can change between its check
   * and its use. */
  if (!ringproof_read_at(segment->fd, &segment->fixed, sizeof segment->fixed, 0)) {
    return ringproof_fail_system(error, segment->name, "read its header");
  }
  status = ringproof_check(&segment->fixed, len, segment->name, error);
  if (status != RINGPROOF_OK) {
    return status;
  }
  if (segment->fixed.kind != (uint32_t)kind) {
    return ringproof_mismatch(error, segment->name, "kind",
                              ringproof_kind_name(segment->fixed.kind), "%s",
                              ringproof_kind_name((uint32_t)kind));
  }
  status = ringproof_check_shape(segment, shape, error);
  if (status != RINGPROOF_OK) {
    return status;
  }
  return ringproof_map(segment, error);
}

/* Attaches to the segment `name`, which must be of this kind and carry this payload, for this
 * process and not for what it forks. Afterwards, also after a failure, the segment may be
 * detached. */
static inline enum ringproof_status ringproof_attach(struct ringproof_segment *segment,
                                                     const char *name, enum ringproof_kind kind,
                                                     const struct ringproof_shape *shape,
                                                     struct ringproof_error *error) {
  char path[RINGPROOF_PATH_MAX];
  enum ringproof_status status;
  ringproof_segment_init(segment, name);
  status = ringproof_path(name, path, sizeof path, error);
  if (status == RINGPROOF_OK) {
    status = ringproof_attach_file(segment, path, kind, shape, error);
  }
  if (status != RINGPROOF_OK) {
    ringproof_detach(segment);
  }
  return status;
}

static inline enum ringproof_status ringproof_unsteady(const char *name,
                                                       struct ringproof_error *error) {
  errno = ETIMEDOUT;
  return ringproof_fail_system(error, name,
                               "get hold of it: others create and unlink it all the time");
}

/* Attaches to the segment `name`, or makes it as `options` say; also while others create and unlink
 * it. Of one that exists only kind and payload are checked: it keeps its capacity, its slots, its
 * mode and its value, whatever `options` and `initial` say. For this process and not for what it
 * forks. */
static inline enum ringproof_status
ringproof_open_or_create(struct ringproof_segment *segment, const char *name,
               const struct ringproof_options *options, const struct ringproof_shape *shape,
               const void *initial, struct ringproof_error *error) {
  for (int round = 0; round < RINGPROOF_ROUNDS; round++) {
    enum ringproof_status status = ringproof_attach(segment, name, options->kind, shape, error);
    if (status != RINGPROOF_NOT_FOUND) {
      return status;
    }
    status = ringproof_create(segment, name, options, shape, initial, error);
    if (status != RINGPROOF_EXISTS) {
      return status;
    }
  }
  return ringproof_unsteady(name, error);
}

/* ---- Roles ------------------------------------------------------------------------------- */

/* A role, or the right to remove: a lock on one byte of the file, by the attachment's own open file
 * description. The kernel frees it when its holder dies. */
struct ringproof_claim {
  struct ringproof_attachment *shared; /* NULL: none */
  short byte;
  uint64_t epoch; /* how often the role was taken, this time included */
};

/* The bytes that the locks cover: part of the wire layout. */
#define RINGPROOF_REMOVAL_BYTE 2

static inline short ringproof_lock_byte(enum ringproof_role role) {
  return role == RINGPROOF_CONSUMER ? 1 : 0;
}

static inline const char *ringproof_role_name(enum ringproof_role role) {
  switch (role) {
  case RINGPROOF_PRODUCER: return "producer";
  case RINGPROOF_CONSUMER: return "consumer";
  case RINGPROOF_WRITER: return "writer";
  }
  return "unknown";
}

static inline struct flock ringproof_byte_lock(short byte, short kind) {
  struct flock lock;
  memset(&lock, 0, sizeof lock); /* these locks want a pid of zero */
  lock.l_type = kind;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return lock;
}

/* Gives the role back; a forked child only closes what it inherited, with the last of what shares
 * it. */
static inline void ringproof_release_claim(struct ringproof_claim *claim) {
  struct ringproof_attachment *const shared = claim->shared;
  if (shared != NULL) {
    if (!ringproof_is_inherited(shared)) {
      /* Explicitly, because a child forked meanwhile shares the description. */
      struct flock lock = ringproof_byte_lock(claim->byte, F_UNLCK);
      pthread_mutex_lock(&shared->forks->lock);
      (void)fcntl(shared->fd, F_OFD_SETLK, &lock);
      shared->held &= ~(1u << claim->byte);
      pthread_mutex_unlock(&shared->forks->lock);
    }
    ringproof_let_go(shared);
    claim->shared = NULL;
  }
}

/* Locks the byte, without waiting; RINGPROOF_HELD, without details, if somebody has it. */
static inline enum ringproof_status ringproof_lock(const struct ringproof_segment *segment,
                                                   short byte, struct ringproof_claim *claim,
                                                   struct ringproof_error *error) {
  struct ringproof_attachment *const shared = segment->shared;
  struct flock lock = ringproof_byte_lock(byte, F_WRLCK);
  int os_error = 0;
  claim->shared = NULL;
  claim->byte = byte;
  claim->epoch = 0;
  if (shared->os_error != 0) {
    errno = shared->os_error;
    return ringproof_fail_system(error, segment->name,
                                 "open the segment anew through /proc/self/fd to lock it");
  }
  pthread_mutex_lock(&shared->forks->lock);
  if ((shared->held & (1u << byte)) != 0) {
    os_error = EAGAIN;
  } else if (fcntl(shared->fd, F_OFD_SETLK, &lock) != 0) {
    os_error = errno;
  } else {
    shared->held |= 1u << byte;
    shared->users++;
    claim->shared = shared;
  }
  pthread_mutex_unlock(&shared->forks->lock);
  if (os_error == EAGAIN || os_error == EACCES) {
    return RINGPROOF_HELD;
  }
  errno = os_error;
  return os_error == 0 ? RINGPROOF_OK : ringproof_fail_system(error, segment->name, "lock it");
}

/* Whether any open file description but this one holds the role. */
static inline enum ringproof_status ringproof_is_locked(int fd, enum ringproof_role role,
                                                        bool *locked) {
  struct flock lock = ringproof_byte_lock(ringproof_lock_byte(role), F_WRLCK);
  if (fd < 0 || fcntl(fd, F_OFD_GETLK, &lock) != 0) {
    return RINGPROOF_SYSTEM;
  }
  *locked = lock.l_type != F_UNLCK;
  return RINGPROOF_OK;
}

/* Whether anybody, this process included, holds the role. `shared` is that of a segment or an end. */
static inline enum ringproof_status ringproof_is_held(struct ringproof_attachment *shared,
                                                      enum ringproof_role role, bool *held) {
  enum ringproof_status status;
  unsigned ours;
  if (shared == NULL) {
    return RINGPROOF_NOT_OPEN;
  }
  if (ringproof_is_inherited(shared)) {
    /* What the parent holds by it is not known here, and the kernel counts as ours. */
    const int own = ringproof_open_anew(shared->fd);
    status = ringproof_is_locked(own, role, held);
    if (own >= 0) {
      close(own);
    }
    return status;
  }
  pthread_mutex_lock(&shared->forks->lock);
  ours = shared->held;
  pthread_mutex_unlock(&shared->forks->lock);
  status = ringproof_is_locked(shared->fd, role, held);
  if (status == RINGPROOF_OK && (ours & (1u << ringproof_lock_byte(role))) != 0) {
    *held = true;
  }
  return status;
}

static inline bool ringproof_is_retired(const struct ringproof_segment *segment) {
  /* RetiredCheck, relaxed: asked under a lock, which orders it. */
  return ringproof_load_relaxed(&ringproof_header_of(segment)->retired) != 0;
}

/* Waits until no other process takes the name of this segment away: about two seconds at most. */
static inline enum ringproof_status ringproof_begin_removal(const struct ringproof_segment *segment,
                                                            struct ringproof_claim *removal,
                                                            struct ringproof_error *error) {
  const struct timespec pause = {0, 1000000};
  struct timespec start, now;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (;;) {
    enum ringproof_status status = ringproof_lock(segment, RINGPROOF_REMOVAL_BYTE, removal, error);
    if (status != RINGPROOF_HELD) {
      return status;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec - start.tv_sec > 2) {
      errno = ETIMEDOUT;
      return ringproof_fail_system(error, segment->name,
                                   "remove it: another process began to and has not gone on");
    }
    /* One call, however it ends: resumed after each signal it might never. */
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
  }
}

/* What a segment's name leads to, for somebody who is attached to it. */
enum ringproof_name {
  RINGPROOF_NAME_CURRENT,  /* to this segment */
  RINGPROOF_NAME_UNLINKED, /* to nothing */
  RINGPROOF_NAME_REPLACED  /* to something else: this one was unlinked, and another made */
};

/* What has become of the segment's name. Who holds a role may go on without a name, and a reader sees
 * the last value for good, but no one joins them: ask in a wait that becomes long. */
static inline enum ringproof_status ringproof_name_status(const struct ringproof_segment *segment,
                                                          enum ringproof_name *name,
                                                          struct ringproof_error *error) {
  char path[RINGPROOF_PATH_MAX];
  struct stat ours, found;
  enum ringproof_status status = ringproof_check_attached(segment, error);
  if (status == RINGPROOF_OK) {
    status = ringproof_path(segment->name, path, sizeof path, error);
  }
  if (status != RINGPROOF_OK) {
    return status;
  }
  if (fstat(segment->fd, &ours) != 0) {
    return ringproof_fail_system(error, segment->name, "look up its inode");
  }
  if (lstat(path, &found) != 0) {
    if (errno != ENOENT) {
      return ringproof_fail_system(error, segment->name, "look up its name");
    }
    *name = RINGPROOF_NAME_UNLINKED;
  } else if (found.st_dev != ours.st_dev || found.st_ino != ours.st_ino) {
    *name = RINGPROOF_NAME_REPLACED;
  } else {
    *name = RINGPROOF_NAME_CURRENT;
  }
  return RINGPROOF_OK;
}

/* Whether the segment's name still leads to it, and nothing else. */
static inline enum ringproof_status ringproof_is_current(const struct ringproof_segment *segment,
                                                         bool *current,
                                                         struct ringproof_error *error) {
  enum ringproof_name name = RINGPROOF_NAME_UNLINKED;
  const enum ringproof_status status = ringproof_name_status(segment, &name, error);
  *current = status == RINGPROOF_OK && name == RINGPROOF_NAME_CURRENT;
  return status;
}

/* Takes the name away under the lock of the removal; with `finish` only if somebody began to. */
static inline enum ringproof_status ringproof_remove_locked(const struct ringproof_segment *segment,
                                                            bool finish,
                                                            struct ringproof_error *error) {
  ringproof_word *mark = &ringproof_header_of(segment)->retired;
  const bool marked = ringproof_is_retired(segment);
  char path[RINGPROOF_PATH_MAX];
  enum ringproof_status status;
  bool current = false;
  if (finish && !marked) {
    return RINGPROOF_OK;
  }
  status = ringproof_is_current(segment, &current, error);
  if (status != RINGPROOF_OK || !current) {
    return status;
  }
  status = ringproof_path(segment->name, path, sizeof path, error);
  if (status != RINGPROOF_OK) {
    return status;
  }
  /* Retire, relaxed: see RetiredCheck. First retired, then unlinked: whoever dies between the two
   * leaves a name that the next taker of a role finds retired, and removes. */
  ringproof_store_relaxed(mark, 1);
  if (unlink(path) != 0 && errno != ENOENT) {
    status = ringproof_fail_system(error, segment->name, "unlink it");
    if (!marked) {
      /* Retire, relaxed: see RetiredCheck. It has its name, so it stays in use. */
      ringproof_store_relaxed(mark, 0);
    }
    return status;
  }
  return RINGPROOF_OK;
}

static inline enum ringproof_status ringproof_remove(const struct ringproof_segment *segment,
                                                     bool finish, struct ringproof_error *error) {
  struct ringproof_claim removal;
  enum ringproof_status status = ringproof_check_access(segment, error);
  if (status == RINGPROOF_OK) {
    status = ringproof_begin_removal(segment, &removal, error);
  }
  if (status == RINGPROOF_OK) {
    status = ringproof_remove_locked(segment, finish, error);
    ringproof_release_claim(&removal);
  }
  return status;
}

/* Takes the name away, so that whoever opens it later gets another segment or none, and nobody
 * takes a role of this one any more. Whoever holds one may go on. Nothing happens if the name
 * belongs to another segment already. */
static inline enum ringproof_status ringproof_unlink(const struct ringproof_segment *segment,
                                                     struct ringproof_error *error) {
  return ringproof_remove(segment, false, error);
}

static inline enum ringproof_status ringproof_has_a_name(const struct ringproof_segment *segment,
                                                         bool *named,
                                                         struct ringproof_error *error) {
  struct stat file;
  if (fstat(segment->fd, &file) != 0) {
    return ringproof_fail_system(error, segment->name, "look up its inode");
  }
  *named = file.st_nlink > 0;
  return RINGPROOF_OK;
}

static inline enum ringproof_status ringproof_gone(const struct ringproof_segment *segment,
                                                   struct ringproof_error *error) {
  return ringproof_fail(error, RINGPROOF_GONE,
                        "segment `%s` was unlinked since it was opened; open it anew",
                        segment->name);
}

static inline struct ringproof_role_words *
ringproof_words_of(const struct ringproof_segment *segment, enum ringproof_role role) {
  struct ringproof_header *header = ringproof_header_of(segment);
  return role == RINGPROOF_CONSUMER ? &header->consumer : &header->producer;
}

/* Looks, under the lock of the role, whether the segment is still there. Only there the answers
 * last. */
static inline enum ringproof_status ringproof_still_there(const struct ringproof_segment *segment,
                                                          struct ringproof_error *error) {
  bool named = false;
  enum ringproof_status status;
  if (ringproof_is_retired(segment)) {
    /* Whoever retired it may have died before it took the name away, or may take the mark back. */
    status = ringproof_remove(segment, true, error);
    if (status != RINGPROOF_OK) {
      return status;
    }
    if (ringproof_is_retired(segment)) {
      return ringproof_gone(segment, error);
    }
  }
  status = ringproof_has_a_name(segment, &named, error);
  if (status == RINGPROOF_OK && !named) {
    status = ringproof_gone(segment, error);
  }
  return status;
}

/* Locks `role`; RINGPROOF_HELD, without details, if somebody has it. */
static inline enum ringproof_status ringproof_lock_role(const struct ringproof_segment *segment,
                                                        enum ringproof_role role,
                                                        struct ringproof_claim *claim,
                                                        struct ringproof_error *error) {
  const short byte = ringproof_lock_byte(role);
  struct ringproof_claim removal;
  enum ringproof_status status = ringproof_lock(segment, byte, claim, error);
  /* Perhaps by a removal of a free segment, which takes every role for a moment. During another
   * removal there is none, and what is held now is held by somebody who uses it. */
  if (status == RINGPROOF_HELD &&
      ringproof_begin_removal(segment, &removal, NULL) == RINGPROOF_OK) {
    status = ringproof_lock(segment, byte, claim, error);
    ringproof_release_claim(&removal);
  }
  return status;
}

/* Takes `role`, until the claim is released or the process dies. */
static inline enum ringproof_status ringproof_take(const struct ringproof_segment *segment,
                                                   enum ringproof_role role,
                                                   struct ringproof_claim *claim,
                                                   struct ringproof_error *error) {
  enum ringproof_status status = ringproof_check_access(segment, error);
  ringproof_word *epoch;
  claim->shared = NULL;
  if (status != RINGPROOF_OK) {
    return status;
  }
  if ((role == RINGPROOF_WRITER) == (segment->fixed.kind == RINGPROOF_RING)) {
    return ringproof_mismatch(error, segment->name, "kind",
                              ringproof_kind_name(segment->fixed.kind), "one that has a %s",
                              ringproof_role_name(role));
  }
  status = ringproof_lock_role(segment, role, claim, error);
  if (status == RINGPROOF_HELD) {
    bool named = true;
    status = ringproof_has_a_name(segment, &named, error);
    if (status != RINGPROOF_OK) {
      return status;
    }
    if (!named) {
      /* Its holder goes on with what has no name any more: to end it would not help. */
      return ringproof_gone(segment, error);
    }
    return ringproof_fail(error, RINGPROOF_HELD,
                          "the %s of segment `%s` is another process or endpoint; end it first (a "
                          "stopped process holds its role, too)", ringproof_role_name(role),
                          segment->name);
  }
  if (status != RINGPROOF_OK) {
    return status;
  }
  status = ringproof_still_there(segment, error);
  if (status != RINGPROOF_OK) {
    ringproof_release_claim(claim);
    return status;
  }
  epoch = &ringproof_words_of(segment, role)->epoch;
  /* RoleEpoch and RoleEpochNext, relaxed: the role lock orders holders. */
  claim->epoch = ringproof_load_relaxed(epoch) + 1;
  ringproof_store_relaxed(epoch, claim->epoch);
  return RINGPROOF_OK;
}

/* A word that an application keeps beside the structure, of RINGPROOF_NOTES for each role; NULL if
 * there is no such, or the segment is not attached or is the parent's of this process. What orders
 * notes is the application's affair, through an index or a role. */
static inline ringproof_word *ringproof_note(const struct ringproof_segment *segment,
                                             enum ringproof_role role, unsigned index) {
  return index < RINGPROOF_NOTES && ringproof_check_access(segment, NULL) == RINGPROOF_OK
             ? &ringproof_words_of(segment, role)->notes[index]
             : NULL;
}

static inline uint64_t ringproof_read_note(ringproof_word *note) {
  /* NoteRead, relaxed: as above. */
  return ringproof_load_relaxed(note);
}

/* Only the holder of the role should. */
static inline void ringproof_write_note(ringproof_word *note, uint64_t value) {
  /* NoteWrite, relaxed: as above. */
  ringproof_store_relaxed(note, value);
}

/* ---- Waking who sleeps: impl/src/sleep.rs has the algorithm ------------------------------- */

/* Beside the count, in what is asked: who sleeps can make no barrier; in the answers: who wakes makes a
 * whole fence after each publication. */
#define RINGPROOF_FENCE_BIT (UINT64_C(1) << 63)

/* What no correct sleeper asks for; and what was handled last, where that is not known. */
#define RINGPROOF_NEVER UINT64_MAX
#define RINGPROOF_UNKNOWN (UINT64_MAX - 1)

static inline uint64_t ringproof_next_answer(uint64_t answer) {
  return (answer + 1) & ~RINGPROOF_FENCE_BIT;
}

/* The side that wakes. */
struct ringproof_waker {
  struct ringproof_role_words *ours, *theirs;
  /* What was asked when it was handled last, so that there is nothing to do; RINGPROOF_NEVER where each
   * publication is followed by a fence. */
  uint64_t quiet;
  uint64_t answered; /* the authority, of which the shared word is a copy */
  uint64_t handled;  /* what was asked when it was handled last */
};

/* Goes on where the last one stopped. */
static inline void ringproof_waker_init(struct ringproof_waker *waker,
                                        struct ringproof_role_words *ours,
                                        struct ringproof_role_words *theirs) {
  waker->ours = ours;
  waker->theirs = theirs;
  /* WakeResume, relaxed: the role lock orders this after the predecessor. */
  waker->answered = ringproof_load_relaxed(&waker->ours->answers);
  /* The predecessor may have died between an answer and the call that goes with it: then who asked for
   * it sleeps. */
  waker->handled = waker->answered == 0 ? 0 : RINGPROOF_UNKNOWN;
  waker->quiet = (waker->answered & RINGPROOF_FENCE_BIT) == 0 && ringproof_is_reached()
                     ? waker->handled
                     : RINGPROOF_NEVER;
}

/* Wakes who asked, unless that was handled before. */
RINGPROOF_COLD static void ringproof_wake(struct ringproof_waker *waker, uint64_t asks) {
  uint64_t fence, next;
  if (waker->quiet == RINGPROOF_NEVER) {
    /* WakeFence, seqcst: pairs with SleepBarrier and SleepFence. */
    ringproof_fence_seq_cst();
    /* WakeLookAgain, relaxed: pairs with SleepAsk; the fence keeps it behind the publication. */
    asks = ringproof_load_relaxed(&waker->theirs->asks);
  }
  if (asks == waker->handled) {
    return;
  }
  waker->handled = asks;
  fence = (waker->answered | asks) & RINGPROOF_FENCE_BIT;
  /* What is asked is what is answered next, also if it is more than anybody can have asked for. */
  next = ringproof_next_answer(waker->answered);
  asks &= ~RINGPROOF_FENCE_BIT;
  waker->answered = (asks > next ? asks : next) | fence;
  if (fence != 0) {
    waker->quiet = RINGPROOF_NEVER;
  } else if (waker->quiet != RINGPROOF_NEVER) {
    waker->quiet = waker->handled;
  }
  /* WakeAnswer, relaxed: pairs with SleepMark and SleepWait. */
  ringproof_store_relaxed(&waker->ours->answers, waker->answered);
  /* WakeCall, atomic: pairs with SleepWait. */
  ringproof_futex_wake(&waker->ours->answers);
}

/* After each publication: wakes who sleeps for it. */
static inline void ringproof_wake_if_asked(struct ringproof_waker *waker) {
  uint64_t asks;
  /* WakeLight, light: pairs with SleepBarrier, which makes it a whole fence. */
  ringproof_fence_light();
  /* WakeLook, relaxed: pairs with SleepAsk; the fence keeps it behind the publication. */
  asks = ringproof_load_relaxed(&waker->theirs->asks);
  if (asks != waker->quiet) {
    ringproof_wake(waker, asks);
  }
}

/* ---- Waiting: impl/src/wait.rs has the rule ---------------------------------------------- */

/* How an end waits. */
enum ringproof_wait {
  /* It looks for some microseconds, then sleeps in the kernel until it is woken. */
  RINGPROOF_WAIT_SLEEP,
  /* It sleeps as soon as it finds nothing: for many ends on few processors. */
  RINGPROOF_WAIT_SLEEP_AT_ONCE,
  /* It looks for some microseconds, then lets other threads run between two looks. */
  RINGPROOF_WAIT_YIELD,
  /* It looks again and again, and keeps its processor busy. The fastest where each of the two ends has
   * a processor of its own, and the slowest where they share one. */
  RINGPROOF_WAIT_SPIN
};

#define RINGPROOF_FOREVER UINT64_MAX /* a timeout: without limit */

/* Between two looks an end stays away, the longer the more it finds, because a look takes the other
 * side's cache line away from it: so many units. As many items or slots as are few are no backlog. */
#define RINGPROOF_LEAST_STAY 2u
#define RINGPROOF_MOST_STAY 64u
#define RINGPROOF_FEW 2u
#define RINGPROOF_UNIT UINT64_C(45) /* nanoseconds, about */
#define RINGPROOF_UNITS_OF_A_CLOCK 256u /* between two looks at the clock */

/* In nanoseconds: how long an end spins before it lets others run; the time between two questions
 * whether there is a peer, each of which is a system call; the longest sleep that nothing orders with
 * who is to end it. */
#define RINGPROOF_SPINNING UINT64_C(20000)
#define RINGPROOF_INTERVAL UINT64_C(80000000)
#define RINGPROOF_NAP UINT64_C(1000000)

static inline uint64_t ringproof_now(void) {
  struct timespec now = {0, 0};
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* A timeout for those who have a deadline: the nanoseconds until a moment of CLOCK_MONOTONIC, 0 if it
 * is over. */
static inline uint64_t ringproof_until(const struct timespec *moment) {
  const uint64_t seconds = moment->tv_sec < 0 ? 0 : (uint64_t)moment->tv_sec;
  const uint64_t now = ringproof_now();
  uint64_t end;
  if (seconds > UINT64_MAX / 2000000000) {
    return RINGPROOF_FOREVER;
  }
  end = seconds * 1000000000 + (uint64_t)moment->tv_nsec;
  return end > now ? end - now : 0;
}

/* What an end knows that waits. */
struct ringproof_waiter {
  struct ringproof_role_words *ours, *theirs;
  enum ringproof_role peer;
  enum ringproof_wait how;
  unsigned stay;   /* how many units it stays away */
  unsigned pauses; /* of this processor in a unit */
};

/* Between 4 and 150 cycles each: the shortest of some measurements, because an interruption only
 * makes one longer. Never so many that a clock that stands still would matter. */
static inline unsigned ringproof_pauses_of_a_unit(void) {
  const unsigned pauses = 64;
  uint64_t shortest = UINT64_MAX, found;
  for (int i = 0; i < 5; i++) {
    const uint64_t start = ringproof_now();
    uint64_t took;
    for (unsigned j = 0; j < pauses; j++) {
      ringproof_spin();
    }
    took = ringproof_now() - start;
    shortest = took < shortest ? took : shortest;
  }
  shortest = shortest == 0 ? 1 : shortest;
  found = (pauses * RINGPROOF_UNIT + shortest - 1) / shortest;
  return (unsigned)(found < RINGPROOF_UNIT ? found : RINGPROOF_UNIT);
}

static inline void ringproof_waiter_init(struct ringproof_waiter *waiter,
                                         struct ringproof_role_words *ours,
                                         struct ringproof_role_words *theirs,
                                         enum ringproof_role peer) {
  waiter->ours = ours;
  waiter->theirs = theirs;
  waiter->peer = peer;
  waiter->how = RINGPROOF_WAIT_SLEEP;
  waiter->stay = RINGPROOF_LEAST_STAY;
  waiter->pauses = ringproof_pauses_of_a_unit();
}

/* A look found so many. */
static inline void ringproof_found(struct ringproof_waiter *waiter, uint64_t count) {
  const unsigned stay = waiter->stay;
  if (count > RINGPROOF_FEW) {
    waiter->stay = stay + stay / 2 < RINGPROOF_MOST_STAY ? stay + stay / 2 : RINGPROOF_MOST_STAY;
  } else if (count > 0) {
    waiter->stay = stay / 2 > RINGPROOF_LEAST_STAY ? stay / 2 : RINGPROOF_LEAST_STAY;
  }
}

/* What was asked for. */
struct ringproof_asked {
  uint64_t mark;
  bool ordered; /* a last look finds what was published, or who published finds that it was asked */
};

/* Asks to be woken. A last look must follow, and then ringproof_sleep. `refused` says whether the
 * barrier was, and is false at first. */
static inline struct ringproof_asked ringproof_ask(const struct ringproof_waiter *waiter,
                                                   bool *refused) {
  struct ringproof_asked asked;
  uint64_t number;
  /* SleepMark, relaxed: pairs with WakeAnswer; the kernel compares the word with it once more. */
  asked.mark = ringproof_load_relaxed(&waiter->theirs->answers);
  /* Where there are fences they stay asked for: a number without the bit would not be more. */
  number = ringproof_next_answer(asked.mark) | (asked.mark & RINGPROOF_FENCE_BIT);
  if (!*refused) {
    /* SleepAsk, relaxed: pairs with WakeLook and WakeLookAgain; the barrier keeps it before the last
     * look. */
    ringproof_raise_relaxed(&waiter->ours->asks, number);
    /* SleepBarrier, heavy: pairs with WakeLight and WakeFence. */
    *refused = !ringproof_barrier();
  }
  if (*refused) {
    /* SleepAsk, relaxed: pairs with WakeLook and WakeLookAgain; the fence keeps it before the last
     * look. */
    ringproof_raise_relaxed(&waiter->ours->asks, number | RINGPROOF_FENCE_BIT);
    /* SleepFence, seqcst: pairs with WakeFence. */
    ringproof_fence_seq_cst();
  }
  asked.ordered = !*refused || (asked.mark & RINGPROOF_FENCE_BIT) != 0;
  return asked;
}

/* Sleeps until it is woken, for at most `nanos`; what ringproof_futex_wait says. */
static inline int ringproof_sleep(const struct ringproof_waiter *waiter,
                                  const struct ringproof_asked *asked, uint64_t nanos) {
  const uint64_t most = asked->ordered || nanos < RINGPROOF_NAP ? nanos : RINGPROOF_NAP;
  /* SleepWait, atomic: pairs with WakeAnswer and WakeCall. */
  return ringproof_futex_wait(&waiter->theirs->answers, asked->mark, most);
}

/* Whether the kernel puts nobody to sleep here. */
static inline bool ringproof_is_sleepless(int os_error) {
  return os_error != 0 && os_error != EAGAIN && os_error != ETIMEDOUT && os_error != EINTR;
}

/* Whether there was a peer, and is none now. A kernel that does not know leaves it open. */
static inline bool ringproof_is_peer_gone(const struct ringproof_waiter *waiter,
                                          struct ringproof_attachment *shared) {
  bool held = true;
  if (ringproof_is_held(shared, waiter->peer, &held) != RINGPROOF_OK || held) {
    return false;
  }
  /* RoleEpoch, relaxed: the answer of the kernel orders it after a holder that is gone. */
  return ringproof_load_relaxed(&waiter->theirs->epoch) > 0;
}

/* What an end looks for while it waits. RINGPROOF_FULL or RINGPROOF_EMPTY: not yet. */
struct ringproof_look {
  enum ringproof_status (*look)(void *what);
  void *what;
};

static inline bool ringproof_not_yet(enum ringproof_status status) {
  return status == RINGPROOF_FULL || status == RINGPROOF_EMPTY;
}

/* Waits until a look finds what it is for, or something that no waiting changes. */
RINGPROOF_APART static enum ringproof_status
ringproof_await(const struct ringproof_waiter *waiter, struct ringproof_attachment *shared,
               const struct ringproof_look *for_what, uint64_t timeout) {
  enum ringproof_status status = for_what->look(for_what->what);
  const bool at_once = waiter->how == RINGPROOF_WAIT_SLEEP_AT_ONCE;
  uint64_t start, now, asked_kernel, end;
  unsigned units = 0;
  bool refused = false;
  if (!ringproof_not_yet(status)) {
    return status;
  }
  if (timeout == 0) {
    return RINGPROOF_TIMED_OUT;
  }
  start = now = asked_kernel = ringproof_now();
  end = timeout < UINT64_MAX - start ? start + timeout : UINT64_MAX;
  for (;;) {
    const bool patient = now - start >= RINGPROOF_SPINNING;
    int slept = 0;
    if (at_once || (patient && waiter->how == RINGPROOF_WAIT_SLEEP)) {
      const struct ringproof_asked asked = ringproof_ask(waiter, &refused);
      const uint64_t most = asked_kernel + RINGPROOF_INTERVAL - now;
      status = for_what->look(for_what->what);
      if (!ringproof_not_yet(status)) {
        return status;
      }
      slept = ringproof_sleep(waiter, &asked, most < end - now ? most : end - now);
      if (ringproof_is_sleepless(slept)) {
        const struct timespec nap = {0, (long)RINGPROOF_NAP};
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
      }
      units = RINGPROOF_UNITS_OF_A_CLOCK;
    } else if (patient && waiter->how == RINGPROOF_WAIT_YIELD) {
      sched_yield();
      units = RINGPROOF_UNITS_OF_A_CLOCK;
    } else {
      for (unsigned i = 0; i < waiter->stay * waiter->pauses; i++) {
        ringproof_spin();
      }
      units += waiter->stay;
    }
    status = for_what->look(for_what->what);
    if (!ringproof_not_yet(status)) {
      return status;
    }
    if (slept == EINTR) {
      return RINGPROOF_INTERRUPTED;
    }
    if (units < RINGPROOF_UNITS_OF_A_CLOCK) {
      continue;
    }
    units = 0;
    now = ringproof_now();
    if (now >= end) {
      return RINGPROOF_TIMED_OUT;
    }
    if (now - asked_kernel >= RINGPROOF_INTERVAL) {
      asked_kernel = now;
      if (ringproof_is_peer_gone(waiter, shared)) {
        /* What it did before it went is seen by a look after the kernel said that it is gone. */
        status = for_what->look(for_what->what);
        return ringproof_not_yet(status) ? RINGPROOF_PEER_GONE : status;
      }
    }
  }
}

/* ---- The ring: impl/src/ring.rs has the algorithm and its invariant ---------------------- */

/* What a corrupt word held, and what it could have held. */
struct ringproof_corruption {
  const char *word; /* NULL: none was met */
  uint64_t found;
  uint64_t lowest;
  uint64_t highest;
};

/* Writes what was met to `text`, cut to `room` bytes. */
static inline void ringproof_explain(const struct ringproof_corruption *corruption, char *text,
                                     size_t room) {
  snprintf(text, room,
           "corrupt ring: %s is %llu, but must be from %llu to %llu; the peer or another process "
           "wrote over it, the ring cannot be used any further",
           corruption->word == NULL ? "no word" : corruption->word,
           (unsigned long long)corruption->found, (unsigned long long)corruption->lowest,
           (unsigned long long)corruption->highest);
}

static inline enum ringproof_status ringproof_corrupt(struct ringproof_corruption *corruption,
                                                      const char *word, uint64_t found,
                                                      uint64_t lowest, uint64_t highest) {
  corruption->word = word;
  corruption->found = found;
  corruption->lowest = lowest;
  corruption->highest = highest;
  return RINGPROOF_CORRUPT;
}

/* A power of two of slots, cycled through by ever-growing positions. */
struct ringproof_slots {
  unsigned char *bytes;
  uint64_t mask;
  size_t item;
};

static inline struct ringproof_slots ringproof_slots_of(const struct ringproof_segment *segment) {
  struct ringproof_slots slots;
  slots.bytes = (unsigned char *)segment->map + (size_t)segment->fixed.data_offset;
  slots.mask = segment->fixed.slots - 1;
  slots.item = (size_t)segment->fixed.payload_size;
  return slots;
}

/* `size` is that of an item; as a constant it spares a multiplication. */
static inline unsigned char *ringproof_slot(const struct ringproof_slots *slots, uint64_t position,
                                            size_t size) {
  return slots->bytes + (size_t)(position & slots->mask) * size;
}

#define RINGPROOF_LINE 64 /* bytes of a cache line, on the processors for which it matters here */

/* Asks for the cache lines of the first kibibyte as this side's own: their last reader holds them,
 * and asked for together they come while the next items are made. Changes nothing to see. */
static inline void ringproof_prefetch(const unsigned char *bytes, size_t len) {
  const size_t end = len < 16 * RINGPROOF_LINE ? len : 16 * RINGPROOF_LINE;
  for (size_t at = 0; at < end; at += RINGPROOF_LINE) {
#ifdef __x86_64__
    /* What the compiler has for this asks for a copy to read, unless told of the processor. */
    __asm__ volatile("prefetchw %0" : : "m"(bytes[at]));
#else
    __builtin_prefetch(&bytes[at], 1);
#endif
  }
}

/* Items that lie one after the other. */
struct ringproof_run {
  void *items;
  size_t len;
};

/* A batch of slots, before and after the end of memory: reserved by a producer, to be written in
 * place and committed, or shown to a consumer, to be read and released. Valid until the next call
 * on its endpoint: one that is used up, or taken back by a push or pop, another chunk, a close or a
 * drop, can be neither committed nor released, nor can another end's. (Its slots must not be touched
 * then, either, which is not checked.)
 *
 * To read items in place trusts every process that maps the segment to keep to the protocol: one
 * that does not may change them between two looks. ringproof_pop_slice copies. */
struct ringproof_chunk {
  uint64_t position; /* the sequence number of the first item */
  size_t len;        /* of both runs */
  struct ringproof_run first;
  struct ringproof_run second;
  const ringproof_word *end; /* which end's it is: the index that that one stores */
  uint64_t number;           /* which of that end's */
};

static inline void ringproof_chunk_of(const struct ringproof_slots *slots, uint64_t position,
                                      size_t len, struct ringproof_chunk *chunk) {
  const uint64_t to_end = slots->mask + 1 - (position & slots->mask);
  chunk->position = position;
  chunk->len = len;
  chunk->first.items = ringproof_slot(slots, position, slots->item);
  chunk->first.len = len < to_end ? len : (size_t)to_end;
  chunk->second.items = slots->bytes;
  chunk->second.len = len - chunk->first.len;
}

/* Whether `count` items of the chunk may be handed over by the end that stores `word`, stands at
 * `index` and has numbered its chunks up to `number`. */
static inline bool ringproof_is_good(const struct ringproof_chunk *chunk, size_t count,
                                     const ringproof_word *word, uint64_t index, uint64_t number) {
  return word != NULL && chunk->end == word && chunk->number == number &&
         chunk->position == index && count <= chunk->len;
}

/* The number that the chunks of a new end follow: no chunk of an earlier one has it, nor one of another
 * ring that was mapped here before. */
static inline uint64_t ringproof_first_chunk(const struct ringproof_claim *claim) {
  struct ringproof_forks *const forks = claim->shared->forks;
  uint64_t number;
  pthread_mutex_lock(&forks->lock);
  number = ++forks->ends << 32;
  pthread_mutex_unlock(&forks->lock);
  return number;
}

/* What is said to an item of another size than the ring's: an end that is not open has none. */
RINGPROOF_COLD static enum ringproof_status ringproof_wrong_size(size_t item) {
  return item == 0 ? RINGPROOF_NOT_OPEN : RINGPROOF_SIZE;
}

/* The sending end of a ring. Its fields are for the functions below, but for `corruption`. */
struct ringproof_producer {
  struct ringproof_slots slots;
  uint64_t capacity;
  ringproof_word *write_word, *read_word;
  /* The authority, of which the shared word is a copy. Invariant: neither it nor it and what is free
   * is above RINGPROOF_LAST_INDEX. */
  uint64_t write_index;
  /* As last seen, or below it. Invariant, in wrapping arithmetic: write_index - capacity <=
   * cached_read_index <= read_index <= write_index; kept at the lower bound ("full") once the ring is
   * known to be closed, by whichever side, so that the hot path need not ask. */
  uint64_t cached_read_index;
  bool closed;
  bool peer_closed; /* whether the consumer was seen to have closed the ring */
  uint64_t chunk; /* the number of the last chunk, and of none once that is used up or taken back */
  struct ringproof_waker waker;   /* of a consumer that sleeps until there are items */
  struct ringproof_waiter waiter; /* until there is room */
  struct ringproof_claim claim;
  struct ringproof_corruption corruption;
};

/* Takes the producer's role, where its last holder left the ring. A forked child that uses this
 * end dies of it. */
static inline enum ringproof_status ringproof_producer_open(struct ringproof_producer *producer,
                                                            const struct ringproof_segment *segment,
                                                            struct ringproof_error *error) {
  struct ringproof_header *header = ringproof_header_of(segment);
  enum ringproof_status status;
  uint64_t word;
  memset(producer, 0, sizeof *producer);
  status = ringproof_take(segment, RINGPROOF_PRODUCER, &producer->claim, error);
  if (status != RINGPROOF_OK) {
    return status;
  }
  producer->slots = ringproof_slots_of(segment);
  producer->capacity = segment->fixed.capacity;
  producer->write_word = &header->producer.index;
  producer->read_word = &header->consumer.index;
  /* RingResumeWrite, relaxed: the role lock orders this after the predecessor. */
  word = ringproof_load_relaxed(producer->write_word);
  producer->write_index = word & RINGPROOF_LAST_INDEX;
  producer->closed = (word & RINGPROOF_CLOSED_BIT) != 0;
  /* "Full": the first push looks for itself. */
  producer->cached_read_index = producer->write_index - producer->capacity;
  producer->chunk = ringproof_first_chunk(&producer->claim);
  ringproof_waker_init(&producer->waker, &header->producer, &header->consumer);
  ringproof_waiter_init(&producer->waiter, &header->producer, &header->consumer,
                        RINGPROOF_CONSUMER);
  return RINGPROOF_OK;
}

/* Whether it was opened, and not dropped since. */
static inline bool ringproof_producer_is_open(const struct ringproof_producer *producer) {
  return producer->write_word != NULL;
}

/* Gives the role back. Closes nothing: a successor may go on. Afterwards the end is not open. */
static inline void ringproof_producer_drop(struct ringproof_producer *producer) {
  ringproof_release_claim(&producer->claim);
  memset(producer, 0, sizeof *producer);
}

/* The sequence number of the next item: how many were committed since the ring was made. 0 of an end
 * that is not open. */
static inline uint64_t ringproof_producer_position(const struct ringproof_producer *producer) {
  return producer->write_index;
}

static inline uint64_t ringproof_free(const struct ringproof_producer *producer) {
  return producer->capacity - (producer->write_index - producer->cached_read_index);
}

static inline enum ringproof_status
ringproof_observe_read_index(struct ringproof_producer *producer, uint64_t *found,
                             bool *peer_closed) {
  const uint64_t lowest = producer->cached_read_index;
  /* RingReclaim, acquire: pairs with RingFree and RingStop; the consumer has done with the slots
   * below. */
  const uint64_t word = ringproof_load_acquire(producer->read_word);
  *found = word & RINGPROOF_LAST_INDEX;
  *peer_closed = (word & RINGPROOF_CLOSED_BIT) != 0;
  if (*found - lowest <= producer->write_index - lowest) {
    return RINGPROOF_OK;
  }
  return ringproof_corrupt(&producer->corruption, "read_index", word, lowest,
                           producer->write_index);
}

/* Closes the ring, for good: the consumer takes what was committed and then sees the end. What is
 * reserved and not committed is taken back. Not OK only if the end is not open. */
static inline enum ringproof_status ringproof_producer_close(struct ringproof_producer *producer) {
  if (!ringproof_producer_is_open(producer)) {
    return RINGPROOF_NOT_OPEN;
  }
  if (!producer->closed) {
    /* RingEnd, release: pairs with RingObserve; what was published before is seen with it. */
    ringproof_store_release(producer->write_word, producer->write_index | RINGPROOF_CLOSED_BIT);
    ringproof_wake_if_asked(&producer->waker);
    producer->closed = true;
    producer->chunk++;
    producer->cached_read_index = producer->write_index - producer->capacity;
  }
  return RINGPROOF_OK;
}

/* Whether the consumer closed the ring: RINGPROOF_PEER_CLOSED, else RINGPROOF_OK. A producer that
 * meets no full ring for long may ask here. */
static inline enum ringproof_status
ringproof_producer_is_peer_closed(struct ringproof_producer *producer) {
  const uint64_t last = RINGPROOF_LAST_INDEX - producer->capacity;
  uint64_t found = 0;
  bool peer_closed = false;
  enum ringproof_status status;
  if (!ringproof_producer_is_open(producer)) {
    return RINGPROOF_NOT_OPEN;
  }
  if (producer->peer_closed) {
    return RINGPROOF_PEER_CLOSED;
  }
  status = ringproof_observe_read_index(producer, &found, &peer_closed);
  if (status != RINGPROOF_OK) {
    return status;
  }
  if (peer_closed) {
    producer->peer_closed = true;
    /* A chunk is taken back: committed, it would make room where there is none. */
    producer->chunk++;
    producer->cached_read_index = producer->write_index - producer->capacity;
    return RINGPROOF_PEER_CLOSED;
  }
  if (!producer->closed) {
    /* No slot is free for a position behind the last one. */
    producer->cached_read_index = found < last ? found : last;
  }
  return RINGPROOF_OK;
}

/* Looks how far the consumer came; not OK if nothing was gained or can be. */
RINGPROOF_APART static enum ringproof_status
ringproof_reclaim(struct ringproof_producer *producer) {
  const uint64_t before = producer->cached_read_index;
  enum ringproof_status status;
  if (producer->closed) {
    return RINGPROOF_CLOSED;
  }
  if (producer->peer_closed) {
    return RINGPROOF_PEER_CLOSED;
  }
  if (producer->write_index == RINGPROOF_LAST_INDEX) {
    ringproof_producer_close(producer);
    return RINGPROOF_CLOSED;
  }
  /* An end that is not open has a capacity of 0, so that it comes here. */
  status = ringproof_producer_is_peer_closed(producer);
  if (status == RINGPROOF_OK && producer->cached_read_index == before) {
    return RINGPROOF_FULL;
  }
  return status;
}

/* Makes the slots below `write_index` visible. It and the word are the caller's, from before the
 * slots were written: a compiler that takes a slot for this structure would load both again. */
static inline void ringproof_publish(struct ringproof_producer *producer, uint64_t write_index,
                                     ringproof_word *write_word) {
  producer->write_index = write_index;
  /* RingPublish, release: pairs with RingObserve; publishes the slots written before. */
  ringproof_store_release(write_word, write_index);
  ringproof_wake_if_asked(&producer->waker);
}

RINGPROOF_APART static enum ringproof_status
ringproof_push_when_full(struct ringproof_producer *producer, const void *item, size_t size);

/* Appends the item, visible to the consumer when the call returns. Unless RINGPROOF_OK, the ring
 * is as it was. `size` is that of the item, as a rule `sizeof item`: a constant, so that the
 * compiler need not call anything to copy it. Another size than the payload's is RINGPROOF_SIZE. */
static inline enum ringproof_status ringproof_push_sized(struct ringproof_producer *producer,
                                                         const void *item, size_t size) {
  uint64_t index;
  ringproof_word *word;
  if (size != producer->slots.item) {
    return ringproof_wrong_size(producer->slots.item);
  }
  if (ringproof_free(producer) == 0) {
    return ringproof_push_when_full(producer, item, size);
  }
  index = producer->write_index;
  word = producer->write_word;
  /* RingFill, plain: pairs with RingTake; the slot is free, hence this side's. */
  memcpy(ringproof_slot(&producer->slots, index, size), item, size);
  ringproof_publish(producer, index + 1, word);
  return RINGPROOF_OK;
}

/* Looks whether there is room by now, and goes on if there is. */
RINGPROOF_APART static enum ringproof_status
ringproof_push_when_full(struct ringproof_producer *producer, const void *item, size_t size) {
  const enum ringproof_status status = ringproof_reclaim(producer);
  return status == RINGPROOF_OK ? ringproof_push_sized(producer, item, size) : status;
}

/* The same for an item whose size is not known where this is compiled, which costs a call. */
static inline enum ringproof_status ringproof_push(struct ringproof_producer *producer,
                                                   const void *item) {
  return ringproof_push_sized(producer, item, producer->slots.item);
}

/* Reserves up to `count` free slots, at least one unless `count` is zero. What is not committed
 * leaves the ring as it was. */
static inline enum ringproof_status ringproof_reserve(struct ringproof_producer *producer,
                                                      size_t count,
                                                      struct ringproof_chunk *chunk) {
  uint64_t len;
  if (!ringproof_producer_is_open(producer)) {
    return RINGPROOF_NOT_OPEN;
  }
  if (ringproof_free(producer) < count) {
    const enum ringproof_status status = ringproof_reclaim(producer);
    /* Some are free, if fewer than asked for. */
    if (status != RINGPROOF_OK && !(status == RINGPROOF_FULL && ringproof_free(producer) > 0)) {
      return status;
    }
  }
  len = ringproof_free(producer);
  ringproof_chunk_of(&producer->slots, producer->write_index, len < count ? (size_t)len : count,
                     chunk);
  chunk->end = producer->write_word;
  chunk->number = ++producer->chunk;
  return RINGPROOF_OK;
}

/* Prepares for a next batch of the same size, as far as slots are known to be free: one that the
 * consumer has yet to read must not be drawn away from it. */
static inline void ringproof_prepare(const struct ringproof_producer *producer, size_t count) {
  struct ringproof_chunk next;
  const uint64_t room = ringproof_free(producer);
  ringproof_chunk_of(&producer->slots, producer->write_index, room < count ? (size_t)room : count,
                     &next);
  ringproof_prefetch((const unsigned char *)next.first.items,
                     next.first.len * producer->slots.item);
}

/* Why a chunk is not committed. */
RINGPROOF_COLD static enum ringproof_status
ringproof_refuse_commit(const struct ringproof_producer *producer) {
  if (!ringproof_producer_is_open(producer)) {
    return RINGPROOF_NOT_OPEN;
  }
  if (producer->closed) {
    return RINGPROOF_CLOSED;
  }
  return producer->peer_closed ? RINGPROOF_PEER_CLOSED : RINGPROOF_OUT_OF_CHUNK;
}

/* Makes the first `count` items of the chunk visible to the consumer, all at once. The rest is
 * given back, and the chunk is used up. Nothing is committed of a ring that was closed meanwhile, from
 * this side or, as far as is known, from the other. */
static inline enum ringproof_status ringproof_commit(struct ringproof_producer *producer,
                                                     const struct ringproof_chunk *chunk,
                                                     size_t count) {
  if (!ringproof_is_good(chunk, count, producer->write_word, producer->write_index,
                         producer->chunk)) {
    return ringproof_refuse_commit(producer);
  }
  producer->chunk++;
  if (count > 0) {
    ringproof_publish(producer, chunk->position + count, producer->write_word);
    ringproof_prepare(producer, count);
  }
  return RINGPROOF_OK;
}

/* Appends as many of the `count` items as fit, in one commit, and says how many. */
static inline enum ringproof_status ringproof_push_slice(struct ringproof_producer *producer,
                                                         const void *items, size_t count,
                                                         size_t *pushed) {
  const unsigned char *from = (const unsigned char *)items;
  const size_t item = producer->slots.item;
  struct ringproof_chunk chunk;
  const enum ringproof_status status = ringproof_reserve(producer, count, &chunk);
  *pushed = 0;
  if (status != RINGPROOF_OK) {
    return status;
  }
  if (chunk.len > 0) {
    /* RingFill, plain: pairs with RingTake; the slots are reserved. */
    memcpy(chunk.first.items, from, chunk.first.len * item);
    /* Once in a lap only. */
    if (chunk.second.len > 0) {
      memcpy(chunk.second.items, from + chunk.first.len * item, chunk.second.len * item);
    }
  }
  *pushed = chunk.len;
  return ringproof_commit(producer, &chunk, chunk.len);
}

/* How many items are live now. */
static inline enum ringproof_status
ringproof_producer_occupancy(struct ringproof_producer *producer, uint64_t *live) {
  uint64_t found = 0;
  bool peer_closed = false;
  enum ringproof_status status = RINGPROOF_NOT_OPEN;
  if (ringproof_producer_is_open(producer)) {
    status = ringproof_observe_read_index(producer, &found, &peer_closed);
  }
  *live = producer->write_index - found;
  return status;
}

/* How it waits from now on. */
static inline void ringproof_producer_set_wait(struct ringproof_producer *producer,
                                               enum ringproof_wait how) {
  producer->waiter.how = how;
}

/* So many free slots. */
struct ringproof_slots_wanted {
  struct ringproof_producer *producer;
  uint64_t count;
};

static inline enum ringproof_status ringproof_look_for_slots(void *what) {
  const struct ringproof_slots_wanted *const wanted = (struct ringproof_slots_wanted *)what;
  struct ringproof_producer *const producer = wanted->producer;
  const uint64_t before = ringproof_free(producer), left = RINGPROOF_LAST_INDEX - producer->write_index;
  const uint64_t most = producer->capacity < left ? producer->capacity : left;
  enum ringproof_status status = RINGPROOF_OK;
  /* It ends when a look gains nothing. */
  while (status == RINGPROOF_OK && ringproof_free(producer) < wanted->count) {
    status = ringproof_reclaim(producer);
  }
  if (ringproof_free(producer) > before) {
    ringproof_found(&producer->waiter, ringproof_free(producer) - before);
  }
  return status == RINGPROOF_FULL && wanted->count > most ? RINGPROOF_SIZE : status;
}

/* Waits until `count` slots are free, for at most `timeout` nanoseconds (RINGPROOF_FOREVER: without
 * limit; 0: one look; for a deadline there is ringproof_until). After RINGPROOF_OK as many items can be
 * pushed without another wait. What is reserved stays so. RINGPROOF_SIZE if so many never will be free. */
static inline enum ringproof_status ringproof_wait_free(struct ringproof_producer *producer,
                                                        size_t count, uint64_t timeout) {
  struct ringproof_slots_wanted wanted = {producer, count};
  const struct ringproof_look look = {ringproof_look_for_slots, &wanted};
  if (!ringproof_producer_is_open(producer)) {
    return RINGPROOF_NOT_OPEN;
  }
  return ringproof_free(producer) >= count
             ? RINGPROOF_OK
             : ringproof_await(&producer->waiter, producer->claim.shared, &look, timeout);
}

static inline enum ringproof_status ringproof_look_for_none(void *what) {
  uint64_t found = 0;
  bool peer_closed = false;
  struct ringproof_producer *const producer = (struct ringproof_producer *)what;
  const enum ringproof_status status =
      ringproof_observe_read_index(producer, &found, &peer_closed);
  if (status != RINGPROOF_OK || found == producer->write_index) {
    return status;
  }
  return peer_closed ? RINGPROOF_PEER_CLOSED : RINGPROOF_FULL;
}

/* Waits until the consumer has released every item, also those before a close, for at most `timeout`
 * nanoseconds, as ringproof_wait_free does. RINGPROOF_PEER_CLOSED if the consumer closed the ring and left
 * some. */
static inline enum ringproof_status ringproof_wait_drained(struct ringproof_producer *producer,
                                                           uint64_t timeout) {
  const struct ringproof_look look = {ringproof_look_for_none, producer};
  if (!ringproof_producer_is_open(producer)) {
    return RINGPROOF_NOT_OPEN;
  }
  return ringproof_await(&producer->waiter, producer->claim.shared, &look, timeout);
}

/* The receiving end of a ring. Its fields are for the functions below, but for `corruption`. */
struct ringproof_consumer {
  struct ringproof_slots slots;
  uint64_t capacity;
  ringproof_word *write_word, *read_word;
  uint64_t read_index; /* the authority, of which the shared word is a copy */
  /* As last seen. Invariant, in wrapping arithmetic: read_index <= cached_write_index <=
   * write_index <= read_index + capacity; kept at the lower bound ("empty") once this side has
   * closed the ring. */
  uint64_t cached_write_index;
  bool closed;
  uint64_t chunk; /* as in a producer */
  struct ringproof_waker waker;   /* of a producer that sleeps until there is room */
  struct ringproof_waiter waiter; /* until there are items */
  struct ringproof_claim claim;
  struct ringproof_corruption corruption;
};

/* Takes the consumer's role, where its last holder left the ring. A forked child that uses this
 * end dies of it. */
static inline enum ringproof_status ringproof_consumer_open(struct ringproof_consumer *consumer,
                                                            const struct ringproof_segment *segment,
                                                            struct ringproof_error *error) {
  struct ringproof_header *header = ringproof_header_of(segment);
  enum ringproof_status status;
  uint64_t word;
  memset(consumer, 0, sizeof *consumer);
  status = ringproof_take(segment, RINGPROOF_CONSUMER, &consumer->claim, error);
  if (status != RINGPROOF_OK) {
    return status;
  }
  consumer->slots = ringproof_slots_of(segment);
  consumer->capacity = segment->fixed.capacity;
  consumer->write_word = &header->producer.index;
  consumer->read_word = &header->consumer.index;
  /* RingResumeRead, relaxed: the role lock orders this after the predecessor. */
  word = ringproof_load_relaxed(consumer->read_word);
  consumer->read_index = word & RINGPROOF_LAST_INDEX;
  consumer->closed = (word & RINGPROOF_CLOSED_BIT) != 0;
  /* "Empty": the first pop looks for itself. */
  consumer->cached_write_index = consumer->read_index;
  consumer->chunk = ringproof_first_chunk(&consumer->claim);
  ringproof_waker_init(&consumer->waker, &header->consumer, &header->producer);
  ringproof_waiter_init(&consumer->waiter, &header->consumer, &header->producer,
                        RINGPROOF_PRODUCER);
  return RINGPROOF_OK;
}

/* Whether it was opened, and not dropped since. */
static inline bool ringproof_consumer_is_open(const struct ringproof_consumer *consumer) {
  return consumer->read_word != NULL;
}

/* Gives the role back. Closes nothing: a successor may go on. Afterwards the end is not open. */
static inline void ringproof_consumer_drop(struct ringproof_consumer *consumer) {
  ringproof_release_claim(&consumer->claim);
  memset(consumer, 0, sizeof *consumer);
}

/* The sequence number of the next item: how many were released since the ring was made. 0 of an end
 * that is not open. */
static inline uint64_t ringproof_consumer_position(const struct ringproof_consumer *consumer) {
  return consumer->read_index;
}

static inline uint64_t ringproof_available(const struct ringproof_consumer *consumer) {
  return consumer->cached_write_index - consumer->read_index;
}

static inline enum ringproof_status
ringproof_observe_write_index(struct ringproof_consumer *consumer, uint64_t *found,
                              bool *peer_closed) {
  const uint64_t highest = consumer->read_index + consumer->capacity;
  /* RingObserve, acquire: pairs with RingPublish and RingEnd; the slots below the index hold their
   * items. */
  const uint64_t word = ringproof_load_acquire(consumer->write_word);
  uint64_t live;
  *found = word & RINGPROOF_LAST_INDEX;
  *peer_closed = (word & RINGPROOF_CLOSED_BIT) != 0;
  live = *found - consumer->read_index;
  if (ringproof_available(consumer) <= live && live <= consumer->capacity) {
    return RINGPROOF_OK;
  }
  return ringproof_corrupt(&consumer->corruption, "write_index", word,
                           consumer->cached_write_index,
                           highest < RINGPROOF_LAST_INDEX ? highest : RINGPROOF_LAST_INDEX);
}

/* Looks how far the producer came; not OK if nothing was gained or may be taken. */
RINGPROOF_APART static enum ringproof_status
ringproof_observe(struct ringproof_consumer *consumer) {
  const uint64_t before = consumer->cached_write_index;
  uint64_t found = before;
  bool peer_closed = false;
  enum ringproof_status status;
  /* Such an end knows of no items, so that it comes here. */
  if (!ringproof_consumer_is_open(consumer)) {
    return RINGPROOF_NOT_OPEN;
  }
  if (consumer->closed) {
    return RINGPROOF_CLOSED;
  }
  status = ringproof_observe_write_index(consumer, &found, &peer_closed);
  if (status != RINGPROOF_OK) {
    return status;
  }
  consumer->cached_write_index = found;
  /* What was committed before the end comes first. */
  if (found != before) {
    return RINGPROOF_OK;
  }
  return peer_closed ? RINGPROOF_PEER_CLOSED : RINGPROOF_EMPTY;
}

/* Makes the slots below `read_index` free; the arguments as above. */
static inline void ringproof_give_back(struct ringproof_consumer *consumer, uint64_t read_index,
                                       ringproof_word *read_word) {
  consumer->read_index = read_index;
  /* RingFree, release: pairs with RingReclaim; the slots read before may be overwritten now. */
  ringproof_store_release(read_word, read_index);
  ringproof_wake_if_asked(&consumer->waker);
}

RINGPROOF_APART static enum ringproof_status
ringproof_pop_when_empty(struct ringproof_consumer *consumer, void *item, size_t size);

/* Takes the oldest item. It is released when the call returns: a consumer that must not lose it
 * to its own crash uses ringproof_peek. `size` is that of the item, as for ringproof_push_sized. */
static inline enum ringproof_status ringproof_pop_sized(struct ringproof_consumer *consumer,
                                                        void *item, size_t size) {
  uint64_t index;
  ringproof_word *word;
  if (size != consumer->slots.item) {
    return ringproof_wrong_size(consumer->slots.item);
  }
  if (ringproof_available(consumer) == 0) {
    return ringproof_pop_when_empty(consumer, item, size);
  }
  index = consumer->read_index;
  word = consumer->read_word;
  /* RingTake, plain: pairs with RingFill; the slot is committed, so it is this side's. */
  memcpy(item, ringproof_slot(&consumer->slots, index, size), size);
  /* A peer that breaks the protocol may write the slot again: the copy stays what was read. */
  ringproof_compiler_fence();
  ringproof_give_back(consumer, index + 1, word);
  return RINGPROOF_OK;
}

/* Looks whether there is an item by now, and goes on if there is. */
RINGPROOF_APART static enum ringproof_status
ringproof_pop_when_empty(struct ringproof_consumer *consumer, void *item, size_t size) {
  const enum ringproof_status status = ringproof_observe(consumer);
  return status == RINGPROOF_OK ? ringproof_pop_sized(consumer, item, size) : status;
}

/* The same for an item whose size is not known where this is compiled, which costs a call. */
static inline enum ringproof_status ringproof_pop(struct ringproof_consumer *consumer,
                                                  void *item) {
  return ringproof_pop_sized(consumer, item, consumer->slots.item);
}

/* Shows up to `count` of the oldest items in place, at least one unless `count` is zero. What is
 * not released stays. */
static inline enum ringproof_status ringproof_peek(struct ringproof_consumer *consumer,
                                                   size_t count, struct ringproof_chunk *chunk) {
  uint64_t len;
  if (!ringproof_consumer_is_open(consumer)) {
    return RINGPROOF_NOT_OPEN;
  }
  if (ringproof_available(consumer) < count) {
    const enum ringproof_status status = ringproof_observe(consumer);
    /* Some are there, if fewer than asked for. */
    if (status != RINGPROOF_OK &&
        !((status == RINGPROOF_EMPTY || status == RINGPROOF_PEER_CLOSED) &&
          ringproof_available(consumer) > 0)) {
      return status;
    }
  }
  len = ringproof_available(consumer);
  ringproof_chunk_of(&consumer->slots, consumer->read_index, len < count ? (size_t)len : count,
                     chunk);
  chunk->end = consumer->read_word;
  chunk->number = ++consumer->chunk;
  return RINGPROOF_OK;
}

/* Why a chunk is not released. */
RINGPROOF_COLD static enum ringproof_status
ringproof_refuse_release(const struct ringproof_consumer *consumer) {
  if (!ringproof_consumer_is_open(consumer)) {
    return RINGPROOF_NOT_OPEN;
  }
  return consumer->closed ? RINGPROOF_CLOSED : RINGPROOF_OUT_OF_CHUNK;
}

/* Gives the slots of the first `count` items of the chunk back to the producer. The rest stays in
 * the ring, and the chunk is used up. Nothing is released of a ring that this side closed meanwhile. */
static inline enum ringproof_status ringproof_release(struct ringproof_consumer *consumer,
                                                      const struct ringproof_chunk *chunk,
                                                      size_t count) {
  if (!ringproof_is_good(chunk, count, consumer->read_word, consumer->read_index,
                         consumer->chunk)) {
    return ringproof_refuse_release(consumer);
  }
  consumer->chunk++;
  if (count > 0) {
    ringproof_give_back(consumer, chunk->position + count, consumer->read_word);
  }
  return RINGPROOF_OK;
}

/* Takes as many of the oldest items as there are, `count` at most, in one release, and says how
 * many. */
static inline enum ringproof_status ringproof_pop_slice(struct ringproof_consumer *consumer,
                                                        void *items, size_t count,
                                                        size_t *popped) {
  unsigned char *to = (unsigned char *)items;
  const size_t item = consumer->slots.item;
  struct ringproof_chunk chunk;
  const enum ringproof_status status = ringproof_peek(consumer, count, &chunk);
  *popped = 0;
  if (status != RINGPROOF_OK) {
    return status;
  }
  if (chunk.len > 0) {
    /* RingTake, plain: pairs with RingFill; the slots are committed. */
    memcpy(to, chunk.first.items, chunk.first.len * item);
    if (chunk.second.len > 0) {
      memcpy(to + chunk.first.len * item, chunk.second.items, chunk.second.len * item);
    }
    ringproof_compiler_fence();
  }
  *popped = chunk.len;
  return ringproof_release(consumer, &chunk, chunk.len);
}

/* Closes the ring, for good: this side takes no more items, and the producer learns it at the
 * latest when the ring is full. What was peeked at and not released stays in the ring. Not OK only if
 * the end is not open. */
static inline enum ringproof_status ringproof_consumer_close(struct ringproof_consumer *consumer) {
  if (!ringproof_consumer_is_open(consumer)) {
    return RINGPROOF_NOT_OPEN;
  }
  if (!consumer->closed) {
    /* RingStop, release: pairs with RingReclaim; what was done before is seen with it. */
    ringproof_store_release(consumer->read_word, consumer->read_index | RINGPROOF_CLOSED_BIT);
    ringproof_wake_if_asked(&consumer->waker);
    consumer->closed = true;
    consumer->chunk++;
    consumer->cached_write_index = consumer->read_index;
  }
  return RINGPROOF_OK;
}

/* How many items are live now. */
static inline enum ringproof_status
ringproof_consumer_occupancy(struct ringproof_consumer *consumer, uint64_t *live) {
  uint64_t found = consumer->read_index;
  bool peer_closed = false;
  enum ringproof_status status = RINGPROOF_NOT_OPEN;
  if (ringproof_consumer_is_open(consumer)) {
    status = ringproof_observe_write_index(consumer, &found, &peer_closed);
  }
  *live = found - consumer->read_index;
  return status;
}

/* How it waits from now on. */
static inline void ringproof_consumer_set_wait(struct ringproof_consumer *consumer,
                                               enum ringproof_wait how) {
  consumer->waiter.how = how;
}

/* So many items. */
struct ringproof_items_wanted {
  struct ringproof_consumer *consumer;
  uint64_t count;
};

static inline enum ringproof_status ringproof_look_for_items(void *what) {
  const struct ringproof_items_wanted *const wanted = (struct ringproof_items_wanted *)what;
  struct ringproof_consumer *const consumer = wanted->consumer;
  const uint64_t before = ringproof_available(consumer);
  const uint64_t left = RINGPROOF_LAST_INDEX - consumer->read_index;
  const uint64_t most = consumer->capacity < left ? consumer->capacity : left;
  enum ringproof_status status = RINGPROOF_OK;
  /* It ends when a look gains nothing. */
  while (status == RINGPROOF_OK && ringproof_available(consumer) < wanted->count) {
    status = ringproof_observe(consumer);
  }
  if (ringproof_available(consumer) > before) {
    ringproof_found(&consumer->waiter, ringproof_available(consumer) - before);
  }
  if (status == RINGPROOF_EMPTY && wanted->count > most) {
    return RINGPROOF_SIZE;
  }
  /* The last items are there, if fewer than asked for. */
  return status == RINGPROOF_PEER_CLOSED && ringproof_available(consumer) > 0 ? RINGPROOF_SIZE
                                                                              : status;
}

/* Waits until `count` items are there, for at most `timeout` nanoseconds, as ringproof_wait_free does.
 * After RINGPROOF_OK as many can be popped without another wait. What was peeked at stays shown.
 * RINGPROOF_SIZE if so many never will be there: more than the capacity, or than are left of a ring that
 * the producer closed. */
static inline enum ringproof_status ringproof_wait_items(struct ringproof_consumer *consumer,
                                                         size_t count, uint64_t timeout) {
  struct ringproof_items_wanted wanted = {consumer, count};
  const struct ringproof_look look = {ringproof_look_for_items, &wanted};
  if (!ringproof_consumer_is_open(consumer)) {
    return RINGPROOF_NOT_OPEN;
  }
  return ringproof_available(consumer) >= count
             ? RINGPROOF_OK
             : ringproof_await(&consumer->waiter, consumer->claim.shared, &look, timeout);
}

/* Whether the other side's role is held now. Who wants to distinguish a dead peer from one that closed and
 * left asks this first, and then whether it closed, or what is left to pop. */
static inline enum ringproof_status
ringproof_producer_peer_present(const struct ringproof_producer *producer, bool *present) {
  return ringproof_is_held(producer->claim.shared, RINGPROOF_CONSUMER, present);
}

static inline enum ringproof_status
ringproof_consumer_peer_present(const struct ringproof_consumer *consumer, bool *present) {
  return ringproof_is_held(consumer->claim.shared, RINGPROOF_PRODUCER, present);
}

/* ---- Seqlock and latch: impl/src/seqlock.rs and latch.rs ---------------------------------- */

/* Payload words, copied one by one: a reader may meet a write, and then throws the copy away. */
static inline void ringproof_store_words(ringproof_word *to, const void *from, size_t words) {
  for (size_t i = 0; i < words; i++) {
    uint64_t word;
    memcpy(&word, (const unsigned char *)from + i * 8, 8);
    /* SeqCopyIn or LatchCopyIn, relaxed: pairs with SeqCopyOut or LatchCopyOut. */
    ringproof_store_relaxed(&to[i], word);
  }
}

static inline void ringproof_load_words(void *to, ringproof_word *from, size_t words) {
  for (size_t i = 0; i < words; i++) {
    /* SeqCopyOut or LatchCopyOut, relaxed: pairs with SeqCopyIn or LatchCopyIn. */
    const uint64_t word = ringproof_load_relaxed(&from[i]);
    memcpy((unsigned char *)to + i * 8, &word, 8);
  }
}

/* The words of a seqlock or latch, as its two ends see them. */
struct ringproof_values {
  ringproof_word *index; /* seq or version; NULL of an end that is not open */
  ringproof_word *words;
  size_t stride; /* words of one slot */
  uint64_t slots;
};

static inline struct ringproof_values
ringproof_values_of(const struct ringproof_segment *segment) {
  struct ringproof_values values;
  values.index = &ringproof_header_of(segment)->producer.index;
  values.words = (ringproof_word *)(void *)((unsigned char *)segment->map +
                                            (size_t)segment->fixed.data_offset);
  values.stride = (size_t)segment->fixed.payload_size / 8;
  values.slots = segment->fixed.slots;
  return values;
}

static inline ringproof_word *ringproof_value(const struct ringproof_values *values,
                                              uint64_t version) {
  return values->words + (size_t)(version & (values->slots - 1)) * values->stride;
}

/* The writing end of a seqlock or latch. */
struct ringproof_writer {
  struct ringproof_values values;
  bool latch;
  uint64_t index; /* seq or version: the authority, of which the shared word is a copy */
  struct ringproof_waker waker; /* of readers that sleep until there is a newer value */
  struct ringproof_claim claim;
};

/* Takes the writer's role, where its last holder left the segment. A forked child that uses this
 * end dies of it. */
static inline enum ringproof_status ringproof_writer_open(struct ringproof_writer *writer,
                                                          const struct ringproof_segment *segment,
                                                          struct ringproof_error *error) {
  struct ringproof_header *header = ringproof_header_of(segment);
  enum ringproof_status status;
  memset(writer, 0, sizeof *writer);
  status = ringproof_take(segment, RINGPROOF_WRITER, &writer->claim, error);
  if (status != RINGPROOF_OK) {
    return status;
  }
  writer->values = ringproof_values_of(segment);
  writer->latch = segment->fixed.kind == RINGPROOF_LATCH;
  /* SeqResume or LatchResume, relaxed: the role lock orders this after the predecessor. */
  writer->index = ringproof_load_relaxed(writer->values.index);
  ringproof_waker_init(&writer->waker, &header->producer, &header->consumer);
  return RINGPROOF_OK;
}

/* Gives the role back; the value stays. Afterwards the end is not open. */
static inline void ringproof_writer_drop(struct ringproof_writer *writer) {
  ringproof_release_claim(&writer->claim);
  memset(writer, 0, sizeof *writer);
}

/* How many values were written since the segment was made (one that a writer died inside counts,
 * too). 0 of an end that is not open. */
static inline uint64_t ringproof_writer_version(const struct ringproof_writer *writer) {
  return writer->latch ? writer->index : writer->index / 2 + writer->index % 2;
}

/* Whether a seqlock's last writer died inside a write, and nothing was written since. */
static inline bool ringproof_writer_needs_repair(const struct ringproof_writer *writer) {
  return !writer->latch && writer->index % 2 == 1;
}

static inline void ringproof_seqlock_write(struct ringproof_writer *writer, const void *value) {
  /* From even to the next odd; from an odd number that a dead writer left, over the even one
   * between to the next odd, so that no reader ever accepts the half-written payload. */
  const uint64_t odd = (writer->index + 1) | 1;
  /* SeqOdd, relaxed: pairs with SeqRecheck; the fence keeps it before the payload. */
  ringproof_store_relaxed(writer->values.index, odd);
  /* SeqWriteFence, release: pairs with SeqReadFence. */
  ringproof_fence_release();
  ringproof_store_words(writer->values.words, value, writer->values.stride);
  writer->index = odd + 1;
  /* SeqEven, release: pairs with SeqObserve; publishes the payload written above. */
  ringproof_store_release(writer->values.index, writer->index);
  ringproof_wake_if_asked(&writer->waker);
}

static inline void ringproof_latch_write(struct ringproof_writer *writer, const void *value) {
  const uint64_t next = writer->index + 1;
  /* LatchWriteFence, release: pairs with LatchReadFence; who meets a word below also sees the
   * versions published before this point. */
  ringproof_fence_release();
  ringproof_store_words(ringproof_value(&writer->values, next), value, writer->values.stride);
  writer->index = next;
  /* LatchPublish, release: pairs with LatchObserve; publishes the slot written above. */
  ringproof_store_release(writer->values.index, next);
  ringproof_wake_if_asked(&writer->waker);
}

/* Replaces the value. Never waits for readers. Not OK only if the end is not open. */
static inline enum ringproof_status ringproof_write(struct ringproof_writer *writer,
                                                    const void *value) {
  if (writer->values.index == NULL) {
    return RINGPROOF_NOT_OPEN;
  }
  if (writer->latch) {
    ringproof_latch_write(writer, value);
  } else {
    ringproof_seqlock_write(writer, value);
  }
  return RINGPROOF_OK;
}

/* A reading end of a seqlock or latch. It stores nothing but that it wants to be woken, in a word that
 * all of them store to, so there may be any number. */
struct ringproof_reader {
  struct ringproof_values values;
  bool latch;
  struct ringproof_waiter waiter;     /* until there is a newer value */
  struct ringproof_attachment *watch; /* to ask whether there is a writer */
};

/* A reader. A forked child that uses it dies of it. */
static inline enum ringproof_status ringproof_reader_open(struct ringproof_reader *reader,
                                                          const struct ringproof_segment *segment,
                                                          struct ringproof_error *error) {
  struct ringproof_header *header = ringproof_header_of(segment);
  const enum ringproof_status status = ringproof_check_access(segment, error);
  memset(reader, 0, sizeof *reader);
  if (status != RINGPROOF_OK) {
    return status;
  }
  if (segment->fixed.kind == RINGPROOF_RING) {
    return ringproof_mismatch(error, segment->name, "kind",
                              ringproof_kind_name(segment->fixed.kind), "one that has readers");
  }
  reader->latch = segment->fixed.kind == RINGPROOF_LATCH;
  reader->watch = ringproof_share(segment->shared);
  reader->values = ringproof_values_of(segment);
  ringproof_waiter_init(&reader->waiter, &header->consumer, &header->producer, RINGPROOF_WRITER);
  return RINGPROOF_OK;
}

/* Afterwards the end is not open. */
static inline void ringproof_reader_drop(struct ringproof_reader *reader) {
  if (reader->watch != NULL) {
    ringproof_let_go(reader->watch);
  }
  memset(reader, 0, sizeof *reader);
}

static inline enum ringproof_status
ringproof_seqlock_try_read(const struct ringproof_reader *reader, void *value) {
  uint64_t after;
  /* SeqObserve, acquire: pairs with SeqEven; the payload of this number is visible below. */
  const uint64_t before = ringproof_load_acquire(reader->values.index);
  if (before % 2 == 1) {
    return RINGPROOF_BUSY;
  }
  ringproof_load_words(value, reader->values.words, reader->values.stride);
  /* SeqReadFence, acquire: pairs with SeqWriteFence; keeps the recheck after the copy. */
  ringproof_fence_acquire();
  /* SeqRecheck, relaxed: pairs with SeqOdd; a write that the copy met shows here. */
  after = ringproof_load_relaxed(reader->values.index);
  return before == after ? RINGPROOF_OK : RINGPROOF_BUSY;
}

static inline enum ringproof_status
ringproof_latch_try_read(const struct ringproof_reader *reader, void *value) {
  uint64_t after;
  /* LatchObserve, acquire: pairs with LatchPublish; the slot of this version is visible below. */
  const uint64_t before = ringproof_load_acquire(reader->values.index);
  ringproof_load_words(value, ringproof_value(&reader->values, before), reader->values.stride);
  /* LatchReadFence, acquire: pairs with LatchWriteFence; keeps the recheck after the copy. */
  ringproof_fence_acquire();
  /* LatchRecheck, relaxed: pairs with LatchPublish; shows how far the writer came. */
  after = ringproof_load_relaxed(reader->values.index);
  return after - before <= reader->values.slots - 2 && after != RINGPROOF_NO_VERSION
             ? RINGPROOF_OK
             : RINGPROOF_BUSY;
}

/* Reads the value in one attempt; after RINGPROOF_BUSY, `value` may be a mixture. */
static inline enum ringproof_status ringproof_try_read(const struct ringproof_reader *reader,
                                                       void *value) {
  if (reader->values.index == NULL) {
    return RINGPROOF_NOT_OPEN;
  }
  return reader->latch ? ringproof_latch_try_read(reader, value)
                       : ringproof_seqlock_try_read(reader, value);
}

/* A kernel that does not know leaves the question open: stalled is the weaker claim. */
static inline bool ringproof_nobody_writes(const struct ringproof_reader *reader) {
  bool held = true;
  return ringproof_is_held(reader->watch, RINGPROOF_WRITER, &held) == RINGPROOF_OK && !held;
}

/* Whether a seqlock's writer died inside a write. The attempts may have met the writes of several
 * writers, and there is a moment without one between them; so a death is said of one write only,
 * whose number stands before and after a moment at which nobody held the role. */
static inline bool ringproof_seqlock_writer_died(const struct ringproof_reader *reader) {
  /* SeqObserve, acquire: pairs with SeqEven. The role's lock keeps each look on its side. */
  const uint64_t write = ringproof_load_acquire(reader->values.index);
  if (write % 2 == 0 || !ringproof_nobody_writes(reader)) {
    return false;
  }
  /* SeqObserve, acquire: pairs with SeqEven; the same write, so its writer was not there. */
  return ringproof_load_acquire(reader->values.index) == write;
}

/* Reads the value in at most `attempts` attempts, at least one: RINGPROOF_OK,
 * RINGPROOF_WRITER_STALLED, or of a seqlock RINGPROOF_WRITER_DEAD. */
static inline enum ringproof_status ringproof_read(const struct ringproof_reader *reader,
                                                   void *value, unsigned attempts) {
  unsigned tried = 0;
  do {
    const enum ringproof_status status = ringproof_try_read(reader, value);
    if (status != RINGPROOF_BUSY) {
      return status;
    }
    ringproof_spin();
  } while (++tried < attempts);
  /* A latch never needs to say that its writer is dead: what one leaves can be read. */
  return !reader->latch && ringproof_seqlock_writer_died(reader) ? RINGPROOF_WRITER_DEAD
                                                                  : RINGPROOF_WRITER_STALLED;
}

/* The version of the last value that was written; a read that follows finds it, or a later one. 0 of an
 * end that is not open. */
static inline uint64_t ringproof_reader_version(const struct ringproof_reader *reader) {
  uint64_t index;
  if (reader->values.index == NULL) {
    return 0;
  }
  /* SeqObserve or LatchObserve, acquire: pairs with SeqEven or LatchPublish. */
  index = ringproof_load_acquire(reader->values.index);
  return reader->latch ? index : index / 2;
}

/* How it waits from now on. */
static inline void ringproof_reader_set_wait(struct ringproof_reader *reader,
                                             enum ringproof_wait how) {
  reader->waiter.how = how;
}

/* Another version than this. */
struct ringproof_version_wanted {
  const struct ringproof_reader *reader;
  uint64_t known;
};

static inline enum ringproof_status ringproof_look_for_version(void *what) {
  const struct ringproof_version_wanted *const wanted = (struct ringproof_version_wanted *)what;
  return ringproof_reader_version(wanted->reader) == wanted->known ? RINGPROOF_EMPTY : RINGPROOF_OK;
}

/* Waits until the version is no longer `*version`, for at most `timeout` nanoseconds, as
 * ringproof_wait_free does, and says what it is then; it is the writer that may be gone. Who waits so and
 * then reads misses no value but those that were replaced meanwhile. */
static inline enum ringproof_status ringproof_wait_newer(const struct ringproof_reader *reader,
                                                         uint64_t *version, uint64_t timeout) {
  struct ringproof_version_wanted wanted = {reader, *version};
  const struct ringproof_look look = {ringproof_look_for_version, &wanted};
  enum ringproof_status status;
  if (reader->values.index == NULL) {
    return RINGPROOF_NOT_OPEN;
  }
  status = ringproof_await(&reader->waiter, reader->watch, &look, timeout);
  if (status == RINGPROOF_OK) {
    *version = ringproof_reader_version(reader);
  }
  return status;
}

/* ---- Waiting in an event loop: impl/src/waiter.rs has what can be relied on ---------------- */

/* A descriptor for poll, epoll and the like that is readable when an end may go on, and a thread that
 * sleeps in the place of the event loop. What an operation refuses for now (RINGPROOF_FULL,
 * RINGPROOF_EMPTY, a version that is no newer) is left to it by one of the functions called
 * ringproof_..._arm: they make the descriptor unreadable until the other side has stored something since,
 * has closed the ring or is gone.
 *
 * The descriptor is readable at first, and in vain now and then; it is unreadable only while the thread
 * waits. It is level-triggered, and for polling only: who reads it makes it unreadable, although nothing
 * waits. The thread handles no signals but those that its own accesses raise.
 *
 * It must stay where it is, and be closed before the segment is detached; the end may be dropped before it
 * or after it. Like an end it does not go over a fork: a child can only close it. */
struct ringproof_notifier {
  struct ringproof_waiter waiter; /* the thread's own; no peer's words: it is not open */
  struct ringproof_attachment *shared;
  unsigned shift; /* of a version in the word that the other side stores */
  int descriptor;
  pthread_t thread;
  pthread_mutex_t lock; /* of what follows */
  pthread_cond_t changed; /* the thread waits for something to do, or who closes it for its end: never both */
  uint64_t seen; /* what is waited for, or was last: that the word is no longer this */
  bool waits;
  bool gone; /* it was still this, and the other side gone, when the wait ended */
  bool ends, has_ended;
};

/* The word that the other side stores, if it is no longer `seen` or the wait is to end for another reason. */
struct ringproof_change_wanted {
  struct ringproof_notifier *notifier;
  uint64_t seen;
};

static inline enum ringproof_status ringproof_look_for_change(void *what) {
  const struct ringproof_change_wanted *const wanted = (struct ringproof_change_wanted *)what;
  struct ringproof_notifier *const notifier = wanted->notifier;
  bool ends;
  /* RingObserve, RingReclaim, SeqObserve or LatchObserve, acquire: pairs with RingPublish and RingEnd,
   * RingFree and RingStop, SeqEven, LatchPublish; the end looks for itself. */
  const uint64_t word = ringproof_load_acquire(&notifier->waiter.theirs->index);
  if (word >> notifier->shift != wanted->seen) {
    return RINGPROOF_OK;
  }
  pthread_mutex_lock(&notifier->lock);
  ends = notifier->ends;
  pthread_mutex_unlock(&notifier->lock);
  return ends ? RINGPROOF_OK : RINGPROOF_EMPTY;
}

/* The thread. */
static inline void *ringproof_notify(void *argument) {
  struct ringproof_notifier *const notifier = (struct ringproof_notifier *)argument;
  pthread_mutex_lock(&notifier->lock);
  while (!notifier->ends) {
    struct ringproof_change_wanted wanted = {notifier, notifier->seen};
    const struct ringproof_look look = {ringproof_look_for_change, &wanted};
    enum ringproof_status status;
    if (!notifier->waits) {
      pthread_cond_wait(&notifier->changed, &notifier->lock);
      continue;
    }
    pthread_mutex_unlock(&notifier->lock);
    status = ringproof_await(&notifier->waiter, notifier->shared, &look, RINGPROOF_FOREVER);
    pthread_mutex_lock(&notifier->lock);
    /* If there is a later wait by now, what was found is nothing to it. */
    if (status != RINGPROOF_INTERRUPTED && notifier->seen == wanted.seen) {
      notifier->waits = false;
      notifier->gone = status == RINGPROOF_PEER_GONE;
      (void)eventfd_write(notifier->descriptor, 1);
    }
  }
  notifier->has_ended = true;
  pthread_cond_signal(&notifier->changed);
  pthread_mutex_unlock(&notifier->lock);
  return NULL;
}

/* Starts the thread, with all signals blocked but those that its own accesses raise: the others are for
 * threads of the program's own. An errno, or 0. */
static inline int ringproof_start_thread(struct ringproof_notifier *notifier) {
  const int raised[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
  sigset_t blocked, before;
  int os_error;
  (void)sigfillset(&blocked);
  for (size_t i = 0; i < sizeof raised / sizeof raised[0]; i++) {
    (void)sigdelset(&blocked, raised[i]);
  }
  /* Here, so that there is no moment in which it has not done it. */
  (void)pthread_sigmask(SIG_BLOCK, &blocked, &before);
  os_error = pthread_create(&notifier->thread, NULL, ringproof_notify, notifier);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  return os_error;
}

/* For an end that waits so; `shift` is that of its version in the word. */
static inline enum ringproof_status
ringproof_notifier_open(struct ringproof_notifier *notifier, const struct ringproof_waiter *waiter,
                        struct ringproof_attachment *shared, unsigned shift,
                        struct ringproof_error *error) {
  const char *action = "make a descriptor to wait with";
  int os_error;
  memset(notifier, 0, sizeof *notifier);
  if (shared == NULL) {
    return ringproof_fail(error, RINGPROOF_NOT_OPEN, "%s", ringproof_strerror(RINGPROOF_NOT_OPEN));
  }
  if (ringproof_is_inherited(shared)) {
    return ringproof_fail(error, RINGPROOF_FORKED, "%s", ringproof_strerror(RINGPROOF_FORKED));
  }
  notifier->waiter = *waiter;
  notifier->waiter.how = RINGPROOF_WAIT_SLEEP_AT_ONCE;
  notifier->shared = shared;
  notifier->shift = shift;
  pthread_mutex_init(&notifier->lock, NULL);
  pthread_cond_init(&notifier->changed, NULL);
  notifier->descriptor = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
  os_error = notifier->descriptor < 0 ? errno : 0;
  if (os_error == 0) {
    action = "start a thread to wait in";
    os_error = ringproof_start_thread(notifier);
    if (os_error == 0) {
      (void)ringproof_share(shared);
      return RINGPROOF_OK;
    }
    close(notifier->descriptor);
  }
  memset(notifier, 0, sizeof *notifier);
  ringproof_fail(error, RINGPROOF_SYSTEM, "cannot %s: %s (os error %d)", action, strerror(os_error),
                 os_error);
  if (error != NULL) {
    error->os_error = os_error;
  }
  return RINGPROOF_SYSTEM;
}

/* Opens it for an end that is open. */
static inline enum ringproof_status
ringproof_producer_notifier_open(struct ringproof_notifier *notifier,
                                 const struct ringproof_producer *producer,
                                 struct ringproof_error *error) {
  return ringproof_notifier_open(notifier, &producer->waiter, producer->claim.shared, 0, error);
}

static inline enum ringproof_status
ringproof_consumer_notifier_open(struct ringproof_notifier *notifier,
                                 const struct ringproof_consumer *consumer,
                                 struct ringproof_error *error) {
  return ringproof_notifier_open(notifier, &consumer->waiter, consumer->claim.shared, 0, error);
}

static inline enum ringproof_status
ringproof_reader_notifier_open(struct ringproof_notifier *notifier,
                               const struct ringproof_reader *reader,
                               struct ringproof_error *error) {
  return ringproof_notifier_open(notifier, &reader->waiter, reader->watch, reader->latch ? 0 : 1,
                                 error);
}

/* Its descriptor, which it keeps; -1 unless it is open. */
static inline int ringproof_notifier_descriptor(const struct ringproof_notifier *notifier) {
  return notifier->shared == NULL ? -1 : notifier->descriptor;
}

/* Waits until the word that the end `waiter` waits for is no longer `seen`. */
static inline enum ringproof_status ringproof_arm(struct ringproof_notifier *notifier,
                                                  const struct ringproof_waiter *waiter,
                                                  uint64_t seen) {
  enum ringproof_status status = RINGPROOF_OK;
  eventfd_t count;
  if (waiter->theirs == NULL || notifier->waiter.theirs != waiter->theirs) {
    return RINGPROOF_NOT_OPEN;
  }
  if (ringproof_is_inherited(notifier->shared)) {
    return RINGPROOF_FORKED;
  }
  pthread_mutex_lock(&notifier->lock);
  if (notifier->gone && notifier->seen == seen) {
    status = RINGPROOF_PEER_GONE;
  } else if (!notifier->waits || notifier->seen != seen) {
    /* Emptied before the thread can make it readable again; of a wait that is under way it is empty. */
    (void)eventfd_read(notifier->descriptor, &count);
    notifier->seen = seen;
    notifier->waits = true;
    pthread_cond_signal(&notifier->changed);
  }
  notifier->gone = false;
  pthread_mutex_unlock(&notifier->lock);
  return status;
}

/* After an operation of this producer said RINGPROOF_FULL: the descriptor is unreadable from here until
 * the consumer has released something since. RINGPROOF_PEER_GONE if the consumer was gone when the last wait
 * for the same ended: the descriptor stays readable then, and to arm it again waits for a successor.
 * RINGPROOF_NOT_OPEN also if the notifier is another end's. */
static inline enum ringproof_status
ringproof_producer_arm(struct ringproof_notifier *notifier,
                       const struct ringproof_producer *producer) {
  return ringproof_arm(notifier, &producer->waiter, producer->cached_read_index);
}

/* The same after RINGPROOF_EMPTY, until the producer has committed something since. */
static inline enum ringproof_status
ringproof_consumer_arm(struct ringproof_notifier *notifier,
                       const struct ringproof_consumer *consumer) {
  return ringproof_arm(notifier, &consumer->waiter, consumer->cached_write_index);
}

/* The same after ringproof_reader_version said `since`, until there is another version. */
static inline enum ringproof_status ringproof_reader_arm(struct ringproof_notifier *notifier,
                                                         const struct ringproof_reader *reader,
                                                         uint64_t since) {
  return ringproof_arm(notifier, &reader->waiter, since);
}

/* Ends the thread and gives the descriptor back, whatever is waited for; a forked child, which has no such
 * thread, only forgets it. Afterwards it is not open. */
static inline void ringproof_notifier_close(struct ringproof_notifier *notifier) {
  struct ringproof_attachment *const shared = notifier->shared;
  if (shared == NULL) {
    return;
  }
  if (!ringproof_is_inherited(shared)) {
    pthread_mutex_lock(&notifier->lock);
    notifier->ends = true;
    pthread_cond_signal(&notifier->changed);
    while (!notifier->has_ended) {
      struct timespec soon = {0, 0};
      (void)clock_gettime(CLOCK_REALTIME, &soon);
      soon.tv_nsec += (long)RINGPROOF_NAP;
      soon.tv_sec += soon.tv_nsec / 1000000000;
      soon.tv_nsec %= 1000000000;
      /* WakeCall, atomic: pairs with SleepWait. */
      ringproof_futex_wake(&notifier->waiter.theirs->answers);
      /* It may have been about to sleep: then that was too early. */
      pthread_cond_timedwait(&notifier->changed, &notifier->lock, &soon);
    }
    pthread_mutex_unlock(&notifier->lock);
    pthread_join(notifier->thread, NULL);
    pthread_cond_destroy(&notifier->changed);
    pthread_mutex_destroy(&notifier->lock);
  }
  close(notifier->descriptor);
  ringproof_let_go(shared);
  memset(notifier, 0, sizeof *notifier);
}

#ifdef __cplusplus
#pragma GCC diagnostic pop
} /* extern "C++" */
#endif

#endif /* RINGPROOF_H */
