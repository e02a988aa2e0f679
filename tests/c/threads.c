/*
 * A model that is open: bad arguments, updates used out of order and cancelled, and many threads that
 * predict while another activates versions and the model is closed under them.
 *
 *   threads BUNDLE STORE EXAMPLES
 *
 * STORE is an empty folder. EXAMPLES has one example a line, language<TAB>text<TAB>label, with German
 * ones among them. Every check prints what it saw when it fails; the program ends with 0 only if all
 * passed.
 */
#define _POSIX_C_SOURCE 200809L

#include "check.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

/* Bad arguments to a model that is open. */
static void check_open_model(const polygraft_model *model) {
  polygraft_error *error = NULL;
  polygraft_prediction *prediction = UNTOUCHED;
  polygraft_predictions *predictions = NULL;
  EXPECT(ERROR_ARGUMENT_UTF8,
         polygraft_model_predict(model, "intent", "de", "\xed\xa0\x80", NULL, &prediction, &error));
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_model_predict(model, "intent", "de", NULL, NULL, &prediction, &error));
  EXPECT(ERROR_LANGUAGE_MALFORMED,
         polygraft_model_predict(model, "intent", "d_e", "x", NULL, &prediction, &error));
  EXPECT(ERROR_TASK_EMPTY_TEXT,
         polygraft_model_predict(model, "intent", "de", "", NULL, &prediction, &error));
  EXPECT(ERROR_STORE_NO_VERSION,
         polygraft_model_predict(model, "other-task", "de", "x", NULL, &prediction, &error));
  CHECK(prediction == UNTOUCHED);

  polygraft_predict_options options;
  EXPECT(OK, polygraft_predict_options_init(&options, sizeof options, &error));
  options.top_k = 1;
  EXPECT(OK, polygraft_model_predict(model, "intent", "de", "Licht an", &options, &prediction,
                                     &error));
  CHECK(polygraft_prediction_labels_count(prediction) == 1);
  CHECK(polygraft_prediction_label(prediction, 1).len == 0);
  CHECK(polygraft_prediction_probability(prediction, SIZE_MAX) == 0.0f);
  CHECK(polygraft_prediction_truncated(prediction) == 0);
  polygraft_prediction_free(&prediction);

  /* 100,000 characters: either cut, and said so, or refused by name. */
  enum { LENGTH = 100000 };
  char *text = malloc(LENGTH + 1);
  if (text == NULL) {
    abort();
  }
  for (size_t index = 0; index < LENGTH; index++) {
    text[index] = index % 5 == 4 ? ' ' : 'a';
  }
  text[LENGTH] = '\0';
  polygraft_status status =
      polygraft_model_predict(model, "intent", "en", text, NULL, &prediction, &error);
  CHECK(status == POLYGRAFT_OK ? polygraft_prediction_truncated(prediction) == 1
                               : status == POLYGRAFT_ERROR_TASK_TOO_LONG);
  polygraft_error_free(&error);
  polygraft_prediction_free(&prediction);
  free(text);

  const char *texts[] = {"Licht an", "", "Licht aus"};
  EXPECT(ERROR_TASK_EMPTY_TEXT,
         polygraft_model_predict_batch(model, "intent", "de", texts, 3, NULL, &predictions, &error));
  texts[1] = NULL;
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_model_predict_batch(model, "intent", "de", texts, 3, NULL, &predictions, &error));
  texts[1] = "Guten Morgen";
  EXPECT(OK,
         polygraft_model_predict_batch(model, "intent", "de", texts, 3, NULL, &predictions, &error));
  CHECK(polygraft_predictions_count(predictions) == 3);
  CHECK(polygraft_prediction_labels_count(polygraft_predictions_get(predictions, 2)) > 0);
  CHECK(polygraft_predictions_get(predictions, 3) == NULL);
  polygraft_predictions_free(&predictions);
  EXPECT(OK,
         polygraft_model_predict_batch(model, "intent", "de", NULL, 0, NULL, &predictions, &error));
  CHECK(polygraft_predictions_count(predictions) == 0);
  polygraft_predictions_free(&predictions);

  polygraft_cancel *cancel = NULL;
  EXPECT(OK, polygraft_cancel_open(&cancel, &error));
  EXPECT(OK, polygraft_cancel_trigger(cancel, &error));
  options.cancel = cancel;
  EXPECT(ERROR_CANCELLED,
         polygraft_model_predict(model, "intent", "de", "x", &options, &prediction, &error));
  polygraft_cancel_close(&cancel);
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_model_predict(model, "intent", "de", "x", &options, &prediction, &error));
}

