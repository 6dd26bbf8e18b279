/* A program that loads and unloads what has ringproof in it. Exit 0: as it should be; 1: not, as said
 * on standard error.
 *
 *   host guard LIBRARY        libringproof, which installs its guard, is unloaded; then there is a
 *                             SIGBUS that has nothing to do with it
 *   host forks PLUGIN NAME    plugin.c is loaded, used and unloaded; then this forks
 *   host library LIBRARY      libringproof is loaded, used and unloaded; then this forks
 */
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ringproof_lib.h"

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      const char *said = dlerror();                                                                \
      fprintf(stderr, "%s:%d: %s %s\n", __func__, __LINE__, #condition, said == NULL ? "" : said); \
      exit(1);                                                                                     \
    }                                                                                              \
  } while (0)

static void *load(const char *library) {
  void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  CHECK(handle != NULL);
  return handle;
}

/* A function of the library, as `function` points to one. */
static void find(void *handle, const char *symbol, void *function) {
  void *found = dlsym(handle, symbol);
  CHECK(found != NULL);
  memcpy(function, &found, sizeof found);
}

static bool is_loaded(const char *library) {
  void *handle = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
  if (handle != NULL) {
    dlclose(handle);
  }
  return handle != NULL;
}

static void child_comes_to_its_end(void) {
  int outcome;
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    _exit(7);
  }
  CHECK(waitpid(child, &outcome, 0) == child);
  CHECK(WIFEXITED(outcome) && WEXITSTATUS(outcome) == 7);
}

static sigjmp_buf back;

static void on_sigbus(int signal, siginfo_t *info, void *context) {
  (void)signal;
  (void)info;
  (void)context;
  siglongjmp(back, 1);
}

static void the_guard_stays(const char *library) {
  enum ringproof_lib_status (*install)(struct ringproof_lib_error *);
  struct sigaction action;
  char *page;
  FILE *file = tmpfile();
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_sigbus;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  CHECK(sigaction(SIGBUS, &action, NULL) == 0);
  for (int i = 0; i < 3; i++) {
    void *handle = load(library);
    find(handle, "ringproof_lib_guard_install", &install);
    CHECK(install(NULL) == RINGPROOF_LIB_OK);
    CHECK(dlclose(handle) == 0);
    /* Once more than it was opened: what a host does that counts wrongly. */
    dlclose(handle);
    CHECK(is_loaded(library));
  }
  CHECK(file != NULL && ftruncate(fileno(file), 4096) == 0);
  page = (char *)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
  CHECK(page != MAP_FAILED && ftruncate(fileno(file), 0) == 0);
  if (sigsetjmp(back, 1) == 0) {
    *(volatile char *)page = 1;
    CHECK(!"there was no fault");
  }
  child_comes_to_its_end();
}

static void a_plugin_goes(const char *plugin, const char *name) {
  for (int i = 0; i < 3; i++) {
    int (*use)(const char *);
    void *handle = load(plugin);
    find(handle, "plugin_use", &use);
    CHECK(use(name) == 0);
    child_comes_to_its_end();
    CHECK(dlclose(handle) == 0);
    CHECK(!is_loaded(plugin));
    child_comes_to_its_end();
  }
}

static void the_library_goes(const char *library) {
  static const struct ringproof_lib_field field = {"value", 0, 8, RINGPROOF_LIB_U64};
  static const struct ringproof_lib_payload payload = {8, 8, &field, 1, NULL};
  struct ringproof_lib_options options;
  memset(&options, 0, sizeof options);
  options.kind = RINGPROOF_LIB_RING;
  options.capacity = 8;
  for (int i = 0; i < 3; i++) {
    enum ringproof_lib_status (*create)(const char *, const struct ringproof_lib_options *, const struct ringproof_lib_payload *,
                             const void *, struct ringproof_lib_segment **, struct ringproof_lib_error *);
    void (*detach)(struct ringproof_lib_segment *);
    struct ringproof_lib_segment *segment;
    void *handle = load(library);
    find(handle, "ringproof_lib_create", &create);
    find(handle, "ringproof_lib_detach", &detach);
    CHECK(create(NULL, &options, &payload, NULL, &segment, NULL) == RINGPROOF_LIB_OK);
    child_comes_to_its_end();
    detach(segment);
    CHECK(dlclose(handle) == 0);
    /* Whether it has gone is the loader's affair. */
    child_comes_to_its_end();
  }
}

int main(int count, char **arguments) {
  if (count == 3 && strcmp(arguments[1], "guard") == 0) {
    the_guard_stays(arguments[2]);
  } else if (count == 4 && strcmp(arguments[1], "forks") == 0) {
    a_plugin_goes(arguments[2], arguments[3]);
  } else if (count == 3 && strcmp(arguments[1], "library") == 0) {
    the_library_goes(arguments[2]);
  } else {
    return 2;
  }
  return 0;
}
