/*
 * Texts as answers through the C interface, on a model with a decoder: what an update learns from,
 * how a text is generated, and how it is handed out while it grows.
 *
 *   texts BUNDLE STORE
 *
 * STORE is an empty folder. The weights of BUNDLE may be random: how texts come out matters here,
 * not how good they are. Every check prints what it saw when it fails; the program ends with 0 only
 * if all passed.
 */
#include "check.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { EXAMPLES_COUNT = 16, TOKENS_MAX = 12, PIECES_SIZE_MAX = 4096 };

/* A text that grows chunk by chunk, and after how many chunks it is enough. */
typedef struct {
  char text[PIECES_SIZE_MAX];
  size_t size;
  unsigned chunks_count;
  unsigned enough;
} growing;

static int grow(polygraft_string_view chunk, void *user) {
  growing *text = user;
  CHECK(chunk.len > 0 && chunk.ptr[chunk.len] == '\0');
  CHECK(text->size + chunk.len < sizeof text->text);
  memcpy(text->text + text->size, chunk.ptr, chunk.len + 1);
  text->size += chunk.len;
  text->chunks_count++;
  return text->chunks_count == text->enough;
}

static polygraft_predict_options predict_options(void) {
  polygraft_error *error = NULL;
  polygraft_predict_options options;
  EXPECT(OK, polygraft_predict_options_init(&options, sizeof options, &error));
  CHECK(options.num_beams == 1 && options.max_new_tokens == 0 && options.forced_bos_token_id == -1);
  options.max_new_tokens = TOKENS_MAX;
  return options;
}

/* What holds of every text. */
static void check_text(const polygraft_prediction *prediction) {
  CHECK(polygraft_prediction_kind(prediction) == POLYGRAFT_TASK_SEQUENCE_TO_SEQUENCE);
  CHECK(polygraft_prediction_log_probability(prediction) <= 0);
  CHECK(polygraft_prediction_tokens_count(prediction) <= TOKENS_MAX);
  CHECK(polygraft_prediction_labels_count(prediction) == 0);
  CHECK(polygraft_prediction_words_count(prediction) == 0);
  CHECK(isnan(polygraft_prediction_number(prediction)));
}

/* Teaches a few texts; the examples are checked as they come. */
static void check_update(const polygraft_model *model) {
  polygraft_error *error = NULL;
  polygraft_update *update = NULL;
  polygraft_update_options options;
  EXPECT(OK, polygraft_update_options_init(&options, sizeof options, &error));
  options.steps_max = 2;
  options.seed = 7;
  options.gate_enabled = 0;
  const char *const targets[] = {"q", "v"};
  options.lora_targets = targets;
  options.lora_targets_count = 2;
  options.label_smoothing = 1;
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_update_begin(model, "plural", &options, &update, &error));
  options.label_smoothing = 0.1;
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
    EXPECT(ERROR_TASK_KIND, polygraft_update_add_label(update, "en", input, "many", &error));
    polygraft_input_free(&input);
  }
  polygraft_input *pair = NULL;
  EXPECT(OK, polygraft_input_pair("one", "two", &pair, &error));
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_update_add_text(update, "en", pair, "x", &error));
  polygraft_input_free(&pair);
  EXPECT(OK, polygraft_update_run(update, NULL, NULL, &error, NULL, NULL));
  EXPECT(OK, polygraft_update_commit(update, NULL, &error));
  polygraft_update_close(&update);
}

