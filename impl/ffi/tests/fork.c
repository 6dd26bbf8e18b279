/* What a forked child has of its parent's segments, with ringproof.h. Exit 0: every check passed;
 * 1: one did not, named on standard error. The tests also run it against headers with a fault
 * injected into them: then it must fail.
 *
 *   fork NAME    NAME is a segment that does not exist, nor will when this ends
 *
 * With -DPART it is the other source file of the program, which gives back what this one attached.
 */
#include "ringproof.h"

void give_back_elsewhere(struct ringproof_segment *segment);

#ifdef PART
void give_back_elsewhere(struct ringproof_segment *segment) { ringproof_detach(segment); }
#else

#include "fork.h"
#include <spawn.h>
#include <sys/syscall.h>

RINGPROOF_SHAPE(word_shape, uint64_t, RINGPROOF_VALUE(uint64_t));

static struct ringproof_error error;
static struct ringproof_segment ring;
static struct ringproof_producer producer;
static struct ringproof_consumer consumer;
static uint64_t sent, got;

static void make(const struct ringproof_options *options) {
  CHECK(ringproof_create(&ring, name, options, &word_shape, NULL, &error) == RINGPROOF_OK);
  taken = ring.len;
}

static void make_ring(uint64_t capacity) {
  const struct ringproof_options options = ringproof_ring_options(capacity);
  make(&options);
  CHECK(ringproof_producer_open(&producer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_consumer_open(&consumer, &ring, &error) == RINGPROOF_OK);
  sent = got = 0;
}

static void push_next(void) {
  CHECK(ringproof_push(&producer, &sent) == RINGPROOF_OK);
  sent++;
}

static void pop_next(void) {
  uint64_t item = UINT64_MAX;
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_OK);
  CHECK(item == got++);
}

/* The stream is what this process made it. */
static void the_stream_goes_on(void) {
  uint64_t item;
  for (int i = 0; i < 3; i++) {
    push_next();
  }
  while (got < sent) {
    pop_next();
  }
  CHECK(ringproof_pop(&consumer, &item) == RINGPROOF_EMPTY);
}

static void drop_ring(void) {
  the_stream_goes_on();
  CHECK(ringproof_unlink(&ring, &error) == RINGPROOF_OK);
  ringproof_consumer_drop(&consumer);
  ringproof_producer_drop(&producer);
  ringproof_detach(&ring);
}

/* In a child: every operation of the ends that it inherited faults, and changes nothing. */
static void use_of_the_ends_faults(void) {
  uint64_t items[2] = {7, 8};
  uint64_t live;
  size_t count;
  struct ringproof_chunk chunk;
  occupy();
  CHECK(FAULTS(ringproof_push(&producer, items)));
  CHECK(FAULTS(ringproof_push_slice(&producer, items, 2, &count)));
  CHECK(FAULTS((ringproof_reserve(&producer, 1, &chunk), memset(chunk.first.items, 0, 8))));
  CHECK(FAULTS((ringproof_reserve(&producer, 1, &chunk), ringproof_commit(&producer, &chunk, 1))));
  CHECK(FAULTS(ringproof_producer_occupancy(&producer, &live)));
  CHECK(FAULTS(ringproof_producer_close(&producer)));
  CHECK(FAULTS(ringproof_pop(&consumer, items)));
  CHECK(FAULTS(ringproof_pop_slice(&consumer, items, 2, &count)));
  CHECK(FAULTS((ringproof_peek(&consumer, 1, &chunk), memcpy(items, chunk.first.items, 8))));
  CHECK(FAULTS((ringproof_peek(&consumer, 1, &chunk), ringproof_release(&consumer, &chunk, 1))));
  CHECK(FAULTS(ringproof_consumer_occupancy(&consumer, &live)));
  CHECK(FAULTS(ringproof_consumer_close(&consumer)));
  CHECK(intact());
}

static void an_end_that_is_inherited_faults(void) {
  make_ring(8);
  IN_CHILD(use_of_the_ends_faults());
  the_stream_goes_on();
  /* Not empty: what it knew to be there it does not get either. */
  push_next();
  push_next();
  push_next();
  pop_next();
  IN_CHILD(use_of_the_ends_faults());
  /* Nor does a grandchild. */
  IN_CHILD(IN_CHILD(use_of_the_ends_faults()));
  drop_ring();
}

/* What is mapped in the child before the library's handler has run is as safe. */
static void nor_is_what_an_earlier_handler_mapped_overwritten(void) {
  make_ring(8);
  early = true;
  IN_CHILD(use_of_the_ends_faults());
  early = false;
  drop_ring();
}

