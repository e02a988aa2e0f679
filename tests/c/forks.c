/*
 * What may follow a fork: a child is refused what needs the threads of its parent, may close
 * everything, and may open a model of its own. Nothing hangs: a child is ended by its alarm clock.
 *
 *   forks BUNDLE STORE
 *
 * STORE is an empty folder. Every check prints what it saw when it fails; the program ends with 0
 * only if all passed, those of the children included.
 */
#define _DEFAULT_SOURCE

#include "check.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHILD_SECONDS_MAX = 120, FORKS_COUNT = 40 };

/* Everything that a parent has open when it forks. */
typedef struct {
  const char *bundle;
  const char *folder;
  polygraft_engine *engine;
  polygraft_store *store;
  polygraft_model *model;
  polygraft_update *update;
  polygraft_cancel *cancel;
} opened;

static polygraft_model *open_model(const opened *open) {
  polygraft_error *error = NULL;
  polygraft_model *model = NULL;
  polygraft_model_options options;
  EXPECT(OK, polygraft_model_options_init(&options, sizeof options, &error));
  options.threads = 2;
  EXPECT(OK, polygraft_model_open(open->engine, open->bundle, open->store, &options, &model,
                                  &error));
  return model;
}

/* Runs the session of a model. */
static void check_embeds(const polygraft_model *model) {
  const char *const texts[] = {"one tree", "two trees"};
  polygraft_error *error = NULL;
  polygraft_vectors *vectors = NULL;
  EXPECT(OK, polygraft_model_embed(model, NULL, NULL, texts, 2, 1, &vectors, &error));
  CHECK(polygraft_vectors_count(vectors) == 2);
  polygraft_vectors_free(&vectors);
}

/* Refused by a name, a number and what to do, and without waiting. */
static void check_refused(polygraft_status status, polygraft_error **error) {
  CHECK(status == POLYGRAFT_ERROR_RUNTIME_FAILED);
  char parent[32];
  snprintf(parent, sizeof parent, "(%ld;", (long)getppid());
  const char *message = polygraft_error_message(*error).ptr;
  CHECK(strstr(message, "another process") != NULL && strstr(message, parent) != NULL);
  CHECK(strstr(message, "after the fork") != NULL);
  polygraft_error_free(error);
}

static void check_model_and_update_are_refused(const opened *open) {
  const char *const texts[] = {"one tree"};
  polygraft_error *error = NULL;
  polygraft_prediction *prediction = UNTOUCHED;
  polygraft_predictions *predictions = UNTOUCHED;
  polygraft_vectors *vectors = UNTOUCHED;
  polygraft_update *update = UNTOUCHED;
  const polygraft_model *model = open->model;
  check_refused(polygraft_model_embed(model, NULL, NULL, texts, 1, 1, &vectors, &error), &error);
  check_refused(polygraft_model_predict(model, "t", "de", "x", NULL, &prediction, &error), &error);
  check_refused(
      polygraft_model_predict_batch(model, "t", "de", texts, 1, NULL, &predictions, &error),
      &error);
  check_refused(
      polygraft_model_generate(model, "t", "de", "x", NULL, &prediction, &error, NULL, NULL),
      &error);
  check_refused(polygraft_update_begin(model, "t", NULL, &update, &error), &error);
  check_refused(polygraft_update_add(open->update, "de", "x", "y", &error), &error);
  check_refused(polygraft_update_run(open->update, NULL, NULL, &error, NULL, NULL), &error);
  check_refused(polygraft_update_commit(open->update, NULL, &error), &error);
  CHECK(prediction == UNTOUCHED && predictions == UNTOUCHED);
  CHECK(vectors == UNTOUCHED && update == UNTOUCHED);
}

static void close_all(opened *open) {
  polygraft_update_close(&open->update);
  polygraft_model_close(&open->model);
  polygraft_store_close(&open->store);
  polygraft_cancel_close(&open->cancel);
  polygraft_engine_close(&open->engine);
  CHECK(open->update == NULL && open->model == NULL && open->store == NULL);
  CHECK(open->cancel == NULL && open->engine == NULL);
}

/* Uses the parent's engine, store and token, closes everything, and opens objects of its own. */
static void be_a_worker(opened *open) {
  polygraft_error *error = NULL;
  check_model_and_update_are_refused(open);
  polygraft_string_view version;
  EXPECT(OK, polygraft_engine_onnxruntime_version(open->engine, &version, &error));
  polygraft_versions *versions = NULL;
  EXPECT(OK, polygraft_store_versions(open->store, NULL, &versions, &error));
  polygraft_versions_free(&versions);
  EXPECT(OK, polygraft_cancel_trigger(open->cancel, &error));
  polygraft_model *own = open_model(open);
  check_embeds(own);
  polygraft_model_close(&own);
  close_all(open);
  EXPECT(OK, polygraft_engine_open(NULL, &open->engine, &error));
  EXPECT(OK, polygraft_store_open(open->folder, &open->store, &error));
  open->model = open_model(open);
  check_embeds(open->model);
  close_all(open);
}

/* Forks a child that does `work`, and waits until it ended by itself and well. */
static void in_child(opened *open, void (*work)(opened *), bool at_exit) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    alarm(CHILD_SECONDS_MAX);
    work(open);
    int status = atomic_load(&failures) == 0 ? 0 : 1;
    if (at_exit) {
      exit(status);
    }
    _exit(status);
  }
  int status = -1;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  CHECK(!WIFSIGNALED(status));
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void check_cancel_opens(opened *open) {
  polygraft_error *error = NULL;
  polygraft_cancel *cancel = NULL;
  EXPECT(OK, polygraft_cancel_open(&cancel, &error));
  polygraft_cancel_close(&cancel);
  polygraft_model_close(&open->model);
}

static atomic_bool done;

/* Opens and closes handles all the time. */
static void *use_the_table(void *user) {
  (void)user;
  while (!atomic_load(&done)) {
    polygraft_error *error = NULL;
    polygraft_cancel *cancel = NULL;
    EXPECT(OK, polygraft_cancel_open(&cancel, &error));
    polygraft_cancel_close(&cancel);
  }
  return NULL;
}

/* A fork between two steps of another thread leaves the child a table that it can use. */
static void check_forks_beside_threads(opened *open) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, use_the_table, NULL) == 0);
  for (int count = 0; count < FORKS_COUNT && atomic_load(&failures) == 0; count++) {
    in_child(open, check_cancel_opens, false);
  }
  atomic_store(&done, true);
  pthread_join(thread, NULL);
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s BUNDLE STORE\n", argv[0]);
    return 2;
  }
  polygraft_error *error = NULL;
  opened open = {.bundle = argv[1], .folder = argv[2]};
  EXPECT(OK, polygraft_engine_open(NULL, &open.engine, &error));
  EXPECT(OK, polygraft_store_open(open.folder, &open.store, &error));
  EXPECT(OK, polygraft_cancel_open(&open.cancel, &error));
  open.model = open_model(&open);
  EXPECT(OK, polygraft_update_begin(open.model, "task", NULL, &open.update, &error));
  check_embeds(open.model);
  if (atomic_load(&failures) == 0) {
    in_child(&open, be_a_worker, false);
    in_child(&open, close_all, false);
    /* A child that closes nothing and ends as programs do. */
    in_child(&open, check_cancel_opens, true);
    check_forks_beside_threads(&open);
  }
  /* The parent is as it was. */
  check_embeds(open.model);
  EXPECT(OK, polygraft_update_add(open.update, "de", "x", "y", &error));
  close_all(&open);
  return finish();
}
