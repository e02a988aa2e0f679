/*
 * Every kind of input and answer through the C interface, on a model that is open: what goes in as
 * typed calls comes out as typed accessors, places point into the caller's own text, and what does
 * not fit together is refused by name.
 *
 *   kinds BUNDLE STORE EXAMPLES
 *
 * STORE is an empty folder. EXAMPLES has one example a line, language<TAB>label<TAB>words<TAB>tags,
 * with spaces between words and between tags of the scheme BIO. Every check prints what it saw when
 * it fails; the program ends with 0 only if all passed.
 */
#include "check.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { EXAMPLES_MAX = 64, WORDS_MAX = 40, LINE_SIZE_MAX = 2048 };

/* One line of the file, cut into its parts. */
typedef struct {
  char line[LINE_SIZE_MAX];
  char text[LINE_SIZE_MAX];
  const char *language;
  const char *label;
  const char *words[WORDS_MAX];
  const char *tags[WORDS_MAX];
  size_t words_count;
} example;

static example examples[EXAMPLES_MAX];
static size_t examples_count;

/* Cuts a text at its spaces. */
static size_t cut(char *text, const char **parts) {
  size_t count = 0;
  for (char *part = strtok(text, " "); part != NULL && count < WORDS_MAX;
       part = strtok(NULL, " ")) {
    parts[count++] = part;
  }
  return count;
}

static void read_examples(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    perror(path);
    exit(2);
  }
  while (examples_count < EXAMPLES_MAX) {
    example *one = &examples[examples_count];
    if (fgets(one->line, sizeof one->line, file) == NULL) {
      break;
    }
    one->language = strtok(one->line, "\t\n");
    one->label = strtok(NULL, "\t\n");
    char *words = strtok(NULL, "\t\n");
    char *tags = strtok(NULL, "\t\n");
    strcpy(one->text, words);
    one->words_count = cut(words, one->words);
    CHECK(cut(tags, one->tags) == one->words_count && one->words_count > 0);
    examples_count++;
  }
  fclose(file);
  CHECK(examples_count >= 16);
}

static polygraft_input *text_input(const char *text) {
  polygraft_error *error = NULL;
  polygraft_input *input = NULL;
  EXPECT(OK, polygraft_input_text(text, &input, &error));
  return input;
}

static polygraft_input *pair_input(const char *first, const char *second) {
  polygraft_error *error = NULL;
  polygraft_input *input = NULL;
  EXPECT(OK, polygraft_input_pair(first, second, &input, &error));
  return input;
}

static polygraft_input *words_input(const example *one) {
  polygraft_error *error = NULL;
  polygraft_input *input = NULL;
  EXPECT(OK, polygraft_input_words(one->words, one->words_count, &input, &error));
  return input;
}

/* A short update without a gate: what comes out matters here, not how good it is. */
static polygraft_update *begin(const polygraft_model *model, const char *task) {
  polygraft_error *error = NULL;
  polygraft_update *update = NULL;
  polygraft_update_options options;
  EXPECT(OK, polygraft_update_options_init(&options, sizeof options, &error));
  options.steps_max = 2;
  options.seed = 7;
  options.new_labels = 1;
  options.gate_enabled = 0;
  EXPECT(OK, polygraft_update_begin(model, task, &options, &update, &error));
  return update;
}

static void learn(polygraft_update **update) {
  polygraft_error *error = NULL;
  EXPECT(OK, polygraft_update_run(*update, NULL, NULL, &error, NULL, NULL));
  EXPECT(OK, polygraft_update_commit(*update, NULL, &error));
  polygraft_update_close(update);
}

/* Answers one input with the defaults. */
static polygraft_prediction *predict(const polygraft_model *model, const char *task,
                                     const char *language, const polygraft_input *input) {
  polygraft_error *error = NULL;
  polygraft_prediction *prediction = NULL;
  EXPECT(OK, polygraft_model_predict_input(model, task, language, input, NULL, &prediction,
                                           &error));
  return prediction;
}

/* Labels come by probability; where one applies, the probabilities sum to 1. */
static void check_labels_of(const polygraft_prediction *prediction, bool one_applies) {
  size_t count = polygraft_prediction_labels_count(prediction);
  double sum = 0;
  float before = 1;
  CHECK(count > 0);
  for (size_t index = 0; index < count; index++) {
    float probability = polygraft_prediction_probability(prediction, index);
    CHECK(polygraft_prediction_label(prediction, index).len > 0);
    CHECK(probability >= 0 && probability <= before);
    before = probability;
    sum += (double)probability;
  }
  CHECK(!one_applies || fabs(sum - 1) < 1e-4);
}

