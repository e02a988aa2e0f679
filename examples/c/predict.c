/* Predicts one sentence with the versions of a store: the C example of the README.
 *
 * usage: predict BUNDLE STORE
 */
#include <polygraft.h>
#include <stdio.h>

/* README: begin */
int main(int argc, char **argv) {
  polygraft_engine *engine = NULL;
  polygraft_store *store = NULL;
  polygraft_model *model = NULL;
  polygraft_prediction *prediction = NULL;
  polygraft_error *error = NULL;
  if (argc == 3 && !polygraft_engine_open(NULL, &engine, &error) &&
      !polygraft_store_open(argv[2], &store, &error) &&
      !polygraft_model_open(engine, argv[1], store, NULL, &model, &error) &&
      !polygraft_model_predict(model, "light", "tr", "ışığı kapat", NULL, &prediction, &error))
    printf("%s %.3f\n", polygraft_prediction_label(prediction, 0).ptr,
           polygraft_prediction_probability(prediction, 0));
  if (error) /* a stable name such as store.no_version, and what was expected and found */
    fprintf(stderr, "%s: %s\n", polygraft_error_name(error).ptr,
            polygraft_error_message(error).ptr);
  int failed = prediction == NULL;
  polygraft_error_free(&error);
  polygraft_prediction_free(&prediction);
  polygraft_model_close(&model);
  polygraft_store_close(&store);
  polygraft_engine_close(&engine);
  return failed;
}
/* README: end */
