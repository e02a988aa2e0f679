/* Changes versions while a thread predicts: each prediction is of one version, whole, and none
 * waits for the change.
 *
 * usage: hot_swap BUNDLE STORE TASK LANGUAGE TEXT
 *
 * The language needs at least two versions in the store. In the end the first one is active.
 */
#include <polygraft.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

/* How often the versions change. */
enum { ROUNDS = 50 };

/* What the thread needs, and what it counts. Many threads may use one model; it is const. */
typedef struct {
  const polygraft_model *model;
  char **argv;
  atomic_bool stop;
  unsigned counts[3]; /* of versions 1, 2 and all others, which is 0 */
  polygraft_error *error;
} answering;

/* Predicts until it is told to stop, and at least once. */
static void *answer(void *argument) {
  answering *state = argument;
  char **argv = state->argv;
  do {
    polygraft_prediction *prediction = NULL;
    if (polygraft_model_predict(state->model, argv[3], argv[4], argv[5], NULL, &prediction,
                                &state->error)) {
      break;
    }
    uint32_t version = polygraft_prediction_version(prediction);
    state->counts[version == 1 || version == 2 ? version : 0]++;
    polygraft_prediction_free(&prediction);
  } while (!state->stop);
  return NULL;
}

/* Activates the versions in turn. The next prediction finds the one that is active then. */
static void swap(const polygraft_store *store, char **argv, polygraft_error **error) {
  polygraft_status status = POLYGRAFT_OK;
  for (int round = 0; round <= ROUNDS && !status; round++) {
    /* Several languages may change in one step; here it is one. */
    const char *languages[] = {argv[4]};
    uint32_t numbers[] = {round % 2 == 0 ? 1 : 2};
    status = polygraft_store_activate(store, argv[3], languages, numbers, 1, error);
  }
}

static int failed(polygraft_error **error) {
  if (*error == NULL) {
    return 0;
  }
  fprintf(stderr, "%s: %s\n", polygraft_error_name(*error).ptr,
          polygraft_error_message(*error).ptr);
  polygraft_error_free(error);
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "usage: %s BUNDLE STORE TASK LANGUAGE TEXT\n", argv[0]);
    return 2;
  }
  polygraft_engine *engine = NULL;
  polygraft_store *store = NULL;
  polygraft_model *model = NULL;
  polygraft_error *error = NULL;
  answering state = {.argv = argv};
  pthread_t thread;
  if (!polygraft_engine_open(NULL, &engine, &error) &&
      !polygraft_store_open(argv[2], &store, &error) &&
      !polygraft_model_open(engine, argv[1], store, NULL, &model, &error)) {
    state.model = model;
    if (pthread_create(&thread, NULL, answer, &state) != 0) {
      perror("pthread_create");
      return 1;
    }
    swap(store, argv, &error);
    state.stop = 1;
    pthread_join(thread, NULL);
  }
  int bad = failed(&error) | failed(&state.error);
  if (!bad) {
    printf("%u predictions by version 1\n%u predictions by version 2\n", state.counts[1],
           state.counts[2]);
    bad = state.counts[0] != 0;
  }
  polygraft_model_close(&model);
  polygraft_store_close(&store);
  polygraft_engine_close(&engine);
  return bad;
}