/* What only other kinds of answers have is empty. */
static void check_no_tags(const polygraft_prediction *prediction) {
  CHECK(polygraft_prediction_words_count(prediction) == 0);
  CHECK(polygraft_prediction_spans_count(prediction) == 0);
  CHECK(polygraft_prediction_word(prediction, 0).tag.len == 0);
  CHECK(polygraft_prediction_span(prediction, 0).kind.len == 0);
}

/* Pairs of sentences that have one intent or two. */
static void check_pairs(const polygraft_model *model) {
  polygraft_error *error = NULL;
  polygraft_update *update = begin(model, "same-intent");
  for (size_t index = 0; index + 1 < examples_count; index++) {
    const example *one = &examples[index];
    const example *next = &examples[index + 1];
    polygraft_input *input = pair_input(one->text, next->text);
    const char *label = strcmp(one->label, next->label) == 0 ? "same" : "other";
    EXPECT(OK, polygraft_update_add_label(update, one->language, input, label, &error));
    polygraft_input_free(&input);
  }
  /* Another kind of answer is another task, and words have no label of their own. */
  polygraft_input *input = pair_input("eins", "zwei");
  EXPECT(ERROR_TASK_KIND, polygraft_update_add_number(update, "de", input, 1, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_update_add_label(update, "de", NULL, "same", &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_update_add_label(update, "de", input, NULL, &error));
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_update_add_label(update, "de", input, " ", &error));
  EXPECT(ERROR_LANGUAGE_MALFORMED, polygraft_update_add_label(update, "?", input, "x", &error));
  EXPECT(ERROR_LANGUAGE_UNKNOWN,
         polygraft_update_add_label(update, "english", input, "x", &error));
  polygraft_input *words = words_input(&examples[0]);
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_update_add_label(update, "de", words, "same", &error));
  learn(&update);

  polygraft_prediction *prediction = predict(model, "same-intent", "de", input);
  CHECK(polygraft_prediction_kind(prediction) == POLYGRAFT_TASK_CLASSIFICATION);
  CHECK(polygraft_prediction_labels_count(prediction) == 2);
  CHECK(isnan(polygraft_prediction_number(prediction)));
  check_labels_of(prediction, true);
  check_no_tags(prediction);
  polygraft_prediction_free(&prediction);
  EXPECT(ERROR_TASK_KIND, polygraft_model_generate(model, "same-intent", "de", "eins", NULL,
                                                   &prediction, &error, NULL, NULL));
  EXPECT(ERROR_TASK_KIND, polygraft_model_predict_input(model, "same-intent", "de", words, NULL,
                                                        &prediction, &error));
  polygraft_input_free(&words);
  polygraft_input_free(&input);
}

/* Which kinds of slots a sentence has: any number of labels, in any order, also none. */
static void check_sets(const polygraft_model *model) {
  polygraft_error *error = NULL;
  polygraft_update *update = begin(model, "slot-kinds");
  for (size_t index = 0; index < examples_count; index++) {
    const example *one = &examples[index];
    const char *labels[WORDS_MAX];
    size_t count = 0;
    for (size_t word = one->words_count; word-- > 0;) {
      if (one->tags[word][0] == 'B') {
        labels[count++] = one->tags[word] + 2;
      }
    }
    polygraft_input *input = text_input(one->text);
    EXPECT(OK,
           polygraft_update_add_labels(update, one->language, input, labels, count, &error));
    polygraft_input_free(&input);
  }
  polygraft_input *input = text_input("mach das Licht an");
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_update_add_labels(update, "de", input, NULL, 1, &error));
  const char *labels[] = {"area", "\xff"};
  EXPECT(ERROR_ARGUMENT_UTF8, polygraft_update_add_labels(update, "de", input, labels, 2, &error));
  learn(&update);

  polygraft_prediction *prediction = predict(model, "slot-kinds", "de", input);
  CHECK(polygraft_prediction_kind(prediction) == POLYGRAFT_TASK_MULTI_LABEL);
  check_labels_of(prediction, false);
  check_no_tags(prediction);
  polygraft_prediction_free(&prediction);
  polygraft_input_free(&input);
}