static void a_value_that_is_inherited_faults(void) {
  const struct ringproof_options kinds[2] = {ringproof_seqlock_options(),
                                             ringproof_latch_options()};
  for (int i = 0; i < 2; i++) {
    struct ringproof_writer writer;
    struct ringproof_reader reader;
    uint64_t value = 7;
    make(&kinds[i]);
    CHECK(ringproof_writer_open(&writer, &ring, &error) == RINGPROOF_OK);
    CHECK(ringproof_reader_open(&reader, &ring, &error) == RINGPROOF_OK);
    ringproof_write(&writer, &value);
    IN_CHILD({
      occupy();
      value = 8;
      CHECK(FAULTS(ringproof_write(&writer, &value)));
      CHECK(FAULTS(ringproof_try_read(&reader, &value)));
      CHECK(FAULTS(ringproof_read(&reader, &value, 3)));
      CHECK(intact());
      CHECK(ringproof_writer_open(&writer, &ring, &error) == RINGPROOF_FORKED);
      CHECK(ringproof_reader_open(&reader, &ring, &error) == RINGPROOF_FORKED);
    });
    value = 0;
    CHECK(ringproof_read(&reader, &value, 1) == RINGPROOF_OK && value == 7);
    ringproof_reader_drop(&reader);
    ringproof_writer_drop(&writer);
    CHECK(ringproof_unlink(&ring, &error) == RINGPROOF_OK);
    ringproof_detach(&ring);
  }
}

/* In a child: what can be refused is. */
static void what_opens_is_refused(void) {
  struct ringproof_producer another;
  struct ringproof_consumer other;
  CHECK(ringproof_producer_open(&another, &ring, &error) == RINGPROOF_FORKED);
  CHECK(strstr(error.message, name) != NULL && strstr(error.message, "forked") != NULL);
  CHECK(ringproof_consumer_open(&other, &ring, NULL) == RINGPROOF_FORKED);
  CHECK(ringproof_unlink(&ring, &error) == RINGPROOF_FORKED);
  CHECK(ringproof_note(&ring, RINGPROOF_PRODUCER, 0) == NULL);
}

static void what_opens_is_refused_and_the_child_attaches_anew(void) {
  bool held = false;
  make_ring(8);
  IN_CHILD({
    struct ringproof_segment own;
    struct ringproof_producer another;
    what_opens_is_refused();
    IN_CHILD(what_opens_is_refused());
    /* As anybody else. */
    CHECK(ringproof_attach(&own, name, RINGPROOF_RING, &word_shape, &error) == RINGPROOF_OK);
    CHECK(ringproof_producer_open(&another, &own, &error) == RINGPROOF_HELD);
    CHECK(ringproof_producer_peer_present(&producer, &held) == RINGPROOF_OK && held);
    ringproof_producer_drop(&producer);
    ringproof_consumer_drop(&consumer);
    CHECK(ringproof_producer_open(&another, &own, &error) == RINGPROOF_HELD);
    ringproof_detach(&ring);
    ringproof_detach(&own);
  });
  /* A child of a child that attached has nothing of that either. */
  ringproof_producer_drop(&producer);
  IN_CHILD({
    CHECK(ringproof_attach(&ring, name, RINGPROOF_RING, &word_shape, &error) == RINGPROOF_OK);
    CHECK(ringproof_producer_open(&producer, &ring, &error) == RINGPROOF_OK);
    IN_CHILD(CHECK(FAULTS(ringproof_push(&producer, &got))));
    push_next();
    push_next();
  });
  sent += 2;
  CHECK(ringproof_producer_open(&producer, &ring, &error) == RINGPROOF_OK);
  drop_ring();
}

/* It asks the kernel who holds what, although it shares the description of the holder, and not what was
 * so when it was forked. */
static void a_child_sees_who_holds_a_role_now(void) {
  int tell[2];
  pid_t child;
  char word = 0;
  bool held = true;
  make_ring(8);
  CHECK(pipe(tell) == 0);
  child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    close(tell[1]);
    CHECK(read(tell[0], &word, 1) == 1);
    CHECK(ringproof_producer_peer_present(&producer, &held) == RINGPROOF_OK && !held);
    _exit(0);
  }
  ringproof_consumer_drop(&consumer);
  CHECK(write(tell[1], "x", 1) == 1);
  CHECK(waitpid(child, &outcome, 0) == child && outcome == 0);
  close(tell[0]);
  close(tell[1]);
  CHECK(ringproof_consumer_open(&consumer, &ring, &error) == RINGPROOF_OK);
  drop_ring();
}