/* A text that is handed out is the text that is given, whichever call makes it. */
static void check_streaming(const polygraft_model *model) {
  polygraft_error *error = NULL;
  polygraft_prediction *whole = NULL;
  polygraft_prediction *streamed = NULL;
  polygraft_predict_options options = predict_options();
  const char *source = "one tree 3";
  EXPECT(OK, polygraft_model_predict(model, "plural", "en", source, &options, &whole, &error));
  check_text(whole);
  uint32_t finish = polygraft_prediction_finish_reason(whole);
  CHECK(finish == POLYGRAFT_FINISH_END || finish == POLYGRAFT_FINISH_LENGTH);
  const char *text = polygraft_prediction_text(whole).ptr;
  CHECK(strlen(text) > 0);

  growing text_now = {.enough = 0};
  EXPECT(OK, polygraft_model_generate(model, "plural", "en", source, &options, &streamed, &error,
                                      grow, &text_now));
  check_text(streamed);
  CHECK(strcmp(text_now.text, text) == 0 && text_now.chunks_count > 1);
  CHECK(strcmp(polygraft_prediction_text(streamed).ptr, text) == 0);
  CHECK(polygraft_prediction_finish_reason(streamed) == finish);
  polygraft_prediction_free(&streamed);

  /* The callback can end it. */
  growing first = {.enough = 1};
  EXPECT(OK, polygraft_model_generate(model, "plural", "en", source, &options, &streamed, &error,
                                      grow, &first));
  CHECK(first.chunks_count == 1 && strncmp(text, first.text, first.size) == 0);
  CHECK(polygraft_prediction_finish_reason(streamed) == POLYGRAFT_FINISH_STOPPED);
  polygraft_prediction_free(&streamed);

  /* A stop string is cut off: here the second half of the text. */
  size_t half = text_now.size / 2;
  while (half < text_now.size && ((unsigned char)text[half] & 0xc0) == 0x80) {
    half++;
  }
  const char *stops[] = {"never in it", text + half};
  options.stop_strings = stops;
  options.stop_strings_count = 2;
  EXPECT(OK, polygraft_model_generate(model, "plural", "en", source, &options, &streamed, &error,
                                      NULL, NULL));
  CHECK(polygraft_prediction_finish_reason(streamed) == POLYGRAFT_FINISH_STOPPED);
  const char *stopped = polygraft_prediction_text(streamed).ptr;
  CHECK(strlen(stopped) <= half && strncmp(stopped, text, strlen(stopped)) == 0);
  polygraft_prediction_free(&streamed);
  polygraft_prediction_free(&whole);
}

static void check_options(const polygraft_model *model) {
  polygraft_error *error = NULL;
  polygraft_predictions *predictions = NULL;
  polygraft_prediction *prediction = NULL;
  const char *sources[] = {"one tree 3", "one tree"};
  polygraft_predict_options options = predict_options();
  options.num_beams = 3;
  options.length_penalty = 0.5;
  EXPECT(OK, polygraft_model_predict_batch(model, "plural", "en", sources, 2, &options,
                                           &predictions, &error));
  CHECK(polygraft_predictions_count(predictions) == 2);
  check_text(polygraft_predictions_get(predictions, 0));
  check_text(polygraft_predictions_get(predictions, 1));
  polygraft_predictions_free(&predictions);

  options = predict_options();
  options.max_new_tokens = 1;
  EXPECT(OK, polygraft_model_predict(model, "plural", "en", sources[0], &options, &prediction,
                                     &error));
  CHECK(polygraft_prediction_tokens_count(prediction) == 1);
  polygraft_prediction_free(&prediction);

  options = predict_options();
  options.min_new_tokens = options.max_new_tokens = 9;
  options.no_repeat_ngram_size = 1;
  options.repetition_penalty = 1.5;
  EXPECT(OK, polygraft_model_predict(model, "plural", "en", sources[0], &options, &prediction,
                                     &error));
  CHECK(polygraft_prediction_tokens_count(prediction) == 9);
  const char *made = polygraft_prediction_text(prediction).ptr;
  for (const char *one = made; *one != 0; one++) {
    /* A token is a byte, so none comes twice; bytes that are not UTF-8 all look alike. */
    CHECK((unsigned char)*one >= 0x80 || strchr(one + 1, *one) == NULL);
  }
  polygraft_prediction_free(&prediction);

  /* What was thrown before it began leaves an empty text. */
  polygraft_cancel *cancel = NULL;
  EXPECT(OK, polygraft_cancel_open(&cancel, &error));
  EXPECT(OK, polygraft_cancel_trigger(cancel, &error));
  options = predict_options();
  options.cancel = cancel;
  EXPECT(OK, polygraft_model_predict(model, "plural", "en", sources[0], &options, &prediction,
                                     &error));
  CHECK(polygraft_prediction_finish_reason(prediction) == POLYGRAFT_FINISH_CANCELLED);
  CHECK(polygraft_prediction_text(prediction).len == 0);
  polygraft_prediction_free(&prediction);
  polygraft_cancel_close(&cancel);

  /* A program with the header from before texts says less, and gets the defaults. */
  options = predict_options();
  options.struct_size = offsetof(polygraft_predict_options, num_beams);
  options.num_beams = 0;
  EXPECT(OK, polygraft_model_predict(model, "plural", "en", sources[0], &options, &prediction,
                                     &error));
  polygraft_prediction_free(&prediction);
}

