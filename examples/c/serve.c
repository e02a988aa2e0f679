/*
 * Answers over HTTP and learns while it answers, with POSIX sockets and threads alone.
 *
 * usage: serve [--address IPV4:PORT] [--steps-max N] BUNDLE STORE
 *
 *   POST /predict/de   a text, answered with the best label, its probability, and which language
 *                      and version gave it, with tabs between them
 *   POST /feedback     lines such as {"lang": "de", "text": "Licht an", "label": "on"}
 *   POST /update       trains on the feedback so far, in the background
 *   GET  /update       the progress of the running update, and what the last one changed
 *   GET  /healthz      200 while it serves
 *
 * An update never stops the answers: it trains at the system's lowest priority, and its versions
 * become active between two predictions. SIGINT and SIGTERM end the service: running requests are
 * answered, and a running update is cancelled and changes nothing.
 */
#define _POSIX_C_SOURCE 200809L

#include "http.h"

#include <poll.h>
#include <polygraft.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

enum {
  WORKERS = 16,            /* requests that are answered at once */
  ANSWER_BYTES_MAX = 4096, /* the largest answer; what is longer is cut off */
  POSTS_MAX = 1024,        /* posts of feedback that may wait for an update */
};

/* The task that the service answers and learns. */
static const char *const TASK = "light";

typedef struct {
  const polygraft_model *model;
  polygraft_cancel *cancel; /* ends a running update, and every later one */
  unsigned long long steps_max;
  int listener;
  int ended; /* readable once the service ends: all workers wait for it beside the listener */

  pthread_mutex_t lock; /* for everything below */
  polygraft_examples *waiting[POSTS_MAX];
  size_t waiting_count;
  bool running;
  bool joinable; /* an update has run, and nobody has waited for its thread yet */
  pthread_t update;
  double fraction;
  unsigned updates;
  char last[1024]; /* how the last update ended */
} service;

/* An answer under way. */
typedef struct {
  int status;
  char body[ANSWER_BYTES_MAX];
} answer;

/* Answers what the library refused: its error has a stable name, and a message for people. */
static void refuse(answer *out, polygraft_status status, polygraft_error **error) {
  out->status = status == POLYGRAFT_ERROR_STORE_NO_VERSION ? 503 /* nothing has been learnt yet */
                : status == POLYGRAFT_ERROR_INTERNAL       ? 500
                                                           : 400;
  snprintf(out->body, sizeof out->body, "%s: %s\n", polygraft_error_name(*error).ptr,
           polygraft_error_message(*error).ptr);
  polygraft_error_free(error);
}

/* Many threads may use one model at once. */
static void predict(const service *all, const char *language, const char *text, answer *out) {
  polygraft_error *error = NULL;
  polygraft_prediction *prediction = NULL;
  polygraft_status status =
      polygraft_model_predict(all->model, TASK, language, text, NULL, &prediction, &error);
  if (status != POLYGRAFT_OK) {
    refuse(out, status, &error);
    return;
  }
  snprintf(out->body, sizeof out->body, "%s\t%.3f\t%s\t%u\n",
           polygraft_prediction_label(prediction, 0).ptr,
           (double)polygraft_prediction_probability(prediction, 0),
           polygraft_prediction_language(prediction).ptr,
           (unsigned)polygraft_prediction_version(prediction));
  polygraft_prediction_free(&prediction);
}

/* Checks feedback and keeps it for the next update. */
static void remember(service *all, const char *lines, answer *out) {
  polygraft_error *error = NULL;
  polygraft_examples *examples = NULL;
  polygraft_status status = polygraft_examples_parse(lines, &examples, &error);
  if (status != POLYGRAFT_OK) {
    refuse(out, status, &error);
    return;
  }
  size_t count = polygraft_examples_count(examples);
  pthread_mutex_lock(&all->lock);
  bool kept = all->waiting_count < POSTS_MAX;
  if (kept) {
    all->waiting[all->waiting_count++] = examples;
  }
  pthread_mutex_unlock(&all->lock);
  out->status = kept ? 202 : 503;
  snprintf(out->body, sizeof out->body, kept ? "%zu examples wait\n" : "too much waits\n", count);
  if (!kept) {
    polygraft_examples_free(&examples);
  }
}

static int on_progress(const polygraft_progress *progress, void *user) {
  service *all = user;
  pthread_mutex_lock(&all->lock);
  all->fraction = (double)progress->fraction;
  pthread_mutex_unlock(&all->lock);
  return 0;
}

