/*
 * Closing what is in use: it waits for the calls of other threads and so for their callbacks, and
 * from inside a callback it returns at once.
 *
 *   closing BUNDLE STORE
 *
 * BUNDLE has a decoder; its weights may be random. STORE is an empty folder. Every check prints what
 * it saw when it fails; the program ends with 0 only if all passed.
 */
#define _POSIX_C_SOURCE 200809L

#include "check.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* What waits for itself is ended by the alarm clock. */
enum { SECONDS_MAX = 900 };

enum { EXAMPLES_COUNT = 16, TOKENS_MAX = 12, PAUSE_NS = 20000000 };

static polygraft_predict_options short_texts(void) {
  polygraft_error *error = NULL;
  polygraft_predict_options options;
  EXPECT(OK, polygraft_predict_options_init(&options, sizeof options, &error));
  options.max_new_tokens = TOKENS_MAX;
  return options;
}

static polygraft_update *begin(const polygraft_model *model) {
  polygraft_error *error = NULL;
  polygraft_update *update = NULL;
  polygraft_update_options options;
  EXPECT(OK, polygraft_update_options_init(&options, sizeof options, &error));
  options.steps_max = 4;
  options.gate_enabled = 0;
  const char *const targets[] = {"q", "v"};
  options.lora_targets = targets;
  options.lora_targets_count = 2;
  EXPECT(OK, polygraft_update_begin(model, "plural", &options, &update, &error));
  for (unsigned index = 0; index < EXAMPLES_COUNT; index++) {
    char text[32];
    char target[32];
    snprintf(text, sizeof text, "one tree %u", index);
    snprintf(target, sizeof target, "%u trees", index);
    polygraft_input *input = NULL;
    EXPECT(OK, polygraft_input_text(text, &input, &error));
    EXPECT(OK, polygraft_update_add_text(update, index % 2 == 0 ? "en" : "de", input, target,
                                         &error));
    polygraft_input_free(&input);
  }
  return update;
}

/* What a callback and the thread that closes tell each other. */
typedef struct {
  polygraft_update *update;
  polygraft_cancel *cancel;
  const polygraft_model *model;
  atomic_uint calls_count;
  atomic_bool closing;
  atomic_bool closed;
} shared_state;

/* Lets the other thread begin to close, and gives it time to get it wrong. */
static void hold_up(shared_state *shared) {
  CHECK(!atomic_load(&shared->closed));
  atomic_fetch_add(&shared->calls_count, 1);
  while (!atomic_load(&shared->closing)) {
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS / 20}, NULL);
  }
  nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
  CHECK(!atomic_load(&shared->closed));
}

static int on_progress(const polygraft_progress *progress, void *user) {
  CHECK(progress->fraction >= 0 && progress->fraction <= 1);
  hold_up(user);
  return 0;
}

static int on_chunk(polygraft_string_view chunk, void *user) {
  CHECK(chunk.len > 0);
  hold_up(user);
  return 0;
}

static void *run_in_thread(void *user) {
  shared_state *shared = user;
  polygraft_error *error = NULL;
  EXPECT(OK,
         polygraft_update_run(shared->update, shared->cancel, NULL, &error, on_progress, shared));
  return NULL;
}

static void *generate_in_thread(void *user) {
  shared_state *shared = user;
  polygraft_error *error = NULL;
  polygraft_prediction *prediction = NULL;
  polygraft_predict_options options = short_texts();
  EXPECT(OK, polygraft_model_generate(shared->model, "plural", "en", "one tree", &options,
                                      &prediction, &error, on_chunk, shared));
  polygraft_prediction_free(&prediction);
  return NULL;
}

static void wait_for_a_call(shared_state *shared) {
  while (atomic_load(&shared->calls_count) == 0 && atomic_load(&failures) == 0) {
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS / 20}, NULL);
  }
  /* A token is closed at once, though the callback of its run does not return before this does. */
  polygraft_cancel_close(&shared->cancel);
  atomic_store(&shared->closing, true);
}

