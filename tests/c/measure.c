/*
 * Looking after a model: evaluating labelled examples, and explaining which version serves.
 *
 *   measure BUNDLE STORE EXAMPLES
 *
 * STORE is an empty folder, EXAMPLES a new path. Every check prints what it saw when it fails; the
 * program ends with 0 only if all passed.
 */
#include "taught.h"

#include <math.h>

static const char LINES[] =
    "{\"lang\": \"de\", \"text\": \"tree 1 up\", \"label\": \"on\"}\n"
    "\n"
    "{\"lang\": \"de\", \"text\": \"tree 2 down\", \"label\": \"off\"}\n"
    "{\"lang\": \"lb\", \"text\": \"tree 3 up\", \"label\": \"on\"}";

static int count_steps(size_t step, size_t steps_count, void *user) {
  size_t *calls_count = user;
  *calls_count += 1;
  CHECK(step <= steps_count && steps_count == 3);
  return 0;
}

static int refuse(size_t step, size_t steps_count, void *user) {
  CHECK(step <= steps_count && user == NULL);
  return 1;
}

static void check_scores(const polygraft_model *model, const polygraft_examples *examples) {
  polygraft_error *error = NULL;
  polygraft_scores *scores = NULL;
  size_t calls_count = 0;
  EXPECT(OK, polygraft_model_evaluate(model, TASK, examples, NULL, &scores, &error, count_steps,
                                      &calls_count));
  CHECK(calls_count > 0 && polygraft_scores_count(scores) == 2);
  polygraft_score score = {.struct_size = sizeof score};
  double sum = 0;
  for (size_t index = 0; index < 2; index++) {
    EXPECT(OK, polygraft_scores_get(scores, index, &score, &error));
    CHECK(strcmp(score.language.ptr, index == 0 ? "de" : "lb") == 0);
    /* Luxembourgish has no version and is near to German. */
    CHECK(strcmp(score.served_by.ptr, "de") == 0 && score.version == 1);
    CHECK(score.examples_count == 2 - index && score.score >= 0 && score.score <= 1);
    CHECK(score.metrics_count > 0);
    polygraft_metric metric = polygraft_scores_metric(scores, index, 0);
    CHECK(strcmp(metric.name.ptr, "accuracy") == 0 && fabs(metric.value - score.score) < 1e-9);
    metric = polygraft_scores_metric(scores, index, score.metrics_count);
    CHECK(metric.name.len == 0 && isnan(metric.value));
    sum += score.score;
  }
  EXPECT(OK, polygraft_scores_mean(scores, &score, &error));
  CHECK(fabs(score.score - sum / 2) < 1e-9 && score.examples_count == 3 && score.version == 0);
  CHECK(polygraft_scores_mean_metric(scores, 0).name.len > 0);
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_scores_get(scores, 2, &score, &error));
  score.struct_size = 1;
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_scores_get(scores, 0, &score, &error));
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_scores_mean(scores, &score, &error));
  polygraft_scores_free(&scores);
  CHECK(scores == NULL && polygraft_scores_count(NULL) == 0);
  CHECK(polygraft_scores_metric(NULL, 0, 0).name.ptr != NULL);

  scores = UNTOUCHED;
  EXPECT(ERROR_CANCELLED, polygraft_model_evaluate(model, TASK, examples, NULL, &scores, &error,
                                                   refuse, NULL));
  polygraft_cancel *cancel = NULL;
  EXPECT(OK, polygraft_cancel_open(&cancel, &error));
  EXPECT(OK, polygraft_cancel_trigger(cancel, &error));
  EXPECT(ERROR_CANCELLED, polygraft_model_evaluate(model, TASK, examples, cancel, &scores, &error,
                                                   NULL, NULL));
  polygraft_cancel_close(&cancel);
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_model_evaluate(model, TASK, NULL, NULL, &scores, &error, NULL, NULL));
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_model_evaluate(NULL, TASK, examples, NULL, &scores, &error, NULL, NULL));
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_model_evaluate(model, TASK, examples, NULL, NULL, &error, NULL, NULL));
  EXPECT(ERROR_STORE_NO_VERSION,
         polygraft_model_evaluate(model, "other", examples, NULL, &scores, &error, NULL, NULL));
  CHECK(scores == UNTOUCHED);
}