/* How many words a sentence has. */
static void check_numbers(const polygraft_model *model) {
  polygraft_error *error = NULL;
  polygraft_update *update = begin(model, "length");
  polygraft_input *input = NULL;
  for (size_t index = 0; index < examples_count; index++) {
    const example *one = &examples[index];
    polygraft_input_free(&input);
    input = text_input(one->text);
    double number = (double)one->words_count;
    EXPECT(OK, polygraft_update_add_number(update, one->language, input, number, &error));
  }
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_update_add_number(update, "de", input, (double)NAN, &error));
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_update_add_number(update, "de", input, (double)INFINITY, &error));
  learn(&update);

  polygraft_prediction *prediction = predict(model, "length", "de", input);
  CHECK(polygraft_prediction_kind(prediction) == POLYGRAFT_TASK_REGRESSION);
  double number = polygraft_prediction_number(prediction);
  CHECK(number > 0 && number < WORDS_MAX);
  CHECK(polygraft_prediction_labels_count(prediction) == 0);
  check_no_tags(prediction);
  polygraft_prediction_free(&prediction);
  polygraft_input_free(&input);
}

/* How many characters the first `size` bytes of a text have: all but continuation bytes. */
static size_t characters(const char *text, size_t size) {
  size_t count = 0;
  for (size_t index = 0; index < size; index++) {
    count += ((unsigned char)text[index] & 0xc0) != 0x80;
  }
  return count;
}

/* The places of words cover all of the text but spaces, and the spans are those that the tags mark,
 * computed here a second time. */
static void check_places(const polygraft_prediction *prediction, const char *text) {
  size_t words_count = polygraft_prediction_words_count(prediction);
  size_t spans_count = polygraft_prediction_spans_count(prediction);
  size_t at = 0;
  size_t spans_seen = 0;
  for (size_t index = 0; index < words_count; index++) {
    polygraft_word word = polygraft_prediction_word(prediction, index);
    CHECK(word.byte_start >= at && word.byte_end > word.byte_start);
    CHECK(strspn(text + at, " ") == word.byte_start - at);
    CHECK(word.char_start == characters(text, word.byte_start));
    CHECK(word.char_end == characters(text, word.byte_end));
    CHECK(word.tag.len > 0 && word.probability > 0 && word.probability <= 1);
    at = word.byte_end;
    if (word.tag.ptr[0] == 'O') {
      continue;
    }
    spans_seen += word.tag.ptr[0] == 'B';
    CHECK(spans_seen > 0 && spans_seen <= spans_count);
    polygraft_span span = polygraft_prediction_span(prediction, spans_seen - 1);
    polygraft_word last = polygraft_prediction_word(prediction, span.word_last);
    CHECK(strcmp(span.kind.ptr, word.tag.ptr + 2) == 0);
    CHECK(span.word_first <= index && index <= span.word_last);
    bool begins = word.tag.ptr[0] == 'B';
    CHECK(!begins || (span.word_first == index && span.byte_start == word.byte_start &&
                      span.char_start == word.char_start));
    CHECK(span.byte_end == last.byte_end && span.char_end == last.char_end);
    CHECK(span.probability <= word.probability);
  }
  CHECK(strspn(text + at, " ") == strlen(text) - at);
  CHECK(spans_seen == spans_count);
  CHECK(polygraft_prediction_word(prediction, words_count).tag.len == 0);
  CHECK(polygraft_prediction_span(prediction, spans_count).kind.len == 0);
}

/* Answers that do not fit the words they are given for. */
static void check_bad_tags(polygraft_update *update) {
  polygraft_error *error = NULL;
  const char *const words[] = {"im", "alten", "Bad"};
  polygraft_input *input = NULL;
  EXPECT(OK, polygraft_input_words(words, 3, &input, &error));
  const char *broken[] = {"O", "I-area", "O"};
  CHECK(polygraft_update_add_tags(update, "de", input, broken, 3, &error) ==
        POLYGRAFT_ERROR_ARGUMENT_INVALID);
  CHECK(strstr(polygraft_error_message(error).ptr, "tag 2 is \"I-area\" after \"O\"") != NULL);
  polygraft_error_free(&error);
  CHECK(polygraft_update_add_tags(update, "de", input, broken, 2, &error) ==
        POLYGRAFT_ERROR_ARGUMENT_INVALID);
  CHECK(strstr(polygraft_error_message(error).ptr, "3 words and 2 tags") != NULL);
  polygraft_error_free(&error);
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_update_add_tags(update, "de", input, NULL, 3, &error));
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_update_add_tags(update, "de", input, broken, SIZE_MAX, &error));
  polygraft_input_free(&input);
  input = text_input("im alten Bad");
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_update_add_tags(update, "de", input, broken, 3, &error));
  polygraft_input_free(&input);
}

