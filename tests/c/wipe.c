/*
 * Erasing: remembered examples by language, label, age and as a whole, what was learnt from them,
 * and old versions.
 *
 *   wipe BUNDLE STORE EXPORTED
 *
 * STORE is an empty folder, EXPORTED a new path. Every check prints what it saw when it fails; the
 * program ends with 0 only if all passed.
 */
#include "taught.h"

static polygraft_wipe_options fresh(void) {
  polygraft_error *error = NULL;
  polygraft_wipe_options options;
  EXPECT(OK, polygraft_wipe_options_init(&options, sizeof options, &error));
  CHECK(options.retire == 0 && options.language == NULL && options.label == NULL);
  return options;
}

static uint64_t wiped_count(const polygraft_wiped *wiped) {
  polygraft_error *error = NULL;
  uint64_t count = 0;
  for (size_t index = 0; index < polygraft_wiped_languages_count(wiped); index++) {
    polygraft_wiped_language entry = {.struct_size = sizeof entry};
    EXPECT(OK, polygraft_wiped_get(wiped, index, &entry, &error));
    CHECK(entry.language.len > 0 && entry.examples_count > 0);
    count += entry.examples_count;
  }
  return count;
}

/* Wipes and gives how many examples went; `learnt` receives how many versions were named. */
static uint64_t wipe(const polygraft_store *store, const polygraft_wipe_options *options,
                     size_t *learnt) {
  polygraft_error *error = NULL;
  polygraft_wiped *wiped = NULL;
  EXPECT(OK, polygraft_store_wipe(store, TASK, options, &wiped, &error));
  uint64_t count = wiped_count(wiped);
  *learnt = polygraft_versions_count(polygraft_wiped_versions(wiped));
  CHECK(polygraft_wiped_retired(wiped) == (options != NULL && options->retire));
  polygraft_wiped_free(&wiped);
  return count;
}

static void check_removal(const polygraft_store *store) {
  polygraft_error *error = NULL;
  polygraft_versions *removed = NULL;
  uint32_t number = 0;
  size_t before = versions_count(store);
  uint32_t newest = active(store, "de");
  /* Nothing is older than the newest ones that stay. */
  EXPECT(OK, polygraft_store_remove_versions(store, TASK, NULL, 100, &removed, &error));
  CHECK(polygraft_versions_count(removed) == 0 && versions_count(store) == before);
  polygraft_versions_free(&removed);
  /* Of `de`, versions 1 to 3: the active one stays though it is not the newest. */
  EXPECT(OK, polygraft_store_roll_back(store, TASK, "de", &number, &error));
  CHECK(number == newest - 1);
  EXPECT(OK, polygraft_store_pin(store, TASK, "de", NULL, &error));
  EXPECT(OK, polygraft_store_remove_versions(store, TASK, "de", 0, &removed, &error));
  CHECK(polygraft_versions_count(removed) == 2);
  polygraft_version version = {.struct_size = sizeof version};
  EXPECT(OK, polygraft_versions_get(removed, 0, &version, &error));
  CHECK(version.number == 1 && strcmp(version.language.ptr, "de") == 0 && !version.active);
  polygraft_versions_free(&removed);
  CHECK(active(store, "de") == number && versions_count(store) == before - 2);
  EXPECT(OK, polygraft_store_unpin(store, TASK, "de", &error));
  EXPECT(OK, polygraft_store_remove_versions(store, TASK, NULL, 1, NULL, &error));

  EXPECT(ERROR_STORE_NO_VERSION,
         polygraft_store_remove_versions(store, TASK, "it", 0, &removed, &error));
  EXPECT(ERROR_TASK_NAME, polygraft_store_remove_versions(store, "T T", NULL, 0, &removed, &error));
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_store_remove_versions(store, NULL, NULL, 0, &removed, &error));
  EXPECT(ERROR_ARGUMENT_NULL,
         polygraft_store_remove_versions(NULL, TASK, NULL, 0, &removed, &error));
  CHECK(removed == NULL);
}

