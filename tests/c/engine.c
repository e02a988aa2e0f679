/*
 * ONNX Runtime handed in by the program, and what is logged.
 *
 *   engine BUNDLE STORE
 *
 * The program loads ONNX Runtime from ORT_DYLIB_PATH itself. Every check prints what it saw when it
 * fails; the program ends with 0 only if all passed.
 */
#define _POSIX_C_SOURCE 200809L

#include "taught.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

/* What ONNX Runtime's C header calls OrtApiBase. */
typedef struct {
  const void *(*get_api)(uint32_t version);
  const char *(*get_version_string)(void);
} api_base;

static const void *no_api(uint32_t version) {
  CHECK(version > 1);
  return NULL;
}

static const char *old_version(void) { return "1.2.3"; }

typedef struct {
  atomic_uint of_onnxruntime;
  atomic_uint of_polygraft;
  atomic_uint severity_least;
  const polygraft_engine *engine;
} heard;

static void on_log(uint32_t severity, polygraft_string_view source, polygraft_string_view message,
                   void *user) {
  heard *all = user;
  CHECK(severity <= POLYGRAFT_LOG_FATAL && message.ptr != NULL && message.ptr[message.len] == 0);
  if (severity < atomic_load(&all->severity_least)) {
    atomic_store(&all->severity_least, severity);
  }
  atomic_fetch_add(strcmp(source.ptr, "polygraft") == 0 ? &all->of_polygraft : &all->of_onnxruntime,
                   1);
  /* A callback may call the library. */
  CHECK(polygraft_version_string().len > 0);
}

static polygraft_engine_options fresh(void) {
  polygraft_error *error = NULL;
  polygraft_engine_options options;
  EXPECT(OK, polygraft_engine_options_init(&options, sizeof options, &error));
  CHECK(options.log == NULL && options.log_severity == POLYGRAFT_LOG_WARNING);
  return options;
}

static const void *load(void) {
  void *library = dlopen(getenv("ORT_DYLIB_PATH"), RTLD_NOW | RTLD_LOCAL);
  CHECK(library != NULL);
  const void *(*entry)(void) = NULL;
  if (library != NULL) {
    *(void **)&entry = dlsym(library, "OrtGetApiBase");
  }
  CHECK(entry != NULL);
  return entry == NULL ? NULL : entry();
}

static void check_handed_in(const void *base) {
  polygraft_error *error = NULL;
  polygraft_engine *engine = NULL;
  polygraft_engine *second = NULL;
  polygraft_engine_options options = fresh();
  static const api_base old = {no_api, old_version};
  options.ort_api_base = &old;
  CHECK(polygraft_engine_open(&options, &engine, &error) == POLYGRAFT_ERROR_RUNTIME_TOO_OLD);
  CHECK(strstr(polygraft_error_message(error).ptr, "1.2.3") != NULL);
  polygraft_error_free(&error);
  options.ort_api_base = base;
  options.onnxruntime_path = "/somewhere/libonnxruntime.so";
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_engine_open(&options, &engine, &error));
  options.onnxruntime_path = NULL;
  options.log_reserved = 1;
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_engine_open(&options, &engine, &error));
  CHECK(engine == NULL);
  options.log_reserved = 0;
  EXPECT(OK, polygraft_engine_open(&options, &engine, &error));
  /* The same again is the same engine; another one is refused. */
  EXPECT(OK, polygraft_engine_open(&options, &second, &error));
  polygraft_engine_close(&second);
  EXPECT(OK, polygraft_engine_open(NULL, &second, &error));
  polygraft_engine_close(&second);
  options.ort_api_base = &old;
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_engine_open(&options, &second, &error));
  polygraft_string_view version = {NULL, 0};
  EXPECT(OK, polygraft_engine_onnxruntime_version(engine, &version, &error));
  CHECK(version.ptr != NULL && strcmp(version.ptr, ((const api_base *)base)->get_version_string()) == 0);
  polygraft_engine_close(&engine);
}

static void check_log(const void *base, const char *bundle, const char *folder) {
  polygraft_error *error = NULL;
  polygraft_engine *engine = NULL;
  polygraft_engine *quiet = NULL;
  polygraft_store *store = NULL;
  polygraft_model *model = NULL;
  heard all = {.severity_least = 99};
  heard worst = {.severity_least = 99};
  polygraft_engine_options options = fresh();
  options.ort_api_base = base;
  options.log = on_log;
  options.log_user = &all;
  options.log_severity = 5;
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_engine_open(&options, &engine, &error));
  options.log_severity = POLYGRAFT_LOG_VERBOSE;
  EXPECT(OK, polygraft_engine_open(&options, &engine, &error));
  options.log_user = &worst;
  options.log_severity = POLYGRAFT_LOG_FATAL;
  EXPECT(OK, polygraft_engine_open(&options, &quiet, &error));
  EXPECT(OK, polygraft_store_open(folder, &store, &error));
  EXPECT(OK, polygraft_model_open(engine, bundle, store, NULL, &model, &error));
  /* The callback of each engine receives what it asked for. */
  CHECK(atomic_load(&all.of_onnxruntime) > 0 && atomic_load(&all.of_polygraft) > 0);
  CHECK(atomic_load(&all.severity_least) <= POLYGRAFT_LOG_INFO);
  CHECK(atomic_load(&worst.of_onnxruntime) == 0 && atomic_load(&worst.of_polygraft) == 0);
  polygraft_engine_close(&quiet);
  polygraft_engine_close(&engine);
  unsigned before = atomic_load(&all.of_onnxruntime) + atomic_load(&all.of_polygraft);
  /* No callback receives the rest, though the session of the model still logs. */
  teach(model, "de", "tree");
  CHECK(atomic_load(&all.of_onnxruntime) + atomic_load(&all.of_polygraft) == before);
  polygraft_model_close(&model);
  polygraft_store_close(&store);
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: %s BUNDLE STORE\n", argv[0]);
    return 2;
  }
  const void *base = load();
  if (base != NULL) {
    check_handed_in(base);
    check_log(base, argv[1], argv[2]);
  }
  return finish();
}