static void a_daemon_is_a_child(void) {
  int ready[2];
  char word = 0;
  make_ring(8);
  CHECK(pipe(ready) == 0);
  IN_CHILD({
    /* Its parent, this child, ends in it. */
    CHECK(daemon(1, 1) == 0);
    what_opens_is_refused();
    use_of_the_ends_faults();
    CHECK(write(ready[1], "y", 1) == 1);
  });
  close(ready[1]);
  CHECK(read(ready[0], &word, 1) == 1 && word == 'y');
  close(ready[0]);
  drop_ring();
}

extern char **environ;

static void what_starts_a_program_changes_nothing(void) {
  char program[] = "/bin/sh", option[] = "-c", command[] = "exit 0";
  char *arguments[] = {program, option, command, NULL};
  make_ring(8);
  for (int i = 0; i < 8; i++) {
    pid_t child = -1;
    push_next();
    switch (i % 4) {
    case 0: {
      const pid_t other = vfork();
      if (other == 0) {
        _exit(0);
      }
      child = other;
      break;
    }
    case 1: CHECK(posix_spawn(&child, program, NULL, NULL, arguments, environ) == 0); break;
    case 2: CHECK(system(command) == 0); break;
    default:
      child = fork();
      if (child == 0) {
        execv(program, arguments);
        _exit(1);
      }
    }
    if (child >= 0) {
      CHECK(waitpid(child, &outcome, 0) == child && outcome == 0);
    }
    push_next();
    pop_next();
    pop_next();
  }
  drop_ring();
}

/* No handler runs for it: what can fail must not believe that it is the parent. */
static void a_bare_clone_is_refused(void) {
  make_ring(8);
  {
    const pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    CHECK(child >= 0);
    if (child == 0) {
      what_opens_is_refused();
      /* There is a hole, and it is filled. What lies there is its own, and its children's. */
      occupy();
      IN_CHILD(CHECK(intact()));
      IN_CHILD(CHECK(intact()));
      ringproof_producer_drop(&producer);
      ringproof_consumer_drop(&consumer);
      ringproof_detach(&ring);
      CHECK(intact());
      _exit(0);
    }
    CHECK(waitpid(child, &outcome, 0) == child && outcome == 0);
  }
  drop_ring();
}

static bool stop;

static void *come_and_go(void *of) {
  char own[256];
  const struct ringproof_options options = ringproof_latch_options();
  snprintf(own, sizeof own, "%.200s-%c", name, *(const char *)of);
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    struct ringproof_segment segments[3];
    struct ringproof_writer writer;
    CHECK(ringproof_create(&segments[0], own, &options, &word_shape, NULL, NULL) == RINGPROOF_OK);
    for (int i = 1; i < 3; i++) {
      CHECK(ringproof_attach(&segments[i], own, RINGPROOF_LATCH, &word_shape, NULL) ==
            RINGPROOF_OK);
    }
    CHECK(ringproof_writer_open(&writer, &segments[1], NULL) == RINGPROOF_OK);
    CHECK(ringproof_unlink(&segments[2], NULL) == RINGPROOF_OK);
    ringproof_detach(&segments[0]);
    ringproof_writer_drop(&writer);
    ringproof_detach(&segments[2]);
    ringproof_detach(&segments[1]);
  }
  return NULL;
}

static void *send(void *items) {
  while (sent < *(const uint64_t *)items) {
    const enum ringproof_status status = ringproof_push(&producer, &sent);
    CHECK(status == RINGPROOF_OK || status == RINGPROOF_FULL);
    sent += status == RINGPROOF_OK;
    if (status != RINGPROOF_OK) {
      sched_yield();
    }
  }
  return NULL;
}

/* Forks in the midst of operations, and while mappings come and go. The stream takes part in it: so
 * many items between two forks. */
static void forks_in_the_midst(void) {
  pthread_t threads[3];
  uint64_t items = 40000;
  make_ring(64);
  CHECK(pthread_create(&threads[0], NULL, come_and_go, (void *)"a") == 0);
  CHECK(pthread_create(&threads[1], NULL, come_and_go, (void *)"b") == 0);
  CHECK(pthread_create(&threads[2], NULL, send, &items) == 0);
  while (got < items) {
    uint64_t item;
    const enum ringproof_status status = ringproof_pop(&consumer, &item);
    if (status == RINGPROOF_EMPTY) {
      sched_yield();
      continue;
    }
    CHECK(status == RINGPROOF_OK && item == got);
    got++;
    if (got % 400 == 0) {
      IN_CHILD({
        CHECK(ringproof_unlink(&ring, NULL) == RINGPROOF_FORKED);
        CHECK(FAULTS(ringproof_push(&producer, &item)));
        CHECK(FAULTS(ringproof_pop(&consumer, &item)));
        ringproof_consumer_drop(&consumer);
        ringproof_detach(&ring);
      });
    }
  }
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  for (int i = 0; i < 3; i++) {
    CHECK(pthread_join(threads[i], NULL) == 0);
  }
  drop_ring();
}

