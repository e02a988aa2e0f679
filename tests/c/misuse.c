/*
 * Misuse that must do no harm: NULL, bytes that are not UTF-8, tags that are not languages, sizes
 * that no struct has, and handles that are closed or of another kind.
 *
 *   misuse FOLDER
 *
 * FOLDER is empty and writable. Every check prints what it saw when it fails; the program ends with
 * 0 only if all passed. tests/c/threads.c does the same with a model that is open.
 */
#include "check.h"

/* The layout that bindings in other languages rely on (64-bit). */
#if UINTPTR_MAX == UINT64_MAX
#define AT(type, field, offset) \
  _Static_assert(offsetof(type, field) == (offset), #type "." #field " moved")
_Static_assert(sizeof(polygraft_status) == 4, "status");
_Static_assert(sizeof(polygraft_string_view) == 16, "view");
_Static_assert(sizeof(polygraft_engine_options) == 48, "engine options");
_Static_assert(sizeof(polygraft_model_options) == 32, "model options");
_Static_assert(sizeof(polygraft_predict_options) == 72, "predict options");
_Static_assert(sizeof(polygraft_update_options) == 296, "update options");
_Static_assert(sizeof(polygraft_version) == 80, "version");
_Static_assert(sizeof(polygraft_language_report) == 160, "language report");
_Static_assert(sizeof(polygraft_summary) == 40, "summary");
_Static_assert(sizeof(polygraft_training) == 72, "training");
_Static_assert(sizeof(polygraft_progress) == 56, "progress");
_Static_assert(sizeof(polygraft_word) == 56, "word");
_Static_assert(sizeof(polygraft_import_options) == 64, "import options");
_Static_assert(sizeof(polygraft_export_options) == 56, "export options");
_Static_assert(sizeof(polygraft_wipe_options) == 32, "wipe options");
_Static_assert(sizeof(polygraft_wiped_language) == 32, "wiped language");
_Static_assert(sizeof(polygraft_chain_step) == 40, "chain step");
_Static_assert(sizeof(polygraft_score) == 64, "score");
_Static_assert(sizeof(polygraft_metric) == 24, "metric");
_Static_assert(sizeof(polygraft_store_statistics) == 48, "store statistics");
_Static_assert(sizeof(polygraft_task_statistics) == 96, "task statistics");
_Static_assert(sizeof(polygraft_examples_statistics) == 64, "examples statistics");
_Static_assert(sizeof(polygraft_check) == 48, "check");
_Static_assert(sizeof(polygraft_diagnose_options) == 40, "diagnose options");
_Static_assert(sizeof(polygraft_span) == 72, "span");
AT(polygraft_engine_options, struct_size, 0);
AT(polygraft_engine_options, onnxruntime_path, 8);
AT(polygraft_engine_options, ort_api_base, 16);
AT(polygraft_engine_options, log, 24);
AT(polygraft_engine_options, log_severity, 40);
AT(polygraft_model_options, mode, 4);
AT(polygraft_model_options, threads, 8);
AT(polygraft_model_options, verify, 12);
AT(polygraft_model_options, targets, 16);
AT(polygraft_predict_options, top_k, 4);
AT(polygraft_predict_options, cancel, 8);
AT(polygraft_predict_options, num_beams, 16);
AT(polygraft_predict_options, length_penalty, 24);
AT(polygraft_predict_options, stop_strings, 32);
AT(polygraft_predict_options, forced_bos_token_id, 48);
AT(polygraft_predict_options, min_new_tokens, 56);
AT(polygraft_predict_options, repetition_penalty, 64);
AT(polygraft_update_options, strategy, 4);
AT(polygraft_update_options, seed, 8);
AT(polygraft_update_options, mode, 16);
AT(polygraft_update_options, new_labels, 32);
AT(polygraft_update_options, reserved, 36);
AT(polygraft_update_options, epochs, 40);
AT(polygraft_update_options, rehearsal_bytes_max, 56);
AT(polygraft_update_options, steps_max, 72);
AT(polygraft_update_options, learning_rate, 80);
AT(polygraft_update_options, head_rate_factor, 88);
AT(polygraft_update_options, lora_rank, 144);
AT(polygraft_update_options, lora_targets, 160);
AT(polygraft_update_options, gate_confidence, 176);
AT(polygraft_update_options, seconds_max, 184);
AT(polygraft_update_options, uriel_temperature, 200);
AT(polygraft_update_options, background, 220);
AT(polygraft_update_options, memory_bytes_max, 224);
AT(polygraft_update_options, adapter_kind, 232);
AT(polygraft_update_options, bottleneck_sub_layers, 244);
AT(polygraft_update_options, bottleneck_reduction_factor, 248);
AT(polygraft_update_options, label_smoothing, 256);
AT(polygraft_version, task, 8);
AT(polygraft_version, size_bytes, 56);
AT(polygraft_version, parent, 72);
AT(polygraft_language_report, language, 8);
AT(polygraft_language_report, before, 40);
AT(polygraft_language_report, version, 88);
AT(polygraft_language_report, selection_examples, 96);
AT(polygraft_language_report, candidate, 104);
AT(polygraft_language_report, reason_kind, 108);
AT(polygraft_language_report, examples_needed, 112);
AT(polygraft_language_report, change, 120);
AT(polygraft_language_report, strength, 152);
AT(polygraft_progress, loss, 40);
AT(polygraft_progress, fraction, 48);
AT(polygraft_word, byte_start, 16);
AT(polygraft_word, probability, 48);
AT(polygraft_span, word_first, 16);
AT(polygraft_span, byte_start, 32);
AT(polygraft_span, probability, 64);
AT(polygraft_import_options, gate_margin, 8);
AT(polygraft_import_options, labels, 32);
AT(polygraft_import_options, head_on_pooled, 44);
AT(polygraft_import_options, within, 56);
AT(polygraft_export_options, encoder, 8);
AT(polygraft_export_options, without_head, 48);
AT(polygraft_wipe_options, retire, 4);
AT(polygraft_wipe_options, added_before_unix_ms, 24);
AT(polygraft_chain_step, distance, 24);
AT(polygraft_chain_step, serves, 36);
AT(polygraft_score, served_by, 24);
AT(polygraft_score, metrics_count, 56);
AT(polygraft_store_statistics, contents_size_bytes, 40);
AT(polygraft_task_statistics, has_checkpoint, 4);
AT(polygraft_task_statistics, examples_size_bytes, 88);
AT(polygraft_examples_statistics, oldest_unix_ms, 56);
AT(polygraft_check, details, 24);
AT(polygraft_check, status, 40);
AT(polygraft_diagnose_options, onnxruntime_path, 16);
#endif

static void check_versions_and_names(void) {
  char version[32];
  snprintf(version, sizeof version, "%d.%d.%d", POLYGRAFT_VERSION_MAJOR, POLYGRAFT_VERSION_MINOR,
           POLYGRAFT_VERSION_PATCH);
  CHECK(strcmp(version, POLYGRAFT_VERSION_STRING) == 0);
  CHECK(strcmp(polygraft_version_string().ptr, POLYGRAFT_VERSION_STRING) == 0);
  CHECK(polygraft_version_string().len == strlen(POLYGRAFT_VERSION_STRING));
  CHECK(polygraft_abi_version() == POLYGRAFT_ABI_VERSION);
  CHECK(strstr(polygraft_build_info().ptr, POLYGRAFT_VERSION_STRING) != NULL);
  CHECK(strcmp(polygraft_status_name(POLYGRAFT_OK).ptr, "ok") == 0);
  CHECK(strcmp(polygraft_status_name(POLYGRAFT_ERROR_ADAPTER_BASE_MISMATCH).ptr,
               "adapter.base_mismatch") == 0);
  CHECK(polygraft_status_name(-1).len == 0 && polygraft_status_name(9999).len == 0);
}

static void check_null_accessors(void) {
  CHECK(polygraft_error_code(NULL) == POLYGRAFT_OK);
  CHECK(polygraft_error_name(NULL).len == 0 && polygraft_error_name(NULL).ptr != NULL);
  CHECK(polygraft_error_message(NULL).len == 0);
  CHECK(polygraft_error_causes_count(NULL) == 0);
  CHECK(polygraft_error_cause(NULL, 0).len == 0);
  CHECK(polygraft_prediction_labels_count(NULL) == 0);
  CHECK(polygraft_prediction_label(NULL, 3).len == 0);
  CHECK(polygraft_prediction_probability(NULL, 3) == 0.0f);
  CHECK(polygraft_prediction_language(NULL).len == 0);
  CHECK(polygraft_prediction_version(NULL) == 0);
  CHECK(polygraft_prediction_truncated(NULL) == 0);
  CHECK(polygraft_prediction_kind(NULL) == 0);
  double number = polygraft_prediction_number(NULL);
  CHECK(number != number);
  CHECK(polygraft_prediction_text(NULL).ptr != NULL && polygraft_prediction_text(NULL).len == 0);
  float log_probability = polygraft_prediction_log_probability(NULL);
  CHECK(log_probability != log_probability);
  CHECK(polygraft_prediction_tokens_count(NULL) == 0);
  CHECK(polygraft_prediction_finish_reason(NULL) == POLYGRAFT_FINISH_NONE);
  CHECK(polygraft_prediction_words_count(NULL) == 0);
  CHECK(polygraft_prediction_word(NULL, 0).tag.ptr != NULL);
  CHECK(polygraft_prediction_word(NULL, 1).byte_end == 0);
  CHECK(polygraft_prediction_spans_count(NULL) == 0);
  CHECK(polygraft_prediction_span(NULL, 0).kind.len == 0);
  CHECK(polygraft_vectors_count(NULL) == 0 && polygraft_vectors_size(NULL) == 0);
  CHECK(polygraft_vectors_get(NULL, 0) == NULL);
  CHECK(polygraft_predictions_count(NULL) == 0);
  CHECK(polygraft_predictions_get(NULL, 0) == NULL);
  CHECK(polygraft_versions_count(NULL) == 0);
  CHECK(polygraft_report_languages_count(NULL) == 0);
  CHECK(polygraft_report_task(NULL).len == 0);
  CHECK(polygraft_report_strategy(NULL).len == 0);
  CHECK(polygraft_report_gate(NULL).len == 0);
  CHECK(polygraft_reports_count(NULL) == 0);
  CHECK(polygraft_reports_get(NULL, 0) == NULL);
  CHECK(polygraft_reports_html(NULL).len == 0);
  CHECK(polygraft_imported_version(NULL) == 0 && polygraft_imported_activated(NULL) == 0);
  CHECK(polygraft_imported_format(NULL) == POLYGRAFT_FORMAT_OWN);
  CHECK(polygraft_imported_notes_count(NULL) == 0 && polygraft_imported_note(NULL, 0).len == 0);
  CHECK(polygraft_wiped_retired(NULL) == 0);
  CHECK(polygraft_statistics_tasks_count(NULL) == 0);
  CHECK(polygraft_checks_count(NULL) == 0 && polygraft_checks_all_right(NULL) == 1);
}

static void check_null_closers(void) {
  polygraft_engine *engine = NULL;
  polygraft_error *error = NULL;
  polygraft_engine_close(NULL);
  polygraft_engine_close(&engine);
  polygraft_store_close(NULL);
  polygraft_model_close(NULL);
  polygraft_cancel_close(NULL);
  polygraft_update_close(NULL);
  polygraft_error_free(NULL);
  polygraft_error_free(&error);
  polygraft_input_free(NULL);
  polygraft_vectors_free(NULL);
  polygraft_prediction_free(NULL);
  polygraft_predictions_free(NULL);
  polygraft_versions_free(NULL);
  polygraft_report_free(NULL);
  polygraft_reports_free(NULL);
  polygraft_imported_free(NULL);
  polygraft_wiped_free(NULL);
  polygraft_chain_free(NULL);
  polygraft_examples_free(NULL);
  polygraft_scores_free(NULL);
  polygraft_statistics_free(NULL);
  polygraft_checks_free(NULL);
}

static void check_options(void) {
  polygraft_error *error = NULL;
  polygraft_update_options options;
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_update_options_init(NULL, sizeof options, &error));
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_update_options_init(&options, 0, &error));
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_update_options_init(&options, SIZE_MAX, &error));
  EXPECT(OK, polygraft_update_options_init(&options, sizeof options, &error));
  CHECK(options.struct_size == sizeof options);
  CHECK(options.batch_size > 0 && options.epochs == 0 && options.steps_min > 0 && options.gate_enabled == 1);

  polygraft_engine *engine = UNTOUCHED;
  polygraft_engine_options engine_options;
  EXPECT(OK, polygraft_engine_options_init(&engine_options, sizeof engine_options, &error));
  engine_options.struct_size = 3;
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_engine_open(&engine_options, &engine, &error));
  engine_options.struct_size = UINT32_MAX;
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_engine_open(&engine_options, &engine, &error));

  /* A program of the future: what it sets beyond our knowledge is refused, zeros are not. */
  struct {
    polygraft_engine_options known;
    uint64_t unknown;
  } future = {.known = {.struct_size = sizeof future}, .unknown = 1};
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_engine_open(&future.known, &engine, &error));
  future.unknown = 0;
  future.known.reserved = 7;
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_engine_open(&future.known, &engine, &error));
  future.known.reserved = 0;
  future.known.onnxruntime_path = "/nowhere/libonnxruntime.so";
  EXPECT(ERROR_RUNTIME_NOT_FOUND, polygraft_engine_open(&future.known, &engine, &error));
  /* A path may have any bytes. */
  future.known.onnxruntime_path = "/nowhere/\xc0\xaf";
  EXPECT(ERROR_RUNTIME_NOT_FOUND, polygraft_engine_open(&future.known, &engine, &error));
  CHECK(engine == UNTOUCHED);
}