/* Raw texts with their slots, and spans that are none. */
static void check_spans(const polygraft_model *model) {
  polygraft_error *error = NULL;
  polygraft_update *update = begin(model, "spans");
  const polygraft_text_span bad[] = {
      {"area", 0, 0},        {"area", 3, 2}, {"area", 0, 99},
      {"area", SIZE_MAX, 2}, {"area", 1, 3}, {"", 0, 4},
  };
  for (size_t index = 0; index < sizeof bad / sizeof *bad; index++) {
    EXPECT(ERROR_ARGUMENT_INVALID, polygraft_update_add_spans(update, "de", "öde Flure", "x",
                                                              &bad[index], 1, &error));
  }
  const polygraft_text_span nameless = {NULL, 0, 4};
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_update_add_spans(update, "de", "öde Flure", "x", &nameless, 1, &error));
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_update_add_spans(update, "de", "öde Flure", "x", NULL, 1, &error));
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_update_add_spans(update, "de", "öde Flure", "x", bad, SIZE_MAX, &error));
  const polygraft_text_span shared[] = {{"area", 0, 2}, {"area", 2, 4}};
  CHECK(polygraft_update_add_spans(update, "de", "Flurlicht", NULL, shared, 2, &error) ==
        POLYGRAFT_ERROR_ARGUMENT_INVALID);
  CHECK(strstr(polygraft_error_message(error).ptr, "spans 1 and 2 share the word") != NULL);
  polygraft_error_free(&error);

  EXPECT(OK, polygraft_update_add_spans(update, "de", "Alles aus!", "off", NULL, 0, &error));
  for (size_t index = 0; index < examples_count; index++) {
    const example *one = &examples[index];
    const char *space = strchr(one->text, ' ');
    size_t end = space == NULL ? strlen(one->text) : (size_t)(space - one->text);
    const polygraft_text_span first = {"first", 0, end};
    EXPECT(OK, polygraft_update_add_spans(update, one->language, one->text, one->label, &first, 1,
                                          &error));
  }
  learn(&update);
  polygraft_prediction *prediction = NULL;
  const char *text = "Küche: 打开 Licht än!";
  EXPECT(OK, polygraft_model_predict(model, "spans", "de", text, NULL, &prediction, &error));
  CHECK(polygraft_prediction_kind(prediction) == POLYGRAFT_TASK_INTENT_AND_SLOTS);
  check_places(prediction, text);
  polygraft_prediction_free(&prediction);
}

/* Inputs in two languages in one call: the answers of one call each. */
static void check_many(const polygraft_model *model, const char *task, polygraft_input **inputs) {
  polygraft_error *error = NULL;
  polygraft_predictions *predictions = NULL;
  const char *const languages[] = {"de", "en", "de"};
  const polygraft_input *const *asked = (const polygraft_input *const *)inputs;
  EXPECT(OK, polygraft_model_predict_many(model, task, languages, asked, 3, NULL, &predictions,
                                          &error));
  CHECK(polygraft_predictions_count(predictions) == 3);
  for (size_t index = 0; index < 3; index++) {
    const polygraft_prediction *found = polygraft_predictions_get(predictions, index);
    polygraft_prediction *alone = predict(model, task, languages[index], inputs[index]);
    CHECK(strcmp(polygraft_prediction_language(found).ptr,
                 polygraft_prediction_language(alone).ptr) == 0);
    CHECK(polygraft_prediction_version(found) == polygraft_prediction_version(alone));
    size_t words_count = polygraft_prediction_words_count(alone);
    CHECK(polygraft_prediction_words_count(found) == words_count);
    for (size_t word = 0; word < words_count; word++) {
      polygraft_word left = polygraft_prediction_word(found, word);
      polygraft_word right = polygraft_prediction_word(alone, word);
      CHECK(strcmp(left.tag.ptr, right.tag.ptr) == 0);
      CHECK(fabs((double)left.probability - (double)right.probability) < 1e-5);
    }
    polygraft_prediction_free(&alone);
  }
  polygraft_predictions_free(&predictions);
  EXPECT(OK, polygraft_model_predict_many(model, task, NULL, NULL, 0, NULL, &predictions, &error));
  CHECK(polygraft_predictions_count(predictions) == 0);
  polygraft_predictions_free(&predictions);

  const char *const unknown[] = {"de", "no such language", "de"};
  CHECK(polygraft_model_predict_many(model, task, unknown, asked, 3, NULL, &predictions, &error) !=
        POLYGRAFT_OK);
  CHECK(strstr(polygraft_error_message(error).ptr, "languages[1]") != NULL);
  polygraft_error_free(&error);
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_model_predict_many(model, task, NULL, asked, 3, NULL,
                                                           &predictions, &error));
  const char *const missing[] = {"de", NULL, "de"};
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_model_predict_many(model, task, missing, asked, 3, NULL,
                                                           &predictions, &error));
}