/* Trains on posts of feedback, and activates what did not get worse. */
static polygraft_status train(service *all, polygraft_examples **posts, size_t count,
                              polygraft_report **report, polygraft_error **error) {
  polygraft_update *update = NULL;
  polygraft_update_options options;
  polygraft_status status = polygraft_update_options_init(&options, sizeof options, error);
  if (!status) {
    options.new_labels = 1;
    options.steps_max = all->steps_max;
    options.background = 1; /* answers come first */
    options.threads = 1;
    status = polygraft_update_begin(all->model, TASK, &options, &update, error);
  }
  for (size_t index = 0; !status && index < count; index++) {
    status = polygraft_update_add_examples(update, posts[index], error);
  }
  if (!status) {
    status = polygraft_update_run(update, all->cancel, NULL, error, on_progress, all);
  }
  if (!status) {
    status = polygraft_update_commit(update, report, error);
  }
  polygraft_update_close(&update);
  return status;
}

/* Writes which languages have a new version. */
static void describe(const polygraft_report *report, char *out, size_t size) {
  size_t used = (size_t)snprintf(out, size, "changed:");
  for (size_t index = 0; index < polygraft_report_languages_count(report); index++) {
    polygraft_language_report entry = {.struct_size = sizeof entry};
    if (!polygraft_report_language(report, index, &entry, NULL) && entry.version && used < size) {
      used += (size_t)snprintf(out + used, size - used, " %s %u", entry.language.ptr,
                               (unsigned)entry.version);
    }
  }
}

/* The thread of one update. What it does not learn waits for the next one. */
static void *learn(void *argument) {
  service *all = argument;
  polygraft_error *error = NULL;
  polygraft_report *report = NULL;
  polygraft_examples *posts[POSTS_MAX];
  pthread_mutex_lock(&all->lock);
  size_t count = all->waiting_count;
  memcpy(posts, all->waiting, count * sizeof posts[0]);
  pthread_mutex_unlock(&all->lock);

  bool good = !train(all, posts, count, &report, &error);

  pthread_mutex_lock(&all->lock);
  if (good) {
    /* Posts that came meanwhile stand behind those that were learnt. */
    all->waiting_count -= count;
    memmove(all->waiting, all->waiting + count, all->waiting_count * sizeof posts[0]);
    all->updates++;
    describe(report, all->last, sizeof all->last);
  } else {
    snprintf(all->last, sizeof all->last, "failed: %s: %s", polygraft_error_name(error).ptr,
             polygraft_error_message(error).ptr);
  }
  all->running = false;
  all->fraction = 0;
  pthread_mutex_unlock(&all->lock);
  for (size_t index = 0; good && index < count; index++) {
    polygraft_examples_free(&posts[index]);
  }
  polygraft_report_free(&report);
  polygraft_error_free(&error);
  return NULL;
}

/* Begins an update in the background. */
static void start(service *all, answer *out) {
  pthread_mutex_lock(&all->lock);
  if (all->running) {
    out->status = 409;
    strcpy(out->body, "an update is running\n");
  } else if (all->waiting_count == 0) {
    out->status = 400;
    strcpy(out->body, "there is no feedback to learn from\n");
  } else {
    if (all->joinable) {
      pthread_join(all->update, NULL); /* it gave the lock up as the last thing it did with it */
    }
    /* The thread waits for the lock until this function is done with it. */
    all->joinable = all->running = pthread_create(&all->update, NULL, learn, all) == 0;
    out->status = all->running ? 202 : 500;
    strcpy(out->body, all->running ? "begun\n" : "there is no thread for it\n");
  }
  pthread_mutex_unlock(&all->lock);
}

static void show(service *all, answer *out) {
  pthread_mutex_lock(&all->lock);
  snprintf(out->body, sizeof out->body, "%s %.2f\nupdates %u\nposts that wait %zu\n%s\n",
           all->running ? "running" : "idle", all->fraction, all->updates, all->waiting_count,
           all->last);
  pthread_mutex_unlock(&all->lock);
}

static void route(service *all, const char *method, const char *path, const char *body,
                  answer *out) {
  static const char asks[] = "/predict/";
  bool posts = strcmp(method, "POST") == 0;
  bool gets = strcmp(method, "GET") == 0;
  if (posts && strncmp(path, asks, sizeof asks - 1) == 0) {
    predict(all, path + sizeof asks - 1, body, out);
  } else if (posts && strcmp(path, "/feedback") == 0) {
    remember(all, body, out);
  } else if (posts && strcmp(path, "/update") == 0) {
    start(all, out);
  } else if (gets && strcmp(path, "/update") == 0) {
    show(all, out);
  } else if (gets && strcmp(path, "/healthz") == 0) {
    strcpy(out->body, "ok\n");
  } else {
    out->status = 404;
    strcpy(out->body, "there is no such path\n");
  }
}