static void check_errors_are_optional(void) {
  polygraft_store *store = UNTOUCHED;
  CHECK(polygraft_store_open(NULL, &store, NULL) == POLYGRAFT_ERROR_ARGUMENT_NULL);
  CHECK(polygraft_store_open("x", NULL, NULL) == POLYGRAFT_ERROR_ARGUMENT_NULL);
  CHECK(store == UNTOUCHED);
}

static void check_inputs(void) {
  polygraft_error *error = NULL;
  polygraft_input *input = UNTOUCHED;
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_input_text(NULL, &input, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_input_text("x", NULL, &error));
  EXPECT(ERROR_ARGUMENT_UTF8, polygraft_input_text("\xff", &input, &error));
  EXPECT(ERROR_TASK_EMPTY_TEXT, polygraft_input_text(" \t", &input, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_input_pair("x", NULL, &input, &error));
  EXPECT(ERROR_TASK_EMPTY_TEXT, polygraft_input_pair("x", "", &input, &error));
  EXPECT(ERROR_TASK_EMPTY_TEXT, polygraft_input_words(NULL, 0, &input, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_input_words(NULL, 1, &input, &error));
  const char *words[] = {"x", "", "y"};
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_input_words(words, SIZE_MAX, &input, &error));
  CHECK(polygraft_input_words(words, 3, &input, &error) == POLYGRAFT_ERROR_TASK_EMPTY_TEXT);
  CHECK(strstr(polygraft_error_message(error).ptr, "word 2 of 3") != NULL);
  polygraft_error_free(&error);
  words[1] = NULL;
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_input_words(words, 3, &input, &error));
  static char long_text[(64 << 10) + 2];
  memset(long_text, 'x', sizeof long_text - 1);
  EXPECT(ERROR_TASK_TOO_LONG, polygraft_input_text(long_text, &input, &error));
  EXPECT(ERROR_TASK_TOO_LONG, polygraft_input_pair("x", long_text, &input, &error));
  static const char *many[8193];
  for (size_t index = 0; index < 8193; index++) {
    many[index] = "x";
  }
  EXPECT(ERROR_TASK_TOO_LONG, polygraft_input_words(many, 8193, &input, &error));
  CHECK(input == UNTOUCHED);
  EXPECT(OK, polygraft_input_words(many, 8192, &input, &error));
  polygraft_input_free(&input);
  CHECK(input == NULL);
  polygraft_input_free(&input);
}

