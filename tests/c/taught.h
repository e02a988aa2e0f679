/*
 * A model that was taught two labels in two languages, for the C tests of what comes after training.
 */
#ifndef POLYGRAFT_TESTS_TAUGHT_H
#define POLYGRAFT_TESTS_TAUGHT_H

#include "check.h"

enum { TAUGHT_COUNT = 40 };

static const char *const TASK = "light";

/* Teaches the labels `on` and `off` in a language, without a gate and in a few steps. */
static inline void teach(const polygraft_model *model, const char *language, const char *noun) {
  polygraft_error *error = NULL;
  polygraft_update *update = NULL;
  polygraft_report *report = NULL;
  polygraft_update_options options;
  EXPECT(OK, polygraft_update_options_init(&options, sizeof options, &error));
  const char *const targets[] = {"q", "v"};
  options.lora_targets = targets;
  options.lora_targets_count = 2;
  options.steps_max = 3;
  options.gate_enabled = 0;
  EXPECT(OK, polygraft_update_begin(model, TASK, &options, &update, &error));
  for (int index = 0; index < TAUGHT_COUNT; index++) {
    char text[64];
    snprintf(text, sizeof text, "%s %d %s", noun, index, index % 2 == 0 ? "up" : "down");
    EXPECT(OK, polygraft_update_add(update, language, text, index % 2 == 0 ? "on" : "off", &error));
  }
  EXPECT(OK, polygraft_update_run(update, NULL, NULL, &error, NULL, NULL));
  EXPECT(OK, polygraft_update_commit(update, &report, &error));
  CHECK(polygraft_report_languages_count(report) > 0);
  /* Without a gate, what users are served is what every candidate does. */
  polygraft_summary served = {.struct_size = sizeof served};
  polygraft_summary candidates = {.struct_size = sizeof candidates};
  EXPECT(OK, polygraft_report_summary(report, &served, &error));
  EXPECT(OK, polygraft_report_candidate_summary(report, &candidates, &error));
  CHECK(served.improved == candidates.improved && served.lost == candidates.lost);
  polygraft_report_free(&report);
  polygraft_update_close(&update);
}

/* The number of the version of `language` that is active, or 0. */
static inline uint32_t active(const polygraft_store *store, const char *language) {
  polygraft_error *error = NULL;
  polygraft_versions *versions = NULL;
  uint32_t number = 0;
  EXPECT(OK, polygraft_store_versions(store, TASK, &versions, &error));
  for (size_t index = 0; index < polygraft_versions_count(versions); index++) {
    polygraft_version version = {.struct_size = sizeof version};
    EXPECT(OK, polygraft_versions_get(versions, index, &version, &error));
    if (version.active && strcmp(version.language.ptr, language) == 0) {
      number = version.number;
    }
  }
  polygraft_versions_free(&versions);
  return number;
}

/* How many versions there are in all languages. */
static inline size_t versions_count(const polygraft_store *store) {
  polygraft_error *error = NULL;
  polygraft_versions *versions = NULL;
  EXPECT(OK, polygraft_store_versions(store, TASK, &versions, &error));
  size_t count = polygraft_versions_count(versions);
  polygraft_versions_free(&versions);
  return count;
}

/* Opens engine, store and model; whoever calls closes them. */
static inline void open_all(const char *bundle, const char *folder, polygraft_engine **engine,
                     polygraft_store **store, polygraft_model **model) {
  polygraft_error *error = NULL;
  EXPECT(OK, polygraft_engine_open(NULL, engine, &error));
  EXPECT(OK, polygraft_store_open(folder, store, &error));
  EXPECT(OK, polygraft_model_open(*engine, bundle, *store, NULL, model, &error));
}

#endif
