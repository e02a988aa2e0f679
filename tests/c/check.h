/*
 * Checks for the C tests: they print and count failures, and the test continues.
 */
#ifndef POLYGRAFT_TESTS_CHECK_H
#define POLYGRAFT_TESTS_CHECK_H

#include <polygraft.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static atomic_int failures;

#define CHECK(condition)                                                    \
  do {                                                                      \
    if (!(condition)) {                                                     \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      atomic_fetch_add(&failures, 1);                                       \
    }                                                                       \
  } while (0)

/* Checks the status of a call and that its error says the same, then frees the error. */
static void expect(const char *call, int line, polygraft_status expected, polygraft_status status,
                   polygraft_error **error) {
  if (status != expected) {
    fprintf(stderr, "%s:%d: %s gave %s (%s), expected %s\n", __FILE__, line, call,
            polygraft_status_name(status).ptr, polygraft_error_message(*error).ptr,
            polygraft_status_name(expected).ptr);
    atomic_fetch_add(&failures, 1);
  }
  if (status == POLYGRAFT_OK) {
    CHECK(*error == NULL);
  } else {
    CHECK(polygraft_error_code(*error) == status);
    CHECK(strcmp(polygraft_error_name(*error).ptr, polygraft_status_name(status).ptr) == 0);
    CHECK(polygraft_error_message(*error).len > 0);
    CHECK(polygraft_error_causes_count(*error) > 0);
  }
  polygraft_error_free(error);
  CHECK(*error == NULL);
}

#define EXPECT(expected, call) expect(#call, __LINE__, POLYGRAFT_##expected, call, &error)

/* A pointer that no output may replace when a call fails. */
#define UNTOUCHED ((void *)&failures)

/* Prints the count of failures and gives the program's exit status. */
static int finish(void) {
  int count = atomic_load(&failures);
  printf("%d failures\n", count);
  return count == 0 ? 0 : 1;
}

#endif
