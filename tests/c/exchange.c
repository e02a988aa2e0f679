/*
 * Versions that are written to files and read back: every format, with the gate and without, and
 * what is refused.
 *
 *   exchange BUNDLE STORE FOLDER
 *
 * STORE and FOLDER are empty folders. Every check prints what it saw when it fails; the program ends
 * with 0 only if all passed.
 */
#include "taught.h"

#include <math.h>

static polygraft_import_options with_activation(uint32_t activation) {
  polygraft_error *error = NULL;
  polygraft_import_options options;
  EXPECT(OK, polygraft_import_options_init(&options, sizeof options, &error));
  CHECK(options.activation == POLYGRAFT_ACTIVATION_GATED && options.struct_size == sizeof options);
  options.activation = activation;
  return options;
}

/* The probability of the first label, by which versions are told apart. */
static float answer(const polygraft_model *model, const char *language) {
  polygraft_error *error = NULL;
  polygraft_prediction *prediction = NULL;
  EXPECT(OK, polygraft_model_predict(model, TASK, language, "tree 7 up", NULL, &prediction, &error));
  float probability = polygraft_prediction_probability(prediction, 0);
  polygraft_prediction_free(&prediction);
  return probability;
}

/* What was written in a format and read back without the gate answers as before. */
static void check_round_trip(const polygraft_model *model, const polygraft_store *store,
                             uint32_t format, const char *path) {
  polygraft_error *error = NULL;
  polygraft_export_options options;
  polygraft_imported *imported = NULL;
  EXPECT(OK, polygraft_export_options_init(&options, sizeof options, &error));
  CHECK(options.format == POLYGRAFT_FORMAT_OWN);
  options.format = format;
  options.encoder = "encoder";
  options.within = "encoder";
  EXPECT(OK, polygraft_model_export(model, TASK, "de", 0, path, &options, &error));
  /* Nothing is ever overwritten. */
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_model_export(model, TASK, "de", 0, path, &options, &error));

  const char *const labels[] = {"off", "on"};
  polygraft_import_options import = with_activation(POLYGRAFT_ACTIVATION_ALWAYS);
  if (format != POLYGRAFT_FORMAT_OWN) {
    import.labels = labels;
    import.labels_count = 2;
    import.head_on_pooled = 1;
  }
  EXPECT(OK, polygraft_model_import(model, TASK, "fr", path, &import, &imported, &error));
  CHECK(polygraft_imported_format(imported) == format);
  CHECK(polygraft_imported_activated(imported) == 1);
  CHECK(polygraft_imported_version(imported) == active(store, "fr"));
  CHECK(polygraft_imported_note(imported, polygraft_imported_notes_count(imported)).len == 0);
  polygraft_language_report entry = {.struct_size = sizeof entry};
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_imported_decision(imported, &entry, &error));
  polygraft_imported_free(&imported);
  float difference = answer(model, "de") - answer(model, "fr");
  CHECK(difference < 1e-5f && difference > -1e-5f);
}

/* The gate publishes what it refuses, too, and says what it saw. */
static void check_gate(const polygraft_model *model, const polygraft_store *store,
                       const char *path) {
  polygraft_error *error = NULL;
  polygraft_imported *imported = NULL;
  polygraft_language_report entry = {.struct_size = sizeof entry};

  /* Compared with itself it is no worse, on the examples that were held out. */
  EXPECT(OK, polygraft_model_import(model, TASK, "de", path, NULL, &imported, &error));
  EXPECT(OK, polygraft_imported_decision(imported, &entry, &error));
  CHECK(entry.candidate == POLYGRAFT_CANDIDATE_IMPORTED);
  CHECK(strcmp(entry.language.ptr, "de") == 0 && entry.reason.len > 0);
  CHECK(entry.selection_examples > 0 && entry.gained == 0 && entry.lost == 0);
  CHECK(entry.version == polygraft_imported_version(imported));
  CHECK((entry.decision == POLYGRAFT_DECISION_ACTIVATE) ==
        (polygraft_imported_activated(imported) == 1));
  polygraft_imported_free(&imported);

  /* A pinned language keeps its version, with the gate and without it. */
  uint32_t number = 0;
  EXPECT(OK, polygraft_store_pin(store, TASK, "de", &number, &error));
  EXPECT(OK, polygraft_model_import(model, TASK, "de", path, NULL, &imported, &error));
  EXPECT(OK, polygraft_imported_decision(imported, &entry, &error));
  CHECK(entry.reason_kind == POLYGRAFT_REASON_PINNED);
  CHECK(polygraft_imported_activated(imported) == 0 && active(store, "de") == number);
  polygraft_imported_free(&imported);
  polygraft_import_options always = with_activation(POLYGRAFT_ACTIVATION_ALWAYS);
  EXPECT(OK, polygraft_model_import(model, TASK, "de", path, &always, &imported, &error));
  CHECK(polygraft_imported_activated(imported) == 0 && active(store, "de") == number);
  polygraft_imported_free(&imported);
  EXPECT(OK, polygraft_store_unpin(store, TASK, "de", &error));

  polygraft_import_options never = with_activation(POLYGRAFT_ACTIVATION_NEVER);
  EXPECT(OK, polygraft_model_import(model, TASK, "mul", path, &never, &imported, &error));
  CHECK(polygraft_imported_version(imported) > active(store, "mul"));
  EXPECT(OK, polygraft_store_activate(store, TASK, (const char *const[]){"mul"},
                                      (const uint32_t[]){polygraft_imported_version(imported)}, 1,
                                      &error));
  polygraft_imported_free(&imported);

  polygraft_cancel *cancel = NULL;
  EXPECT(OK, polygraft_cancel_open(&cancel, &error));
  EXPECT(OK, polygraft_cancel_trigger(cancel, &error));
  polygraft_import_options cancelled = with_activation(POLYGRAFT_ACTIVATION_GATED);
  cancelled.cancel = cancel;
  size_t before = versions_count(store);
  EXPECT(ERROR_CANCELLED,
         polygraft_model_import(model, TASK, "de", path, &cancelled, &imported, &error));
  CHECK(versions_count(store) == before && imported == NULL);
  polygraft_cancel_close(&cancel);
}

