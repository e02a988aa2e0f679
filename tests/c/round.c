/*
 * Rounds of many devices: a message, replies, an average, and what the gate makes of it.
 *
 *   round BUNDLE STORE SCRATCH
 *
 * STORE is an empty folder, SCRATCH a new path for the store of a second device. Every check prints
 * what it saw when it fails; the program ends with 0 only if all passed.
 */
#include "taught.h"

static const char *const ASKED =
    "{\"languages\": [\"de\", \"tr\"], \"training\": {\"steps_max\": 3}}";

static int has(const polygraft_round *round, const char *text) {
  return strstr(polygraft_round_json(round).ptr, text) != NULL;
}

static polygraft_examples *some(const char *language) {
  polygraft_error *error = NULL;
  polygraft_examples *examples = NULL;
  char lines[4096];
  size_t used = 0;
  for (int index = 100; index < 130; index++) {
    used += (size_t)snprintf(lines + used, sizeof lines - used,
                             "{\"lang\": \"%s\", \"text\": \"tree %d %s\", \"label\": \"%s\"}\n",
                             language, index, index % 2 == 0 ? "up" : "down",
                             index % 2 == 0 ? "on" : "off");
  }
  EXPECT(OK, polygraft_examples_parse(lines, &examples, &error));
  return examples;
}

static void check_refusals(const polygraft_model *model, const uint8_t *message, size_t size) {
  polygraft_error *error = NULL;
  polygraft_round *round = NULL;
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_round_ask(model, TASK, "{\"x\": 1}", &round, &error));
  EXPECT(ERROR_ARGUMENT_INVALID, polygraft_round_ask(model, TASK, NULL, &round, &error));
  EXPECT(ERROR_ROUND_MALFORMED,
         polygraft_round_reply(model, message, size - 1, NULL, NULL, NULL, &round, &error));
  EXPECT(ERROR_ROUND_MALFORMED, polygraft_round_apply(model, message, size, NULL, &round, &error));
  EXPECT(ERROR_ROUND_MALFORMED, polygraft_round_read(message, 12, &round, &error));
  EXPECT(ERROR_ARGUMENT_NULL, polygraft_round_read(NULL, 12, &round, &error));
  EXPECT(ERROR_ROUND_MALFORMED, polygraft_round_read(NULL, 0, &round, &error));
  polygraft_cancel *cancel = NULL;
  EXPECT(OK, polygraft_cancel_open(&cancel, &error));
  EXPECT(OK, polygraft_cancel_trigger(cancel, &error));
  EXPECT(ERROR_CANCELLED,
         polygraft_round_reply(model, message, size, NULL, NULL, cancel, &round, &error));
  polygraft_cancel_close(&cancel);
  CHECK(round == NULL);
  size_t none = 7;
  CHECK(polygraft_round_bytes(NULL, &none) == NULL && none == 0);
  CHECK(polygraft_round_bytes(NULL, NULL) == NULL);
  CHECK(polygraft_round_json(NULL).len == 0);
  polygraft_round_free(&round);
  polygraft_round_free(NULL);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    return 2;
  }
  polygraft_error *error = NULL;
  polygraft_engine *engine = NULL, *second_engine = NULL;
  polygraft_store *store = NULL, *second_store = NULL;
  polygraft_model *server = NULL, *device = NULL;
  open_all(argv[1], argv[2], &engine, &store, &server);
  open_all(argv[1], argv[3], &second_engine, &second_store, &device);
  teach(server, "de", "tree");

  polygraft_round *message = NULL, *reply = NULL, *again = NULL, *average = NULL, *applied = NULL;
  EXPECT(OK, polygraft_round_ask(server, TASK, ASKED, &message, &error));
  size_t size = 0;
  const uint8_t *bytes = polygraft_round_bytes(message, &size);
  CHECK(bytes != NULL && size > 1000 && has(message, "\"kind\":\"message\""));

  polygraft_examples *examples = some("de");
  EXPECT(OK, polygraft_round_reply(device, bytes, size, examples, NULL, NULL, &reply, &error));
  CHECK(versions_count(second_store) == 0);
  size_t replied = 0;
  const uint8_t *answer = polygraft_round_bytes(reply, &replied);
  EXPECT(OK, polygraft_round_read(answer, replied, &again, &error));
  CHECK(has(again, "\"kind\":\"reply\"") && has(again, "\"de\"") && !has(again, "\"tr\""));

  const uint8_t *const replies[] = {answer, (const uint8_t *)"garbage", NULL};
  const size_t sizes[] = {replied, 7, 0};
  EXPECT(OK, polygraft_round_average(store, bytes, size, replies, sizes, 3, NULL, &average, &error));
  CHECK(has(average, "\"replies\":1") && has(average, "\"code\":\"round.malformed\""));
  size_t averaged = 0;
  const uint8_t *aggregate = polygraft_round_bytes(average, &averaged);
  EXPECT(OK, polygraft_round_apply(device, aggregate, averaged, "{\"gate_margin\": 0.9}", &applied,
                                   &error));
  CHECK(has(applied, "\"activated\":true") && active(second_store, "de") == 1);
  size_t nothing = 1;
  CHECK(polygraft_round_bytes(applied, &nothing) == NULL && nothing == 0);
  check_refusals(device, bytes, size);

  polygraft_examples_free(&examples);
  polygraft_round_free(&applied);
  polygraft_round_free(&average);
  polygraft_round_free(&again);
  polygraft_round_free(&reply);
  polygraft_round_free(&message);
  polygraft_model_close(&device);
  polygraft_store_close(&second_store);
  polygraft_engine_close(&second_engine);
  polygraft_model_close(&server);
  polygraft_store_close(&store);
  polygraft_engine_close(&engine);
  return finish();
}
