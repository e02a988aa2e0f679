/*
 * Which variables of the environment the library sets: counts the calls of setenv, whose place this
 * program takes.
 *
 *   environment
 *
 * Prints how many times setenv was called, and with what. Ends with 0 if ONNX Runtime was opened.
 */
#define _XOPEN_SOURCE 700

#include "check.h"

#include <stdlib.h>

static int calls_count;
static char settings[512];

/* Found before the C library's: the loader looks into the program first. */
int setenv(const char *name, const char *value, int overwrite) {
  static char setting[256];
  CHECK(overwrite == 1);
  snprintf(setting, sizeof setting, "%s=%s", name, value);
  size_t size = strlen(settings);
  snprintf(settings + size, sizeof settings - size, " %s", setting);
  calls_count++;
  return putenv(setting);
}

int main(void) {
  polygraft_error *error = NULL;
  polygraft_engine *engine = NULL;
  polygraft_engine *second = NULL;
  EXPECT(OK, polygraft_engine_open(NULL, &engine, &error));
  EXPECT(OK, polygraft_engine_open(NULL, &second, &error));
  polygraft_engine_close(&second);
  polygraft_engine_close(&engine);
  const char *telemetry = getenv("ORT_DISABLE_TELEMETRY");
  CHECK(telemetry != NULL && strcmp(telemetry, "1") == 0);
  printf("set %d:%s\n", calls_count, settings);
  return finish();
}