/* What is in the list of one source file, given back in another one. */
static void what_another_file_gives_back_is_not_shut(void) {
  void *freed;
  make_ring(8);
  freed = ring.map;
  ringproof_consumer_drop(&consumer);
  CHECK(ringproof_unlink(&ring, &error) == RINGPROOF_OK);
  give_back_elsewhere(&ring);
  /* Whatever lies there now is a child's as ever. */
  freed = mmap(freed, taken, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  CHECK(freed != MAP_FAILED);
  memset(freed, FILL, taken);
  IN_CHILD(CHECK(!FAULTS(memset(freed, 1, taken))));
  CHECK(munmap(freed, taken) == 0);
  /* It held on to the descriptor alone. */
  ringproof_producer_drop(&producer);
}

/* As a child does that cannot know that they are registered: it would wait for itself. */
static void handlers_that_are_registered_twice_lock_once(void) {
  CHECK(pthread_atfork(ringproof_before_fork, ringproof_in_parent, ringproof_in_child) == 0);
  make_ring(8);
  IN_CHILD({
    what_opens_is_refused();
    IN_CHILD(use_of_the_ends_faults());
  });
  IN_CHILD(use_of_the_ends_faults());
  /* The second one does not unlock what another thread has locked meanwhile. */
  ringproof_before_fork();
  ringproof_in_parent();
  CHECK(pthread_mutex_trylock(&ringproof_attached.lock) == 0);
  ringproof_in_parent();
  CHECK(pthread_mutex_trylock(&ringproof_attached.lock) != 0);
  CHECK(pthread_mutex_unlock(&ringproof_attached.lock) == 0);
  drop_ring();
}

static size_t descriptors(void) {
  size_t count = 0;
  for (int fd = 0; fd < 100; fd++) {
    count += fcntl(fd, F_GETFD) >= 0;
  }
  return count;
}

/* One descriptor, however many ends. */
static void an_attachment_has_one_descriptor(void) {
  const struct ringproof_options options = ringproof_seqlock_options();
  const size_t before = descriptors();
  struct ringproof_writer writer;
  struct ringproof_reader readers[2];
  bool present = false;
  make_ring(8);
  CHECK(descriptors() == before + 1);
  /* Each sees the other, although the kernel does not tell them apart. */
  CHECK(ringproof_producer_peer_present(&producer, &present) == RINGPROOF_OK && present);
  present = false;
  CHECK(ringproof_consumer_peer_present(&consumer, &present) == RINGPROOF_OK && present);
  ringproof_consumer_drop(&consumer);
  CHECK(ringproof_producer_peer_present(&producer, &present) == RINGPROOF_OK && !present);
  CHECK(descriptors() == before + 1);
  CHECK(ringproof_consumer_open(&consumer, &ring, &error) == RINGPROOF_OK);
  drop_ring();
  CHECK(descriptors() == before);
  make(&options);
  CHECK(ringproof_writer_open(&writer, &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_reader_open(&readers[0], &ring, &error) == RINGPROOF_OK);
  CHECK(ringproof_reader_open(&readers[1], &ring, &error) == RINGPROOF_OK);
  CHECK(descriptors() == before + 1);
  CHECK(ringproof_unlink(&ring, &error) == RINGPROOF_OK);
  /* An end that is dropped last keeps what it needs, and nothing else. */
  ringproof_detach(&ring);
  ringproof_reader_drop(&readers[0]);
  CHECK(descriptors() == before + 1);
  ringproof_reader_drop(&readers[1]);
  ringproof_writer_drop(&writer);
  CHECK(descriptors() == before);
}

int main(int count, char **arguments) {
  if (count != 2) {
    return 2;
  }
  begin(arguments[1]);
  an_end_that_is_inherited_faults();
  nor_is_what_an_earlier_handler_mapped_overwritten();
  a_value_that_is_inherited_faults();
  what_opens_is_refused_and_the_child_attaches_anew();
  a_child_sees_who_holds_a_role_now();
  a_daemon_is_a_child();
  what_starts_a_program_changes_nothing();
  a_bare_clone_is_refused();
  forks_in_the_midst();
  what_another_file_gives_back_is_not_shut();
  an_attachment_has_one_descriptor();
  handlers_that_are_registered_twice_lock_once();
  return 0;
}
#endif
