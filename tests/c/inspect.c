/*
 * Looking into a store and a bundle: what is there in numbers, and what is wrong with it.
 *
 *   inspect BUNDLE STORE OBJECTS
 *
 * STORE is an empty folder, and OBJECTS is where its versions will lie. Every check prints what it
 * saw when it fails; the program ends with 0 only if all passed.
 */
#define _POSIX_C_SOURCE 200809L

#include "taught.h"

#include <dirent.h>
#include <stdlib.h>

static void check_statistics(const polygraft_store *store) {
  polygraft_error *error = NULL;
  polygraft_statistics *statistics = NULL;
  EXPECT(OK, polygraft_store_count(store, &statistics, &error));
  polygraft_store_statistics all = {.struct_size = sizeof all};
  EXPECT(OK, polygraft_statistics_store(statistics, &all, &error));
  CHECK(all.tasks_count == 1 && polygraft_statistics_tasks_count(statistics) == 1);
  CHECK(all.generation > 0 && all.versions_count == versions_count(store));
  CHECK(all.contents_count > 0 && all.contents_count <= all.versions_count);
  CHECK(all.contents_size_bytes > all.contents_count);

  polygraft_task_statistics task = {.struct_size = sizeof task};
  EXPECT(OK, polygraft_statistics_task(statistics, 0, &task, &error));
  CHECK(strcmp(task.task.ptr, TASK) == 0 && task.versions_count == all.versions_count);
  CHECK(task.active_count == task.languages_count && task.pinned_count == 1);
  CHECK(task.versions_size_bytes == all.contents_size_bytes && task.reports_count == 2);
  CHECK(task.examples_languages_count == 2 && task.examples_count == 2 * TAUGHT_COUNT);
  CHECK(task.has_checkpoint == 0);

  polygraft_examples_statistics examples = {.struct_size = sizeof examples};
  uint64_t size_bytes = 0;
  for (size_t index = 0; index < 2; index++) {
    EXPECT(OK, polygraft_statistics_examples(statistics, 0, index, &examples, &error));
    CHECK(strcmp(examples.language.ptr, index == 0 ? "de" : "en") == 0);
    CHECK(examples.training_count + examples.held_out_count == TAUGHT_COUNT);
    CHECK(examples.held_out_count > 0 && examples.pending_count <= examples.training_count);
    /* After 2024-01-01, at the beginning of a day. */
    CHECK(examples.oldest_unix_ms > 1704067200000 && examples.oldest_unix_ms % 86400000 == 0);
    size_bytes += examples.size_bytes;
  }
  CHECK(size_bytes == task.examples_size_bytes && size_bytes > 0);

  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_statistics_task(statistics, 1, &task, &error));
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_statistics_examples(statistics, 1, 0, &examples, &error));
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_statistics_examples(statistics, 0, 2, &examples, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_statistics_store(NULL, &all, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_statistics_store(statistics, NULL, &error));
  all.struct_size = 2;
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_statistics_store(statistics, &all, &error));
  polygraft_statistics_free(&statistics);
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_store_count(NULL, &statistics, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_store_count(store, NULL, &error));
  CHECK(statistics == NULL);
}

/* The state of the check of a subject, or 99. */
static uint32_t state_of(const polygraft_checks *checks, const char *subject) {
  polygraft_error *error = NULL;
  for (size_t index = 0; index < polygraft_checks_count(checks); index++) {
    polygraft_check check = {.struct_size = sizeof check};
    EXPECT(OK, polygraft_checks_get(checks, index, &check, &error));
    CHECK(check.details.len > 0);
    CHECK((check.state == POLYGRAFT_CHECK_WRONG) || check.status == POLYGRAFT_OK);
    if (strcmp(check.subject.ptr, subject) == 0) {
      return check.state;
    }
  }
  return 99;
}