/* Adds the examples of a file; the caller's update is big enough for them. */
static void add_examples(polygraft_update *update, const char *path) {
  polygraft_error *error = NULL;
  char line[4096];
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    perror(path);
    exit(2);
  }
  while (fgets(line, sizeof line, file) != NULL) {
    char *language = strtok(line, "\t\n");
    char *text = strtok(NULL, "\t\n");
    char *label = strtok(NULL, "\t\n");
    EXPECT(OK, polygraft_update_add(update, language, text, label, &error));
  }
  fclose(file);
}

/* Cancels at once. */
static int cancel_now(const polygraft_progress *progress, void *user) {
  CHECK(progress->struct_size == sizeof *progress);
  *(int *)user += 1;
  return 1;
}

/* Uses the running update, which is refused, and everything else, which works. */
static int use_while_running(const polygraft_progress *progress, void *user) {
  polygraft_error *error = NULL;
  polygraft_update *update = user;
  (void)progress;
  EXPECT(ERROR_UPDATE_STATE, polygraft_update_add(update, "de", "x", "y", &error));
  EXPECT(ERROR_UPDATE_STATE, polygraft_update_commit(update, NULL, &error));
  return 0;
}

/* Teaches the examples twice, so that there are two versions to activate. */
static void check_update(const polygraft_model *model, const char *examples, uint64_t seed) {
  polygraft_error *error = NULL;
  polygraft_update *update = NULL;
  polygraft_report *report = UNTOUCHED;
  polygraft_update_options options;
  EXPECT(OK, polygraft_update_options_init(&options, sizeof options, &error));
  options.lora_targets_count = 1;
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_update_begin(model, "intent", &options, &update, &error));
  options.lora_targets_count = 0;
  options.new_labels = 9;
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_update_begin(model, "intent", &options, &update, &error));
  options.new_labels = 1;
  options.epochs = -1;
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_update_begin(model, "intent", &options, &update, &error));
  options.epochs = 1;
  options.steps_max = 2;
  options.seed = seed;
  options.gate_enabled = 0;
  EXPECT(ERROR_TASK_NAME, polygraft_update_begin(model, "../up", &options, &update, &error));
  EXPECT(OK, polygraft_update_begin(model, "intent", &options, &update, &error));
  EXPECT(ERROR_UPDATE_STATE, polygraft_update_commit(update, &report, &error));
  EXPECT(ERROR_UPDATE_NO_EXAMPLES, polygraft_update_run(update, NULL, &report, &error, NULL, NULL));
  EXPECT(ERROR_LANGUAGE_MALFORMED, polygraft_update_add(update, "??", "x", "y", &error));
  EXPECT(ERROR_TASK_EMPTY_TEXT, polygraft_update_add(update, "de", "", "y", &error));
  EXPECT(ERROR_ARGUMENT_UTF8, polygraft_update_add(update, "de", "x", "\x80", &error));
  add_examples(update, examples);

  int calls = 0;
  EXPECT(ERROR_CANCELLED,
         polygraft_update_run(update, NULL, &report, &error, cancel_now, &calls));
  CHECK(calls == 1);
  polygraft_cancel *cancel = NULL;
  EXPECT(OK, polygraft_cancel_open(&cancel, &error));
  EXPECT(OK, polygraft_cancel_trigger(cancel, &error));
  EXPECT(ERROR_CANCELLED, polygraft_update_run(update, cancel, &report, &error, NULL, NULL));
  polygraft_cancel_close(&cancel);
  CHECK(report == UNTOUCHED);

  EXPECT(OK, polygraft_update_run(update, NULL, NULL, &error, use_while_running, update));
  EXPECT(OK, polygraft_update_commit(update, &report, &error));
  CHECK(strcmp(polygraft_report_task(report).ptr, "intent") == 0);
  polygraft_language_report entry = {.struct_size = 4};
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_report_language(report, 0, &entry, &error));
  entry.struct_size = sizeof entry;
  EXPECT(OK, polygraft_report_language(report, 0, &entry, &error));
  CHECK(entry.language.len > 0 && entry.language.ptr[entry.language.len] == '\0');
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_report_language(report, 9999, &entry, &error));
  polygraft_training training = {.struct_size = sizeof training};
  EXPECT(OK, polygraft_report_training(report, &training, &error));
  CHECK(training.steps > 0 && training.steps <= 2);
  polygraft_report_free(&report);
  polygraft_update *stale = update;
  polygraft_update_close(&update);
  polygraft_update_close(&update);
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_update_add(stale, "de", "x", "y", &error));
}

