/* A device without Python: takes part in rounds through the gateway, over HTTP.
 *
 *   cc examples/fleet/device.c $(pkg-config --cflags --libs polygraft) -o device
 *   ./device BUNDLE STORE EXAMPLES.jsonl HOST PORT ROUNDS [BASE.safetensors]
 *
 * HOST and PORT are those of gateway.py, which is on the same machine or behind a proxy with TLS.
 * BASE is the adapter that a product ships with; it is installed if the store is empty. The device
 * answers one message in each of ROUNDS rounds, takes the aggregate that comes with the next message
 * or after the last round, and lets its own gate decide. It ends with 0 if it answered all.
 */
#define _POSIX_C_SOURCE 200809L

#include <netdb.h>
#include <polygraft.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define TASK "intent"

/* The largest answer that is taken from the gateway, in bytes. */
static const size_t BYTES_MAX = (size_t)256 << 20;

/* How long it waits for the gateway, in seconds. */
enum { PATIENCE_S = 240 };

struct bytes {
  unsigned char *data;
  size_t size;
};

static void fail(const char *what, polygraft_error *error) {
  const char *message = error == NULL ? "" : polygraft_error_message(error).ptr;
  fprintf(stderr, "device: %s: %s\n", what, message);
  exit(1);
}

/* Opens a connection to HOST:PORT; -1 where nobody answers. */
static int connect_to(const char *host, const char *port) {
  struct addrinfo hints, *found = NULL;
  memset(&hints, 0, sizeof hints);
  hints.ai_socktype = SOCK_STREAM;
  if (getaddrinfo(host, port, &hints, &found) != 0) {
    return -1;
  }
  int connection = -1;
  for (struct addrinfo *one = found; one != NULL && connection < 0; one = one->ai_next) {
    connection = socket(one->ai_family, one->ai_socktype, one->ai_protocol);
    if (connection >= 0 && connect(connection, one->ai_addr, one->ai_addrlen) != 0) {
      close(connection);
      connection = -1;
    }
  }
  freeaddrinfo(found);
  const struct timeval patience = {60, 0};
  if (connection >= 0) {
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  }
  return connection;
}

static int send_all(int connection, const void *data, size_t size) {
  const char *rest = data;
  while (size > 0) {
    const ssize_t sent = send(connection, rest, size, MSG_NOSIGNAL);
    if (sent <= 0) {
      return -1;
    }
    rest += sent;
    size -= (size_t)sent;
  }
  return 0;
}

/* Reads until the other side closes. A zero byte follows the data. */
static int receive_all(int connection, struct bytes *all) {
  size_t room = 0;
  all->size = 0;
  for (;;) {
    if (room - all->size < 65536) {
      room = room * 2 + 131072;
      unsigned char *grown = room > BYTES_MAX ? NULL : realloc(all->data, room);
      if (grown == NULL) {
        return -1;
      }
      all->data = grown;
    }
    const ssize_t got = recv(connection, all->data + all->size, room - all->size - 1, 0);
    if (got < 0) {
      return -1;
    }
    all->size += (size_t)got;
    all->data[all->size] = 0;
    if (got == 0) {
      return 0;
    }
  }
}

/* Asks the gateway; with `body` it posts. Returns the status of the answer, or 0, and leaves the
 * bytes of the answer in `answer`. HTTP/1.0: one request for each connection. */
static int ask(char *const *gateway, const char *path, const struct bytes *body,
               struct bytes *answer) {
  char head[512];
  const int length = snprintf(
      head, sizeof head, "%s %s HTTP/1.0\r\nHost: %.200s\r\nContent-Length: %zu\r\n\r\n",
      body == NULL ? "GET" : "POST", path, gateway[0], body == NULL ? (size_t)0 : body->size);
  const int connection = connect_to(gateway[0], gateway[1]);
  if (connection < 0) {
    return 0;
  }
  int status = 0;
  if (send_all(connection, head, (size_t)length) == 0 &&
      (body == NULL || send_all(connection, body->data, body->size) == 0) &&
      receive_all(connection, answer) == 0) {
    const char *text = (const char *)answer->data;
    const char *end = strstr(text, "\r\n\r\n");
    if (end != NULL && sscanf(text, "HTTP/1.%*d %d", &status) == 1) {
      const size_t skipped = (size_t)(end + 4 - text);
      answer->size -= skipped;
      memmove(answer->data, answer->data + skipped, answer->size);
    }
  }
  close(connection);
  return status;
}

/* Fresh bytes of the system's source of randomness as the seed of noise. */
static void draw_seed(char *digits) {
  unsigned char seed[32];
  FILE *source = fopen("/dev/urandom", "rb");
  if (source == NULL || fread(seed, 1, sizeof seed, source) != sizeof seed) {
    fail("there is no source of randomness", NULL);
  }
  fclose(source);
  for (size_t at = 0; at < sizeof seed; at++) {
    snprintf(digits + 2 * at, 3, "%02x", seed[at]);
  }
}