/* No callback comes after the close of an update that runs on another thread. */
static void check_update_waits(const polygraft_model *model) {
  polygraft_error *error = NULL;
  shared_state shared = {.update = begin(model)};
  EXPECT(OK, polygraft_cancel_open(&shared.cancel, &error));
  polygraft_update *update = shared.update;
  pthread_t running;
  CHECK(pthread_create(&running, NULL, run_in_thread, &shared) == 0);
  wait_for_a_call(&shared);
  polygraft_update_close(&update);
  atomic_store(&shared.closed, true);
  CHECK(update == NULL);
  unsigned calls_count = atomic_load(&shared.calls_count);
  pthread_join(running, NULL);
  CHECK(atomic_load(&shared.calls_count) == calls_count && calls_count > 4);
}

/* Nor after the close of a model that another thread generates with. */
static void check_model_waits(polygraft_model *model) {
  shared_state shared = {.model = model};
  pthread_t generating;
  CHECK(pthread_create(&generating, NULL, generate_in_thread, &shared) == 0);
  wait_for_a_call(&shared);
  polygraft_model_close(&model);
  atomic_store(&shared.closed, true);
  unsigned calls_count = atomic_load(&shared.calls_count);
  pthread_join(generating, NULL);
  CHECK(atomic_load(&shared.calls_count) == calls_count && calls_count > 0);
}

static int close_update(const polygraft_progress *progress, void *user) {
  polygraft_update **update = user;
  CHECK(progress->struct_size == sizeof *progress);
  polygraft_update_close(update);
  CHECK(*update == NULL);
  return 0;
}

static int close_model(polygraft_string_view chunk, void *user) {
  polygraft_model **model = user;
  CHECK(chunk.len > 0);
  polygraft_model_close(model);
  CHECK(*model == NULL);
  return 0;
}

/* A close from inside the callback returns; the call continues and ends as it would have. */
static void check_from_inside(polygraft_model *model) {
  polygraft_error *error = NULL;
  polygraft_report *report = NULL;
  polygraft_update *update = begin(model);
  polygraft_update *stale = update;
  EXPECT(OK, polygraft_update_run(stale, NULL, &report, &error, close_update, &update));
  CHECK(polygraft_report_languages_count(report) > 0);
  polygraft_report_free(&report);
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_update_commit(stale, NULL, &error));

  polygraft_prediction *prediction = NULL;
  polygraft_predict_options options = short_texts();
  const polygraft_model *open = model;
  EXPECT(OK, polygraft_model_generate(open, "plural", "en", "one tree", &options, &prediction,
                                      &error, close_model, &model));
  CHECK(polygraft_prediction_text(prediction).len > 0);
  polygraft_prediction_free(&prediction);
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_model_predict(open, "plural", "en", "one", NULL, &prediction, &error));
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s BUNDLE STORE\n", argv[0]);
    return 2;
  }
  alarm(SECONDS_MAX);
  polygraft_error *error = NULL;
  polygraft_engine *engine = NULL;
  polygraft_store *store = NULL;
  polygraft_model *model = NULL;
  polygraft_model *second = NULL;
  EXPECT(OK, polygraft_engine_open(NULL, &engine, &error));
  EXPECT(OK, polygraft_store_open(argv[2], &store, &error));
  EXPECT(OK, polygraft_model_open(engine, argv[1], store, NULL, &model, &error));
  EXPECT(OK, polygraft_model_open(engine, argv[1], store, NULL, &second, &error));
  if (atomic_load(&failures) == 0) {
    polygraft_update *update = begin(model);
    EXPECT(OK, polygraft_update_run(update, NULL, NULL, &error, NULL, NULL));
    EXPECT(OK, polygraft_update_commit(update, NULL, &error));
    polygraft_update_close(&update);
    check_update_waits(model);
    check_model_waits(model);
    check_from_inside(second);
  }
  polygraft_store_close(&store);
  polygraft_engine_close(&engine);
  return finish();
}