/* A device that has nothing yet: a base adapter is installed and serves every language. */
static void check_base_adapter(const polygraft_engine *engine, const char *bundle,
                               const char *folder, const char *path) {
  polygraft_error *error = NULL;
  polygraft_store *store = NULL;
  polygraft_model *model = NULL;
  polygraft_imported *imported = NULL;
  EXPECT(OK, polygraft_store_open(folder, &store, &error));
  EXPECT(OK, polygraft_model_open(engine, bundle, store, NULL, &model, &error));
  EXPECT(OK, polygraft_model_import(model, TASK, "mul", path, NULL, &imported, &error));
  polygraft_language_report entry = {.struct_size = sizeof entry};
  EXPECT(OK, polygraft_imported_decision(imported, &entry, &error));
  CHECK(entry.reason_kind == POLYGRAFT_REASON_FIRST_VERSION);
  CHECK(polygraft_imported_activated(imported) == 1 && active(store, "mul") == 1);
  polygraft_imported_free(&imported);
  polygraft_prediction *prediction = NULL;
  EXPECT(OK, polygraft_model_predict(model, TASK, "sw", "tree 7 up", NULL, &prediction, &error));
  CHECK(strcmp(polygraft_prediction_language(prediction).ptr, "mul") == 0);
  polygraft_prediction_free(&prediction);
  EXPECT(ERROR_TASK_NAME,
         polygraft_model_import(model, "No Task", "mul", path, NULL, &imported, &error));
  polygraft_model_close(&model);
  polygraft_store_close(&store);
}

/* Half and half of the same adapter is that adapter; stacked on itself it is another one. */
static void check_compositions(const polygraft_model *model, const char *path, const char *combined,
                               const char *stacked) {
  polygraft_error *error = NULL;
  polygraft_imported *imported = NULL;
  const char *const paths[] = {path, path};
  const double halves[] = {0.5, 0.5};
  EXPECT(OK, polygraft_adapters_combine(paths, halves, 2, combined, &error));
  EXPECT(OK, polygraft_adapters_stack(path, path, stacked, &error));
  polygraft_import_options always = with_activation(POLYGRAFT_ACTIVATION_ALWAYS);
  EXPECT(OK, polygraft_model_import(model, TASK, "it", combined, &always, &imported, &error));
  polygraft_imported_free(&imported);
  float difference = answer(model, "de") - answer(model, "it");
  CHECK(difference < 1e-5f && difference > -1e-5f);
  EXPECT(OK, polygraft_model_import(model, TASK, "it", stacked, &always, &imported, &error));
  polygraft_imported_free(&imported);

  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_adapters_combine(paths, halves, 2, combined, &error));
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_adapters_stack(path, path, stacked, &error));
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_adapters_combine(NULL, NULL, 0, "unused", &error));
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_adapters_combine(paths, NULL, SIZE_MAX, "unused", &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_adapters_combine(NULL, halves, 2, "unused", &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_adapters_combine(paths, NULL, 2, NULL, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_adapters_stack(path, NULL, "unused", &error));
  EXPECT(ERROR_NOT_FOUND, polygraft_adapters_stack(path, "/nowhere/x", "unused", &error));
  const double infinite[] = {1, INFINITY};
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_adapters_combine(paths, infinite, 2, "unused", &error));
}