/* One refusal for each option. */
static void check_refusals(const polygraft_model *model) {
  polygraft_error *error = NULL;
  polygraft_prediction *prediction = UNTOUCHED;
  polygraft_predict_options bad[10];
  for (size_t index = 0; index < 10; index++) {
    bad[index] = predict_options();
  }
  bad[0].num_beams = 0;
  bad[1].num_beams = UINT32_MAX;
  bad[2].max_new_tokens = UINT32_MAX;
  bad[3].length_penalty = (double)NAN;
  bad[4].forced_bos_token_id = -2;
  bad[5].forced_bos_token_id = INT64_MAX;
  bad[6].reserved = 1;
  bad[7].min_new_tokens = UINT32_MAX;
  bad[8].repetition_penalty = 0;
  bad[9].repetition_penalty = (double)NAN;
  for (size_t index = 0; index < 10; index++) {
    EXPECT(ERROR_ARGUMENT_INVALID,
           polygraft_model_predict(model, "plural", "en", "one", &bad[index], &prediction, &error));
  }
  polygraft_predict_options options = predict_options();
  options.stop_strings_count = 1;
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_model_generate(model, "plural", "en", "one", &options,
                                                       &prediction, &error, grow, NULL));
  const char *const empty[] = {""};
  options.stop_strings = empty;
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_model_generate(model, "plural", "en", "one", &options,
                                                          &prediction, &error, grow, NULL));
  EXPECT(ERROR_TASK_EMPTY_TEXT, polygraft_model_generate(model, "plural", "en", "", NULL,
                                                         &prediction, &error, grow, NULL));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_model_generate(model, "plural", "en", "one", NULL, NULL,
                                                       &error, grow, NULL));
  polygraft_input *pair = NULL;
  EXPECT(OK, polygraft_input_pair("one", "two", &pair, &error));
  EXPECT(ERROR_TASK_KIND,
         polygraft_model_predict_input(model, "plural", "en", pair, NULL, &prediction, &error));
  polygraft_input_free(&pair);
  CHECK(prediction == UNTOUCHED);
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s BUNDLE STORE\n", argv[0]);
    return 2;
  }
  polygraft_error *error = NULL;
  polygraft_engine *engine = NULL;
  polygraft_store *store = NULL;
  polygraft_model *model = NULL;
  EXPECT(OK, polygraft_engine_open(NULL, &engine, &error));
  EXPECT(OK, polygraft_store_open(argv[2], &store, &error));
  EXPECT(OK, polygraft_model_open(engine, argv[1], store, NULL, &model, &error));
  if (atomic_load(&failures) == 0) {
    check_update(model);
    check_streaming(model);
    check_options(model);
    check_refusals(model);
  }
  polygraft_model_close(&model);
  polygraft_store_close(&store);
  polygraft_engine_close(&engine);
  return finish();
}