/* Slots alone, and an intent with its slots. */
static void check_tags(const polygraft_model *model, bool with_label) {
  polygraft_error *error = NULL;
  const char *task = with_label ? "intent-and-slots" : "slots";
  polygraft_update *update = begin(model, task);
  check_bad_tags(update);
  for (size_t index = 0; index < examples_count; index++) {
    const example *one = &examples[index];
    polygraft_input *input = words_input(one);
    polygraft_status status =
        with_label ? polygraft_update_add_label_and_tags(update, one->language, input, one->label,
                                                         one->tags, one->words_count, &error)
                   : polygraft_update_add_tags(update, one->language, input, one->tags,
                                               one->words_count, &error);
    EXPECT(OK, status);
    polygraft_input_free(&input);
  }
  learn(&update);

  uint32_t kind = with_label ? POLYGRAFT_TASK_INTENT_AND_SLOTS : POLYGRAFT_TASK_TOKEN_CLASSIFICATION;
  polygraft_input *inputs[] = {words_input(&examples[0]), text_input("  Küche: 打开 Licht än!  "),
                               words_input(&examples[1])};
  const char *const texts[] = {examples[0].text, "  Küche: 打开 Licht än!  ", examples[1].text};
  polygraft_predictions *predictions = NULL;
  EXPECT(OK, polygraft_model_predict_inputs(model, task, "de",
                                            (const polygraft_input *const *)inputs, 3, NULL,
                                            &predictions, &error));
  CHECK(polygraft_predictions_count(predictions) == 3);
  for (size_t index = 0; index < 3; index++) {
    const polygraft_prediction *prediction = polygraft_predictions_get(predictions, index);
    CHECK(polygraft_prediction_kind(prediction) == kind);
    check_places(prediction, texts[index]);
    CHECK((polygraft_prediction_labels_count(prediction) > 0) == with_label);
    if (with_label) {
      check_labels_of(prediction, true);
    }
  }
  const polygraft_prediction *first = polygraft_predictions_get(predictions, 0);
  CHECK(polygraft_prediction_words_count(first) == examples[0].words_count);
  const polygraft_prediction *second = polygraft_predictions_get(predictions, 1);
  CHECK(polygraft_prediction_words_count(second) == 7);
  polygraft_predictions_free(&predictions);

  polygraft_input *missing[] = {inputs[0], NULL};
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_model_predict_inputs(model, task, "de", (const polygraft_input *const *)missing,
                                        2, NULL, &predictions, &error));
  check_many(model, task, inputs);
  polygraft_input *pair = pair_input("eins", "zwei");
  polygraft_prediction *prediction = UNTOUCHED;
  EXPECT(ERROR_TASK_KIND,
         polygraft_model_predict_input(model, task, "de", pair, NULL, &prediction, &error));
  CHECK(prediction == UNTOUCHED);
  polygraft_input_free(&pair);
  for (size_t index = 0; index < 3; index++) {
    polygraft_input_free(&inputs[index]);
  }
}

/* An encoder has nothing to write a text with; the example itself is good. */
static void check_texts(const polygraft_model *model) {
  polygraft_error *error = NULL;
  polygraft_update *update = begin(model, "intent-name");
  polygraft_input *input = NULL;
  for (size_t index = 0; index < examples_count; index++) {
    const example *one = &examples[index];
    polygraft_input_free(&input);
    input = text_input(one->text);
    EXPECT(OK, polygraft_update_add_text(update, one->language, input, one->label, &error));
  }
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_update_add_text(update, "de", input, " ", &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_update_add_text(update, "de", input, NULL, &error));
  EXPECT(ERROR_GRAPH_UNSUPPORTED, polygraft_update_run(update, NULL, NULL, &error, NULL, NULL));
  polygraft_input_free(&input);
  polygraft_update_close(&update);
}