static void check_refusals(const polygraft_model *model, const char *path, const char *broken) {
  polygraft_error *error = NULL;
  polygraft_imported *imported = UNTOUCHED;
  polygraft_import_options options = with_activation(POLYGRAFT_ACTIVATION_NEVER);
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_model_import(NULL, TASK, "de", path, NULL, &imported, &error));
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_model_import(model, NULL, "de", path, NULL, &imported, &error));
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_model_import(model, TASK, "de", NULL, NULL, &imported, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_model_import(model, TASK, "de", path, NULL, NULL, &error));
  EXPECT(ERROR_LANGUAGE_UNKNOWN,
         polygraft_model_import(model, TASK, "German", path, NULL, &imported, &error));
  EXPECT(ERROR_NOT_FOUND,
         polygraft_model_import(model, TASK, "de", "/nowhere/\xff", NULL, &imported, &error));
  CHECK(polygraft_model_import(model, TASK, "de", broken, NULL, &imported, &error) ==
        POLYGRAFT_ERROR_ADAPTER_MALFORMED);
  CHECK(strstr(polygraft_error_message(error).ptr, broken) != NULL);
  polygraft_error_free(&error);
  options.activation = 3;
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_model_import(model, TASK, "de", path, &options, &imported, &error));
  options.activation = POLYGRAFT_ACTIVATION_GATED;
  options.gate_confidence = 2;
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_model_import(model, TASK, "de", path, &options, &imported, &error));
  options.gate_confidence = 0.8;
  options.reserved[1] = 1;
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_model_import(model, TASK, "de", path, &options, &imported, &error));
  options.reserved[1] = 0;
  options.struct_size = 5;
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_model_import(model, TASK, "de", path, &options, &imported, &error));
  CHECK(imported == UNTOUCHED);

  polygraft_export_options export;
  EXPECT(OK, polygraft_export_options_init(&export, sizeof export, &error));
  EXPECT(ERROR_STORE_NO_VERSION,
         polygraft_model_export(model, TASK, "de", 99, "unused", NULL, &error));
  EXPECT(ERROR_STORE_NO_VERSION,
         polygraft_model_export(model, TASK, "es", 0, "unused", NULL, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_model_export(model, TASK, "de", 0, NULL, NULL, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_model_export(NULL, TASK, "de", 0, "unused", NULL, &error));
  CHECK(polygraft_model_export(model, TASK, "de", 0, "/nowhere/x", NULL, &error) != POLYGRAFT_OK);
  polygraft_error_free(&error);
  export.format = 4;
  EXPECT(ERROR_ARGUMENT_INVALID,
         polygraft_model_export(model, TASK, "de", 0, "unused", &export, &error));
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_export_options_init(&export, 3, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_import_options_init(NULL, sizeof options, &error));
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: %s BUNDLE STORE FOLDER\n", argv[0]);
    return 2;
  }
  static const struct {
    uint32_t format;
    const char *name;
  } formats[] = {{POLYGRAFT_FORMAT_OWN, "own.safetensors"},
                 {POLYGRAFT_FORMAT_PEFT, "peft"},
                 {POLYGRAFT_FORMAT_ONNX_ADAPTER, "one.onnx_adapter"}};
  char path[3][1024];
  for (size_t index = 0; index < 3; index++) {
    snprintf(path[index], sizeof path[index], "%s/%s", argv[3], formats[index].name);
  }
  char second[1024], broken[1024], combined[1024], stacked[1024];
  snprintf(second, sizeof second, "%s/second", argv[3]);
  snprintf(broken, sizeof broken, "%s/broken", argv[3]);
  snprintf(combined, sizeof combined, "%s/combined", argv[3]);
  snprintf(stacked, sizeof stacked, "%s/stacked", argv[3]);
  FILE *file = fopen(broken, "wb");
  CHECK(file != NULL && fputs("neither safetensors nor a folder", file) >= 0 && fclose(file) == 0);

  polygraft_engine *engine = NULL;
  polygraft_store *store = NULL;
  polygraft_model *model = NULL;
  open_all(argv[1], argv[2], &engine, &store, &model);
  if (atomic_load(&failures) == 0) {
    teach(model, "de", "tree");
    for (size_t index = 0; index < 3; index++) {
      check_round_trip(model, store, formats[index].format, path[index]);
    }
    check_gate(model, store, path[0]);
    check_compositions(model, path[0], combined, stacked);
    check_base_adapter(engine, argv[1], second, path[0]);
    check_refusals(model, path[0], broken);
  }
  polygraft_model_close(&model);
  polygraft_store_close(&store);
  polygraft_engine_close(&engine);
  return finish();
}
