/*
 * The life cycle of a model that keeps learning, through the C interface:
 *
 *   predict -> begin an update -> add examples -> run it -> read the report -> commit
 *           -> predict -> roll back -> predict
 *
 * Build it with the library that cargo built, whose soname is libpolygraft.so.0:
 *
 *   cargo build --release
 *   ln -sf libpolygraft.so target/release/libpolygraft.so.0
 *   cc -std=c11 -Wall -Wextra -Wpedantic -Werror -I include examples/c/update.c \
 *      -L target/release -Wl,-rpath,"$PWD/target/release" -lpolygraft -o update
 *
 * Run it:
 *
 *   ./update BUNDLE STORE EXAMPLES LANGUAGE TEXT
 *
 * BUNDLE is a folder that `polygraft bundle create` wrote. STORE is a folder for the versions; it
 * is created if it does not exist. EXAMPLES is a file with one example per line, in three fields
 * separated by tabs:
 *
 *   language<TAB>text<TAB>label
 *
 * The program predicts for TEXT in LANGUAGE before the update, after it, and after rolling back.
 * Ctrl-C cancels the update; nothing has changed then. ONNX Runtime is looked for in ORT_DYLIB_PATH
 * first.
 */
#include <polygraft.h>

#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A task is a name that you choose. A store holds the versions of many tasks. */
static const char *const TASK = "intent";

/* The maximum length of a line in bytes; longer lines are refused. */
enum { LINE_SIZE_MAX = 8192 };

/*
 * Prints a failure and frees its error. Every function that can fail returns a status. The error
 * object is optional; it has a stable name for programs and a message with causes for people.
 */
static bool failed(const char *action, polygraft_status status, polygraft_error **error) {
  if (status == POLYGRAFT_OK) {
    return false;
  }
  fprintf(stderr, "%s failed with %s (%d)\n", action, polygraft_status_name(status).ptr,
          (int)status);
  for (size_t index = 0; index < polygraft_error_causes_count(*error); index++) {
    fprintf(stderr, "  %s\n", polygraft_error_cause(*error, index).ptr);
  }
  polygraft_error_free(error);
  return true;
}

/* Predicts for one text and prints the best labels. A task without a version is not a failure. */
static bool predict(const polygraft_model *model, const char *when, const char *language,
                    const char *text) {
  polygraft_error *error = NULL;
  polygraft_prediction *prediction = NULL;

  /* Option structs have a size field, so that they can grow; init fills in the defaults. */
  polygraft_predict_options options;
  polygraft_status status = polygraft_predict_options_init(&options, sizeof options, &error);
  if (failed("setting up the options", status, &error)) {
    return false;
  }
  options.top_k = 2;

  status = polygraft_model_predict(model, TASK, language, text, &options, &prediction, &error);
  if (status == POLYGRAFT_ERROR_STORE_NO_VERSION) {
    printf("%s: task \"%s\" has no version for %s\n", when, TASK, language);
    polygraft_error_free(&error);
    return true;
  }
  if (failed("predicting", status, &error)) {
    return false;
  }

  printf("%s:", when);
  for (size_t index = 0; index < polygraft_prediction_labels_count(prediction); index++) {
    /* A view is valid until its object is freed. A 0 byte follows it. */
    printf(" %s %.3f", polygraft_prediction_label(prediction, index).ptr,
           (double)polygraft_prediction_probability(prediction, index));
  }
  printf(" (version %u of %s)\n", (unsigned)polygraft_prediction_version(prediction),
         polygraft_prediction_language(prediction).ptr);
  polygraft_prediction_free(&prediction);
  return true;
}