static void check_store(const char *folder) {
  polygraft_error *error = NULL;
  polygraft_store *store = NULL;
  polygraft_versions *versions = NULL;
  EXPECT(OK, polygraft_store_open(folder, &store, &error));
  EXPECT(OK, polygraft_store_versions(store, NULL, &versions, &error));
  CHECK(polygraft_versions_count(versions) == 0);
  polygraft_version version = {.struct_size = sizeof version};
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_versions_get(versions, 0, &version, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_versions_get(versions, 0, NULL, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_versions_get(NULL, 0, &version, &error));
  polygraft_versions_free(&versions);
  polygraft_versions_free(&versions);

  const char *languages[] = {"de", "not a language!"};
  const uint32_t numbers[] = {1, 1};
  EXPECT(ERROR_LANGUAGE_MALFORMED,
         polygraft_store_activate(store, "intent", languages, numbers, 2, &error));
  EXPECT(ERROR_STORE_NO_VERSION,
         polygraft_store_activate(store, "intent", languages, numbers, 1, &error));
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_store_activate(store, "intent", NULL, numbers, 1, &error));
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_store_activate(store, "intent", languages, NULL, 1, &error));
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_store_activate(store, "intent", languages, numbers, SIZE_MAX, &error));
  languages[0] = "\xff";
  EXPECT(ERROR_ARGUMENT_UTF8,
         polygraft_store_activate(store, "intent", languages, numbers, 1, &error));
  languages[0] = NULL;
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_store_activate(store, "intent", languages, numbers, 1, &error));
  uint32_t number = 77;
  EXPECT(ERROR_STORE_NO_VERSION,
         polygraft_store_roll_back(store, "intent", "de", &number, &error));
  EXPECT(ERROR_LANGUAGE_MALFORMED,
         polygraft_store_roll_back(store, "intent", "", &number, &error));
  EXPECT(ERROR_LANGUAGE_UNKNOWN,
         polygraft_store_roll_back(store, "intent", "German", &number, &error));
  EXPECT(ERROR_STORE_NO_VERSION, polygraft_store_pin(store, "intent", "de", &number, &error));
  EXPECT(ERROR_STORE_NO_VERSION, polygraft_store_unpin(store, "intent", "de", &error));
  CHECK(number == 77);

  /* A closed handle is refused, also through a copy of it. */
  polygraft_store *copy = store;
  polygraft_store_close(&store);
  CHECK(store == NULL);
  polygraft_store_close(&copy);
  copy = (polygraft_store *)(uintptr_t)64;
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_store_versions(copy, NULL, &versions, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_store_versions(NULL, NULL, &versions, &error));
  CHECK(versions == NULL);

  /* A handle of another kind is refused too. */
  polygraft_cancel *cancel = NULL;
  EXPECT(OK, polygraft_cancel_open(&cancel, &error));
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_store_versions((polygraft_store *)cancel, NULL, &versions, &error));
  polygraft_cancel *stale = cancel;
  polygraft_cancel_close(&cancel);
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_cancel_trigger(stale, &error));
}