static double product(const float *left, const float *right, size_t size) {
  double sum = 0;
  for (size_t index = 0; index < size; index++) {
    sum += (double)left[index] * (double)right[index];
  }
  return sum;
}

/* Vectors of the bare backbone, and of a version that was trained for a task. */
static void check_vectors(const polygraft_model *model) {
  polygraft_error *error = NULL;
  polygraft_vectors *bare = NULL;
  polygraft_vectors *vectors = NULL;
  const char *texts[] = {"mach das Licht an", "turn on the light", "wie wird das Wetter?"};
  EXPECT(OK, polygraft_model_embed(model, NULL, NULL, texts, 3, 1, &bare, &error));
  size_t size = polygraft_vectors_size(bare);
  CHECK(polygraft_vectors_count(bare) == 3 && size > 0);
  const float *first = polygraft_vectors_get(bare, 0);
  CHECK(polygraft_vectors_get(bare, 2) == first + 2 * size);
  CHECK(polygraft_vectors_get(bare, 3) == NULL);
  for (size_t index = 0; index < 3; index++) {
    const float *vector = polygraft_vectors_get(bare, index);
    CHECK(fabs(product(vector, vector, size) - 1) < 1e-4);
  }
  /* A translation is nearer than another question. */
  CHECK(product(first, first + size, size) > product(first, first + 2 * size, size));

  /* Without normalising, the direction is the same. */
  EXPECT(OK, polygraft_model_embed(model, NULL, NULL, texts, 1, 0, &vectors, &error));
  const float *raw = polygraft_vectors_get(vectors, 0);
  double length = sqrt(product(raw, raw, size));
  CHECK(fabs(product(raw, first, size) / length - 1) < 1e-4);
  polygraft_vectors_free(&vectors);

  /* A version has vectors of its own. */
  EXPECT(OK, polygraft_model_embed(model, "slots", "de", texts, 1, 1, &vectors, &error));
  CHECK(memcmp(polygraft_vectors_get(vectors, 0), first, size * sizeof *first) != 0);
  polygraft_vectors_free(&vectors);
  EXPECT(OK, polygraft_model_embed(model, NULL, NULL, NULL, 0, 1, &vectors, &error));
  CHECK(polygraft_vectors_count(vectors) == 0 && polygraft_vectors_get(vectors, 0) == NULL);
  polygraft_vectors_free(&vectors);
  polygraft_vectors_free(&bare);

  vectors = UNTOUCHED;
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_model_embed(model, "slots", NULL, texts, 1, 1, &vectors, &error));
  EXPECT(ERROR_STORE_NO_VERSION,
         polygraft_model_embed(model, "nothing", "de", texts, 1, 1, &vectors, &error));
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_model_embed(model, NULL, NULL, texts, 1, 2, &vectors, &error));
  texts[1] = " ";
  EXPECT(ERROR_TASK_EMPTY_TEXT,
         polygraft_model_embed(model, NULL, NULL, texts, 3, 1, &vectors, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_model_embed(model, NULL, NULL, texts, 1, 1, NULL, &error));
  CHECK(vectors == UNTOUCHED);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: %s BUNDLE STORE EXAMPLES\n", argv[0]);
    return 2;
  }
  read_examples(argv[3]);
  polygraft_error *error = NULL;
  polygraft_engine *engine = NULL;
  polygraft_store *store = NULL;
  polygraft_model *model = NULL;
  EXPECT(OK, polygraft_engine_open(NULL, &engine, &error));
  EXPECT(OK, polygraft_store_open(argv[2], &store, &error));
  EXPECT(OK, polygraft_model_open(engine, argv[1], store, NULL, &model, &error));
  if (atomic_load(&failures) == 0) {
    check_pairs(model);
    check_sets(model);
    check_numbers(model);
    check_tags(model, false);
    check_tags(model, true);
    check_spans(model);
    check_texts(model);
    check_vectors(model);
  }
  polygraft_model_close(&model);
  polygraft_store_close(&store);
  polygraft_engine_close(&engine);
  return finish();
}