static void check_wipes(const polygraft_model *model, const polygraft_store *store) {
  size_t learnt = 0;
  polygraft_error *error = NULL;
  polygraft_wipe_options options = fresh();
  options.language = "de";
  options.label = "off";
  CHECK(wipe(store, &options, &learnt) == TAUGHT_COUNT / 2 && learnt > 0);
  CHECK(wipe(store, &options, &learnt) == 0 && learnt == 0);
  /* Nothing was added before 1970 was a day old; everything was before the year 3000. */
  options = fresh();
  options.added_before_unix_ms = 86400000;
  CHECK(wipe(store, &options, &learnt) == 0 && learnt == 0);
  options.added_before_unix_ms = 32503680000000;
  options.language = "de";
  CHECK(wipe(store, &options, &learnt) == TAUGHT_COUNT / 2 && learnt > 0);
  /* The buffer is empty in German; what was learnt from it is still known. */
  options = fresh();
  options.language = "de";
  CHECK(wipe(store, &options, &learnt) == 0 && learnt > 0);

  /* A pinned version is not retired, and then nothing is wiped either. */
  options = fresh();
  options.retire = 1;
  polygraft_wiped *wiped = UNTOUCHED;
  size_t before = versions_count(store);
  EXPECT(OK, polygraft_store_pin(store, TASK, "en", NULL, &error));
  EXPECT(ERROR_STORE_PINNED, polygraft_store_wipe(store, TASK, &options, &wiped, &error));
  CHECK(wiped == UNTOUCHED && versions_count(store) == before);
  EXPECT(OK, polygraft_store_unpin(store, TASK, "en", &error));

  /* The whole: English examples, and every version that an update made. */
  CHECK(wipe(store, &options, &learnt) == TAUGHT_COUNT && learnt == before);
  CHECK(versions_count(store) == 0);
  polygraft_prediction *prediction = NULL;
  EXPECT(ERROR_STORE_NO_VERSION,
         polygraft_model_predict(model, TASK, "de", "tree", NULL, &prediction, &error));
  CHECK(wipe(store, NULL, &learnt) == 0 && learnt == 0);
}

/* Numbers are not given again, and what was imported stays. */
static void check_after(const polygraft_model *model, const polygraft_store *store,
                        const char *exported) {
  polygraft_error *error = NULL;
  polygraft_imported *imported = NULL;
  size_t learnt = 0;
  EXPECT(OK, polygraft_model_import(model, TASK, "mul", exported, NULL, &imported, &error));
  uint32_t base = polygraft_imported_version(imported);
  CHECK(base > 2 && active(store, "mul") == base);
  polygraft_imported_free(&imported);
  teach(model, "de", "tree");
  CHECK(active(store, "de") > 3);
  polygraft_wipe_options options = fresh();
  options.retire = 1;
  CHECK(wipe(store, &options, &learnt) == TAUGHT_COUNT && learnt > 0);
  CHECK(active(store, "mul") == base && active(store, "de") == 0 && versions_count(store) == 1);
}

static void check_refusals(const polygraft_store *store) {
  polygraft_error *error = NULL;
  polygraft_wiped *wiped = UNTOUCHED;
  polygraft_wipe_options options = fresh();
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_store_wipe(NULL, TASK, NULL, &wiped, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_store_wipe(store, NULL, NULL, &wiped, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_store_wipe(store, TASK, NULL, NULL, &error));
  EXPECT(ERROR_TASK_NAME, polygraft_store_wipe(store, "T T", NULL, &wiped, &error));
  options.retire = 7;
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_store_wipe(store, TASK, &options, &wiped, &error));
  options = fresh();
  options.language = "German";
  EXPECT(ERROR_LANGUAGE_UNKNOWN, polygraft_store_wipe(store, TASK, &options, &wiped, &error));
  options = fresh();
  options.label = "\xff";
  EXPECT(ERROR_ARGUMENT_UTF8, polygraft_store_wipe(store, TASK, &options, &wiped, &error));
  options.struct_size = 3;
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_store_wipe(store, TASK, &options, &wiped, &error));
  CHECK(wiped == UNTOUCHED);
  CHECK(polygraft_wiped_versions(NULL) == NULL && polygraft_wiped_languages_count(NULL) == 0);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: %s BUNDLE STORE EXPORTED\n", argv[0]);
    return 2;
  }
  polygraft_engine *engine = NULL;
  polygraft_store *store = NULL;
  polygraft_model *model = NULL;
  polygraft_error *error = NULL;
  open_all(argv[1], argv[2], &engine, &store, &model);
  if (atomic_load(&failures) == 0) {
    teach(model, "de", "tree");
    teach(model, "en", "tree");
    /* A copy of the first one for `mul`, which is not learnt but installed. */
    EXPECT(OK, polygraft_model_export(model, TASK, "de", 1, argv[3], NULL, &error));
    teach(model, "de", "tree");
    check_removal(store);
    check_refusals(store);
    check_wipes(model, store);
    check_after(model, store, argv[3]);
  }
  polygraft_model_close(&model);
  polygraft_store_close(&store);
  polygraft_engine_close(&engine);
  return finish();
}
