/* Looks after a device that was shipped: installs a base adapter, goes back to an earlier version
 * of a language, and wipes the examples that it remembers of that language.
 *
 * usage: ship BUNDLE STORE TASK LANGUAGE ADAPTER
 *
 * ADAPTER is a file of polygraft or ONNX Runtime, or a folder of PEFT or AdapterHub. A program that
 * predicts with the same store, in this process or another, uses what is active at its next
 * prediction.
 */
#include <polygraft.h>
#include <stdio.h>

/* Each step is a status, so that the first one that fails ends the program. */
static polygraft_status show(const polygraft_store *store, const char *task,
                             polygraft_error **error) {
  polygraft_versions *versions = NULL;
  polygraft_status status = polygraft_store_versions(store, task, &versions, error);
  for (size_t index = 0; !status && index < polygraft_versions_count(versions); index++) {
    polygraft_version version = {.struct_size = sizeof version};
    status = polygraft_versions_get(versions, index, &version, error);
    if (!status) {
      printf("  %s %u%s%s\n", version.language.ptr, (unsigned)version.number,
             version.active ? ", active" : "", version.pinned ? ", pinned" : "");
    }
  }
  polygraft_versions_free(&versions);
  return status;
}

/* The base adapter serves every language without a version of its own. The gate activates it unless
 * the device already has something better. */
static polygraft_status install(const polygraft_model *model, const char *task, const char *path,
                                polygraft_error **error) {
  polygraft_imported *imported = NULL;
  polygraft_status status =
      polygraft_model_import(model, task, "mul", path, NULL, &imported, error);
  if (!status) {
    printf("installed version %u of mul, %s\n", (unsigned)polygraft_imported_version(imported),
           polygraft_imported_activated(imported) ? "active" : "not active");
  }
  polygraft_imported_free(&imported);
  return status;
}

/* Until it is unpinned, no update replaces the version that it went back to. */
static polygraft_status roll_back(const polygraft_store *store, const char *task,
                                  const char *language, polygraft_error **error) {
  uint32_t number = 0;
  polygraft_status status = polygraft_store_roll_back(store, task, language, &number, error);
  if (status || number == 0) {
    printf("%s", status ? "" : "no version any more: another language or mul serves\n");
    return status;
  }
  status = polygraft_store_pin(store, task, language, &number, error);
  if (!status) {
    printf("back on version %u, and pinned:\n", (unsigned)number);
    status = show(store, task, error);
  }
  return status ? status : polygraft_store_unpin(store, task, language, error);
}

/* With options.retire the versions that may have learnt from the examples would go, too. */
static polygraft_status wipe(const polygraft_store *store, const char *task, const char *language,
                             polygraft_error **error) {
  polygraft_wiped *wiped = NULL;
  polygraft_wipe_options options;
  polygraft_status status = polygraft_wipe_options_init(&options, sizeof options, error);
  options.language = language;
  status = status ? status : polygraft_store_wipe(store, task, &options, &wiped, error);
  for (size_t index = 0; !status && index < polygraft_wiped_languages_count(wiped); index++) {
    polygraft_wiped_language entry = {.struct_size = sizeof entry};
    status = polygraft_wiped_get(wiped, index, &entry, error);
    if (!status) {
      printf("wiped %llu examples in %s\n", (unsigned long long)entry.examples_count,
             entry.language.ptr);
    }
  }
  if (!status) {
    printf("%zu versions may have learnt from them\n",
           polygraft_versions_count(polygraft_wiped_versions(wiped)));
  }
  polygraft_wiped_free(&wiped);
  return status;
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "usage: %s BUNDLE STORE TASK LANGUAGE ADAPTER\n", argv[0]);
    return 2;
  }
  polygraft_engine *engine = NULL;
  polygraft_store *store = NULL;
  polygraft_model *model = NULL;
  polygraft_error *error = NULL;
  int failed = polygraft_engine_open(NULL, &engine, &error) ||
               polygraft_store_open(argv[2], &store, &error) ||
               polygraft_model_open(engine, argv[1], store, NULL, &model, &error) ||
               install(model, argv[3], argv[5], &error) || show(store, argv[3], &error) ||
               roll_back(store, argv[3], argv[4], &error) ||
               wipe(store, argv[3], argv[4], &error);
  if (failed) {
    fprintf(stderr, "%s: %s\n", polygraft_error_name(error).ptr,
            polygraft_error_message(error).ptr);
  }
  polygraft_error_free(&error);
  polygraft_model_close(&model);
  polygraft_store_close(&store);
  polygraft_engine_close(&engine);
  return failed;
}