static void check_diagnosis(const char *bundle, const char *folder) {
  polygraft_error *error = NULL;
  polygraft_checks *checks = NULL;
  polygraft_diagnose_options options;
  EXPECT(OK, polygraft_diagnose(NULL, &checks, &error));
  CHECK(polygraft_checks_all_right(checks) == 1);
  CHECK(state_of(checks, "onnxruntime") == POLYGRAFT_CHECK_OK);
  CHECK(state_of(checks, "bundle") == POLYGRAFT_CHECK_NOTE);
  polygraft_checks_free(&checks);

  EXPECT(OK, polygraft_diagnose_options_init(&options, sizeof options, &error));
  CHECK(options.verify == POLYGRAFT_VERIFY_FULL);
  options.bundle_path = bundle;
  options.store_path = folder;
  EXPECT(OK, polygraft_diagnose(&options, &checks, &error));
  CHECK(polygraft_checks_all_right(checks) == 1);
  CHECK(state_of(checks, "store") == POLYGRAFT_CHECK_OK);
  CHECK(state_of(checks, "task") == POLYGRAFT_CHECK_OK);
  CHECK(state_of(checks, "model") == POLYGRAFT_CHECK_OK);
  CHECK(state_of(checks, "versions") == POLYGRAFT_CHECK_OK);
  polygraft_checks_free(&checks);

  options.bundle_path = "/nowhere/bundle";
  options.store_path = "/nowhere/store";
  EXPECT(OK, polygraft_diagnose(&options, &checks, &error));
  CHECK(polygraft_checks_all_right(checks) == 0);
  CHECK(state_of(checks, "bundle") == POLYGRAFT_CHECK_WRONG);
  CHECK(state_of(checks, "store") == POLYGRAFT_CHECK_WRONG);
  polygraft_check check = {.struct_size = sizeof check};
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_checks_get(checks, 99, &check, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_checks_get(checks, 0, NULL, &error));
  polygraft_checks_free(&checks);
  options.mode = 9;
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_diagnose(&options, &checks, &error));
  options.mode = POLYGRAFT_MODE_LEAN;
  options.reserved = 1;
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_diagnose(&options, &checks, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_diagnose(NULL, NULL, &error));
  CHECK(checks == NULL);

  EXPECT(OK, polygraft_bundle_verify(bundle, &error));
  CHECK(polygraft_bundle_verify("/nowhere/bundle", &error) != POLYGRAFT_OK);
  CHECK(strstr(polygraft_error_message(error).ptr, "/nowhere/bundle") != NULL);
  polygraft_error_free(&error);
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_bundle_verify(NULL, &error));
}

/* A byte of a version is changed on disk: the version is named, and everything else is fine. */
static void check_damage(const polygraft_store *store, const char *objects, const char *folder) {
  polygraft_error *error = NULL;
  polygraft_checks *checks = NULL;
  EXPECT(OK, polygraft_store_verify(store, &checks, &error));
  CHECK(polygraft_checks_count(checks) == 0 && polygraft_checks_all_right(checks) == 1);
  polygraft_checks_free(&checks);

  char path[2048] = "";
  DIR *listed = opendir(objects);
  CHECK(listed != NULL);
  for (struct dirent *one = listed ? readdir(listed) : NULL; one != NULL; one = readdir(listed)) {
    if (one->d_name[0] != '.') {
      snprintf(path, sizeof path, "%s/%s", objects, one->d_name);
    }
  }
  closedir(listed);
  FILE *file = fopen(path, "r+b");
  CHECK(file != NULL);
  if (file == NULL) {
    return;
  }
  CHECK(fseek(file, -1, SEEK_END) == 0);
  int byte = fgetc(file);
  CHECK(fseek(file, -1, SEEK_END) == 0 && fputc(byte ^ 1, file) != EOF && fclose(file) == 0);

  EXPECT(OK, polygraft_store_verify(store, &checks, &error));
  CHECK(polygraft_checks_count(checks) == 1 && polygraft_checks_all_right(checks) == 0);
  polygraft_check check = {.struct_size = sizeof check};
  EXPECT(OK, polygraft_checks_get(checks, 0, &check, &error));
  CHECK(check.state == POLYGRAFT_CHECK_WRONG && check.status == POLYGRAFT_ERROR_STORE_CORRUPT);
  CHECK(strstr(check.details.ptr, strrchr(path, '/') + 1) != NULL);
  CHECK(strcmp(check.subject.ptr, "store") == 0);
  polygraft_checks_free(&checks);
  polygraft_diagnose_options options;
  EXPECT(OK, polygraft_diagnose_options_init(&options, sizeof options, &error));
  options.store_path = folder;
  EXPECT(OK, polygraft_diagnose(&options, &checks, &error));
  CHECK(polygraft_checks_all_right(checks) == 0);
  polygraft_checks_free(&checks);
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_store_verify(NULL, &checks, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_store_verify(store, NULL, &error));
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: %s BUNDLE STORE OBJECTS\n", argv[0]);
    return 2;
  }
  polygraft_error *error = NULL;
  polygraft_engine *engine = NULL;
  polygraft_store *store = NULL;
  polygraft_model *model = NULL;
  open_all(argv[1], argv[2], &engine, &store, &model);
  if (atomic_load(&failures) == 0) {
    teach(model, "de", "tree");
    teach(model, "en", "tree");
    EXPECT(OK, polygraft_store_pin(store, TASK, "de", NULL, &error));
    check_statistics(store);
    check_diagnosis(argv[1], argv[2]);
    check_damage(store, argv[3], argv[2]);
  }
  polygraft_model_close(&model);
  polygraft_store_close(&store);
  polygraft_engine_close(&engine);
  return finish();
}