/* What the threads of the last check share. */
typedef struct {
  const polygraft_model *model;
  const polygraft_store *store;
  atomic_int predicted;
  atomic_bool done;
} shared_state;

enum { THREADS_COUNT = 4, PREDICTIONS_COUNT = 24, ACTIVATIONS_COUNT = 200 };

/* Predicts until the model is closed under it; a closed handle is the only way to fail. */
static void *predict_in_thread(void *user) {
  shared_state *shared = user;
  for (;;) {
    polygraft_error *error = NULL;
    polygraft_prediction *prediction = NULL;
    polygraft_status status = polygraft_model_predict(shared->model, "intent", "de", "Licht an",
                                                      NULL, &prediction, &error);
    if (status == POLYGRAFT_ERROR_ARGUMENT_INVALID) {
      polygraft_error_free(&error);
      return NULL;
    }
    EXPECT(OK, status);
    uint32_t version = polygraft_prediction_version(prediction);
    CHECK(version == 1 || version == 2);
    polygraft_prediction_free(&prediction);
    atomic_fetch_add(&shared->predicted, 1);
  }
}

/* Activates one version after the other. */
static void *activate_in_thread(void *user) {
  shared_state *shared = user;
  const char *languages[] = {"de", "mul"};
  for (uint32_t turn = 0; turn < ACTIVATIONS_COUNT && !atomic_load(&shared->done); turn++) {
    polygraft_error *error = NULL;
    uint32_t number = 1 + turn % 2;
    const uint32_t numbers[] = {number, number};
    EXPECT(OK,
           polygraft_store_activate(shared->store, "intent", languages, numbers, 2, &error));
  }
  return NULL;
}

static void check_threads(polygraft_model *model, polygraft_store *store) {
  shared_state shared = {.model = model, .store = store};
  pthread_t predicting[THREADS_COUNT];
  pthread_t activating;
  for (size_t index = 0; index < THREADS_COUNT; index++) {
    CHECK(pthread_create(&predicting[index], NULL, predict_in_thread, &shared) == 0);
  }
  CHECK(pthread_create(&activating, NULL, activate_in_thread, &shared) == 0);
  while (atomic_load(&shared.predicted) < PREDICTIONS_COUNT && atomic_load(&failures) == 0) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  /* Closed while the threads use it: calls that run finish, later ones are refused. */
  polygraft_model_close(&model);
  atomic_store(&shared.done, true);
  for (size_t index = 0; index < THREADS_COUNT; index++) {
    pthread_join(predicting[index], NULL);
  }
  pthread_join(activating, NULL);
}

static void check_model(const char *bundle, const char *folder, const char *examples) {
  polygraft_error *error = NULL;
  polygraft_engine *engine = NULL;
  polygraft_store *store = NULL;
  polygraft_model *model = NULL;
  EXPECT(OK, polygraft_engine_open(NULL, &engine, &error));
  EXPECT(OK, polygraft_store_open(folder, &store, &error));
  EXPECT(OK, polygraft_model_open(engine, bundle, store, NULL, &model, &error));
  /* The model lives on without the handle that it was opened with. */
  polygraft_engine_close(&engine);
  if (atomic_load(&failures) > 0) {
    return;
  }
  check_update(model, examples, 1);
  check_update(model, examples, 2);
  check_open_model(model);

  polygraft_versions *versions = NULL;
  EXPECT(OK, polygraft_store_versions(store, "intent", &versions, &error));
  CHECK(polygraft_versions_count(versions) >= 2);
  polygraft_version version = {.struct_size = sizeof version};
  EXPECT(OK, polygraft_versions_get(versions, 0, &version, &error));
  CHECK(version.number == 1 && version.hash.len == 64 && version.size_bytes > 0);
  polygraft_versions_free(&versions);

  check_threads(model, store);
  polygraft_store_close(&store);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: %s BUNDLE STORE EXAMPLES\n", argv[0]);
    return 2;
  }
  check_model(argv[1], argv[2], argv[3]);
  return finish();
}
