/* Predicts the intent and the slots of one text, and prints where the slots are in it.
 *
 * usage: slots BUNDLE STORE TASK LANGUAGE TEXT
 *
 * STORE has a version of TASK for joint intent and slots; `make demo-slots` makes one.
 */
#include <polygraft.h>
#include <stdio.h>

static void show(const char *text, const polygraft_prediction *prediction) {
  if (polygraft_prediction_labels_count(prediction) > 0) {
    printf("%s %.3f\n", polygraft_prediction_label(prediction, 0).ptr,
           (double)polygraft_prediction_probability(prediction, 0));
  }
  for (size_t index = 0; index < polygraft_prediction_spans_count(prediction); index++) {
    /* Offsets are bytes of the caller's own text, so a slot is a slice of it. */
    polygraft_span span = polygraft_prediction_span(prediction, index);
    printf("  %s: \"%.*s\" %.3f\n", span.kind.ptr, (int)(span.byte_end - span.byte_start),
           text + span.byte_start, (double)span.probability);
  }
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "usage: %s BUNDLE STORE TASK LANGUAGE TEXT\n", argv[0]);
    return 2;
  }
  polygraft_engine *engine = NULL;
  polygraft_store *store = NULL;
  polygraft_model *model = NULL;
  polygraft_prediction *prediction = NULL;
  polygraft_error *error = NULL;
  const char *text = argv[5];
  if (!polygraft_engine_open(NULL, &engine, &error) &&
      !polygraft_store_open(argv[2], &store, &error) &&
      !polygraft_model_open(engine, argv[1], store, NULL, &model, &error) &&
      !polygraft_model_predict(model, argv[3], argv[4], text, NULL, &prediction, &error)) {
    show(text, prediction);
  }
  if (error) {
    fprintf(stderr, "%s: %s\n", polygraft_error_name(error).ptr,
            polygraft_error_message(error).ptr);
  }
  int failed = prediction == NULL;
  polygraft_error_free(&error);
  polygraft_prediction_free(&prediction);
  polygraft_model_close(&model);
  polygraft_store_close(&store);
  polygraft_engine_close(&engine);
  return failed;
}