static void check_model_arguments(const char *folder) {
  polygraft_error *error = NULL;
  polygraft_model *model = UNTOUCHED;
  polygraft_prediction *prediction = UNTOUCHED;
  polygraft_update *update = UNTOUCHED;
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_model_open(NULL, folder, NULL, NULL, &model, &error));
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_model_predict(NULL, "intent", "de", "x", NULL, &prediction, &error));
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_model_predict(NULL, "intent", "de", "x", NULL, NULL, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_model_generate(NULL, "x", "de", "x", NULL, &prediction,
                                                       &error, NULL, NULL));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_update_begin(NULL, "intent", NULL, &update, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_update_add(NULL, "de", "x", "y", &error));
  polygraft_input *input = NULL;
  EXPECT(OK, polygraft_input_text("x", &input, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_update_add_label(NULL, "de", input, "y", &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_update_add_number(NULL, "de", input, 1, &error));
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_model_predict_input(NULL, "intent", "de", input, NULL, &prediction, &error));
  polygraft_input_free(&input);
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_update_run(NULL, NULL, NULL, &error, NULL, NULL));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_update_judge(NULL, NULL, NULL, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_update_measure_again(NULL, NULL, NULL, &error, NULL, NULL));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_store_reports(NULL, "intents", NULL, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_store_discard_checkpoint(NULL, "intents", &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_update_commit(NULL, NULL, &error));
  CHECK(model == UNTOUCHED && prediction == UNTOUCHED && update == UNTOUCHED);

  polygraft_engine *engine = NULL;
  polygraft_store *store = NULL;
  EXPECT(OK, polygraft_engine_open(NULL, &engine, &error));
  polygraft_string_view version = {NULL, 0};
  EXPECT(OK, polygraft_engine_onnxruntime_version(engine, &version, &error));
  CHECK(version.len > 0 && version.ptr[version.len] == '\0' && version.ptr[0] == '1');
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_engine_onnxruntime_version(engine, NULL, &error));
  EXPECT(OK, polygraft_store_open(folder, &store, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_model_open(engine, NULL, store, NULL, &model, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_model_open(engine, folder, NULL, NULL, &model, &error));
  polygraft_model_options options;
  EXPECT(OK, polygraft_model_options_init(&options, sizeof options, &error));
  CHECK(options.verify == POLYGRAFT_VERIFY_REMEMBERED);
  options.verify = POLYGRAFT_VERIFY_REMEMBERED + 1;
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_model_open(engine, folder, store, &options, &model, &error));
  options.verify = POLYGRAFT_VERIFY_QUICK;
  options.mode = 17;
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_model_open(engine, folder, store, &options, &model, &error));
  CHECK(polygraft_model_open(engine, "/nowhere", store, NULL, &model, &error) != POLYGRAFT_OK);
  CHECK(strstr(polygraft_error_message(error).ptr, "/nowhere") != NULL);
  polygraft_error_free(&error);
  CHECK(model == UNTOUCHED);
  polygraft_store_close(&store);
  polygraft_engine *stale = engine;
  polygraft_engine_close(&engine);
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_engine_onnxruntime_version(stale, &version, &error));
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  check_versions_and_names();
  check_null_accessors();
  check_null_closers();
  check_options();
  check_errors_are_optional();
  check_inputs();
  check_store(argv[1]);
  check_model_arguments(argv[1]);
  return finish();
}