static void check_examples(const polygraft_model *model, const char *path) {
  polygraft_error *error = NULL;
  polygraft_examples *examples = NULL;
  EXPECT(OK, polygraft_examples_parse(LINES, &examples, &error));
  CHECK(polygraft_examples_count(examples) == 3);
  check_scores(model, examples);
  polygraft_update *update = NULL;
  EXPECT(OK, polygraft_update_begin(model, TASK, NULL, &update, &error));
  EXPECT(OK, polygraft_update_add_examples(update, examples, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_update_add_examples(update, NULL, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_update_add_examples(NULL, examples, &error));
  polygraft_update_close(&update);
  polygraft_examples_free(&examples);

  FILE *file = fopen(path, "wb");
  CHECK(file != NULL && fputs(LINES, file) >= 0 && fclose(file) == 0);
  EXPECT(OK, polygraft_examples_read(path, &examples, &error));
  CHECK(polygraft_examples_count(examples) == 3);
  polygraft_examples_free(&examples);

  const char *languages[] = {"de", "en"};
  const char *texts[] = {"tree 1 up", "tree 2 down"};
  const char *labels[] = {"on", "off"};
  EXPECT(OK, polygraft_examples_labelled(languages, texts, labels, 2, &examples, &error));
  CHECK(polygraft_examples_count(examples) == 2);
  polygraft_examples_free(&examples);
  CHECK(polygraft_examples_count(NULL) == 0);

  examples = UNTOUCHED;
  texts[1] = " ";
  CHECK(polygraft_examples_labelled(languages, texts, labels, 2, &examples, &error) ==
        POLYGRAFT_ERROR_TASK_EMPTY_TEXT);
  CHECK(strstr(polygraft_error_message(error).ptr, "example 2 of 2") != NULL);
  polygraft_error_free(&error);
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_examples_labelled(languages, texts, NULL, 2, &examples, &error));
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_examples_labelled(languages, texts, labels, SIZE_MAX, &examples, &error));
  CHECK(polygraft_examples_parse("{\"lang\": \"de\", \"text\": 7, \"label\": \"on\"}", &examples,
                                 &error) == POLYGRAFT_ERROR_EXAMPLES_MALFORMED);
  CHECK(strstr(polygraft_error_message(error).ptr, "json_lines, line 1: field \"text\"") != NULL);
  polygraft_error_free(&error);
  EXPECT(ERROR_EXAMPLES_MALFORMED, polygraft_examples_parse(" \n", &examples, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_examples_parse(NULL, &examples, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_examples_read(NULL, &examples, &error));
  EXPECT(ERROR_NOT_FOUND, polygraft_examples_read("/nowhere/\xff", &examples, &error));
  CHECK(examples == UNTOUCHED);
}

static void check_chain(const polygraft_store *store) {
  polygraft_error *error = NULL;
  polygraft_chain *chain = NULL;
  EXPECT(OK, polygraft_store_explain(store, TASK, "lb", &chain, &error));
  CHECK(polygraft_chain_count(chain) == 3);
  polygraft_chain_step step = {.struct_size = sizeof step};
  EXPECT(OK, polygraft_chain_get(chain, 0, &step, &error));
  CHECK(step.kind == POLYGRAFT_STEP_OWN && step.version == 0 && !step.serves);
  CHECK(strcmp(step.language.ptr, "lb") == 0 && step.distance == 0);
  EXPECT(OK, polygraft_chain_get(chain, 1, &step, &error));
  CHECK(step.kind == POLYGRAFT_STEP_NEAREST && step.version == 1 && step.serves);
  CHECK(strcmp(step.language.ptr, "de") == 0 && step.distance > 0 && step.distance < 1);
  EXPECT(OK, polygraft_chain_get(chain, 2, &step, &error));
  CHECK(step.kind == POLYGRAFT_STEP_SHARED && !step.serves && isnan(step.distance));
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_chain_get(chain, 3, &step, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_chain_get(chain, 0, NULL, &error));
  polygraft_chain_free(&chain);

  /* A region is served by its language, and one that is far from all by the shared adapter. */
  EXPECT(OK, polygraft_store_explain(store, TASK, "de-CH", &chain, &error));
  EXPECT(OK, polygraft_chain_get(chain, 1, &step, &error));
  CHECK(step.kind == POLYGRAFT_STEP_SHORTER_TAG && step.serves);
  polygraft_chain_free(&chain);
  EXPECT(OK, polygraft_store_explain(store, TASK, "ja", &chain, &error));
  EXPECT(OK, polygraft_chain_get(chain, 1, &step, &error));
  CHECK(step.kind == POLYGRAFT_STEP_TOO_FAR && step.version == 1 && !step.serves);
  EXPECT(OK, polygraft_chain_get(chain, 2, &step, &error));
  CHECK(step.kind == POLYGRAFT_STEP_SHARED && step.serves);
  polygraft_chain_free(&chain);

  chain = UNTOUCHED;
  EXPECT(ERROR_LANGUAGE_UNKNOWN, polygraft_store_explain(store, TASK, "German", &chain, &error));
  EXPECT(ERROR_TASK_NAME, polygraft_store_explain(store, "T T", "de", &chain, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_store_explain(store, TASK, NULL, &chain, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_store_explain(NULL, TASK, "de", &chain, &error));
  CHECK(chain == UNTOUCHED && polygraft_chain_count(NULL) == 0);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: %s BUNDLE STORE EXAMPLES\n", argv[0]);
    return 2;
  }
  polygraft_engine *engine = NULL;
  polygraft_store *store = NULL;
  polygraft_model *model = NULL;
  open_all(argv[1], argv[2], &engine, &store, &model);
  if (atomic_load(&failures) == 0) {
    teach(model, "de", "tree");
    check_chain(store);
    check_examples(model, argv[3]);
  }
  polygraft_model_close(&model);
  polygraft_store_close(&store);
  polygraft_engine_close(&engine);
  return finish();
}
