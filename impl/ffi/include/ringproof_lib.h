/* ringproof as a library, for C11 and C++: link libringproof, shared or static. The header-only
 * ringproof.h does the same without a library; README.md says which of the two to choose. They may
 * be used beside each other.
 *
 * Generated from impl/ffi/src: change it there.
 *
 * Every call that can fail returns an `enum ringproof_lib_status`, and writes the details to `error`
 * unless that is null. A pointer is null or points to what its type says, for the whole call. Null
 * is reported as RINGPROOF_LIB_ARGUMENT wherever something is needed; what is not a handle of this
 * library, or was given back, cannot be recognised. No two threads use the same handle at the same time,
 * unless both calls take it as const. Nothing here prints, exits or keeps state outside the handles,
 * but for ringproof_lib_guard_install.
 */

#ifndef RINGPROOF_LIB_H
#define RINGPROOF_LIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Describes a payload field by field, in order, without padding:
 *
 *   struct quote { uint64_t seq; double price; uint8_t tag[8]; };
 *   static const struct ringproof_lib_field quote_fields[] = {
 *       RINGPROOF_LIB_FIELD(struct quote, seq, RINGPROOF_LIB_U64),
 *       RINGPROOF_LIB_FIELD(struct quote, price, RINGPROOF_LIB_F64),
 *       RINGPROOF_LIB_FIELD(struct quote, tag, RINGPROOF_LIB_U8),
 *   };
 *   static const struct ringproof_lib_payload quote =
 *       RINGPROOF_LIB_PAYLOAD(struct quote, quote_fields);
 *
 * A payload that is itself a number, or an array of numbers, has one field: RINGPROOF_LIB_VALUE. The
 * kind is taken at its word: only that it fits the field's size is checked.
 */
