// What the C++ tests share: checks that print what they saw when they fail.

#ifndef CHECK_HPP
#define CHECK_HPP

#include <polygraft.hpp>

#include <cstdio>

inline unsigned failures = 0;

#define CHECK(condition)                                               \
  do {                                                                 \
    if (!(condition)) {                                                \
      std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);      \
      failures++;                                                      \
    }                                                                  \
  } while (0)

// Two strings are equal; both are shown if not.
inline void expect_text(const char *file, int line, const std::string &found,
                        const std::string &expected) {
  if (found != expected) {
    std::printf("%s:%d: expected \"%s\", found \"%s\"\n", file, line, expected.c_str(),
                found.c_str());
    failures++;
  }
}

#define CHECK_TEXT(found, expected) expect_text(__FILE__, __LINE__, found, expected)

// The statement throws an Error of this name.
#define CHECK_ERROR(expected, statement)                               \
  do {                                                                 \
    try {                                                              \
      static_cast<void>(statement);                                    \
      CHECK_TEXT("nothing thrown", expected);                          \
    } catch (const polygraft::Error &thrown) {                         \
      CHECK_TEXT(thrown.name(), expected);                             \
    }                                                                  \
  } while (0)

// What a device does beside predicting and updating.
void check_device(const polygraft::Model &model, const polygraft::Store &store, const char *bundle,
                  const char *store_path, const char *scratch);

// The part without exceptions, in a file that is compiled without them.
void check_results(const char *bundle, const char *store);

#endif  // CHECK_HPP