/* Asks until there is something. */
static void wait_for(char *const *gateway, const char *path, struct bytes *answer) {
  for (int tries = 0; tries < PATIENCE_S; tries++) {
    if (ask(gateway, path, NULL, answer) == 200) {
      return;
    }
    sleep(1);
  }
  fail(path, NULL);
}

static polygraft_model *open_model(char **argv, polygraft_engine *engine, polygraft_store *store) {
  polygraft_error *error = NULL;
  polygraft_model *model = NULL;
  if (polygraft_model_open(engine, argv[1], store, NULL, &model, &error) != POLYGRAFT_OK) {
    fail("opening the model", error);
  }
  polygraft_versions *versions = NULL;
  if (polygraft_store_versions(store, TASK, &versions, &error) != POLYGRAFT_OK) {
    fail("reading the store", error);
  }
  if (argv[7] != NULL && polygraft_versions_count(versions) == 0) {
    polygraft_imported *imported = NULL;
    if (polygraft_model_import(model, TASK, "mul", argv[7], NULL, &imported, &error) !=
        POLYGRAFT_OK) {
      fail("installing the base adapter", error);
    }
    polygraft_imported_free(&imported);
  }
  polygraft_versions_free(&versions);
  return model;
}

/* Waits for a message and answers it. */
static void answer_one(polygraft_model *model, char *const *gateway,
                       const polygraft_examples *examples) {
  polygraft_error *error = NULL;
  struct bytes message = {NULL, 0}, answer = {NULL, 0}, sent = {NULL, 0};
  wait_for(gateway, "/message", &message);
  char options[128], seed[65];
  draw_seed(seed);
  snprintf(options, sizeof options, "{\"threads\": 1, \"noise_seed\": \"%s\"}", seed);
  polygraft_round *reply = NULL;
  if (polygraft_round_reply(model, message.data, message.size, examples, options, NULL, &reply,
                            &error) != POLYGRAFT_OK) {
    fail("answering", error);
  }
  /* The bytes are only read. */
  sent.data = (unsigned char *)polygraft_round_bytes(reply, &sent.size);
  printf("answers %s\n", polygraft_round_json(reply).ptr);
  fflush(stdout);
  if (ask(gateway, "/reply", &sent, &answer) != 204) {
    fail("the gateway did not take the reply", NULL);
  }
  polygraft_round_free(&reply);
  free(message.data);
  free(answer.data);
}

/* Waits for an aggregate that is not the last one, and lets the gate decide about it. */
static void take_aggregate(polygraft_model *model, char *const *gateway, struct bytes *last) {
  polygraft_error *error = NULL;
  struct bytes aggregate = {NULL, 0};
  for (int tries = 0;; tries++) {
    wait_for(gateway, "/aggregate", &aggregate);
    if (aggregate.size != last->size || memcmp(aggregate.data, last->data, last->size) != 0) {
      break;
    }
    if (tries == PATIENCE_S) {
      fail("there was no new aggregate", NULL);
    }
    sleep(1);
  }
  polygraft_round *applied = NULL;
  if (polygraft_round_apply(model, aggregate.data, aggregate.size, "{\"gate_margin\": 0.02}",
                            &applied, &error) != POLYGRAFT_OK) {
    fail("applying the aggregate", error);
  }
  printf("applied %s\n", polygraft_round_json(applied).ptr);
  fflush(stdout);
  polygraft_round_free(&applied);
  free(last->data);
  *last = aggregate;
}

int main(int argc, char **argv) {
  if (argc < 7) {
    fprintf(stderr, "usage: %s BUNDLE STORE EXAMPLES.jsonl HOST PORT ROUNDS [BASE.safetensors]\n",
            argv[0]);
    return 2;
  }
  polygraft_error *error = NULL;
  polygraft_engine *engine = NULL;
  polygraft_store *store = NULL;
  polygraft_examples *examples = NULL;
  if (polygraft_engine_open(NULL, &engine, &error) != POLYGRAFT_OK ||
      polygraft_store_open(argv[2], &store, &error) != POLYGRAFT_OK ||
      polygraft_examples_read(argv[3], &examples, &error) != POLYGRAFT_OK) {
    fail("opening", error);
  }
  polygraft_model *model = open_model(argv, engine, store);

  struct bytes last = {NULL, 0};
  const int rounds = atoi(argv[6]);
  for (int round = 0; round < rounds; round++) {
    /* It remembers the examples after the first reply. */
    answer_one(model, argv + 4, round == 0 ? examples : NULL);
    take_aggregate(model, argv + 4, &last);
  }
  free(last.data);
  polygraft_model_close(&model);
  polygraft_examples_free(&examples);
  polygraft_store_close(&store);
  polygraft_engine_close(&engine);
  return 0;
}