#define RINGPROOF_LIB_FIELD(type, field, kind)                                                     \
  {#field, offsetof(type, field), sizeof(((type *)0)->field), kind}
#define RINGPROOF_LIB_VALUE(type, kind) {"value", 0, sizeof(type), kind}
#define RINGPROOF_LIB_PAYLOAD(type, fields)                                                        \
  {sizeof(type), RINGPROOF_LIB_ALIGNOF(type), fields, sizeof(fields) / sizeof((fields)[0]), NULL}
#ifdef __cplusplus
#define RINGPROOF_LIB_ALIGNOF(type) alignof(type)
#else
#define RINGPROOF_LIB_ALIGNOF(type) _Alignof(type)
#endif

// The bytes of a message, with the zero that ends it.
#define RINGPROOF_LIB_MESSAGE_SIZE 2048

// A timeout: without limit.
#define RINGPROOF_LIB_FOREVER UINT64_MAX

// What became of a call.
enum ringproof_lib_status {
  // It did what it was asked to.
  RINGPROOF_LIB_OK = 0,
  // `capacity` items are live: the consumer has to release some first.
  RINGPROOF_LIB_FULL = 1,
  // Every committed item was released; more may come.
  RINGPROOF_LIB_EMPTY = 2,
  // This side closed the ring, now or in an earlier life.
  RINGPROOF_LIB_CLOSED = 3,
  // The other side closed the ring: the consumer takes no more items, or the producer sends no
  // more and every item was released.
  RINGPROOF_LIB_PEER_CLOSED = 4,
  // One attempt to read met a write.
  RINGPROOF_LIB_BUSY = 5,
  // Every attempt to read met a write; the writer lives, or that is not known.
  RINGPROOF_LIB_WRITER_STALLED = 6,
  // Every attempt to read met a write, and the writer's role is free.
  RINGPROOF_LIB_WRITER_DEAD = 7,
  // A word of the peer's breaks the ring's invariant: it cannot be used any further.
  RINGPROOF_LIB_CORRUPT = 8,
  // More items than were reserved or peeked at since the last call that changed the ring.
  RINGPROOF_LIB_OUT_OF_CHUNK = 9,
  // A pointer is null or a number is none of those that mean something.
  RINGPROOF_LIB_ARGUMENT = 10,
  // This describes no payload without padding.
  RINGPROOF_LIB_SHAPE = 11,
  // This cannot be the name of a segment.
  RINGPROOF_LIB_NAME = 12,
  // The sizes asked for cannot be had.
  RINGPROOF_LIB_SIZE = 13,
  // There is no segment of this name.
  RINGPROOF_LIB_NOT_FOUND = 14,
  // There is one already.
  RINGPROOF_LIB_EXISTS = 15,
  // The file system has no room for it, or the machine no memory.
  RINGPROOF_LIB_NO_SPACE = 16,
  // The file is no segment of this kind and version.
  RINGPROOF_LIB_MISMATCH = 17,
  // Its payload has other fields: the message says which.
  RINGPROOF_LIB_PAYLOAD = 18,
  // Somebody has the role.
  RINGPROOF_LIB_HELD = 19,
  // Unlinked or retired since it was opened: detach it and open it anew.
  RINGPROOF_LIB_GONE = 20,
  // Truncated by somebody; what it still held is lost. Only known where `ringproof_lib_guard_install` was
  // called.
  RINGPROOF_LIB_LOST = 21,
  // The system refused: `os_error` says why.
  RINGPROOF_LIB_SYSTEM = 22,
  // A reason that has no status of its own: the message says it.
  RINGPROOF_LIB_OTHER = 23,
  // A defect of this library. Give the handle back, and report the message.
  RINGPROOF_LIB_PANIC = 24,
  // Attached by the process that this one was forked from: drop what was inherited, and attach
  // anew.
  RINGPROOF_LIB_FORKED = 25,
  // A wait ended without what was waited for: the time is over.
  RINGPROOF_LIB_TIMED_OUT = 26,
  // The same: nobody holds the role of the other side, which somebody held before, and nothing is left
  // to go on with. A successor may come: wait again to wait for it.
  RINGPROOF_LIB_PEER_GONE = 27,
  // The same: a signal was handled while it slept. Wait again to go on.
  RINGPROOF_LIB_INTERRUPTED = 28,
};

// What a segment's name leads to, for somebody who is attached to it.
enum ringproof_lib_name {
  // To this segment. Or it never had a name, and needs none.
  RINGPROOF_LIB_NAME_CURRENT = 0,
  // To nothing.
  RINGPROOF_LIB_NAME_UNLINKED = 1,
  // To something else: this one was unlinked, and another made.
  RINGPROOF_LIB_NAME_REPLACED = 2,
};

// What a segment is.
enum ringproof_lib_kind {
  // A queue of items, none lost, for one producer and one consumer.
  RINGPROOF_LIB_RING = 1,
  // The latest value, for one writer and any number of readers.
  RINGPROOF_LIB_SEQLOCK = 2,
  // The same, and the last committed value stays readable whatever happens to its writer.
  RINGPROOF_LIB_LATCH = 3,
};

// The right to act on one side of a segment.
enum ringproof_lib_role {
  // A ring's sending side.
  RINGPROOF_LIB_PRODUCER = 0,
  // A ring's receiving side.
  RINGPROOF_LIB_CONSUMER = 1,
  // The writing side of a seqlock or latch.
  RINGPROOF_LIB_WRITER = 2,
};

// What the bytes of a field are; arrays are of one of these.
enum ringproof_lib_primitive {
  // `uint8_t`, `unsigned char`
  RINGPROOF_LIB_U8 = 1,
  // `uint16_t`
  RINGPROOF_LIB_U16 = 2,
  // `uint32_t`
  RINGPROOF_LIB_U32 = 3,
  // `uint64_t`
  RINGPROOF_LIB_U64 = 4,
  // `unsigned __int128`
  RINGPROOF_LIB_U128 = 5,
  // `int8_t`, and `char` where it is signed
  RINGPROOF_LIB_I8 = 6,
  // `int16_t`
  RINGPROOF_LIB_I16 = 7,
  // `int32_t`
  RINGPROOF_LIB_I32 = 8,
  // `int64_t`
  RINGPROOF_LIB_I64 = 9,
  // `__int128`
  RINGPROOF_LIB_I128 = 10,
  // `float`
  RINGPROOF_LIB_F32 = 11,
  // `double`
  RINGPROOF_LIB_F64 = 12,
};

// How an end waits.
enum ringproof_lib_wait {
  // It looks for some microseconds, then sleeps in the kernel until it is woken. So does an end that
  // nothing else was said to.
  RINGPROOF_LIB_WAIT_SLEEP = 0,
  // It sleeps as soon as it finds nothing: for many ends on few processors.
  RINGPROOF_LIB_WAIT_SLEEP_AT_ONCE = 1,
  // It looks for some microseconds, then lets other threads run between two looks.
  RINGPROOF_LIB_WAIT_YIELD = 2,
  // It looks again and again, and keeps its processor busy. The fastest where each of the two ends has
  // a processor of its own, and the slowest where they share one.
  RINGPROOF_LIB_WAIT_SPIN = 3,
};

// The receiving end of a ring.
struct ringproof_lib_consumer;

// The sending end of a ring.
struct ringproof_lib_producer;

// A reading end of a seqlock or latch. It stores nothing, so there may be any number.
struct ringproof_lib_reader;

// A segment, mapped into this process, which it takes one descriptor of, and its ends none. A
// process that it forks has no access there: see `ringproof_lib_create`.
struct ringproof_lib_segment;

// The writing end of a seqlock or latch.
struct ringproof_lib_writer;

// How to make a segment. What is 0 is as usual, but for the kind, and the capacity of a ring.
struct ringproof_lib_options {
  // An `enum ringproof_lib_kind`.
  uint32_t kind;
  // The permission bits of a named segment, from 0600 to 0777; usually 0600.
  uint32_t mode;
  // How many items of a ring may be live at once.
  uint64_t capacity;
  // Memory cycled through, in items, a power of two. Usually as much as a ring's capacity
  // needs and at least 256 KiB; four values of a latch.
  uint64_t slots;
};

// A field that is a primitive or an array of them. `RINGPROOF_LIB_FIELD` makes one.
struct ringproof_lib_field {
  // Its name, after those of what it lies in: `legs[0].qty`.
  const char *name;
  // Where it begins in the payload.
  size_t offset;
  // Its bytes: of the whole array if it is one.
  size_t size;
  // An `enum ringproof_lib_primitive`.
  uint32_t kind;
};

// What the payload of a segment is: its fields in order of their offsets, without padding, or
// the text that describes them. `RINGPROOF_LIB_PAYLOAD` makes one of fields.
struct ringproof_lib_payload {
  // Its bytes.
  size_t size;
  // Its alignment.
  size_t align;
  // Its fields.
  const struct ringproof_lib_field *fields;
  // How many.
  size_t count;
  // In place of fields, where it is not null: the text of a description, as `ringproof_lib_describe` and
  // `ringproof_describe` make it.
  const char *description;
};

// The details of a failure. A call that succeeds leaves it as it was.
struct ringproof_lib_error {
  // What the call returned.
  enum ringproof_lib_status status;
  // For `RINGPROOF_LIB_SYSTEM` an errno, otherwise 0.
  int os_error;
  // All of it in words, as far as there is room.
  char message[RINGPROOF_LIB_MESSAGE_SIZE];
};

// Items that lie one after the other in the segment.
struct ringproof_lib_run {
  // The first byte of the first.
  void *items;
  // How many.
  size_t len;
};

// Items in place. A chunk that goes on at the beginning of memory has two runs.
struct ringproof_lib_chunk {
  // The sequence number of the first item.
  uint64_t position;
  // How many items both runs have.
  size_t len;
  // The older items.
  struct ringproof_lib_run first;
  // The younger ones, if any.
  struct ringproof_lib_run second;
};

// What is known of an end of a ring and its other side.
struct ringproof_lib_end_state {
  // The sequence number of its next item.
  uint64_t position;
  // How many items may be live at once.
  uint64_t capacity;
  // How many are live now.
  uint64_t occupancy;
  // How many times its role was taken, this time included.
  uint64_t epoch;
  // Whether the ring was closed from this side.
  bool closed;
  // Whether anybody holds the role of the other side. Asked before the occupancy: what a peer did
  // that is not present any more is counted there.
  bool peer_present;
};

// What a role looked like.
struct ringproof_lib_role_state {
  // How often it was taken.
  uint64_t epoch;
  // Whether somebody held it.
  bool held;
};

// What a segment looked like at one moment.
struct ringproof_lib_inspection {
  // An `enum ringproof_lib_kind`.
  uint32_t kind;
  // Whether it was retired: no role may be taken any more.
  bool retired;
  // Bytes of one payload.
  uint64_t payload_size;
  // Its alignment, where it was made.
  uint64_t payload_align;
  // The fingerprint of its description.
  uint64_t fingerprint;
  // Payloads of memory that are cycled through.
  uint64_t slots;
  // Items that may be live at once.
  uint64_t capacity;
  // Bytes of the whole segment.
  uint64_t segment_len;
  // How many items were committed; a seqlock's sequence, or a latch's version.
  uint64_t write_index;
  // How many items were released.
  uint64_t read_index;
  // Where the producer closed the ring; all ones while it is open.
  uint64_t end_index;
  // Where the consumer closed the ring; all ones while it is open.
  uint64_t stop_index;
  // The producer of a ring, or the writer.
  struct ringproof_lib_role_state producer;
  // The consumer of a ring.
  struct ringproof_lib_role_state consumer;
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// What a status means, in a few words; not null, whatever the number.
const char *ringproof_lib_strerror(uint32_t status);

// Makes the segment `name`; without a name if that is null, and another process attaches by its
// descriptor. A seqlock or latch holds `initial` first, or zeros if that is null; a ring has no
// use for it.
//
// Neither a segment nor its ends go over a `fork`, `daemon`, or a worker that a runtime forks
// (Python's `multiprocessing` does): for the child every call that needs the memory is `RINGPROOF_LIB_FORKED`,
// and an access to items in place is SIGSEGV. To drop them is fine. Attach in the child. (A bare
// `clone` goes unnoticed: its child must not touch them.)
enum ringproof_lib_status ringproof_lib_create(const char *name,
                                               const struct ringproof_lib_options *options,
                                               const struct ringproof_lib_payload *payload,
                                               const void *initial,
                                               struct ringproof_lib_segment **segment,
                                               struct ringproof_lib_error *error);

// Attaches to the segment `name`, or makes it, as `ringproof_lib_create` does. Of one that exists only kind and
// payload are checked: it keeps its capacity, its slots, its mode and its value, whatever `options`
// and `initial` say. Not for a child that is forked later: see there.
enum ringproof_lib_status ringproof_lib_open_or_create(const char *name,
                                                       const struct ringproof_lib_options *options,
                                                       const struct ringproof_lib_payload *payload,
                                                       const void *initial,
                                                       struct ringproof_lib_segment **segment,
                                                       struct ringproof_lib_error *error);

// Attaches to the segment `name`, which must be of this kind, an `enum ringproof_lib_kind`, and have this
// payload. Not for a child that is forked later: see `ringproof_lib_create`.
enum ringproof_lib_status ringproof_lib_attach(const char *name,
                                               uint32_t segment_kind,
                                               const struct ringproof_lib_payload *payload,
                                               struct ringproof_lib_segment **segment,
                                               struct ringproof_lib_error *error);

// Attaches to a segment without a name by a descriptor, which stays the caller's. Not for a child
// that is forked later: see `ringproof_lib_create`.
enum ringproof_lib_status ringproof_lib_attach_fd(int fd,
                                                  uint32_t segment_kind,
                                                  const struct ringproof_lib_payload *payload,
                                                  struct ringproof_lib_segment **segment,
                                                  struct ringproof_lib_error *error);

// Gives the segment back; null is none. Its memory stays mapped until its ends are dropped, too.
void ringproof_lib_detach(struct ringproof_lib_segment *segment);

// A descriptor of the segment, to be passed to another process; it stays the segment's. It is
// opened when it is first asked for. -1 for null, or if it cannot be had.
int ringproof_lib_fd(const struct ringproof_lib_segment *segment);

// Takes the segment's name away. Who is attached may go on; no role of it is taken any more.
// Nothing happens if another segment has the name by now.
enum ringproof_lib_status ringproof_lib_unlink(const struct ringproof_lib_segment *segment,
                                               struct ringproof_lib_error *error);

// Takes the name of a segment away, whatever it holds and whoever uses it. A file that is no
// segment is left alone.
enum ringproof_lib_status ringproof_lib_unlink_name(const char *name,
                                                    struct ringproof_lib_error *error);

// What has become of the segment's name since it was opened. Who holds a role may go on without a name,
// and a reader sees the last value for good, but no one joins them: ask in a wait that becomes long.
enum ringproof_lib_status ringproof_lib_name_status(const struct ringproof_lib_segment *segment,
                                                    enum ringproof_lib_name *found,
                                                    struct ringproof_lib_error *error);

// Whether anybody holds a role, an `enum ringproof_lib_role`.
enum ringproof_lib_status ringproof_lib_is_held(const struct ringproof_lib_segment *segment,
                                                uint32_t whose,
                                                bool *held,
                                                struct ringproof_lib_error *error);

// Reads one of the words that an application keeps in the notes of a role, an `enum ringproof_lib_role`.
enum ringproof_lib_status ringproof_lib_note(const struct ringproof_lib_segment *segment,
                                             uint32_t whose,
                                             size_t index,
                                             uint64_t *value,
                                             struct ringproof_lib_error *error);

// Writes one of these words. Only the holder of the role should.
enum ringproof_lib_status ringproof_lib_set_note(const struct ringproof_lib_segment *segment,
                                                 uint32_t whose,
                                                 size_t index,
                                                 uint64_t value,
                                                 struct ringproof_lib_error *error);

// Turns SIGBUS, of which a program dies that uses a segment truncated by somebody, into errors:
// for the whole process, once. See `ringproof_lib_is_lost`. The library stays in the process from then on:
// `dlclose` does not unload it.
enum ringproof_lib_status ringproof_lib_guard_install(struct ringproof_lib_error *error);

// Whether the segment was found truncated, which is only known where `ringproof_lib_guard_install` was
// called. What was taken from a segment counts if this is false after it was taken.
bool ringproof_lib_is_lost(const struct ringproof_lib_segment *segment);

// Takes the producer's role, where its last holder left the ring. Not for a child that is
// forked later: see `ringproof_lib_create`.
enum ringproof_lib_status ringproof_lib_producer_open(const struct ringproof_lib_segment *segment,
                                                      struct ringproof_lib_producer **producer,
                                                      struct ringproof_lib_error *error);

// Gives the role back; null is none. The ring stays open: a successor may go on.
void ringproof_lib_producer_drop(struct ringproof_lib_producer *producer);

// Appends an item, visible to the consumer when the call returns.
enum ringproof_lib_status ringproof_lib_push(struct ringproof_lib_producer *producer,
                                             const void *item,
                                             struct ringproof_lib_error *error);

// Appends as many of the `count` items as fit, in one commit, and says how many: at least one
// unless `count` is 0. None, where it fails.
enum ringproof_lib_status ringproof_lib_push_slice(struct ringproof_lib_producer *producer,
                                                   const void *from,
                                                   size_t count,
                                                   size_t *pushed,
                                                   struct ringproof_lib_error *error);

// Shows up to `count` free slots, at least one unless `count` is 0, to be written in place and
// committed by `ringproof_lib_commit`. Another call to push or reserve takes them back.
enum ringproof_lib_status ringproof_lib_reserve(struct ringproof_lib_producer *producer,
                                                size_t count,
                                                struct ringproof_lib_chunk *chunk,
                                                struct ringproof_lib_error *error);

// Makes the first `count` items of what was reserved visible to the consumer, all at once; the
// other slots are taken back. `RINGPROOF_LIB_CLOSED` if this side closed the ring meanwhile, and else
// `RINGPROOF_LIB_OUT_OF_CHUNK` if not so many are reserved. It is never `RINGPROOF_LIB_PEER_CLOSED`: what was
// reserved can be committed also when the consumer has closed the ring, until this side learns of it
// (`ringproof_lib_producer_is_peer_closed`), from when on nothing is reserved.
enum ringproof_lib_status ringproof_lib_commit(struct ringproof_lib_producer *producer,
                                               size_t count,
                                               struct ringproof_lib_error *error);

// Closes the ring, for good: the consumer takes what was committed and then sees the end. What is
// reserved and not committed is taken back.
enum ringproof_lib_status ringproof_lib_producer_close(struct ringproof_lib_producer *producer,
                                                       struct ringproof_lib_error *error);

// Whether the consumer closed the ring; a push reports it at the latest when the ring is full. What
// was reserved is taken back.
enum ringproof_lib_status ringproof_lib_producer_is_peer_closed(struct ringproof_lib_producer *producer,
                                                                bool *closed,
                                                                struct ringproof_lib_error *error);

// The sequence number of the next item: how many were committed, by this producer and those
// before it. 0 for null.
uint64_t ringproof_lib_producer_position(const struct ringproof_lib_producer *producer);

// What is known of the producer and its consumer.
enum ringproof_lib_status ringproof_lib_producer_state(const struct ringproof_lib_producer *producer,
                                                       struct ringproof_lib_end_state *state,
                                                       struct ringproof_lib_error *error);

// Takes the consumer's role, where its last holder left the ring. Not for a child that is
// forked later: see `ringproof_lib_create`.
enum ringproof_lib_status ringproof_lib_consumer_open(const struct ringproof_lib_segment *segment,
                                                      struct ringproof_lib_consumer **consumer,
                                                      struct ringproof_lib_error *error);

// Gives the role back; null is none. The ring stays open: a successor may go on.
void ringproof_lib_consumer_drop(struct ringproof_lib_consumer *consumer);

// Takes the oldest item. It is released when the call returns: a consumer that must not lose it
// to its own crash uses `ringproof_lib_peek`.
enum ringproof_lib_status ringproof_lib_pop(struct ringproof_lib_consumer *consumer,
                                            void *item,
                                            struct ringproof_lib_error *error);

// Takes as many of the oldest items as there are, `count` at most, in one release, and says how
// many: at least one unless `count` is 0. None, where it fails.
enum ringproof_lib_status ringproof_lib_pop_slice(struct ringproof_lib_consumer *consumer,
                                                  void *to,
                                                  size_t count,
                                                  size_t *popped,
                                                  struct ringproof_lib_error *error);

// Shows up to `count` of the oldest items in place, at least one unless `count` is 0, until
// `ringproof_lib_release`. A process that breaks the protocol may change them meanwhile: copy an item before
// you check it, or pop it.
enum ringproof_lib_status ringproof_lib_peek(struct ringproof_lib_consumer *consumer,
                                             size_t count,
                                             struct ringproof_lib_chunk *chunk,
                                             struct ringproof_lib_error *error);

// Gives the slots of the first `count` items that were peeked at back to the producer. The others
// stay in the ring, to be peeked at anew. `RINGPROOF_LIB_CLOSED` if this side closed the ring meanwhile.
enum ringproof_lib_status ringproof_lib_release(struct ringproof_lib_consumer *consumer,
                                                size_t count,
                                                struct ringproof_lib_error *error);

// Closes the ring, for good: the producer learns that no more items are taken, at the latest
// when the ring is full. What was peeked at and not released stays in the ring.
enum ringproof_lib_status ringproof_lib_consumer_close(struct ringproof_lib_consumer *consumer,
                                                       struct ringproof_lib_error *error);

// The sequence number of the next item: how many were released, by this consumer and those
// before it. 0 for null.
uint64_t ringproof_lib_consumer_position(const struct ringproof_lib_consumer *consumer);

// What is known of the consumer and its producer.
enum ringproof_lib_status ringproof_lib_consumer_state(const struct ringproof_lib_consumer *consumer,
                                                       struct ringproof_lib_end_state *state,
                                                       struct ringproof_lib_error *error);

// Takes the writer's role, where its last holder left the segment. Not for a child that is forked
// later: see `ringproof_lib_create`.
enum ringproof_lib_status ringproof_lib_writer_open(const struct ringproof_lib_segment *segment,
                                                    struct ringproof_lib_writer **writer,
                                                    struct ringproof_lib_error *error);

// Gives the role back; null is none. The value stays.
void ringproof_lib_writer_drop(struct ringproof_lib_writer *writer);

// Replaces the value. Never waits for readers.
enum ringproof_lib_status ringproof_lib_write(struct ringproof_lib_writer *writer,
                                              const void *value,
                                              struct ringproof_lib_error *error);

// How many values were written since the segment was made, by this writer and those before it
// (one that died inside a write to a seqlock counts it, too). 0 for null.
uint64_t ringproof_lib_writer_version(const struct ringproof_lib_writer *writer);

// Whether the last writer of a seqlock died inside a write, and nothing was written since.
bool ringproof_lib_writer_needs_repair(const struct ringproof_lib_writer *writer);

// A reader. Not for a child that is forked later: see `ringproof_lib_create`.
enum ringproof_lib_status ringproof_lib_reader_open(const struct ringproof_lib_segment *segment,
                                                    struct ringproof_lib_reader **reader,
                                                    struct ringproof_lib_error *error);

// Gives the reader back; null is none.
void ringproof_lib_reader_drop(struct ringproof_lib_reader *reader);

// The version of the last value that was written; a read that follows finds it, or a later one. 0 for
// null and for an end that is the parent's of this process.
uint64_t ringproof_lib_reader_version(const struct ringproof_lib_reader *reader);

// Reads the value in one attempt. After `RINGPROOF_LIB_BUSY`, `value` may be a mixture.
enum ringproof_lib_status ringproof_lib_try_read(const struct ringproof_lib_reader *reader,
                                                 void *value,
                                                 struct ringproof_lib_error *error);

// Reads the value in at most `attempts` attempts, at least one. Where it fails, `value` may be a
// mixture.
enum ringproof_lib_status ringproof_lib_read(const struct ringproof_lib_reader *reader,
                                             void *value,
                                             uint32_t attempts,
                                             struct ringproof_lib_error *error);

// Waits until `count` slots are free, for at most `timeout` nanoseconds (`RINGPROOF_LIB_FOREVER`: without
// limit; 0: one look). Then as many items can be pushed without another wait. What is reserved stays so.
// `RINGPROOF_LIB_ARGUMENT` if so many never will be free.
enum ringproof_lib_status ringproof_lib_wait_free(struct ringproof_lib_producer *producer,
                                                  size_t count,
                                                  uint64_t timeout,
                                                  struct ringproof_lib_error *error);

// Waits until the consumer has released every item, also those before a close, for at most `timeout`
// nanoseconds, as `ringproof_lib_wait_free` does. `RINGPROOF_LIB_PEER_CLOSED` if the consumer closed the ring
// and left some.
enum ringproof_lib_status ringproof_lib_wait_drained(struct ringproof_lib_producer *producer,
                                                     uint64_t timeout,
                                                     struct ringproof_lib_error *error);

// Waits until `count` items are there, for at most `timeout` nanoseconds, as `ringproof_lib_wait_free` does.
// Then as many can be popped without another wait. What was peeked at stays shown.
// `RINGPROOF_LIB_ARGUMENT` if so many never will be there: more than the capacity, or than are left of a
// ring that the producer closed.
enum ringproof_lib_status ringproof_lib_wait_items(struct ringproof_lib_consumer *consumer,
                                                   size_t count,
                                                   uint64_t timeout,
                                                   struct ringproof_lib_error *error);

// Waits until the version is no longer `*version`, for at most `timeout` nanoseconds, as
// `ringproof_lib_wait_free` does, and says what it is then; it is the writer that may be gone. Who waits so
// and then reads misses no value but those that were replaced meanwhile.
enum ringproof_lib_status ringproof_lib_wait_newer(const struct ringproof_lib_reader *reader,
                                                   uint64_t *version,
                                                   uint64_t timeout,
                                                   struct ringproof_lib_error *error);

// After a call said `RINGPROOF_LIB_FULL`: leaves the wait to an event loop. The descriptor, the same one each
// time, is unreadable from here until the consumer has released something since, has closed the ring or is
// gone; now and then it is readable in vain. It is level-triggered and for polling only: who reads it makes it
// unreadable, although nothing waits. A thread of the producer's own sleeps meanwhile, from the first call
// on; it handles no signals. Both end when the producer is dropped.
// `RINGPROOF_LIB_PEER_GONE` if the consumer was gone when the last wait for the same ended: the descriptor
// stays readable then, and to arm it again waits for a successor.
enum ringproof_lib_status ringproof_lib_producer_arm(struct ringproof_lib_producer *producer,
                                                     int *descriptor,
                                                     struct ringproof_lib_error *error);

// After a call said `RINGPROOF_LIB_EMPTY`: as `ringproof_lib_producer_arm`, until the producer has committed
// something since.
enum ringproof_lib_status ringproof_lib_consumer_arm(struct ringproof_lib_consumer *consumer,
                                                     int *descriptor,
                                                     struct ringproof_lib_error *error);

// After `ringproof_lib_reader_version` said `since`: as `ringproof_lib_producer_arm`, until there is another
// version; it is the writer that may be gone.
enum ringproof_lib_status ringproof_lib_reader_arm(struct ringproof_lib_reader *reader,
                                                   uint64_t since,
                                                   int *descriptor,
                                                   struct ringproof_lib_error *error);

// Says how the producer waits from now on, an `enum ringproof_lib_wait`.
enum ringproof_lib_status ringproof_lib_producer_set_wait(struct ringproof_lib_producer *producer,
                                                          uint32_t how,
                                                          struct ringproof_lib_error *error);

// Says how the consumer waits from now on, an `enum ringproof_lib_wait`.
enum ringproof_lib_status ringproof_lib_consumer_set_wait(struct ringproof_lib_consumer *consumer,
                                                          uint32_t how,
                                                          struct ringproof_lib_error *error);

// Says how the reader waits from now on, an `enum ringproof_lib_wait`.
enum ringproof_lib_status ringproof_lib_reader_set_wait(struct ringproof_lib_reader *reader,
                                                        uint32_t how,
                                                        struct ringproof_lib_error *error);

// Looks at the segment `name`; nothing is mapped, locked or changed.
enum ringproof_lib_status ringproof_lib_inspect(const char *name,
                                                struct ringproof_lib_inspection *inspection,
                                                struct ringproof_lib_error *error);

// Writes the text that describes the payload of the segment `name`, with a zero at its end, and
// its length without. At most 65,537 bytes are needed.
enum ringproof_lib_status ringproof_lib_description(const char *name,
                                                    char *description,
                                                    size_t size,
                                                    size_t *len,
                                                    struct ringproof_lib_error *error);

// Writes the text that describes a payload, as `ringproof_lib_description` does.
enum ringproof_lib_status ringproof_lib_describe(const struct ringproof_lib_payload *payload,
                                                 char *description,
                                                 size_t size,
                                                 size_t *len,
                                                 struct ringproof_lib_error *error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* RINGPROOF_LIB_H */