/* Adds the examples of a file to an update. */
static bool add_examples(polygraft_update *update, const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    perror(path);
    return false;
  }
  char line[LINE_SIZE_MAX];
  unsigned number = 0;
  bool good = true;
  while (good && fgets(line, sizeof line, file) != NULL) {
    number++;
    size_t length = strcspn(line, "\r\n");
    if (line[length] == '\0' && !feof(file)) {
      fprintf(stderr, "%s:%u: the line is longer than %d bytes\n", path, number, LINE_SIZE_MAX);
      good = false;
      break;
    }
    line[length] = '\0';
    char *text = strchr(line, '\t');
    char *label = text == NULL ? NULL : strchr(text + 1, '\t');
    if (label == NULL) {
      fprintf(stderr, "%s:%u: expected language, text and label with tabs between them\n", path,
              number);
      good = false;
      break;
    }
    *text++ = '\0';
    *label++ = '\0';

    /* The library copies the texts, so the line may be overwritten. */
    polygraft_error *error = NULL;
    polygraft_status status = polygraft_update_add(update, line, text, label, &error);
    good = !failed("adding an example", status, &error);
  }
  if (good && ferror(file)) {
    perror(path);
    good = false;
  }
  fclose(file);
  printf("%u examples\n", number);
  return good;
}

static volatile sig_atomic_t interrupted = 0;

static void interrupt(int signal_number) {
  (void)signal_number;
  interrupted = 1;
}

/* Shows the progress of an update, on the thread that runs it. Non-zero cancels the run. */
static int on_progress(const polygraft_progress *progress, void *user) {
  static const char *const phases[] = {
      [POLYGRAFT_PHASE_PREPARE] = "prepare",
      [POLYGRAFT_PHASE_TRAIN] = "train",
      [POLYGRAFT_PHASE_MEASURE_BEFORE] = "measure before",
      [POLYGRAFT_PHASE_MEASURE_AFTER] = "measure after",
  };
  unsigned *calls = user;
  const size_t phases_count = sizeof phases / sizeof phases[0];
  const char *phase = progress->phase < phases_count ? phases[progress->phase] : "more";
  fprintf(stderr, "%-15s %4llu of %-4llu %6.1f s", phase, (unsigned long long)progress->step,
          (unsigned long long)progress->steps_count, (double)progress->elapsed_ms / 1000.0);
  if (!isnan(progress->loss)) {
    fprintf(stderr, "  loss %.3f", progress->loss);
  }
  fputc('\n', stderr);
  *calls += 1;
  return interrupted;
}

/* Prints an accuracy in percent. NaN means that there was nothing to measure. */
static void print_accuracy(double accuracy) {
  if (isnan(accuracy)) {
    printf("%8s", "-");
  } else {
    printf("%7.1f%%", accuracy * 100.0);
  }
}

/* Prints the effect of an update on each language. */
static bool print_report(const polygraft_report *report) {
  polygraft_error *error = NULL;
  printf("gate: %s\n", polygraft_report_gate(report).ptr);
  printf("%-10s%8s%8s%9s  %s\n", "language", "before", "after", "held out", "decision");
  for (size_t index = 0; index < polygraft_report_languages_count(report); index++) {
    polygraft_language_report entry = {.struct_size = sizeof entry};
    polygraft_status status = polygraft_report_language(report, index, &entry, &error);
    if (failed("reading the report", status, &error)) {
      return false;
    }
    printf("%-10s", entry.language.ptr);
    print_accuracy(entry.before);
    print_accuracy(entry.after);
    bool activated = entry.decision == POLYGRAFT_DECISION_ACTIVATE;
    printf("%9llu  %s", (unsigned long long)entry.report_examples, activated ? "activate" : "keep");
    if (entry.version != 0) {
      printf(" version %u", (unsigned)entry.version);
    }
    printf(" (%s)\n", entry.reason.ptr);
  }
  polygraft_summary summary = {.struct_size = sizeof summary};
  polygraft_status status = polygraft_report_summary(report, &summary, &error);
  if (failed("reading the report", status, &error)) {
    return false;
  }
  printf("%llu languages improve, %llu lose\n", (unsigned long long)summary.improved,
         (unsigned long long)summary.lost);
  return true;
}

