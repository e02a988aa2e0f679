/*
 * Paths are the bytes that the system calls a file by.
 *
 *   paths BUNDLE STORE ONNXRUNTIME
 *
 * The three may be in folders whose names are not UTF-8; STORE is absent or an empty folder. Every
 * check prints what it saw when it fails; the program ends with 0 only if all passed.
 */
#include "check.h"

static void check_paths(const char *bundle, const char *folder, const char *onnxruntime) {
  const char *const texts[] = {"one tree"};
  polygraft_error *error = NULL;
  polygraft_engine *engine = NULL;
  polygraft_store *store = NULL;
  polygraft_model *model = NULL;
  polygraft_vectors *vectors = NULL;
  polygraft_engine_options options;
  EXPECT(OK, polygraft_engine_options_init(&options, sizeof options, &error));
  options.onnxruntime_path = "/nowhere/\xff.so";
  EXPECT(ERROR_RUNTIME_NOT_FOUND, polygraft_engine_open(&options, &engine, &error));
  options.onnxruntime_path = onnxruntime;
  EXPECT(OK, polygraft_engine_open(&options, &engine, &error));
  EXPECT(OK, polygraft_store_open(folder, &store, &error));
  EXPECT(ERROR_NOT_FOUND,
         polygraft_model_open(engine, "/nowhere/\xff", store, NULL, &model, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_model_open(engine, NULL, store, NULL, &model, &error));
  EXPECT(OK, polygraft_model_open(engine, bundle, store, NULL, &model, &error));
  EXPECT(OK, polygraft_model_embed(model, NULL, NULL, texts, 1, 1, &vectors, &error));
  CHECK(polygraft_vectors_count(vectors) == 1);
  polygraft_vectors_free(&vectors);
  polygraft_model_close(&model);
  polygraft_store_close(&store);
  polygraft_engine_close(&engine);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: %s BUNDLE STORE ONNXRUNTIME\n", argv[0]);
    return 2;
  }
  check_paths(argv[1], argv[2], argv[3]);
  return finish();
}