static void serve_client(service *all, int client, char *buffer) {
  char *body = NULL;
  limit_silence(client);
  answer out = {.status = read_request(client, buffer, &body)};
  if (out.status == 200) {
    char *rest = NULL;
    const char *method = strtok_r(buffer, " \r\n", &rest);
    const char *path = strtok_r(NULL, " \r\n", &rest);
    route(all, method ? method : "", path ? path : "", body, &out);
  } else {
    strcpy(out.body, out.status == 413 ? "the request is too long\n" : "this is no request\n");
  }
  if (out.status != 0) {
    respond(client, out.status, out.body);
  }
  if (body == NULL || out.status == 413) {
    drain(client, buffer);
  }
  close(client);
}

static void *work(void *argument) {
  service *all = argument;
  char *buffer = malloc(REQUEST_BYTES_MAX + 1);
  struct pollfd ready[2] = {{all->listener, POLLIN, 0}, {all->ended, POLLIN, 0}};
  while (buffer != NULL) {
    if (poll(ready, 2, -1) < 0 || ready[1].revents != 0) {
      break;
    }
    /* Another worker may have been faster, which accept then says. */
    int client = accept(all->listener, NULL, NULL);
    if (client >= 0) {
      fcntl(client, F_SETFL, 0); /* some systems hand on that the listener does not wait */
      serve_client(all, client, buffer);
    }
  }
  free(buffer);
  return NULL;
}

/* Serves until a signal comes, which all threads leave to this one. */
static bool serve(service *all, const char *address, const sigset_t *signals) {
  pthread_t workers[WORKERS];
  int count = 0;
  int ends[2];
  if (pipe(ends) != 0 || (all->listener = listen_at(address)) < 0) {
    return false;
  }
  all->ended = ends[0];
  while (count < WORKERS && pthread_create(&workers[count], NULL, work, all) == 0) {
    count++;
  }
  int signal_number = 0;
  sigwait(signals, &signal_number);
  close(ends[1]); /* which all workers notice */
  polygraft_cancel_trigger(all->cancel, NULL);
  for (int index = 0; index < count; index++) {
    pthread_join(workers[index], NULL);
  }
  if (all->joinable) {
    pthread_join(all->update, NULL);
  }
  for (size_t index = 0; index < all->waiting_count; index++) {
    polygraft_examples_free(&all->waiting[index]);
  }
  close(all->listener);
  close(ends[0]);
  return true;
}

int main(int argc, char **argv) {
  const char *address = "127.0.0.1:8080";
  static service all = {.lock = PTHREAD_MUTEX_INITIALIZER, .last = "nothing learnt"};
  int at = 1;
  for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
    if (strcmp(argv[at], "--address") == 0) {
      address = argv[at + 1];
    } else if (strcmp(argv[at], "--steps-max") == 0) {
      all.steps_max = strtoull(argv[at + 1], NULL, 10);
    }
  }
  if (argc - at != 2) {
    fprintf(stderr, "usage: serve [--address IPV4:PORT] [--steps-max N] BUNDLE STORE\n");
    return 2;
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before any other thread begins */
  signal(SIGPIPE, SIG_IGN);                   /* a client that is gone ends nothing */

  polygraft_engine *engine = NULL;
  polygraft_store *store = NULL;
  polygraft_model *model = NULL;
  polygraft_error *error = NULL;
  bool good = !polygraft_engine_open(NULL, &engine, &error) &&
              !polygraft_store_open(argv[at + 1], &store, &error) &&
              !polygraft_model_open(engine, argv[at], store, NULL, &model, &error) &&
              !polygraft_cancel_open(&all.cancel, &error);
  if (good) {
    all.model = model;
    good = serve(&all, address, &signals);
  } else {
    fprintf(stderr, "%s: %s\n", polygraft_error_name(error).ptr,
            polygraft_error_message(error).ptr);
  }
  polygraft_error_free(&error);
  polygraft_cancel_close(&all.cancel);
  polygraft_model_close(&model);
  polygraft_store_close(&store);
  polygraft_engine_close(&engine);
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