/* Trains the model on the examples of a file. The caller frees the report. */
static bool update_model(const polygraft_model *model, const char *examples_path,
                         polygraft_report **report) {
  polygraft_error *error = NULL;
  polygraft_update *update = NULL;
  polygraft_update_options options;
  polygraft_status status = polygraft_update_options_init(&options, sizeof options, &error);
  if (failed("setting up the options", status, &error)) {
    return false;
  }
  options.seed = 42;
  options.new_labels = 1;

  /* Nothing changes before the commit, and closing an update aborts it. */
  status = polygraft_update_begin(model, TASK, &options, &update, &error);
  bool good = !failed("beginning the update", status, &error);
  good = good && add_examples(update, examples_path);
  if (good) {
    /* With a cancel token instead of NULL another thread could end the run. */
    unsigned calls = 0;
    status = polygraft_update_run(update, NULL, NULL, &error, on_progress, &calls);
    good = !failed("running the update", status, &error);
    printf("progress was reported %s\n", calls > 0 ? "along the way" : "never");
  }
  if (good) {
    /* Here a program could read the report of the run and decide not to commit. */
    status = polygraft_update_commit(update, report, &error);
    good = !failed("committing the update", status, &error);
  }
  polygraft_update_close(&update);
  return good;
}

/* Rolls back every language that the update activated. */
static bool roll_back(const polygraft_store *store, const polygraft_report *report) {
  for (size_t index = 0; index < polygraft_report_languages_count(report); index++) {
    polygraft_error *error = NULL;
    polygraft_language_report entry = {.struct_size = sizeof entry};
    polygraft_status status = polygraft_report_language(report, index, &entry, &error);
    if (failed("reading the report", status, &error)) {
      return false;
    }
    if (entry.decision != POLYGRAFT_DECISION_ACTIVATE) {
      continue;
    }
    uint32_t number = 0;
    status = polygraft_store_roll_back(store, TASK, entry.language.ptr, &number, &error);
    if (failed("rolling back", status, &error)) {
      return false;
    }
    if (number == 0) {
      printf("rolled back %s to no version\n", entry.language.ptr);
    } else {
      printf("rolled back %s to version %u\n", entry.language.ptr, (unsigned)number);
    }
  }
  return true;
}

/* Prints the number of updates in the store and the size of their page with charts. */
static bool print_history(const polygraft_store *store) {
  polygraft_error *error = NULL;
  polygraft_reports *reports = NULL;
  polygraft_status status = polygraft_store_reports(store, TASK, &reports, &error);
  if (failed("reading past reports", status, &error)) {
    return false;
  }
  printf("updates so far: %zu, on a page of %zu bytes\n", polygraft_reports_count(reports),
         polygraft_reports_html(reports).len);
  polygraft_reports_free(&reports);
  return true;
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "usage: %s BUNDLE STORE EXAMPLES LANGUAGE TEXT\n", argv[0]);
    return 2;
  }
  const char *language = argv[4];
  const char *text = argv[5];
  printf("%s\n", polygraft_build_info().ptr);
  signal(SIGINT, interrupt);

  polygraft_error *error = NULL;
  polygraft_engine *engine = NULL;
  polygraft_store *store = NULL;
  polygraft_model *model = NULL;
  polygraft_report *report = NULL;

  /* NULL options mean the defaults in every function. */
  polygraft_status status = polygraft_engine_open(NULL, &engine, &error);
  bool good = !failed("opening ONNX Runtime", status, &error);
  if (good) {
    status = polygraft_store_open(argv[2], &store, &error);
    good = !failed("opening the store", status, &error);
  }
  if (good) {
    status = polygraft_model_open(engine, argv[1], store, NULL, &model, &error);
    good = !failed("opening the model", status, &error);
  }

  good = good && predict(model, "before", language, text);
  good = good && update_model(model, argv[3], &report);
  good = good && print_report(report);
  good = good && print_history(store);
  good = good && predict(model, "after", language, text);
  good = good && roll_back(store, report);
  good = good && predict(model, "rolled back", language, text);

  /* Closing and freeing accept NULL, so success and failure can share these lines. */
  polygraft_report_free(&report);
  polygraft_model_close(&model);
  polygraft_store_close(&store);
  polygraft_engine_close(&engine);
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
