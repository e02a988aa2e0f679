/**
 * polygraft: multilingual models that keep learning after they ship.
 *
 * This file is generated from src/ffi and committed; change it there.
 *
 * A program opens an engine (the ONNX Runtime library), a store (adapter versions on disk) and a
 * model (a bundle on that engine with that store). It predicts. To learn, it begins an update, adds
 * examples, runs the update, reads the report and commits; it can roll back later. In the end it
 * closes everything. examples/c/update.c is such a program. docs/abi.md explains the rules below.
 *
 * Statuses. A function that can fail returns a polygraft_status; POLYGRAFT_OK is 0. Its parameter
 * `polygraft_error **error` may be NULL. If it is not, a failed call writes an error to it, which
 * the caller frees; a successful call does not write to it. A failed call writes no other output.
 * The line "Errors" of a function lists the stable names (polygraft_error_name) of its errors;
 * `io.*` stands for all names of that group. Every function can also fail with internal and
 * internal.panic. After internal.panic, close the handle that the call used.
 *
 * Handles (engine, store, model, cancel, update) are closed with polygraft_..._close, which sets the
 * caller's pointer to NULL. A call with a closed handle fails with argument.invalid. Closing waits
 * for the calls that use the handle on other threads, and for their callbacks. Inside a callback it
 * returns at once instead, and the object behind the handle is released when those calls return.
 *
 * Objects (error, input, prediction, predictions, vectors, versions, report, reports, imported,
 * wiped, chain, examples, scores, statistics, checks, round) belong to the caller and never change.
 * The caller frees each of them once with polygraft_..._free and does not use it afterwards.
 *
 * Text arguments are NUL-terminated UTF-8 and are read during the call only. Returned texts are
 * views of `len` bytes at `ptr`, followed by a 0 byte that `len` does not count; each function says
 * how long its views are valid. Paths are NUL-terminated as well. They are the bytes of the file
 * name in the file system, whether UTF-8 or not; on Windows they are UTF-8.
 *
 * Threads. Several threads may call a function at once with the same handle or object if its
 * parameter is a pointer to const. Otherwise the caller makes sure that no other thread uses it.
 * Handles and objects may move between threads. The library keeps no state per thread.
 *
 * Forks. The threads of ONNX Runtime stay in the parent. In a forked child, every call with a model
 * or an update of the parent fails at once with runtime.failed; closing it returns at once and frees
 * nothing. Engines, stores, cancel tokens and objects stay usable, and the child can open a model of
 * its own. Fork while no other thread is inside a call, and do not return from a callback in the
 * child. A child that only runs another program (exec) has no obligations.
 *
 * Structs that begin with struct_size can grow in later versions. Fill options with their
 * polygraft_..._options_init. In a struct that a function fills, set struct_size to its sizeof.
 *
 * Every function, constant and field has been there since 0.1.0 unless its comment says otherwise.
 */

#ifndef POLYGRAFT_H
#define POLYGRAFT_H

#include <stddef.h>
#include <stdint.h>
#if defined(_WIN32)
#define POLYGRAFT_API __declspec(dllimport)
#elif defined(__GNUC__)
#define POLYGRAFT_API __attribute__((visibility("default")))
#else
#define POLYGRAFT_API
#endif

/** The version of this header; polygraft_version_string() is the library's. */
#define POLYGRAFT_VERSION_MAJOR 0
#define POLYGRAFT_VERSION_MINOR 1
#define POLYGRAFT_VERSION_PATCH 0
#define POLYGRAFT_VERSION_STRING "0.1.0"

/** Statuses. Numbers are never reused; later versions add more. */
enum {
  /** Success. */
  POLYGRAFT_OK = 0,
  /** A defect in polygraft itself: an internal invariant does not hold. */
  POLYGRAFT_ERROR_INTERNAL = 1,
  /** A panic was caught at the C boundary; the handle that the call used must be closed. */
  POLYGRAFT_ERROR_PANIC = 2,
  /** The operation was cancelled by its caller. */
  POLYGRAFT_ERROR_CANCELLED = 3,
  /** A required pointer was NULL. */
  POLYGRAFT_ERROR_ARGUMENT_NULL = 10,
  /** A text was not valid UTF-8. */
  POLYGRAFT_ERROR_ARGUMENT_UTF8 = 11,
  /** An argument or an option has a value outside of its range. */
  POLYGRAFT_ERROR_ARGUMENT_INVALID = 12,
  /** A file or folder does not exist. */
  POLYGRAFT_ERROR_NOT_FOUND = 20,
  /** A file could not be read. */
  POLYGRAFT_ERROR_IO_READ = 21,
  /** A file could not be written. */
  POLYGRAFT_ERROR_IO_WRITE = 22,
  /** The disk or the quota is full; nothing has changed. */
  POLYGRAFT_ERROR_IO_FULL = 23,
  /** No ONNX Runtime library was found. */
  POLYGRAFT_ERROR_RUNTIME_NOT_FOUND = 30,
  /** The ONNX Runtime library is older than polygraft needs. */
  POLYGRAFT_ERROR_RUNTIME_TOO_OLD = 31,
  /** ONNX Runtime refused a model or a run. */
  POLYGRAFT_ERROR_RUNTIME_FAILED = 32,
  /** A model gave a number that is not finite, so there is no prediction. */
  POLYGRAFT_ERROR_RUNTIME_NOT_FINITE = 33,
  /** The bytes are not a valid ONNX model. */
  POLYGRAFT_ERROR_GRAPH_MALFORMED = 40,
  /** An operator or a construct is not supported in this place of the graph. */
  POLYGRAFT_ERROR_GRAPH_UNSUPPORTED = 41,
  /** External weight data is missing, truncated or outside of the folder. */
  POLYGRAFT_ERROR_GRAPH_EXTERNAL_DATA = 42,
  /** The manifest of a bundle is missing, malformed or of an unknown version. */
  POLYGRAFT_ERROR_BUNDLE_MANIFEST = 50,
  /** A file of a bundle does not have the content its manifest states. */
  POLYGRAFT_ERROR_BUNDLE_MISMATCH = 51,
  /** The tokenizer cannot be read or does not fit the backbone. */
  POLYGRAFT_ERROR_BUNDLE_TOKENIZER = 52,
  /** The model of a bundle cannot be used for predictions or updates. */
  POLYGRAFT_ERROR_BUNDLE_UNUSABLE = 53,
  /** An adapter file is malformed. */
  POLYGRAFT_ERROR_ADAPTER_MALFORMED = 60,
  /** An adapter was trained on another backbone. */
  POLYGRAFT_ERROR_ADAPTER_BASE_MISMATCH = 61,
  /** Tensors of an adapter are missing, extra or misshapen. */
  POLYGRAFT_ERROR_ADAPTER_TENSORS = 62,
  /** The backbone has no site that matches the adapter. */
  POLYGRAFT_ERROR_ADAPTER_NO_SITE = 63,
  /** An adapter of another library uses a feature that polygraft does not support, or the reverse. */
  POLYGRAFT_ERROR_ADAPTER_UNSUPPORTED = 64,
  /** An adapter was trained with another reading of texts than the bundle's, or does not state it. */
  POLYGRAFT_ERROR_ADAPTER_IDENTITY_MISMATCH = 65,
  /** A text is empty. */
  POLYGRAFT_ERROR_TASK_EMPTY_TEXT = 70,
  /** A text or label is longer than the stated limit. */
  POLYGRAFT_ERROR_TASK_TOO_LONG = 71,
  /** A label is not among the labels of the adapter. */
  POLYGRAFT_ERROR_TASK_UNKNOWN_LABEL = 72,
  /** A task name is malformed. */
  POLYGRAFT_ERROR_TASK_NAME = 73,
  /** An input, a target or an adapter is of another kind than the task. */
  POLYGRAFT_ERROR_TASK_KIND = 74,
  /** A language tag is not BCP 47. */
  POLYGRAFT_ERROR_LANGUAGE_MALFORMED = 80,
  /** A language tag is well-formed, but no such language is registered. */
  POLYGRAFT_ERROR_LANGUAGE_UNKNOWN = 81,
  /** A store file is malformed or of an unknown version. */
  POLYGRAFT_ERROR_STORE_MALFORMED = 90,
  /** A stored file does not have the content its record states. */
  POLYGRAFT_ERROR_STORE_CORRUPT = 91,
  /** The store has no such version, or no version that serves the language. */
  POLYGRAFT_ERROR_STORE_NO_VERSION = 92,
  /** Another process or handle is writing to the store. */
  POLYGRAFT_ERROR_STORE_LOCKED = 93,
  /** The language is pinned to a version. */
  POLYGRAFT_ERROR_STORE_PINNED = 94,
  /** The store has changed since the caller read it. */
  POLYGRAFT_ERROR_STORE_CHANGED = 95,
  /** A file of the rehearsal buffer is malformed. */
  POLYGRAFT_ERROR_REHEARSAL_MALFORMED = 100,
  /** A line of an examples file is malformed. */
  POLYGRAFT_ERROR_EXAMPLES_MALFORMED = 101,
  /** An update has no training examples. */
  POLYGRAFT_ERROR_UPDATE_NO_EXAMPLES = 110,
  /** An update has examples of one label only and the task has no others. */
  POLYGRAFT_ERROR_UPDATE_ONE_CLASS = 111,
  /** A function of the update was called in the wrong order. */
  POLYGRAFT_ERROR_UPDATE_STATE = 112,
  /** The loss or a gradient is not a finite number. */
  POLYGRAFT_ERROR_UPDATE_DIVERGED = 113,
  /** A checkpoint belongs to another update, or is damaged. */
  POLYGRAFT_ERROR_UPDATE_CHECKPOINT = 114,
  /** The bytes of a round are damaged, or contain what is refused: a number that is not finite, a delta beyond the norm. */
  POLYGRAFT_ERROR_ROUND_MALFORMED = 120,
  /** A round belongs to another bundle, another task, another message or another base version. */
  POLYGRAFT_ERROR_ROUND_MISMATCH = 121,
};

/**
 * The version of the binary interface. It grows when programs that were built against an older
 * header can no longer use the library. It is the number in the library's soname.
 */
#define POLYGRAFT_ABI_VERSION 0

/**
 * Details of what ONNX Runtime does to a graph.
 */
#define POLYGRAFT_LOG_VERBOSE 0

/**
 * A normal event, for example that something was opened.
 */
#define POLYGRAFT_LOG_INFO 1

/**
 * Something is suspicious, and the call continues.
 */
#define POLYGRAFT_LOG_WARNING 2

/**
 * A call fails; its error says the same.
 */
#define POLYGRAFT_LOG_ERROR 3

/**
 * A fatal failure.
 */
#define POLYGRAFT_LOG_FATAL 4

/**
 * The weights stay in clean, shared file pages. This takes the least private memory.
 */
#define POLYGRAFT_MODE_LEAN 0

/**
 * The weights are packed into private memory. This gives the fastest runs.
 */
#define POLYGRAFT_MODE_FAST 1

/**
 * Opening checks the sizes of the bundle's files, and the hashes of the files that it reads whole.
 * This takes milliseconds.
 */
#define POLYGRAFT_VERIFY_QUICK 0

/**
 * Opening checks the hash of every file of the bundle. This takes as long as reading the files.
 */
#define POLYGRAFT_VERIFY_FULL 1

/**
 * The default. Opening does what POLYGRAFT_VERIFY_FULL does the first time it sees the weights,
 * and what POLYGRAFT_VERIFY_QUICK does as long as they have not been written to since. A small
 * file remembers what was checked. It lies in the folder that the environment variable
 * POLYGRAFT_CACHE_DIR names (an empty value switches it off), else in `polygraft` below
 * XDG_CACHE_HOME or `~/.cache`.
 */
#define POLYGRAFT_VERIFY_REMEMBERED 2

/**
 * Classification: exactly one of several labels applies.
 */
#define POLYGRAFT_TASK_CLASSIFICATION 1

/**
 * Multi-label classification: any number of labels applies.
 */
#define POLYGRAFT_TASK_MULTI_LABEL 2

/**
 * Regression: a number.
 */
#define POLYGRAFT_TASK_REGRESSION 3

/**
 * Token classification: a tag for each word.
 */
#define POLYGRAFT_TASK_TOKEN_CLASSIFICATION 4

/**
 * Joint intent and slots: a label of the whole input and a tag for each word.
 */
#define POLYGRAFT_TASK_INTENT_AND_SLOTS 5

/**
 * Sequence to sequence: a generated text.
 */
#define POLYGRAFT_TASK_SEQUENCE_TO_SEQUENCE 6

/**
 * The prediction is not a generated text.
 */
#define POLYGRAFT_FINISH_NONE 0

/**
 * The model generated an end token.
 */
#define POLYGRAFT_FINISH_END 1

/**
 * The text reached the maximum number of tokens.
 */
#define POLYGRAFT_FINISH_LENGTH 2

/**
 * The text reached a stop string, or the callback ended it.
 */
#define POLYGRAFT_FINISH_STOPPED 3

/**
 * The cancel token was triggered; the prediction has the text as far as it was generated.
 */
#define POLYGRAFT_FINISH_CANCELLED 4

/**
 * The report has only the sentence, or a kind of reason that this version does not know.
 */
#define POLYGRAFT_REASON_UNSTATED 0

/**
 * Kept: the update had no candidate for the language.
 */
#define POLYGRAFT_REASON_NO_CANDIDATE 1

/**
 * Kept: the language is pinned to its version.
 */
#define POLYGRAFT_REASON_PINNED 2

/**
 * Kept: so few examples could hide a loss beyond the margin; `examples_needed` says how many more
 * would do.
 */
#define POLYGRAFT_REASON_TOO_FEW_EXAMPLES 3

/**
 * Kept: the candidate is worse, with the gate's confidence.
 */
#define POLYGRAFT_REASON_WORSE 4

/**
 * Kept: a loss beyond the margin is possible, and more examples than are remembered would be
 * needed to exclude it.
 */
#define POLYGRAFT_REASON_UNCERTAIN 5

/**
 * Activated: no version served the language before.
 */
#define POLYGRAFT_REASON_FIRST_VERSION 6

/**
 * Activated: the gate is off.
 */
#define POLYGRAFT_REASON_GATE_OFF 7

/**
 * Activated: the candidate is not worse by more than the margin, with the gate's confidence.
 */
#define POLYGRAFT_REASON_NO_WORSE 8

/**
 * Activated: the candidate is better, with the gate's confidence.
 */
#define POLYGRAFT_REASON_BETTER 9

/**
 * Kept: no candidate gives finite numbers for every example.
 */
#define POLYGRAFT_REASON_NOT_FINITE 10

/**
 * Kept: the candidate is no worse than the active version, but may be worse by more than the
 * margin than an earlier version: small losses must not add up.
 */
#define POLYGRAFT_REASON_BELOW_EARLIER 11

/**
 * The language keeps the version it had.
 */
#define POLYGRAFT_DECISION_KEEP 0

/**
 * The candidate becomes the language's active version.
 */
#define POLYGRAFT_DECISION_ACTIVATE 1

/**
 * The update had no candidate for the language.
 */
#define POLYGRAFT_CANDIDATE_NONE 0

/**
 * The candidate was trained on the new data of all languages together.
 */
#define POLYGRAFT_CANDIDATE_SHARED 1

/**
 * The candidate was trained on the new data of the language itself.
 */
#define POLYGRAFT_CANDIDATE_OWN 2

/**
 * The candidate combines the deltas of near languages, weighted by typological distance.
 */
#define POLYGRAFT_CANDIDATE_COMBINED 3

/**
 * The candidate was imported from a file.
 */
#define POLYGRAFT_CANDIDATE_IMPORTED 4

/**
 * The candidate is the last version of the language that was better than what it replaced; it has
 * nothing new.
 */
#define POLYGRAFT_CANDIDATE_EARLIER 5

/**
 * The update trains on the new examples only.
 */
#define POLYGRAFT_STRATEGY_NAIVE 0

/**
 * The update mixes the new examples with remembered examples of all languages.
 */
#define POLYGRAFT_STRATEGY_REPLAY 1

/**
 * Each language with new examples gets a version of its own; other languages do not change.
 */
#define POLYGRAFT_STRATEGY_PER_LANGUAGE 2

/**
 * Languages share deltas by typological distance, and remembered examples are rehearsed.
 */
#define POLYGRAFT_STRATEGY_URIEL 3

/**
 * The mean of the syntactic, genetic and geographic distances.
 */
#define POLYGRAFT_DISTANCE_MIXED 0

/**
 * The difference in syntax.
 */
#define POLYGRAFT_DISTANCE_SYNTACTIC 1

/**
 * The distance between the regions where the languages are spoken.
 */
#define POLYGRAFT_DISTANCE_GEOGRAPHIC 2

/**
 * The distance in the tree of language families.
 */
#define POLYGRAFT_DISTANCE_GENETIC 3

/**
 * The difference in phonology.
 */
#define POLYGRAFT_DISTANCE_PHONOLOGICAL 4

/**
 * The difference in the inventory of sounds.
 */
#define POLYGRAFT_DISTANCE_INVENTORY 5

/**
 * The difference in all features together.
 */
#define POLYGRAFT_DISTANCE_FEATURAL 6

/**
 * The deltas of several languages are added up with weights after training.
 */
#define POLYGRAFT_SHARING_COMBINE 0

/**
 * Examples of several languages are drawn with weights during training.
 */
#define POLYGRAFT_SHARING_SAMPLE 1

/**
 * LoRA: a new adapter adds a low-rank product to some linear layers.
 */
#define POLYGRAFT_ADAPTER_LORA 0

/**
 * Bottleneck: a new adapter adds a small network to some sub-layers.
 */
#define POLYGRAFT_ADAPTER_BOTTLENECK 1

/**
 * (IA)3: a new adapter multiplies the outputs or the inputs of some linear layers by factors.
 */
#define POLYGRAFT_ADAPTER_IA3 2

/**
 * Houlsby: a bottleneck reads the output of its sub-layer. It was published for both sub-layers.
 */
#define POLYGRAFT_PLACEMENT_SEQUENTIAL 0

/**
 * Pfeiffer: a bottleneck reads the normalised sum after its sub-layer. It was published for the
 * feed-forward sub-layer.
 */
#define POLYGRAFT_PLACEMENT_AFTER_NORM 1

/**
 * Parallel: a bottleneck reads the input of the feed-forward sub-layer. It has no other sub-layer.
 */
#define POLYGRAFT_PLACEMENT_PARALLEL 2

/**
 * Bottlenecks attach to the sub-layers that their placement was published for.
 */
#define POLYGRAFT_SUB_LAYERS_AS_PUBLISHED 0

/**
 * A bottleneck attaches to every attention sub-layer.
 */
#define POLYGRAFT_SUB_LAYERS_ATTENTION 1

/**
 * A bottleneck attaches to every feed-forward sub-layer.
 */
#define POLYGRAFT_SUB_LAYERS_FEED_FORWARD 2

/**
 * A bottleneck attaches to every attention and every feed-forward sub-layer.
 */
#define POLYGRAFT_SUB_LAYERS_BOTH 3

/**
 * The function between the layers of a bottleneck is `max(x, 0)`.
 */
#define POLYGRAFT_ACTIVATION_RELU 0

/**
 * The function between the layers of a bottleneck is `x Phi(x)`.
 */
#define POLYGRAFT_ACTIVATION_GELU 1

/**
 * The function between the layers of a bottleneck is `x sigmoid(x)`.
 */
#define POLYGRAFT_ACTIVATION_SILU 2

/**
 * The update splits and tokenizes the examples and opens the training session.
 */
#define POLYGRAFT_PHASE_PREPARE 0

/**
 * The update trains the candidates. Steps are optimiser steps.
 */
#define POLYGRAFT_PHASE_TRAIN 1

/**
 * The update measures the active versions. Steps are examples.
 */
#define POLYGRAFT_PHASE_MEASURE_BEFORE 2

/**
 * The update measures the candidates. Steps are examples. Phases follow each other in the order of
 * their numbers.
 */
#define POLYGRAFT_PHASE_MEASURE_AFTER 3

/**
 * polygraft's own file.
 */
#define POLYGRAFT_FORMAT_OWN 0

/**
 * A folder of the library PEFT.
 */
#define POLYGRAFT_FORMAT_PEFT 1

/**
 * A file of ONNX Runtime, `.onnx_adapter`.
 */
#define POLYGRAFT_FORMAT_ONNX_ADAPTER 2

/**
 * A folder of the library `adapters` of AdapterHub.
 */
#define POLYGRAFT_FORMAT_ADAPTERHUB 3

/**
 * The imported version is published and does not become active.
 */
#define POLYGRAFT_ACTIVATION_NEVER 0

/**
 * The default. The imported version becomes active if the gate finds it no worse than the version
 * that serves the language, on the held-out examples that are remembered for the language, or if
 * nothing serves the language yet.
 */
#define POLYGRAFT_ACTIVATION_GATED 1

/**
 * The imported version becomes active without being measured, unless the language is pinned.
 */
#define POLYGRAFT_ACTIVATION_ALWAYS 2

/**
 * The step is the requested language.
 */
#define POLYGRAFT_STEP_OWN 0

/**
 * The step is a language whose tag is a prefix of the requested tag.
 */
#define POLYGRAFT_STEP_SHORTER_TAG 1

/**
 * The step is the nearest language with an active version.
 */
#define POLYGRAFT_STEP_NEAREST 2

/**
 * The step is the nearest language with an active version, but it is too far away to serve.
 */
#define POLYGRAFT_STEP_TOO_FAR 3

/**
 * The step is the shared adapter, `mul`.
 */
#define POLYGRAFT_STEP_SHARED 4

/**
 * Nothing is wrong.
 */
#define POLYGRAFT_CHECK_OK 0

/**
 * Worth knowing, and nothing is wrong.
 */
#define POLYGRAFT_CHECK_NOTE 1

/**
 * Something is wrong.
 */
#define POLYGRAFT_CHECK_WRONG 2

/**
 * A token that cancels the predictions and updates it is given to. A cancelled token stays
 * cancelled.
 */
typedef struct polygraft_cancel polygraft_cancel;

/**
 * The chain of languages that are asked for a version, in their order.
 */
typedef struct polygraft_chain polygraft_chain;

/**
 * The results of checks, in the order in which they were made.
 */
typedef struct polygraft_checks polygraft_checks;

/**
 * The opened ONNX Runtime library. One engine per process is enough; models keep it open.
 */
typedef struct polygraft_engine polygraft_engine;

/**
 * A failure: its status, stable name, message and causes.
 */
typedef struct polygraft_error polygraft_error;

/**
 * Labelled examples of one kind of task, in one or several languages.
 */
typedef struct polygraft_examples polygraft_examples;

/**
 * A version that was imported, what the gate decided about it, and notes on its translation.
 */
typedef struct polygraft_imported polygraft_imported;

/**
 * An input of a prediction or an example: a text, a pair of texts, or words.
 */
typedef struct polygraft_input polygraft_input;

/**
 * A backbone with the adapters of a store. Many threads may predict with one model.
 */
typedef struct polygraft_model polygraft_model;

/**
 * The output of a task for one input: labels, a number, tags or a text, depending on
 * `polygraft_prediction_kind`. Accessors of what the kind does not have return nothing.
 */
typedef struct polygraft_prediction polygraft_prediction;

/**
 * The predictions of a batch, in the order of its inputs.
 */
typedef struct polygraft_predictions polygraft_predictions;

/**
 * The report of an update: its effect on each language, and the sums over languages.
 */
typedef struct polygraft_report polygraft_report;

/**
 * The reports of all updates of one task, the oldest first.
 */
typedef struct polygraft_reports polygraft_reports;

/**
 * A message, a reply or an aggregate of a round: its bytes, to be sent, and its description as
 * JSON. For an aggregate that was applied, the outcome as JSON.
 */
typedef struct polygraft_round polygraft_round;

/**
 * The scores of an evaluation, by language.
 */
typedef struct polygraft_scores polygraft_scores;

/**
 * What a store contained when it was counted.
 */
typedef struct polygraft_statistics polygraft_statistics;

/**
 * The versions of all tasks and languages on disk. Several processes may open one store.
 */
typedef struct polygraft_store polygraft_store;

/**
 * An update that is not committed yet. Only one thread may use it at a time.
 */
typedef struct polygraft_update polygraft_update;

/**
 * One vector for each text. All have one size and follow each other in memory.
 */
typedef struct polygraft_vectors polygraft_vectors;

/**
 * A list of versions. It does not change when the store does.
 */
typedef struct polygraft_versions polygraft_versions;

/**
 * What a wipe did: the wiped examples of each language, and the versions that may have learnt from
 * them.
 */
typedef struct polygraft_wiped polygraft_wiped;

/**
 * A borrowed UTF-8 text: `len` bytes at `ptr`, and `ptr[len]` is 0. The function that returns it
 * says how long it is valid.
 */
typedef struct {
  /**
   * The first byte; never NULL.
   */
  const char *ptr;
  /**
   * The length in bytes, without the terminating 0.
   */
  size_t len;
} polygraft_string_view;

/**
 * 0 (`POLYGRAFT_OK`) for success, else one of the `POLYGRAFT_ERROR_*` numbers.
 */
typedef int32_t polygraft_status;

/**
 * A function that receives log messages. `severity` is one of `POLYGRAFT_LOG_*` and `source` is
 * `onnxruntime` or `polygraft`; the texts are valid until it returns. It may be called on any
 * thread, also on several at once, and must return normally: exceptions and longjmp may not leave
 * it. It may call functions of the library; what is logged meanwhile on its thread is dropped.
 */
typedef void (*polygraft_log_callback)(uint32_t severity,
                                       polygraft_string_view source,
                                       polygraft_string_view message,
                                       void *user);

/**
 * How to open an engine. `polygraft_engine_options_init` fills it with the defaults.
 */
typedef struct {
  /**
   * `sizeof(polygraft_engine_options)`.
   */
  uint32_t struct_size;
  /**
   * Must be 0.
   */
  uint32_t reserved;
  /**
   * The path of the ONNX Runtime library. With NULL the library is searched in
   * `ORT_DYLIB_PATH`, beside the polygraft library, and where the system's loader looks.
   */
  const char *onnxruntime_path;
  /**
   * What the function `OrtGetApiBase` of an ONNX Runtime returns that the program has linked or
   * loaded itself, for platforms where no library can be opened by a path. It must stay loaded
   * until the process ends, and `onnxruntime_path` must be NULL. NULL to open a library. The
   * program sets `ORT_DISABLE_TELEMETRY=1` itself before it loads ONNX Runtime.
   */
  const void *ort_api_base;
  /**
   * Receives what ONNX Runtime and polygraft log, until the engine is closed; NULL for none.
   */
  polygraft_log_callback log;
  /**
   * Passed to `log`.
   */
  void *log_user;
  /**
   * The least severity that `log` receives, one of `POLYGRAFT_LOG_*`; the default is
   * POLYGRAFT_LOG_WARNING. It holds for models that are opened after the engine.
   */
  uint32_t log_severity;
  /**
   * Must be 0.
   */
  uint32_t log_reserved;
} polygraft_engine_options;

/**
 * One version of one language's adapter for one task.
 */
typedef struct {
  /**
   * `sizeof(polygraft_version)`, set by the caller before the struct is filled.
   */
  uint32_t struct_size;
  /**
   * The number of the version; the first version of a language is 1.
   */
  uint32_t number;
  /**
   * The task.
   */
  polygraft_string_view task;
  /**
   * The language, or `mul` for the shared adapter of the languages without a version.
   */
  polygraft_string_view language;
  /**
   * The BLAKE3 hash of the content, in hexadecimal.
   */
  polygraft_string_view hash;
  /**
   * The size of the content, in bytes.
   */
  uint64_t size_bytes;
  /**
   * The time of publication, in milliseconds since 1970-01-01 00:00 UTC.
   */
  uint64_t created_unix_ms;
  /**
   * The number of the version that was active at the time of publication; 0 for none.
   */
  uint32_t parent;
  /**
   * 1 if the version is active, else 0.
   */
  uint8_t active;
  /**
   * 1 if the version is active and pinned, else 0.
   */
  uint8_t pinned;
  /**
   * 0.
   */
  uint16_t reserved;
} polygraft_version;

/**
 * How to open a model. `polygraft_model_options_init` fills it with the defaults.
 */
typedef struct {
  /**
   * `sizeof(polygraft_model_options)`.
   */
  uint32_t struct_size;
  /**
   * How ONNX Runtime holds the weights, one of `POLYGRAFT_MODE_*`.
   */
  uint32_t mode;
  /**
   * The number of threads of one prediction; 0 takes all cores.
   */
  uint32_t threads;
  /**
   * What opening checks, one of `POLYGRAFT_VERIFY_*`.
   */
  uint32_t verify;
  /**
   * Patterns of the module names where adapters may attach. They are read during the call.
   */
  const char *const *targets;
  /**
   * The number of patterns in `targets`; 0 for the default targets.
   */
  uint32_t targets_count;
  /**
   * Must be 0.
   */
  uint32_t reserved;
} polygraft_model_options;

/**
 * How to predict. `polygraft_predict_options_init` fills it with the defaults.
 */
typedef struct {
  /**
   * `sizeof(polygraft_predict_options)`.
   */
  uint32_t struct_size;
  /**
   * The number of labels to give, the most probable first; 0 gives all.
   */
  uint32_t top_k;
  /**
   * A token that can cancel the prediction; NULL for none. A cancelled generation does not fail:
   * the text ends where it is, with `POLYGRAFT_FINISH_CANCELLED`.
   */
  const polygraft_cancel *cancel;
  /**
   * Generation: the number of beams. The default, 1, is greedy decoding.
   */
  uint32_t num_beams;
  /**
   * Generation: the maximum number of new tokens, including the end token; 0 takes the limit of
   * the bundle.
   */
  uint32_t max_new_tokens;
  /**
   * Generation: the exponent of the length in the score of a finished hypothesis, which is its
   * log probability / tokens ^ `length_penalty`. The default is 1; values above 0 favour longer
   * texts, values below 0 shorter ones. It has no effect with one beam.
   */
  double length_penalty;
  /**
   * Generation: strings that end a text. The text is cut before the first of them. They are read
   * during the call.
   */
  const char *const *stop_strings;
  /**
   * The number of strings in `stop_strings`.
   */
  uint32_t stop_strings_count;
  /**
   * Must be 0.
   */
  uint32_t reserved;
  /**
   * Generation: the id of the first token, which selects the language in some models; -1 takes
   * what the bundle says.
   */
  int64_t forced_bos_token_id;
  /**
   * Generation: the minimum number of new tokens. Before it is reached, only a string of
   * `stop_strings` ends a text.
   */
  uint32_t min_new_tokens;
  /**
   * Generation: no sequence of this many tokens occurs twice; 0 switches the rule off.
   */
  uint32_t no_repeat_ngram_size;
  /**
   * Generation: the penalty on tokens that occurred before. Their logits are divided by it if
   * positive and multiplied by it if negative. The default is 1, which changes nothing; values
   * above 1 make repetition less probable.
   */
  double repetition_penalty;
} polygraft_predict_options;

/**
 * A word and its tag. Offsets count from the start of the input text; for an input of words, from
 * the start of its words joined by single spaces.
 */
typedef struct {
  /**
   * The tag; an empty text for a word beyond what the model reads.
   */
  polygraft_string_view tag;
  /**
   * The offset of the word's first byte: the word begins at `text + byte_start`.
   */
  size_t byte_start;
  /**
   * The offset of the first byte after the word.
   */
  size_t byte_end;
  /**
   * The offset of the word's first character, in Unicode code points.
   */
  size_t char_start;
  /**
   * The offset of the first character after the word, in Unicode code points.
   */
  size_t char_end;
  /**
   * The probability of the tag, from 0 to 1; 0 for a word beyond what the model reads.
   */
  float probability;
  /**
   * 0.
   */
  uint32_t reserved;
} polygraft_word;

/**
 * Consecutive words that the tags mark as one thing. Offsets count as those of a word do.
 */
typedef struct {
  /**
   * The kind of the span: its tags without `B-` and `I-`.
   */
  polygraft_string_view kind;
  /**
   * The position of the first word, from 0.
   */
  size_t word_first;
  /**
   * The position of the last word, which belongs to the span.
   */
  size_t word_last;
  /**
   * The offset of the span's first byte: the span begins at `text + byte_start`.
   */
  size_t byte_start;
  /**
   * The offset of the first byte after the span.
   */
  size_t byte_end;
  /**
   * The offset of the span's first character, in Unicode code points.
   */
  size_t char_start;
  /**
   * The offset of the first character after the span, in Unicode code points.
   */
  size_t char_end;
  /**
   * The probability of the least certain word, from 0 to 1.
   */
  float probability;
  /**
   * 0.
   */
  uint32_t reserved;
} polygraft_span;

/**
 * A function that receives each new chunk of a generated text. A chunk consists of whole
 * characters. The function runs on the thread that called `polygraft_model_generate`, and the view
 * is valid until it returns. It returns 0 to continue and any other value to end the text there.
 * It must return normally: exceptions and longjmp may not leave it. It may call every function of
 * the library.
 */
typedef int (*polygraft_chunk_callback)(polygraft_string_view chunk, void *user);

/**
 * The entry of one language in a report. Scores are measured on the examples held out for it.
 */
typedef struct {
  /**
   * `sizeof(polygraft_language_report)`, set by the caller before the struct is filled.
   */
  uint32_t struct_size;
  /**
   * The decision of the gate, one of `POLYGRAFT_DECISION_*`.
   */
  uint32_t decision;
  /**
   * The language, or `mul` for the shared adapter of the languages without a version.
   */
  polygraft_string_view language;
  /**
   * The reason of the decision, in one short sentence.
   */
  polygraft_string_view reason;
  /**
   * The score of the previously active version on the report split, from 0 to 1: the accuracy
   * for classification, and the mean score of the examples for other kinds of tasks. NaN if no
   * version served the language or the split is empty.
   */
  double before;
  /**
   * The score of the chosen candidate on the same examples.
   */
  double after;
  /**
   * The change in score is larger than this with the gate's confidence, by the selection splits
   * of all languages together; NaN if there is nothing to compare.
   */
  double lower_bound;
  /**
   * The number of examples in the report split. They never decide anything.
   */
  uint64_t report_examples;
  /**
   * The number of examples in the selection split on which the candidate scores better.
   */
  uint64_t gained;
  /**
   * The number of examples in the selection split on which the previous version scores better.
   */
  uint64_t lost;
  /**
   * The version number that the commit gave the candidate; 0 before the commit and without a
   * candidate.
   */
  uint32_t version;
  /**
   * 1 if the update has new training examples in this language, else 0.
   */
  uint32_t updated;
  /**
   * The number of examples in the selection split, which the gate decides by.
   */
  uint64_t selection_examples;
  /**
   * The kind of the chosen candidate, one of `POLYGRAFT_CANDIDATE_*`.
   */
  uint32_t candidate;
  /**
   * The kind of `reason`, one of `POLYGRAFT_REASON_*`.
   */
  uint32_t reason_kind;
  /**
   * The estimated number of further examples of the language that would give the gate enough to
   * decide by. 0 if it has enough, or if no number would do with these options.
   */
  uint64_t examples_needed;
  /**
   * The expected change in score, by the same evidence as `lower_bound`; NaN where that is.
   */
  double change;
  /**
   * The change in score is smaller than this with the gate's confidence; NaN where `lower_bound`
   * is.
   */
  double upper_bound;
  /**
   * The chance that the chosen candidate is worse than the previous version, from 0 to 1; NaN
   * where `lower_bound` is.
   */
  double loss_chance;
  /**
   * What the evidence of the other languages is worth, in selection examples of this language.
   */
  uint64_t examples_borrowed;
  /**
   * The factor on the deltas in the chosen candidate, more than 0, at most 1.
   */
  double strength;
} polygraft_language_report;

/**
 * The sums of gains and losses over languages. The shared adapter `mul` is not counted.
 */
typedef struct {
  /**
   * `sizeof(polygraft_summary)`, set by the caller before the struct is filled.
   */
  uint32_t struct_size;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * The number of languages that improve.
   */
  uint64_t improved;
  /**
   * The number of languages that get worse.
   */
  uint64_t lost;
  /**
   * The sum of the improvements, in score.
   */
  double gain_total;
  /**
   * The sum of the losses, in score, as a positive number.
   */
  double loss_total;
} polygraft_summary;

/**
 * The training of an update in figures.
 */
typedef struct {
  /**
   * `sizeof(polygraft_training)`, set by the caller before the struct is filled.
   */
  uint32_t struct_size;
  /**
   * 1 if the time budget ended training before its last step, else 0.
   */
  uint32_t cut_short;
  /**
   * The number of new training examples.
   */
  uint64_t examples_new;
  /**
   * The number of examples drawn from the rehearsal buffer per epoch.
   */
  uint64_t examples_rehearsed;
  /**
   * The number of optimiser steps.
   */
  uint64_t steps;
  /**
   * The wall-clock time of training and measuring, in milliseconds.
   */
  uint64_t elapsed_ms;
  /**
   * The mean loss of the first tenth of the steps.
   */
  double loss_first;
  /**
   * The mean loss of the last tenth of the steps.
   */
  double loss_last;
  /**
   * The number of training runs: one for all languages, or one per language with new data.
   */
  uint64_t training_runs;
  /**
   * 1 if the loss of a training run was still falling at its end, so that more steps may help,
   * else 0.
   */
  uint32_t still_falling;
  /**
   * 0.
   */
  uint32_t reserved;
} polygraft_training;

/**
 * How to update. `polygraft_update_options_init` fills it with the defaults.
 */
typedef struct {
  /**
   * `sizeof(polygraft_update_options)`.
   */
  uint32_t struct_size;
  /**
   * How languages share data, one of `POLYGRAFT_STRATEGY_*`.
   */
  uint32_t strategy;
  /**
   * The seed of all random choices. The same seed, thread count and examples give the same
   * bytes.
   */
  uint64_t seed;
  /**
   * How ONNX Runtime holds the weights for training, one of `POLYGRAFT_MODE_*`.
   */
  uint32_t mode;
  /**
   * The number of threads of a training step; 0 takes all cores.
   */
  uint32_t threads;
  /**
   * The number of examples of one optimiser step.
   */
  uint32_t batch_size;
  /**
   * The maximum number of tokens, padding included, of one run of the training graph. It bounds
   * the memory of a step.
   */
  uint32_t micro_batch_tokens_max;
  /**
   * 1 allows labels that the task did not have before; 0 refuses them.
   */
  uint8_t new_labels;
  /**
   * 1 scales LoRA by alpha / sqrt(rank); 0 scales it by alpha / rank.
   */
  uint8_t lora_rank_stabilized;
  /**
   * 1 activates only in languages that do not get worse; 0 activates in all languages.
   */
  uint8_t gate_enabled;
  /**
   * The percentage of new examples that is held out, 0 to 90. It is fixed once a task has
   * examples.
   */
  uint8_t rehearsal_held_out_percent;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * The number of passes over the new examples, which may be fractional. 0 derives it from the
   * number of examples: four passes, or as many as make `steps_min` steps; training ends earlier
   * when nothing is left to learn.
   */
  double epochs;
  /**
   * The number of rehearsed examples per new example, for strategies that rehearse.
   */
  double rehearsal_ratio;
  /**
   * The maximum size of the rehearsal buffer on disk, in bytes. Languages share it evenly.
   */
  uint64_t rehearsal_bytes_max;
  /**
   * The maximum number of remembered training examples per language. Labels share it evenly.
   */
  uint32_t rehearsal_examples_per_language_max;
  /**
   * The maximum number of held-out examples per language. Labels share it evenly.
   */
  uint32_t rehearsal_held_out_per_language_max;
  /**
   * The maximum number of optimiser steps; 0 for no limit.
   */
  uint64_t steps_max;
  /**
   * The peak learning rate.
   */
  double learning_rate;
  /**
   * The factor on the learning rate of a new head, and of a head with new labels.
   */
  double head_rate_factor;
  /**
   * The decay of the optimiser's first moment.
   */
  double beta1;
  /**
   * The decay of the optimiser's second moment.
   */
  double beta2;
  /**
   * The term in the optimiser's denominator that prevents division by zero.
   */
  double epsilon;
  /**
   * The decoupled weight decay.
   */
  double weight_decay;
  /**
   * The fraction of the steps during which the learning rate rises.
   */
  double warmup_fraction;
  /**
   * The maximum norm of the gradients, which are scaled down to it; 0 does not clip.
   */
  double clip_norm;
  /**
   * The LoRA rank of a new adapter; an existing adapter keeps its rank.
   */
  uint32_t lora_rank;
  /**
   * The number of patterns in `lora_targets`; 0 for the default targets.
   */
  uint32_t lora_targets_count;
  /**
   * The LoRA alpha of a new adapter; `lora_rank_stabilized` says how it scales.
   */
  double lora_alpha;
  /**
   * Patterns of the module names where adapters attach. They are read when the update begins.
   */
  const char *const *lora_targets;
  /**
   * The gate's margin: the loss in score that a candidate may have and still be activated.
   */
  double gate_margin;
  /**
   * The one-sided confidence of the gate's bound, from 0.5 to less than 1.
   */
  double gate_confidence;
  /**
   * The time budget in seconds, after which training ends; 0 for no limit.
   */
  double seconds_max;
  /**
   * The number of optimiser steps between checkpoints, from which the same update continues
   * after a crash or a cancellation; 0 writes no checkpoints.
   */
  uint64_t checkpoint_steps;
  /**
   * The distance at which the uriel strategy shares with a weight of 1/e (37 %); more than 0.
   */
  double uriel_temperature;
  /**
   * The distance that the uriel strategy uses, one of `POLYGRAFT_DISTANCE_*`.
   */
  uint32_t uriel_distance;
  /**
   * The maximum number of languages that one language learns from; 0 for no limit.
   */
  uint32_t uriel_neighbours;
  /**
   * What the uriel strategy shares, one of `POLYGRAFT_SHARING_*`.
   */
  uint32_t uriel_sharing;
  /**
   * 1 trains at the lowest priority of the system, so that predictions come first; 0 trains at
   * normal priority.
   */
  uint32_t background;
  /**
   * The maximum private memory of one run of the training graph, in bytes, by estimate; 0 for no
   * limit.
   */
  uint64_t memory_bytes_max;
  /**
   * The kind of a new adapter, one of `POLYGRAFT_ADAPTER_*`; an existing adapter keeps its kind.
   * `lora_targets` also names the layers that new (IA)3 factors multiply.
   */
  uint32_t adapter_kind;
  /**
   * The placement of new bottlenecks, one of `POLYGRAFT_PLACEMENT_*`.
   */
  uint32_t bottleneck_placement;
  /**
   * The activation function of new bottlenecks, one of `POLYGRAFT_ACTIVATION_*`.
   */
  uint32_t bottleneck_activation;
  /**
   * The sub-layers of new bottlenecks, one of `POLYGRAFT_SUB_LAYERS_*`.
   */
  uint32_t bottleneck_sub_layers;
  /**
   * The size of the hidden states divided by the size of new bottlenecks.
   */
  double bottleneck_reduction_factor;
  /**
   * The share of a target's probability that is spread evenly over all tokens, from 0 to less
   * than 1. It applies to sequence-to-sequence tasks only.
   */
  double label_smoothing;
  /**
   * The minimum number of optimiser steps of a training run while `epochs` is 0. A run that
   * starts from a version takes a third of it.
   */
  uint64_t steps_min;
  /**
   * How much the outputs of the version that a training run starts from count in the targets of
   * rehearsed examples, beside their labels, from 0 to 1. It does not apply to
   * sequence-to-sequence tasks.
   */
  double distillation;
  /**
   * The number of layers, from the end of the backbone, that a new adapter attaches to; 0 for
   * all. What lies below them is computed once for each text of an update. Bottlenecks attach to
   * all.
   */
  uint64_t layers_top;
  /**
   * The maximum size of hidden states below the lowest adapter that an update keeps in memory,
   * in bytes; others are in a file while the update runs. With 0 none are kept, and all layers
   * run in every step.
   */
  uint64_t lower_states_bytes_max;
} polygraft_update_options;

/**
 * The progress of an update. The struct belongs to the library and is valid until the callback
 * returns.
 */
typedef struct {
  /**
   * The size of the struct in this version of the library.
   */
  uint32_t struct_size;
  /**
   * The current phase, one of `POLYGRAFT_PHASE_*`.
   */
  uint32_t phase;
  /**
   * The number of steps done in this phase.
   */
  uint64_t step;
  /**
   * The number of steps of this phase.
   */
  uint64_t steps_count;
  /**
   * The number of training examples processed so far, over all epochs.
   */
  uint64_t examples_seen;
  /**
   * The time since the run began, in milliseconds.
   */
  uint64_t elapsed_ms;
  /**
   * The mean loss of the last steps; NaN outside of training.
   */
  double loss;
  /**
   * The estimated fraction of the whole run that is done, from 0 to 1. It never decreases, and
   * is 1 at the last step of the last phase.
   */
  double fraction;
} polygraft_progress;

/**
 * A function that receives the progress of an update: at the first and last step of each phase,
 * and at most ten times a second between them. It runs on the thread that called
 * `polygraft_update_run`, and the update waits for it. It returns 0 to continue and any other
 * value to cancel the run. It must return normally: exceptions and longjmp may not leave it. It
 * may call every function of the library; those on the running update are refused, except closing
 * it. To end a run and continue it later, set `checkpoint_steps` and cancel.
 */
typedef int (*polygraft_progress_callback)(const polygraft_progress *progress, void *user);

/**
 * A span of a text, with its kind.
 */
typedef struct {
  /**
   * The kind of the span, NUL-terminated. Its tags are the kind with `B-` or `I-` before it.
   */
  const char *kind;
  /**
   * The offset of the span's first byte: the span begins at `text + byte_start`.
   */
  size_t byte_start;
  /**
   * The offset of the first byte after the span.
   */
  size_t byte_end;
} polygraft_text_span;

/**
 * How to import. `polygraft_import_options_init` fills it with the defaults. Texts are read during
 * the call.
 */
typedef struct {
  /**
   * `sizeof(polygraft_import_options)`.
   */
  uint32_t struct_size;
  /**
   * Whether the version becomes active, one of `POLYGRAFT_ACTIVATION_*`.
   */
  uint32_t activation;
  /**
   * The loss of accuracy that the gate still counts as not worse, 0 to 1.
   */
  double gate_margin;
  /**
   * The confidence of the gate, 0.5 to less than 1.
   */
  double gate_confidence;
  /**
   * A token that can cancel the measuring; NULL for none.
   */
  const polygraft_cancel *cancel;
  /**
   * The labels of the head in the order of its outputs, instead of those that the file states.
   * An adapter without a head gets a new one of zeros for them.
   */
  const char *const *labels;
  /**
   * The number of labels in `labels`.
   */
  uint32_t labels_count;
  /**
   * 1 if the head reads the pooled hidden states of the bundle, whatever model class the file
   * names, else 0.
   */
  uint8_t head_on_pooled;
  /**
   * Must be 0.
   */
  uint8_t reserved[3];
  /**
   * The prefix of the layers in the other library's model, for example `bert`, or an empty text.
   * With NULL it is found from the names.
   */
  const char *encoder;
  /**
   * The prefix of the same layers in the bundle, if several fit; NULL if it is to be found.
   */
  const char *within;
} polygraft_import_options;

/**
 * How to export. `polygraft_export_options_init` fills it with the defaults. Texts are read during
 * the call, and NULL stands for the default of each.
 */
typedef struct {
  /**
   * `sizeof(polygraft_export_options)`.
   */
  uint32_t struct_size;
  /**
   * The format, one of `POLYGRAFT_FORMAT_*`; the default is polygraft's own.
   */
  uint32_t format;
  /**
   * The name of the encoder in the other library's model, for example `bert`.
   */
  const char *encoder;
  /**
   * The prefix of the layers in the bundle that is not written.
   */
  const char *within;
  /**
   * The module of the head in PEFT's model; `classifier` if NULL.
   */
  const char *head_module;
  /**
   * The name of the adapter in AdapterHub; `polygraft` if NULL.
   */
  const char *name;
  /**
   * The name of the architecture in AdapterHub, for example `xlm-roberta`; as `encoder` if NULL.
   */
  const char *model_type;
  /**
   * 1 to leave the head out, else 0.
   */
  uint8_t without_head;
  /**
   * Must be 0.
   */
  uint8_t reserved[7];
} polygraft_export_options;

/**
 * Which remembered examples to wipe: those that meet all stated conditions.
 * `polygraft_wipe_options_init` fills it with no condition, which means all of the task.
 */
typedef struct {
  /**
   * `sizeof(polygraft_wipe_options)`.
   */
  uint32_t struct_size;
  /**
   * 1 to retire the versions that may have learnt from the examples, else 0.
   */
  uint8_t retire;
  /**
   * Must be 0.
   */
  uint8_t reserved[3];
  /**
   * Only examples in this language; NULL for all languages.
   */
  const char *language;
  /**
   * Only examples with this label, or with this tag or kind of span; NULL for all.
   */
  const char *label;
  /**
   * Only examples that were first added before this time, in milliseconds since 1970-01-01 00:00
   * UTC; 0 for all. Days are not divided: all examples of the day of this time are wiped. So are
   * those whose day is not known, because polygraft 0.1 did not record it.
   */
  uint64_t added_before_unix_ms;
} polygraft_wipe_options;

/**
 * The wiped examples of one language.
 */
typedef struct {
  /**
   * `sizeof(polygraft_wiped_language)`, set by the caller before the struct is filled.
   */
  uint32_t struct_size;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * The language.
   */
  polygraft_string_view language;
  /**
   * The number of wiped examples.
   */
  uint64_t examples_count;
} polygraft_wiped_language;

/**
 * One step of a chain.
 */
typedef struct {
  /**
   * `sizeof(polygraft_chain_step)`, set by the caller before the struct is filled.
   */
  uint32_t struct_size;
  /**
   * Why the language is in the chain, one of `POLYGRAFT_STEP_*`.
   */
  uint32_t kind;
  /**
   * The language.
   */
  polygraft_string_view language;
  /**
   * The mixed typological distance to the requested language, 0 to 1; NaN if there is none.
   */
  double distance;
  /**
   * The number of the language's active version; 0 for none.
   */
  uint32_t version;
  /**
   * 1 if this version serves the requested language, else 0. At most one step of a chain does.
   */
  uint8_t serves;
  /**
   * 0.
   */
  uint8_t reserved[3];
} polygraft_chain_step;

/**
 * A function that receives the number of evaluated examples and the number of all. It runs on the
 * thread that called `polygraft_model_evaluate`. It returns 0 to continue and any other value to
 * cancel. It must return normally: exceptions and longjmp may not leave it.
 */
typedef int (*polygraft_step_callback)(size_t step, size_t steps_count, void *user);

/**
 * How well the version that serves a language does on the examples in it.
 */
typedef struct {
  /**
   * `sizeof(polygraft_score)`, set by the caller before the struct is filled.
   */
  uint32_t struct_size;
  /**
   * The number of the version that served; 0 in a mean.
   */
  uint32_t version;
  /**
   * The language of the examples; an empty text in a mean.
   */
  polygraft_string_view language;
  /**
   * The language whose version served; an empty text in a mean.
   */
  polygraft_string_view served_by;
  /**
   * The number of examples.
   */
  uint64_t examples_count;
  /**
   * The mean score of the examples, from 0 to 1: what the gate of an update compares.
   */
  double score;
  /**
   * The number of metrics.
   */
  uint64_t metrics_count;
} polygraft_score;

/**
 * A metric, such as `accuracy` or `macro_f1`. The struct is returned by value and never gets new
 * fields.
 */
typedef struct {
  /**
   * The usual name of the metric; an empty text if there is none.
   */
  polygraft_string_view name;
  /**
   * Its value; NaN if there is none.
   */
  double value;
} polygraft_metric;

/**
 * What a store contains of all tasks together.
 */
typedef struct {
  /**
   * `sizeof(polygraft_store_statistics)`, set by the caller before the struct is filled.
   */
  uint32_t struct_size;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * The generation of the store, which grows by one with every change.
   */
  uint64_t generation;
  /**
   * The number of tasks.
   */
  uint64_t tasks_count;
  /**
   * The number of versions.
   */
  uint64_t versions_count;
  /**
   * The number of distinct contents of versions; versions can share one.
   */
  uint64_t contents_count;
  /**
   * The size of these contents, in bytes.
   */
  uint64_t contents_size_bytes;
} polygraft_store_statistics;

/**
 * What a store contains of one task.
 */
typedef struct {
  /**
   * `sizeof(polygraft_task_statistics)`, set by the caller before the struct is filled.
   */
  uint32_t struct_size;
  /**
   * 1 if there is a checkpoint of a stopped or running update, else 0.
   */
  uint8_t has_checkpoint;
  /**
   * 0.
   */
  uint8_t reserved[3];
  /**
   * The task.
   */
  polygraft_string_view task;
  /**
   * The number of languages that have versions.
   */
  uint64_t languages_count;
  /**
   * The number of versions.
   */
  uint64_t versions_count;
  /**
   * The number of versions that are active.
   */
  uint64_t active_count;
  /**
   * The number of languages that are pinned.
   */
  uint64_t pinned_count;
  /**
   * The size of the distinct contents of the versions, in bytes.
   */
  uint64_t versions_size_bytes;
  /**
   * The number of updates that were committed.
   */
  uint64_t reports_count;
  /**
   * The number of languages that have remembered examples.
   */
  uint64_t examples_languages_count;
  /**
   * The number of remembered examples.
   */
  uint64_t examples_count;
  /**
   * The size of the remembered examples, in bytes.
   */
  uint64_t examples_size_bytes;
} polygraft_task_statistics;

/**
 * What a store remembers of one language of a task.
 */
typedef struct {
  /**
   * `sizeof(polygraft_examples_statistics)`, set by the caller before the struct is filled.
   */
  uint32_t struct_size;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * The language.
   */
  polygraft_string_view language;
  /**
   * The number of training examples.
   */
  uint64_t training_count;
  /**
   * The number of held-out examples.
   */
  uint64_t held_out_count;
  /**
   * The number of training examples that wait for an update with enough examples to judge them.
   */
  uint64_t pending_count;
  /**
   * The size of the examples, in bytes.
   */
  uint64_t size_bytes;
  /**
   * The beginning of the day on which the oldest example was added, in milliseconds since
   * 1970-01-01 00:00 UTC; 0 if it is not known.
   */
  uint64_t oldest_unix_ms;
} polygraft_examples_statistics;

/**
 * What to check. `polygraft_diagnose_options_init` fills it with the defaults. Paths are read
 * during the call.
 */
typedef struct {
  /**
   * `sizeof(polygraft_diagnose_options)`.
   */
  uint32_t struct_size;
  /**
   * How the weights of the bundle are held during the check, one of `POLYGRAFT_MODE_*`.
   */
  uint32_t mode;
  /**
   * How much of the bundle is checked, one of `POLYGRAFT_VERIFY_*`; the default is all of it.
   */
  uint32_t verify;
  /**
   * Must be 0.
   */
  uint32_t reserved;
  /**
   * The path of the ONNX Runtime library; NULL to search for it as `polygraft_engine_open` does.
   */
  const char *onnxruntime_path;
  /**
   * The folder of a bundle; NULL for none.
   */
  const char *bundle_path;
  /**
   * The folder of a store, which is not created; NULL for none.
   */
  const char *store_path;
} polygraft_diagnose_options;

/**
 * The result of one check.
 */
typedef struct {
  /**
   * `sizeof(polygraft_check)`, set by the caller before the struct is filled.
   */
  uint32_t struct_size;
  /**
   * The outcome, one of `POLYGRAFT_CHECK_*`.
   */
  uint32_t state;
  /**
   * What was checked, for example `onnxruntime`, `bundle` or `store`.
   */
  polygraft_string_view subject;
  /**
   * What was found, in lines.
   */
  polygraft_string_view details;
  /**
   * The status of what is wrong, one of `POLYGRAFT_ERROR_*`; POLYGRAFT_OK if nothing is, or if
   * several things are.
   */
  polygraft_status status;
  /**
   * 0.
   */
  uint32_t reserved;
} polygraft_check;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Returns the version of the binary interface of the loaded library. Compare it with the macro
 * `POLYGRAFT_ABI_VERSION` of the header that the program was compiled with.
 *
 * Ownership: the function returns a plain number.
 * Threads: may be called from any thread at any time.
 * Errors: none.
 */
POLYGRAFT_API uint32_t polygraft_abi_version(void);

/**
 * Returns the version of the loaded library, for example `0.1.0`.
 *
 * Ownership: the view is static; it is valid for as long as the library is loaded.
 * Threads: may be called from any thread at any time.
 * Errors: none.
 */
POLYGRAFT_API polygraft_string_view polygraft_version_string(void);

/**
 * Returns the version, build kind and platform of the loaded library in one line, for logs.
 *
 * Ownership: the view is static; it is valid for as long as the library is loaded.
 * Threads: may be called from any thread at any time.
 * Errors: none.
 */
POLYGRAFT_API polygraft_string_view polygraft_build_info(void);

/**
 * Returns the status of a failure, one of `POLYGRAFT_ERROR_*`; `POLYGRAFT_OK` for NULL.
 *
 * Ownership: the caller keeps `error`.
 * Threads: may be called concurrently on one error.
 * Errors: none.
 */
POLYGRAFT_API polygraft_status polygraft_error_code(const polygraft_error *error);

/**
 * Returns the stable name of a failure, for example `adapter.base_mismatch`; an empty text for
 * NULL.
 *
 * Ownership: the view is valid until `error` is freed.
 * Threads: may be called concurrently on one error.
 * Errors: none.
 */
POLYGRAFT_API polygraft_string_view polygraft_error_name(const polygraft_error *error);

/**
 * Returns the whole message of a failure: its causes from the outermost to the innermost,
 * separated by `": "`; an empty text for NULL.
 *
 * Ownership: the view is valid until `error` is freed.
 * Threads: may be called concurrently on one error.
 * Errors: none.
 */
POLYGRAFT_API polygraft_string_view polygraft_error_message(const polygraft_error *error);

/**
 * Returns the number of causes of a failure, at least 1; 0 for NULL.
 *
 * Ownership: the caller keeps `error`.
 * Threads: may be called concurrently on one error.
 * Errors: none.
 */
POLYGRAFT_API size_t polygraft_error_causes_count(const polygraft_error *error);

/**
 * Returns one cause of a failure. Cause 0 is the outermost and says what was being done; the last
 * one says what went wrong. NULL and an `index` past the end give an empty text.
 *
 * Ownership: the view is valid until `error` is freed.
 * Threads: may be called concurrently on one error.
 * Errors: none.
 */
POLYGRAFT_API
polygraft_string_view polygraft_error_cause(const polygraft_error *error,
                                            size_t index);

/**
 * Frees an error and sets `*error` to NULL. NULL and a pointer to NULL do nothing.
 *
 * Ownership: the function consumes `*error`; views into it become invalid.
 * Threads: exclusive: no other thread may be using this error.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_error_free(polygraft_error **error);

/**
 * Returns the stable name of a status: `ok` for `POLYGRAFT_OK`, for example `io.not_found` for
 * `POLYGRAFT_ERROR_NOT_FOUND`, and an empty text for a number that is not a status.
 *
 * Ownership: the view is static; it is valid for as long as the library is loaded.
 * Threads: may be called from any thread at any time.
 * Errors: none.
 */
POLYGRAFT_API polygraft_string_view polygraft_status_name(polygraft_status status);

/**
 * Fills `options` with the defaults; pass `sizeof(polygraft_engine_options)` as `struct_size`.
 *
 * Ownership: the function writes `*options`, which stays the caller's.
 * Threads: may be called concurrently on different structs.
 * Errors: argument.null, argument.invalid (a `struct_size` that no version had).
 */
POLYGRAFT_API
polygraft_status polygraft_engine_options_init(polygraft_engine_options *options,
                                               size_t struct_size,
                                               polygraft_error **error);

/**
 * Opens ONNX Runtime. The library's telemetry is switched off before it is opened.
 *
 * `options` may be NULL for the defaults.
 *
 * ONNX Runtime reads the telemetry setting only from its environment, and only when it is opened.
 * The first call in a process that opens a library therefore sets `ORT_DISABLE_TELEMETRY=1` with
 * `setenv`, unless the variable is `1` already. `setenv` races with every thread that reads or
 * writes the environment at the same time. A program with such threads sets the variable before it
 * starts them, or is started with it; polygraft then writes nothing. It never sets another
 * variable.
 *
 * Ownership: the caller owns `*engine` and closes it with `polygraft_engine_close`. `options` is
 * only read.
 * Threads: may be called from any thread at any time, apart from what is said above about the
 * environment.
 * Errors: argument.null, argument.invalid, runtime.not_found, runtime.too_old, runtime.failed.
 */
POLYGRAFT_API
polygraft_status polygraft_engine_open(const polygraft_engine_options *options,
                                       polygraft_engine **engine,
                                       polygraft_error **error);

/**
 * Gives the version of the opened ONNX Runtime, for example `1.28.0`.
 *
 * Ownership: the view is valid until `engine` is closed.
 * Threads: may be called concurrently on one engine.
 * Errors: argument.null, argument.invalid (a closed engine).
 */
POLYGRAFT_API
polygraft_status polygraft_engine_onnxruntime_version(const polygraft_engine *engine,
                                                      polygraft_string_view *version,
                                                      polygraft_error **error);

/**
 * Closes an engine and sets `*engine` to NULL. Models that were opened with it stay usable. Its
 * log callback is not called any more. NULL and a pointer to NULL do nothing.
 *
 * Ownership: the function consumes `*engine`.
 * Threads: safe while other threads use the engine: it waits until their calls and log callbacks
 * have ended, and later calls fail. Inside a log callback it does not wait.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_engine_close(polygraft_engine **engine);

/**
 * Opens the store in the folder `path`, and creates it if the folder is empty or absent. Opening
 * does not change an existing store. The handle refers to the folder that was opened: `path` may
 * be relative, and the working folder may change later. Between calls no file of the store stays
 * open for writing.
 *
 * Ownership: the caller owns `*store` and closes it with `polygraft_store_close`.
 * Threads: may be called from any thread at any time.
 * Errors: argument.null, io.*, store.malformed, store.corrupt.
 */
POLYGRAFT_API
polygraft_status polygraft_store_open(const char *path,
                                      polygraft_store **store,
                                      polygraft_error **error);

/**
 * Closes a store and sets `*store` to NULL. Models that were opened with it stay usable. NULL and
 * a pointer to NULL do nothing.
 *
 * Ownership: the function consumes `*store`.
 * Threads: safe while other threads use the store: it waits until their calls have ended, and
 * later calls fail.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_store_close(polygraft_store **store);

/**
 * Lists the versions of `task`, or of all tasks if `task` is NULL. They are ordered by task,
 * language and number.
 *
 * Ownership: the caller owns `*versions` and frees it with `polygraft_versions_free`.
 * Threads: may be called concurrently on one store.
 * Errors: argument.*, store.malformed, task.name.
 */
POLYGRAFT_API
polygraft_status polygraft_store_versions(const polygraft_store *store,
                                          const char *task,
                                          polygraft_versions **versions,
                                          polygraft_error **error);

/**
 * Activates `numbers[i]` for `languages[i]`, for all `count` languages in one step. After the
 * call, and after a crash at any moment, either all of them are active or none of them. Running
 * predictions finish on the version they started with.
 *
 * Ownership: the caller keeps everything.
 * Threads: may be called concurrently on one store, also while models predict with it.
 * Errors: argument.*, language.*, store.no_version, store.pinned, store.corrupt,
 * store.locked, io.*.
 */
POLYGRAFT_API
polygraft_status polygraft_store_activate(const polygraft_store *store,
                                          const char *task,
                                          const char *const *languages,
                                          const uint32_t *numbers,
                                          size_t count,
                                          polygraft_error **error);

/**
 * Activates the version of a language that was active before the present one. Each further call
 * goes back one more step.
 *
 * `number` may be NULL. Otherwise it receives the number of the version that is active now, or 0
 * if none is.
 *
 * Ownership: the function writes `*number`, which stays the caller's.
 * Threads: may be called concurrently on one store, also while models predict with it.
 * Errors: argument.*, language.*, store.no_version, store.pinned, store.corrupt,
 * store.locked, io.*.
 */
POLYGRAFT_API
polygraft_status polygraft_store_roll_back(const polygraft_store *store,
                                           const char *task,
                                           const char *language,
                                           uint32_t *number,
                                           polygraft_error **error);

/**
 * Pins a language to its active version. No update, activation or roll-back changes the version
 * until the language is unpinned.
 *
 * `number` may be NULL. Otherwise it receives the number of the version that the language is
 * pinned to.
 *
 * Ownership: the function writes `*number`, which stays the caller's.
 * Threads: may be called concurrently on one store.
 * Errors: argument.*, language.*, store.no_version, store.locked, io.*.
 */
POLYGRAFT_API
polygraft_status polygraft_store_pin(const polygraft_store *store,
                                     const char *task,
                                     const char *language,
                                     uint32_t *number,
                                     polygraft_error **error);

/**
 * Unpins a language, so that its version can change again.
 *
 * Ownership: the caller keeps everything.
 * Threads: may be called concurrently on one store.
 * Errors: argument.*, language.*, store.no_version, store.locked, io.*.
 */
POLYGRAFT_API
polygraft_status polygraft_store_unpin(const polygraft_store *store,
                                       const char *task,
                                       const char *language,
                                       polygraft_error **error);

/**
 * Returns the number of versions in a list; 0 for NULL.
 *
 * Ownership: the caller keeps `versions`.
 * Threads: may be called concurrently on one list.
 * Errors: none.
 */
POLYGRAFT_API size_t polygraft_versions_count(const polygraft_versions *versions);

/**
 * Fills `version` with one version of a list. The caller sets `version->struct_size` before.
 *
 * Ownership: the views in `*version` are valid until `versions` is freed.
 * Threads: may be called concurrently on one list.
 * Errors: argument.null, argument.invalid (an `index` past the end, a wrong `struct_size`).
 */
POLYGRAFT_API
polygraft_status polygraft_versions_get(const polygraft_versions *versions,
                                        size_t index,
                                        polygraft_version *version,
                                        polygraft_error **error);

/**
 * Frees a list of versions and sets `*versions` to NULL. NULL and a pointer to NULL do nothing.
 *
 * Ownership: the function consumes `*versions`; views into it become invalid.
 * Threads: exclusive: no other thread may be using this list.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_versions_free(polygraft_versions **versions);

/**
 * Makes a token that is not cancelled.
 *
 * Ownership: the caller owns `*cancel` and closes it with `polygraft_cancel_close`.
 * Threads: may be called from any thread at any time.
 * Errors: argument.null.
 */
POLYGRAFT_API
polygraft_status polygraft_cancel_open(polygraft_cancel **cancel,
                                       polygraft_error **error);

/**
 * Cancels every call that runs with this token, now and later. A cancelled call soon fails with
 * `POLYGRAFT_ERROR_CANCELLED` and has changed nothing.
 *
 * Ownership: the caller keeps `cancel`.
 * Threads: may be called from any thread at any time; that is its purpose.
 * Errors: argument.null, argument.invalid (a closed token).
 */
POLYGRAFT_API
polygraft_status polygraft_cancel_trigger(const polygraft_cancel *cancel,
                                          polygraft_error **error);

/**
 * Closes a token and sets `*cancel` to NULL. It does not cancel anything. NULL and a pointer to
 * NULL do nothing.
 *
 * Ownership: the function consumes `*cancel`.
 * Threads: safe while other threads run with the token; it does not wait for them.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_cancel_close(polygraft_cancel **cancel);

/**
 * Fills `options` with the defaults; pass `sizeof(polygraft_model_options)` as `struct_size`.
 *
 * Ownership: the function writes `*options`, which stays the caller's.
 * Threads: may be called concurrently on different structs.
 * Errors: argument.null, argument.invalid (a `struct_size` that no version had).
 */
POLYGRAFT_API
polygraft_status polygraft_model_options_init(polygraft_model_options *options,
                                              size_t struct_size,
                                              polygraft_error **error);

/**
 * Opens the model in the bundle at `bundle_path`, with the adapters in `store`.
 *
 * `options` may be NULL for the defaults. The model keeps the engine and the store open.
 *
 * Ownership: the caller owns `*model` and closes it with `polygraft_model_close`. The caller keeps
 * everything else.
 * Threads: may be called from any thread at any time.
 * Errors: argument.*, io.*, bundle.*, graph.*, runtime.failed.
 */
POLYGRAFT_API
polygraft_status polygraft_model_open(const polygraft_engine *engine,
                                      const char *bundle_path,
                                      const polygraft_store *store,
                                      const polygraft_model_options *options,
                                      polygraft_model **model,
                                      polygraft_error **error);

/**
 * Closes a model and sets `*model` to NULL. Updates that were begun with it stay usable, and their
 * runs continue. NULL and a pointer to NULL do nothing.
 *
 * Ownership: the function consumes `*model`.
 * Threads: safe while other threads use the model: it waits until their calls and callbacks have
 * ended, and later calls fail. Inside a callback it returns at once instead of waiting.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_model_close(polygraft_model **model);

/**
 * Makes an input of one text.
 *
 * Ownership: the text is copied. The caller owns `*input` and frees it with
 * `polygraft_input_free`.
 * Threads: may be called from any thread at any time.
 * Errors: argument.null, argument.utf8, task.empty_text, task.too_long (more than 65536 bytes).
 */
POLYGRAFT_API
polygraft_status polygraft_input_text(const char *text_utf8,
                                      polygraft_input **input,
                                      polygraft_error **error);

/**
 * Makes an input of two texts that the model reads together and in this order, for example a
 * premise and a hypothesis, or a sentence and its paraphrase.
 *
 * Ownership: the texts are copied. The caller owns `*input` and frees it with
 * `polygraft_input_free`.
 * Threads: may be called from any thread at any time.
 * Errors: argument.null, argument.utf8, task.empty_text, task.too_long (more than 65536 bytes).
 */
POLYGRAFT_API
polygraft_status polygraft_input_pair(const char *first,
                                      const char *second,
                                      polygraft_input **input,
                                      polygraft_error **error);

/**
 * Makes an input of a text that the caller has already split into `words_count` words.
 *
 * Offsets in a prediction about it refer to its words joined by single spaces.
 *
 * Ownership: the words are copied. The caller owns `*input` and frees it with
 * `polygraft_input_free`.
 * Threads: may be called from any thread at any time.
 * Errors: argument.*, task.empty_text (no words, or an empty word, which the message names),
 * task.too_long (more than 8192 words, or more than 65536 bytes with the spaces).
 */
POLYGRAFT_API
polygraft_status polygraft_input_words(const char *const *words,
                                       size_t words_count,
                                       polygraft_input **input,
                                       polygraft_error **error);

/**
 * Frees an input and sets `*input` to NULL. NULL and a pointer to NULL do nothing.
 *
 * Ownership: the function consumes `*input`. Examples and predictions made with it stay valid.
 * Threads: exclusive: no other thread may be using this input.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_input_free(polygraft_input **input);

/**
 * Fills `options` with the defaults; pass `sizeof(polygraft_predict_options)` as `struct_size`.
 *
 * Ownership: the function writes `*options`, which stays the caller's.
 * Threads: may be called concurrently on different structs.
 * Errors: argument.null, argument.invalid (a `struct_size` that no version had).
 */
POLYGRAFT_API
polygraft_status polygraft_predict_options_init(polygraft_predict_options *options,
                                                size_t struct_size,
                                                polygraft_error **error);

/**
 * Predicts for one text with the language's active version, or with the version of the nearest
 * language that it falls back to. The kind of the output is the kind of the task;
 * `polygraft_prediction_kind` returns it.
 *
 * `options` may be NULL for the defaults. The call uses the version that is active when it
 * starts, even if another one is activated meanwhile. For a pair of texts and for words,
 * use `polygraft_model_predict_input`.
 *
 * Ownership: the caller owns `*prediction` and frees it with `polygraft_prediction_free`.
 * Threads: may be called concurrently on one model.
 * Errors: argument.*, cancelled, language.*, store.no_version, store.corrupt,
 * task.empty_text, task.too_long, task.name, adapter.*, runtime.failed, runtime.not_finite.
 */
POLYGRAFT_API
polygraft_status polygraft_model_predict(const polygraft_model *model,
                                         const char *task,
                                         const char *language,
                                         const char *text_utf8,
                                         const polygraft_predict_options *options,
                                         polygraft_prediction **prediction,
                                         polygraft_error **error);

/**
 * Predicts for `texts_count` texts in one language. The results are those of one call per text,
 * in less time.
 *
 * Ownership: the caller owns `*predictions` and frees it with `polygraft_predictions_free`.
 * Threads: may be called concurrently on one model.
 * Errors: as for `polygraft_model_predict`. One bad text fails the whole call, and the message
 * names it.
 */
POLYGRAFT_API
polygraft_status polygraft_model_predict_batch(const polygraft_model *model,
                                               const char *task,
                                               const char *language,
                                               const char *const *texts_utf8,
                                               size_t texts_count,
                                               const polygraft_predict_options *options,
                                               polygraft_predictions **predictions,
                                               polygraft_error **error);

/**
 * Predicts for one input: a text, a pair of texts or words. Apart from the input it does what
 * `polygraft_model_predict` does.
 *
 * Tasks that tag words take words, and split texts into words; they do not take pairs. All other
 * tasks take texts and pairs, and do not take words.
 *
 * Ownership: the caller owns `*prediction` and frees it with `polygraft_prediction_free`. The
 * caller keeps `input`.
 * Threads: may be called concurrently on one model, also with one input.
 * Errors: as for `polygraft_model_predict`; task.kind for an input that the task does not take.
 */
POLYGRAFT_API
polygraft_status polygraft_model_predict_input(const polygraft_model *model,
                                               const char *task,
                                               const char *language,
                                               const polygraft_input *input,
                                               const polygraft_predict_options *options,
                                               polygraft_prediction **prediction,
                                               polygraft_error **error);

/**
 * Predicts for `inputs_count` inputs in one language. The results are those of one call per input,
 * in less time. Inputs of different forms may be mixed as far as the task takes them.
 *
 * Ownership: the caller owns `*predictions` and frees it with `polygraft_predictions_free`. The
 * caller keeps `inputs`.
 * Threads: may be called concurrently on one model, also with the same inputs.
 * Errors: as for `polygraft_model_predict_input`. One bad input fails the whole call, and the
 * message names it.
 */
POLYGRAFT_API
polygraft_status polygraft_model_predict_inputs(const polygraft_model *model,
                                                const char *task,
                                                const char *language,
                                                const polygraft_input *const *inputs,
                                                size_t inputs_count,
                                                const polygraft_predict_options *options,
                                                polygraft_predictions **predictions,
                                                polygraft_error **error);

/**
 * Predicts for `inputs_count` inputs, each in the language of the same index, by the version that
 * serves that language when the call begins. The results are those of one call per input, in their
 * order and in less time; `polygraft_prediction_language` and `polygraft_prediction_version` tell
 * which version gave each.
 *
 * Ownership: the caller owns `*predictions` and frees it with `polygraft_predictions_free`. The
 * caller keeps `languages` and `inputs`.
 * Threads: may be called concurrently on one model, also with the same inputs.
 * Errors: as for `polygraft_model_predict_input`. One bad input or language fails the whole call,
 * and the message names it.
 */
POLYGRAFT_API
polygraft_status polygraft_model_predict_many(const polygraft_model *model,
                                              const char *task,
                                              const char *const *languages,
                                              const polygraft_input *const *inputs,
                                              size_t inputs_count,
                                              const polygraft_predict_options *options,
                                              polygraft_predictions **predictions,
                                              polygraft_error **error);

/**
 * Returns the kind of task that a prediction comes from, one of `POLYGRAFT_TASK_*`; 0 for NULL.
 *
 * Ownership: the caller keeps `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 */
POLYGRAFT_API uint32_t polygraft_prediction_kind(const polygraft_prediction *prediction);

/**
 * Returns the number of labels of a prediction; 0 for NULL.
 *
 * Ownership: the caller keeps `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 */
POLYGRAFT_API size_t polygraft_prediction_labels_count(const polygraft_prediction *prediction);

/**
 * Returns one label. Label 0 is the most probable one. NULL and an `index` past the end give an
 * empty text.
 *
 * Ownership: the view is valid until `prediction` is freed.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 */
POLYGRAFT_API
polygraft_string_view polygraft_prediction_label(const polygraft_prediction *prediction,
                                                 size_t index);

/**
 * Returns the probability of one label, from 0 to 1; 0 for NULL and for an `index` past the end.
 *
 * In classification label 0 applies, and the probabilities of all labels sum to 1. In multi-label
 * classification (`POLYGRAFT_TASK_MULTI_LABEL`) each label has a probability of its own, and
 * labels with a probability of at least 0.5 apply.
 *
 * Ownership: the caller keeps `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 */
POLYGRAFT_API
float polygraft_prediction_probability(const polygraft_prediction *prediction,
                                       size_t index);

/**
 * Returns the number of a prediction; NaN for NULL and for other kinds of tasks.
 *
 * Ownership: the caller keeps `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 */
POLYGRAFT_API double polygraft_prediction_number(const polygraft_prediction *prediction);

/**
 * Returns the language whose version was used: the requested language, or the one that it fell
 * back to; an empty text for NULL.
 *
 * Ownership: the view is valid until `prediction` is freed.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 */
POLYGRAFT_API
polygraft_string_view polygraft_prediction_language(const polygraft_prediction *prediction);

/**
 * Returns the number of the version that was used; 0 for NULL.
 *
 * Ownership: the caller keeps `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 */
POLYGRAFT_API uint32_t polygraft_prediction_version(const polygraft_prediction *prediction);

/**
 * Returns 1 if the input was longer than the model reads and was therefore truncated, else 0; 0
 * for NULL.
 *
 * Ownership: the caller keeps `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 */
POLYGRAFT_API uint8_t polygraft_prediction_truncated(const polygraft_prediction *prediction);

/**
 * Frees a prediction and sets `*prediction` to NULL. NULL and a pointer to NULL do nothing.
 * Predictions of a batch are freed with the batch and never with this function.
 *
 * Ownership: the function consumes `*prediction`; views into it become invalid.
 * Threads: exclusive: no other thread may be using this prediction.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_prediction_free(polygraft_prediction **prediction);

/**
 * Returns the number of predictions in a batch; 0 for NULL.
 *
 * Ownership: the caller keeps `predictions`.
 * Threads: may be called concurrently on one batch.
 * Errors: none.
 */
POLYGRAFT_API size_t polygraft_predictions_count(const polygraft_predictions *predictions);

/**
 * Returns one prediction of a batch; NULL for NULL and for an `index` past the end.
 *
 * Ownership: the prediction belongs to the batch and is valid until the batch is freed; the caller
 * does not free it.
 * Threads: may be called concurrently on one batch.
 * Errors: none.
 */
POLYGRAFT_API
const polygraft_prediction *polygraft_predictions_get(const polygraft_predictions *predictions,
                                                      size_t index);

/**
 * Frees a batch and sets `*predictions` to NULL. NULL and a pointer to NULL do nothing.
 *
 * Ownership: the function consumes `*predictions`; its predictions and views into them become
 * invalid.
 * Threads: exclusive: no other thread may be using this batch.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_predictions_free(polygraft_predictions **predictions);

/**
 * Returns the number of words that a prediction has tags for: all words of the input, in its
 * order. NULL and kinds of tasks that do not tag words give 0.
 *
 * Ownership: the caller keeps `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 */
POLYGRAFT_API size_t polygraft_prediction_words_count(const polygraft_prediction *prediction);

/**
 * Returns one word with its tag. NULL and an `index` past the end give an empty tag and zeros.
 *
 * Ownership: the view is valid until `prediction` is freed.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 */
POLYGRAFT_API
polygraft_word polygraft_prediction_word(const polygraft_prediction *prediction,
                                         size_t index);

/**
 * Returns the number of spans that the tags of a prediction mark. NULL and tags that do not follow
 * the scheme BIO give 0.
 *
 * Ownership: the caller keeps `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 */
POLYGRAFT_API size_t polygraft_prediction_spans_count(const polygraft_prediction *prediction);

/**
 * Returns one span, in the order of the text. NULL and an `index` past the end give an empty kind
 * and zeros.
 *
 * Ownership: the view is valid until `prediction` is freed.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 */
POLYGRAFT_API
polygraft_span polygraft_prediction_span(const polygraft_prediction *prediction,
                                         size_t index);

/**
 * Generates a text for one text, as `polygraft_model_predict` does, and passes it to a callback
 * while it grows. With several beams the whole text is passed at the end.
 *
 * `options` may be NULL for the defaults. `on_chunk` may be NULL. `user` is passed to `on_chunk`
 * and is not read.
 *
 * Ownership: the caller owns `*prediction` and frees it with `polygraft_prediction_free`.
 * Threads: may be called concurrently on one model. The callback runs on this thread.
 * Errors: as for `polygraft_model_predict`; task.kind for a task that does not generate texts.
 */
POLYGRAFT_API
polygraft_status polygraft_model_generate(const polygraft_model *model,
                                          const char *task,
                                          const char *language,
                                          const char *text_utf8,
                                          const polygraft_predict_options *options,
                                          polygraft_prediction **prediction,
                                          polygraft_error **error,
                                          polygraft_chunk_callback on_chunk,
                                          void *user);

/**
 * Returns the generated text of a prediction, without its end token or stop string; an empty text
 * for NULL and for other kinds of tasks.
 *
 * Ownership: the view is valid until `prediction` is freed.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 */
POLYGRAFT_API
polygraft_string_view polygraft_prediction_text(const polygraft_prediction *prediction);

/**
 * Returns the sum of the log probabilities of a generated text's tokens; NaN for NULL and for
 * other kinds of tasks.
 *
 * Ownership: the caller keeps `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 */
POLYGRAFT_API float polygraft_prediction_log_probability(const polygraft_prediction *prediction);

/**
 * Returns the number of tokens of a generated text, including the end token; 0 for NULL and for
 * other kinds of tasks.
 *
 * Ownership: the caller keeps `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 */
POLYGRAFT_API size_t polygraft_prediction_tokens_count(const polygraft_prediction *prediction);

/**
 * Returns why a generated text ended, one of `POLYGRAFT_FINISH_*`; `POLYGRAFT_FINISH_NONE` for
 * NULL and for other kinds of tasks.
 *
 * Ownership: the caller keeps `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 */
POLYGRAFT_API uint32_t polygraft_prediction_finish_reason(const polygraft_prediction *prediction);

/**
 * Gives one vector for each of `texts_count` texts: the pooled hidden state of the backbone with
 * the version that serves `language` in `task`. If `task` is NULL, the bare backbone is used;
 * `language` is then not read and may be NULL.
 *
 * `normalise` is 1 for vectors of length 1, whose dot product is their cosine, or 0 for vectors as
 * the backbone gives them. Vectors of different versions cannot be compared.
 *
 * Ownership: the caller owns `*vectors` and frees it with `polygraft_vectors_free`.
 * Threads: may be called concurrently on one model.
 * Errors: argument.*, language.*, store.no_version, store.corrupt, task.empty_text,
 * task.too_long, adapter.*, runtime.failed, runtime.not_finite. One bad text fails the whole call,
 * and the message names it.
 */
POLYGRAFT_API
polygraft_status polygraft_model_embed(const polygraft_model *model,
                                       const char *task,
                                       const char *language,
                                       const char *const *texts_utf8,
                                       size_t texts_count,
                                       uint8_t normalise,
                                       polygraft_vectors **vectors,
                                       polygraft_error **error);

/**
 * Returns the number of vectors; 0 for NULL.
 *
 * Ownership: the caller keeps `vectors`.
 * Threads: may be called concurrently on the same vectors.
 * Errors: none.
 */
POLYGRAFT_API size_t polygraft_vectors_count(const polygraft_vectors *vectors);

/**
 * Returns the number of values in each vector; 0 for NULL and if there are no vectors.
 *
 * Ownership: the caller keeps `vectors`.
 * Threads: may be called concurrently on the same vectors.
 * Errors: none.
 */
POLYGRAFT_API size_t polygraft_vectors_size(const polygraft_vectors *vectors);

/**
 * Returns the values of one vector, `polygraft_vectors_size` of them. The values of the next
 * vector follow, so that vector 0 begins the whole matrix in row-major order. NULL and an `index`
 * past the end give NULL.
 *
 * Ownership: the values belong to `vectors` and are valid until it is freed.
 * Threads: may be called concurrently on the same vectors.
 * Errors: none.
 */
POLYGRAFT_API const float *polygraft_vectors_get(const polygraft_vectors *vectors, size_t index);

/**
 * Frees vectors and sets `*vectors` to NULL. NULL and a pointer to NULL do nothing.
 *
 * Ownership: the function consumes `*vectors`; pointers to its values become invalid.
 * Threads: exclusive: no other thread may be using these vectors.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_vectors_free(polygraft_vectors **vectors);

/**
 * Returns the task that was updated; an empty text for NULL.
 *
 * Ownership: the view is valid until `report` is freed.
 * Threads: may be called concurrently on one report.
 * Errors: none.
 */
POLYGRAFT_API polygraft_string_view polygraft_report_task(const polygraft_report *report);

/**
 * Returns the name of the strategy, for example `replay`; an empty text for NULL.
 *
 * Ownership: the view is valid until `report` is freed.
 * Threads: may be called concurrently on one report.
 * Errors: none.
 */
POLYGRAFT_API polygraft_string_view polygraft_report_strategy(const polygraft_report *report);

/**
 * Returns the rule of the gate in words, with its margin and confidence; an empty text for NULL.
 *
 * Ownership: the view is valid until `report` is freed.
 * Threads: may be called concurrently on one report.
 * Errors: none.
 */
POLYGRAFT_API polygraft_string_view polygraft_report_gate(const polygraft_report *report);

/**
 * Returns the number of languages in a report; 0 for NULL.
 *
 * Ownership: the caller keeps `report`.
 * Threads: may be called concurrently on one report.
 * Errors: none.
 */
POLYGRAFT_API size_t polygraft_report_languages_count(const polygraft_report *report);

/**
 * Fills `entry` with one language of a report. Languages are sorted by tag, and the shared adapter
 * comes last. The caller sets `entry->struct_size` before.
 *
 * Ownership: the views in `*entry` are valid until `report` is freed.
 * Threads: may be called concurrently on one report.
 * Errors: argument.null, argument.invalid (an `index` past the end, a wrong `struct_size`).
 */
POLYGRAFT_API
polygraft_status polygraft_report_language(const polygraft_report *report,
                                           size_t index,
                                           polygraft_language_report *entry,
                                           polygraft_error **error);

/**
 * Fills `summary` with the summary of what users are served after the gate. The caller sets
 * `summary->struct_size` before.
 *
 * Ownership: the function writes `*summary`, which stays the caller's.
 * Threads: may be called concurrently on one report.
 * Errors: argument.null, argument.invalid (a wrong `struct_size`).
 */
POLYGRAFT_API
polygraft_status polygraft_report_summary(const polygraft_report *report,
                                          polygraft_summary *summary,
                                          polygraft_error **error);

/**
 * Fills `summary` with the summary of activating the candidate in every language. The caller sets
 * `summary->struct_size` before.
 *
 * Ownership: the function writes `*summary`, which stays the caller's.
 * Threads: may be called concurrently on one report.
 * Errors: argument.null, argument.invalid (a wrong `struct_size`).
 */
POLYGRAFT_API
polygraft_status polygraft_report_candidate_summary(const polygraft_report *report,
                                                    polygraft_summary *summary,
                                                    polygraft_error **error);

/**
 * Fills `training` with the figures of the training. The caller sets
 * `training->struct_size` before.
 *
 * Ownership: the function writes `*training`, which stays the caller's.
 * Threads: may be called concurrently on one report.
 * Errors: argument.null, argument.invalid (a wrong `struct_size`).
 */
POLYGRAFT_API
polygraft_status polygraft_report_training(const polygraft_report *report,
                                           polygraft_training *training,
                                           polygraft_error **error);

/**
 * Frees a report and sets `*report` to NULL. NULL and a pointer to NULL do nothing.
 *
 * Ownership: the function consumes `*report`; views into it become invalid.
 * Threads: exclusive: no other thread may be using this report.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_report_free(polygraft_report **report);

/**
 * Gives the reports of all updates of `task` that were committed to a store, the oldest first. The
 * list is empty for a task that was never updated.
 *
 * Ownership: the caller owns `*reports` and frees it with `polygraft_reports_free`.
 * Threads: may be called concurrently on one store.
 * Errors: argument.*, task.name, store.malformed, store.corrupt, io.read.
 */
POLYGRAFT_API
polygraft_status polygraft_store_reports(const polygraft_store *store,
                                         const char *task,
                                         polygraft_reports **reports,
                                         polygraft_error **error);

/**
 * Removes the checkpoint of a stopped update of `task`, so that another update can begin. It does
 * nothing if there is no checkpoint. The checkpoint of a running update is not removed.
 *
 * Ownership: the caller keeps everything.
 * Threads: may be called concurrently on one store.
 * Errors: argument.*, task.name, store.locked (an update of the task is running), io.write.
 */
POLYGRAFT_API
polygraft_status polygraft_store_discard_checkpoint(const polygraft_store *store,
                                                    const char *task,
                                                    polygraft_error **error);

/**
 * Returns the number of reports in a list; 0 for NULL.
 *
 * Ownership: the caller keeps `reports`.
 * Threads: may be called concurrently on one list.
 * Errors: none.
 */
POLYGRAFT_API size_t polygraft_reports_count(const polygraft_reports *reports);

/**
 * Returns one report of a list. Report 0 is that of the first update. NULL and an `index` past the
 * end give NULL.
 *
 * Ownership: the report belongs to the list and is valid until the list is freed; the caller does
 * not free it.
 * Threads: may be called concurrently on one list.
 * Errors: none.
 */
POLYGRAFT_API
const polygraft_report *polygraft_reports_get(const polygraft_reports *reports,
                                              size_t index);

/**
 * Returns the reports as one self-contained HTML page with charts; an empty text for NULL. The
 * text is always empty if the library was built without the feature `html`, which is on by
 * default.
 *
 * Ownership: the view is valid until `reports` is freed.
 * Threads: may be called concurrently on one list.
 * Errors: none.
 */
POLYGRAFT_API polygraft_string_view polygraft_reports_html(const polygraft_reports *reports);

/**
 * Frees a list of reports and sets `*reports` to NULL. NULL and a pointer to NULL do nothing.
 *
 * Ownership: the function consumes `*reports`; its reports and views into them become invalid.
 * Threads: exclusive: no other thread may be using this list.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_reports_free(polygraft_reports **reports);

/**
 * Fills `options` with the defaults; pass `sizeof(polygraft_update_options)` as `struct_size`.
 *
 * Ownership: the function writes `*options`, which stays the caller's.
 * Threads: may be called concurrently on different structs.
 * Errors: argument.null, argument.invalid (a `struct_size` that no version had).
 */
POLYGRAFT_API
polygraft_status polygraft_update_options_init(polygraft_update_options *options,
                                               size_t struct_size,
                                               polygraft_error **error);

/**
 * Begins an update of `task`. Predictions and the store do not change before
 * `polygraft_update_commit`.
 *
 * `options` may be NULL for the defaults.
 *
 * Ownership: the caller owns `*update` and closes it with `polygraft_update_close`. `options` is
 * only read.
 * Threads: may be called concurrently on one model.
 * Errors: argument.*, task.name.
 */
POLYGRAFT_API
polygraft_status polygraft_update_begin(const polygraft_model *model,
                                        const char *task,
                                        const polygraft_update_options *options,
                                        polygraft_update **update,
                                        polygraft_error **error);

/**
 * Trains on the added examples and measures every language before and after.
 *
 * `cancel` may be NULL. `report` may be NULL; otherwise it receives a report of what a commit
 * would do. `progress` may be NULL. `user` is passed to `progress` and is not read. A run that
 * fails or is cancelled changes nothing, and the update can be run again.
 *
 * Ownership: the caller owns `*report` and frees it with `polygraft_report_free`. The caller keeps
 * everything else.
 * Threads: exclusive: one call on an update at a time. The callback runs on this thread.
 * Errors: argument.*, cancelled, update.*, task.unknown_label, adapter.*, runtime.failed,
 * graph.unsupported, rehearsal.malformed, store.*, io.*.
 */
POLYGRAFT_API
polygraft_status polygraft_update_run(polygraft_update *update,
                                      const polygraft_cancel *cancel,
                                      polygraft_report **report,
                                      polygraft_error **error,
                                      polygraft_progress_callback progress,
                                      void *user);

/**
 * Lets the gate judge the last successful run again, with the gate's fields of `options`. It
 * trains and measures nothing.
 *
 * `options` may be NULL for the defaults. `report` may be NULL; otherwise it receives a report of
 * what a commit would do now.
 *
 * Ownership: the caller owns `*report` and frees it with `polygraft_report_free`. `options` is
 * only read.
 * Threads: exclusive: one call on an update at a time.
 * Errors: argument.*, update.state (the update has not run).
 */
POLYGRAFT_API
polygraft_status polygraft_update_judge(polygraft_update *update,
                                        const polygraft_update_options *options,
                                        polygraft_report **report,
                                        polygraft_error **error);

/**
 * Measures the candidates of the last run against the versions that are active now, and lets the
 * gate judge again. It trains nothing. Call it when `polygraft_update_commit` fails with
 * store.changed, then commit again.
 *
 * `cancel`, `report`, `progress` and `user` are those of `polygraft_update_run`. After a failure
 * or a cancellation the update still has its candidates.
 *
 * Ownership: the caller owns `*report` and frees it with `polygraft_report_free`. The caller keeps
 * everything else.
 * Threads: exclusive: one call on an update at a time. The callback runs on this thread.
 * Errors: argument.*, cancelled, update.state (the update has not run), adapter.*, runtime.failed,
 * store.*, io.*.
 */
POLYGRAFT_API
polygraft_status polygraft_update_measure_again(polygraft_update *update,
                                                const polygraft_cancel *cancel,
                                                polygraft_report **report,
                                                polygraft_error **error,
                                                polygraft_progress_callback progress,
                                                void *user);

/**
 * Publishes what the gate accepted and activates it, for all languages in one step. The remembered
 * examples and the report belong to the same step: after the call, and after a crash at any
 * moment, either all of it is in the store or none of it.
 *
 * `report` may be NULL; otherwise it receives the report with the new version numbers. After a
 * commit the update is empty and can take new examples. Once the versions are active, the call
 * succeeds; clean-up that failed afterwards is listed under `warnings` in the report's JSON.
 *
 * A failed commit leaves the store as it was and the update as it is, so it can be tried again.
 * After io.full and store.locked, call it again. After store.changed, call
 * `polygraft_update_measure_again` first: a version of the task was activated, rolled back or
 * pinned since the update was measured. Changes of other tasks do not matter. update.state means
 * that the update has not run.
 *
 * Ownership: the caller owns `*report` and frees it with `polygraft_report_free`. The caller still
 * has to close `update`.
 * Threads: exclusive: one call on an update at a time. Predictions may run meanwhile.
 * Errors: argument.*, update.state, store.changed, store.locked and other store.*, io.write,
 * io.full.
 */
POLYGRAFT_API
polygraft_status polygraft_update_commit(polygraft_update *update,
                                         polygraft_report **report,
                                         polygraft_error **error);

/**
 * Closes an update and sets `*update` to NULL. An update that was not committed is aborted: its
 * examples and candidates are dropped. NULL and a pointer to NULL do nothing.
 *
 * Ownership: the function consumes `*update`.
 * Threads: safe while another thread runs the update: it waits until that call has ended, so that
 * no callback comes later and `user` may be freed. Trigger the run's cancel token first to wait
 * less, and hold no lock that the callback takes. Inside the callback it returns at once instead
 * of waiting; the run continues until it ends or the callback returns non-zero, and the update is
 * closed when the run returns.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_update_close(polygraft_update **update);

/**
 * Adds an example of a text and one label. If the update has run already, the outcome of that run
 * is discarded. The functions `polygraft_update_add_...` add other kinds of examples.
 *
 * Ownership: the texts are copied.
 * Threads: exclusive: one call on an update at a time.
 * Errors: argument.*, language.*, task.empty_text, task.kind (a target of another kind than
 * before), task.too_long, update.state.
 */
POLYGRAFT_API
polygraft_status polygraft_update_add(polygraft_update *update,
                                      const char *language,
                                      const char *text_utf8,
                                      const char *label,
                                      polygraft_error **error);

/**
 * Adds an example of an input and one label, for classification. For a text,
 * `polygraft_update_add` does the same.
 *
 * The input is a text or a pair of texts. All targets of an update are of one kind.
 *
 * Ownership: the function copies its arguments.
 * Threads: exclusive: one call on an update at a time.
 * Errors: argument.*, language.*, task.kind (a target of another kind than before),
 * task.too_long, update.state.
 */
POLYGRAFT_API
polygraft_status polygraft_update_add_label(polygraft_update *update,
                                            const char *language,
                                            const polygraft_input *input,
                                            const char *label,
                                            polygraft_error **error);

/**
 * Adds an example of an input and all labels that apply to it, for multi-label classification. The
 * labels may be in any order, and there may be none.
 *
 * The input is a text or a pair of texts.
 *
 * Ownership: the function copies its arguments.
 * Threads: exclusive: one call on an update at a time.
 * Errors: as for `polygraft_update_add_label`.
 */
POLYGRAFT_API
polygraft_status polygraft_update_add_labels(polygraft_update *update,
                                             const char *language,
                                             const polygraft_input *input,
                                             const char *const *labels,
                                             size_t labels_count,
                                             polygraft_error **error);

/**
 * Adds an example of an input and a finite number, for regression.
 *
 * The input is a text or a pair of texts.
 *
 * Ownership: the function copies its arguments.
 * Threads: exclusive: one call on an update at a time.
 * Errors: as for `polygraft_update_add_label`.
 */
POLYGRAFT_API
polygraft_status polygraft_update_add_number(polygraft_update *update,
                                             const char *language,
                                             const polygraft_input *input,
                                             double number,
                                             polygraft_error **error);

/**
 * Adds an example of words and one tag for each of them, for token classification. The input is
 * words.
 *
 * Tags of the scheme BIO (`B-place`, `I-place`, `O`) mark spans and must be valid: an `I-` tag
 * follows a `B-` or `I-` tag of the same kind. The message names the position of the first tag
 * that breaks the rule, counted from 1. Other tags (`NOUN`) may stand in any order.
 *
 * Ownership: the function copies its arguments.
 * Threads: exclusive: one call on an update at a time.
 * Errors: as for `polygraft_update_add_label`; argument.invalid if the number of tags is not the
 * number of words, and for tags that break the scheme.
 */
POLYGRAFT_API
polygraft_status polygraft_update_add_tags(polygraft_update *update,
                                           const char *language,
                                           const polygraft_input *input,
                                           const char *const *tags,
                                           size_t tags_count,
                                           polygraft_error **error);

/**
 * Adds an example of words, a label of the whole input and one tag for each word, for joint intent
 * and slots. The tags are those of `polygraft_update_add_tags`.
 *
 * Ownership: the function copies its arguments.
 * Threads: exclusive: one call on an update at a time.
 * Errors: as for `polygraft_update_add_tags`.
 */
POLYGRAFT_API
polygraft_status polygraft_update_add_label_and_tags(polygraft_update *update,
                                                     const char *language,
                                                     const polygraft_input *input,
                                                     const char *label,
                                                     const char *const *tags,
                                                     size_t tags_count,
                                                     polygraft_error **error);

/**
 * Adds an example of a raw text and its spans, for token classification or, with a label, for
 * joint intent and slots. The spans have the form that a prediction returns. `label` may be NULL.
 *
 * The spans become tags of the scheme BIO for the words that a prediction finds in a raw text. A
 * span that begins or ends within a word takes the whole word. Spans may come in any order, and
 * there may be none.
 *
 * Ownership: the function copies its arguments.
 * Threads: exclusive: one call on an update at a time.
 * Errors: as for `polygraft_update_add_label`; argument.invalid for a span that is empty, outside
 * the text or within a character, and for two spans that share a word. Messages count spans from
 * 1.
 */
POLYGRAFT_API
polygraft_status polygraft_update_add_spans(polygraft_update *update,
                                            const char *language,
                                            const char *text_utf8,
                                            const char *label,
                                            const polygraft_text_span *spans,
                                            size_t spans_count,
                                            polygraft_error **error);

/**
 * Adds an example of a text and the text to generate for it, for example a translation, a summary
 * or a parse. The input is a text, and the bundle must have a decoder.
 *
 * Ownership: the function copies its arguments.
 * Threads: exclusive: one call on an update at a time.
 * Errors: as for `polygraft_update_add_label`.
 */
POLYGRAFT_API
polygraft_status polygraft_update_add_text(polygraft_update *update,
                                           const char *language,
                                           const polygraft_input *input,
                                           const char *target,
                                           polygraft_error **error);

/**
 * Returns the number of the imported version; 0 for NULL.
 *
 * Ownership: the caller keeps `imported`.
 * Threads: may be called concurrently on one object.
 * Errors: none.
 */
POLYGRAFT_API uint32_t polygraft_imported_version(const polygraft_imported *imported);

/**
 * Returns 1 if the imported version became active, else 0; 0 for NULL.
 *
 * Ownership: the caller keeps `imported`.
 * Threads: may be called concurrently on one object.
 * Errors: none.
 */
POLYGRAFT_API uint8_t polygraft_imported_activated(const polygraft_imported *imported);

/**
 * Returns the format that the import found, one of `POLYGRAFT_FORMAT_*`; POLYGRAFT_FORMAT_OWN for
 * NULL.
 *
 * Ownership: the caller keeps `imported`.
 * Threads: may be called concurrently on one object.
 * Errors: none.
 */
POLYGRAFT_API uint32_t polygraft_imported_format(const polygraft_imported *imported);

/**
 * Fills `entry` with what the gate decided about the imported version. The caller sets
 * `entry->struct_size` before.
 *
 * Ownership: the views in `*entry` are valid until `imported` is freed.
 * Threads: may be called concurrently on one object.
 * Errors: argument.null, argument.invalid (a wrong `struct_size`, or an import that did not ask
 * the gate).
 */
POLYGRAFT_API
polygraft_status polygraft_imported_decision(const polygraft_imported *imported,
                                             polygraft_language_report *entry,
                                             polygraft_error **error);

/**
 * Returns the number of notes on the translation of the adapter; 0 for NULL.
 *
 * Ownership: the caller keeps `imported`.
 * Threads: may be called concurrently on one object.
 * Errors: none.
 */
POLYGRAFT_API size_t polygraft_imported_notes_count(const polygraft_imported *imported);

/**
 * Returns one note on the translation of the adapter: modules of the other library that were left
 * out, and names that were matched with each other. NULL and an `index` past the end give an empty
 * text.
 *
 * Ownership: the view is valid until `imported` is freed.
 * Threads: may be called concurrently on one object.
 * Errors: none.
 */
POLYGRAFT_API
polygraft_string_view polygraft_imported_note(const polygraft_imported *imported,
                                              size_t index);

/**
 * Frees the result of an import and sets `*imported` to NULL. NULL and a pointer to NULL do
 * nothing.
 *
 * Ownership: the function consumes `*imported`; views into it become invalid.
 * Threads: exclusive: no other thread may be using this object.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_imported_free(polygraft_imported **imported);

/**
 * Fills `options` with the defaults; pass `sizeof(polygraft_import_options)` as `struct_size`.
 *
 * Ownership: the function writes `*options`, which stays the caller's.
 * Threads: may be called concurrently on different structs.
 * Errors: argument.null, argument.invalid (a `struct_size` that no version had).
 */
POLYGRAFT_API
polygraft_status polygraft_import_options_init(polygraft_import_options *options,
                                               size_t struct_size,
                                               polygraft_error **error);

/**
 * Fills `options` with the defaults; pass `sizeof(polygraft_export_options)` as `struct_size`.
 *
 * Ownership: the function writes `*options`, which stays the caller's.
 * Threads: may be called concurrently on different structs.
 * Errors: argument.null, argument.invalid (a `struct_size` that no version had).
 */
POLYGRAFT_API
polygraft_status polygraft_export_options_init(polygraft_export_options *options,
                                               size_t struct_size,
                                               polygraft_error **error);

/**
 * Imports the adapter at `from_path` as a new version of `language`: a file of polygraft or ONNX
 * Runtime, or a folder of PEFT or AdapterHub. The format is detected.
 *
 * This is how a base adapter is installed: import it for the language `mul`, which serves every
 * language without a version of its own. By default the gate decides whether the version becomes
 * active; see `activation`. The version is in the store in any case, for
 * `polygraft_store_activate`. When the gate activates it, another language that has held-out
 * examples but no version keeps what serves it, as a version of its own.
 *
 * `options` may be NULL for the defaults. On any error nothing is published.
 *
 * Ownership: the caller owns `*imported` and frees it with `polygraft_imported_free`. The function
 * copies what it reads; the file may be removed afterwards.
 * Threads: may be called concurrently on one model, also while it predicts.
 * Errors: argument.*, language.*, task.name, task.kind (an adapter of another kind than the
 * versions of the task), adapter.*, cancelled, runtime.failed, rehearsal.malformed, store.*
 * (store.changed if what serves the language changes while the adapter is measured), io.*.
 */
POLYGRAFT_API
polygraft_status polygraft_model_import(const polygraft_model *model,
                                        const char *task,
                                        const char *language,
                                        const char *from_path,
                                        const polygraft_import_options *options,
                                        polygraft_imported **imported,
                                        polygraft_error **error);

/**
 * Writes a version of `language` to `to_path`, where nothing may be yet: as a file for
 * POLYGRAFT_FORMAT_OWN and POLYGRAFT_FORMAT_ONNX_ADAPTER, and as a folder otherwise.
 *
 * `number` is that of the version, or 0 for the active version of the language itself. `options`
 * may be NULL for the defaults.
 *
 * Ownership: the caller keeps everything.
 * Threads: may be called concurrently on one model.
 * Errors: argument.* (argument.invalid if something is at `to_path`), language.*,
 * store.no_version, store.corrupt, adapter.unsupported (the format cannot represent the adapter;
 * the message names what), adapter.base_mismatch, adapter.identity_mismatch, io.write, io.full.
 */
POLYGRAFT_API
polygraft_status polygraft_model_export(const polygraft_model *model,
                                        const char *task,
                                        const char *language,
                                        uint32_t number,
                                        const char *to_path,
                                        const polygraft_export_options *options,
                                        polygraft_error **error);

/**
 * Combines `count` adapters side by side, each with a weight, and writes the result to `to_path`,
 * where nothing may be yet. The adapters are files of polygraft (POLYGRAFT_FORMAT_OWN). Their
 * changes to the backbone are added up, and their heads are averaged. `weights` may be NULL: each
 * adapter has the weight 1. Import the result to use it.
 *
 * Ownership: the caller keeps everything.
 * Threads: may be called from any thread at any time.
 * Errors: argument.* (argument.invalid for no adapters, a weight that is not finite, and if
 * something is at `to_path`), adapter.malformed, adapter.base_mismatch, adapter.identity_mismatch,
 * adapter.tensors (adapters that do not fit together), io.*.
 */
POLYGRAFT_API
polygraft_status polygraft_adapters_combine(const char *const *from_paths,
                                            const double *weights,
                                            size_t count,
                                            const char *to_path,
                                            polygraft_error **error);

/**
 * Stacks the adapter at `upper_path` on the one at `lower_path`, for example a task's on a
 * language's, and writes the result to `to_path`, where nothing may be yet. The adapters are files
 * of polygraft. Bottlenecks of the upper one read the output of those of the lower one, and the
 * head of the upper one is kept. Import the result to use it.
 *
 * Ownership: the caller keeps everything.
 * Threads: may be called from any thread at any time.
 * Errors: as for `polygraft_adapters_combine`.
 */
POLYGRAFT_API
polygraft_status polygraft_adapters_stack(const char *lower_path,
                                          const char *upper_path,
                                          const char *to_path,
                                          polygraft_error **error);

/**
 * Fills `options` with the defaults; pass `sizeof(polygraft_wipe_options)` as `struct_size`.
 *
 * Ownership: the function writes `*options`, which stays the caller's.
 * Threads: may be called concurrently on different structs.
 * Errors: argument.null, argument.invalid (a `struct_size` that no version had).
 */
POLYGRAFT_API
polygraft_status polygraft_wipe_options_init(polygraft_wipe_options *options,
                                             size_t struct_size,
                                             polygraft_error **error);

/**
 * Wipes remembered examples of `task` from memory and disk, and names the versions that may have
 * learnt from them. `options` may be NULL: everything that is remembered of the task is wiped, and
 * no version is retired.
 *
 * A version may have learnt from an example if an update published it after the example was added.
 * Updates rehearse, and each builds on the versions before it, so this names too many versions
 * rather than too few. Imported versions are not named, unless their content came from such a
 * version. With `retire` the named versions are removed with their files, also active ones; their
 * languages go back to the last version that was active before and stays, or else to their
 * fallbacks. Examples, versions and pointers change in one step. The checkpoint of a stopped
 * update of the task is removed in any case.
 *
 * Examples that the limits of an update dropped earlier cannot be found by label or time. Wiping a
 * whole language, or everything, names what was learnt from these as well.
 *
 * Ownership: the caller owns `*wiped` and frees it with `polygraft_wiped_free`. `options` is only
 * read.
 * Threads: may be called concurrently on one store, also while models predict with it.
 * Errors: argument.*, language.*, task.name, store.locked (an update of the task is running),
 * store.pinned (a language is pinned to a version to retire; unpin it first), store.corrupt,
 * rehearsal.malformed (wiping everything removes damaged examples), io.*.
 */
POLYGRAFT_API
polygraft_status polygraft_store_wipe(const polygraft_store *store,
                                      const char *task,
                                      const polygraft_wipe_options *options,
                                      polygraft_wiped **wiped,
                                      polygraft_error **error);

/**
 * Removes old versions of `task` with their files. `language` may be NULL for all languages. Of
 * each language the active version stays, pinned or not, and so do the `keep_last` newest ones.
 * Rolling back skips removed versions, and their numbers are never reused.
 *
 * `removed` may be NULL; otherwise it receives the removed versions as they were.
 *
 * Ownership: the caller owns `*removed` and frees it with `polygraft_versions_free`.
 * Threads: may be called concurrently on one store, also while models predict with it.
 * Errors: argument.*, language.*, task.name, store.no_version, store.locked (also while an update
 * of the task is running), io.*.
 */
POLYGRAFT_API
polygraft_status polygraft_store_remove_versions(const polygraft_store *store,
                                                 const char *task,
                                                 const char *language,
                                                 uint32_t keep_last,
                                                 polygraft_versions **removed,
                                                 polygraft_error **error);

/**
 * Returns the number of languages of which a wipe removed examples; 0 for NULL.
 *
 * Ownership: the caller keeps `wiped`.
 * Threads: may be called concurrently on one object.
 * Errors: none.
 */
POLYGRAFT_API size_t polygraft_wiped_languages_count(const polygraft_wiped *wiped);

/**
 * Fills `entry` with the wiped examples of one language. The caller sets `entry->struct_size`
 * before.
 *
 * Ownership: the view in `*entry` is valid until `wiped` is freed.
 * Threads: may be called concurrently on one object.
 * Errors: argument.null, argument.invalid (an `index` past the end, a wrong `struct_size`).
 */
POLYGRAFT_API
polygraft_status polygraft_wiped_get(const polygraft_wiped *wiped,
                                     size_t index,
                                     polygraft_wiped_language *entry,
                                     polygraft_error **error);

/**
 * Returns the versions that may have learnt from wiped examples, as they were before the wipe;
 * NULL for NULL.
 *
 * Ownership: the list belongs to `wiped` and is valid until that is freed; the caller does not
 * free it.
 * Threads: may be called concurrently on one object.
 * Errors: none.
 */
POLYGRAFT_API const polygraft_versions *polygraft_wiped_versions(const polygraft_wiped *wiped);

/**
 * Returns 1 if these versions were retired, else 0; 0 for NULL.
 *
 * Ownership: the caller keeps `wiped`.
 * Threads: may be called concurrently on one object.
 * Errors: none.
 */
POLYGRAFT_API uint8_t polygraft_wiped_retired(const polygraft_wiped *wiped);

/**
 * Frees the result of a wipe and sets `*wiped` to NULL. NULL and a pointer to NULL do nothing.
 *
 * Ownership: the function consumes `*wiped`; views into it become invalid.
 * Threads: exclusive: no other thread may be using this object.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_wiped_free(polygraft_wiped **wiped);

/**
 * Explains which version of `task` serves `language`: gives every language that is asked for a
 * version, in order, with its distance and its active version. The first one that has a version
 * and is near enough serves.
 *
 * Ownership: the caller owns `*chain` and frees it with `polygraft_chain_free`.
 * Threads: may be called concurrently on one store.
 * Errors: argument.*, language.*, task.name, store.malformed, store.corrupt.
 */
POLYGRAFT_API
polygraft_status polygraft_store_explain(const polygraft_store *store,
                                         const char *task,
                                         const char *language,
                                         polygraft_chain **chain,
                                         polygraft_error **error);

/**
 * Returns the number of steps of a chain; 0 for NULL.
 *
 * Ownership: the caller keeps `chain`.
 * Threads: may be called concurrently on one chain.
 * Errors: none.
 */
POLYGRAFT_API size_t polygraft_chain_count(const polygraft_chain *chain);

/**
 * Fills `step` with one step of a chain. The caller sets `step->struct_size` before.
 *
 * Ownership: the view in `*step` is valid until `chain` is freed.
 * Threads: may be called concurrently on one chain.
 * Errors: argument.null, argument.invalid (an `index` past the end, a wrong `struct_size`).
 */
POLYGRAFT_API
polygraft_status polygraft_chain_get(const polygraft_chain *chain,
                                     size_t index,
                                     polygraft_chain_step *step,
                                     polygraft_error **error);

/**
 * Frees a chain and sets `*chain` to NULL. NULL and a pointer to NULL do nothing.
 *
 * Ownership: the function consumes `*chain`; views into it become invalid.
 * Threads: exclusive: no other thread may be using this chain.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_chain_free(polygraft_chain **chain);

/**
 * Reads labelled examples from a file in JSON Lines, for example
 * `{"lang": "de", "text": "Licht an", "label": "on"}`. docs/tasks.md has all fields.
 *
 * Ownership: the caller owns `*examples` and frees it with `polygraft_examples_free`.
 * Threads: may be called from any thread at any time.
 * Errors: argument.null, examples.malformed (the message names file, line and field; also for a
 * file without examples), language.unknown, task.*, io.*.
 */
POLYGRAFT_API
polygraft_status polygraft_examples_read(const char *path,
                                         polygraft_examples **examples,
                                         polygraft_error **error);

/**
 * Reads labelled examples from a text in JSON Lines, as `polygraft_examples_read` does from a
 * file.
 *
 * Ownership: the text is copied. The caller owns `*examples` and frees it with
 * `polygraft_examples_free`.
 * Threads: may be called from any thread at any time.
 * Errors: argument.null, argument.utf8, examples.malformed (the message names line and field; also
 * for a text without examples), language.unknown, task.*.
 */
POLYGRAFT_API
polygraft_status polygraft_examples_parse(const char *json_lines,
                                          polygraft_examples **examples,
                                          polygraft_error **error);

/**
 * Makes labelled examples of `count` languages, texts and labels, one of each for every example.
 *
 * Ownership: the texts are copied. The caller owns `*examples` and frees it with
 * `polygraft_examples_free`.
 * Threads: may be called from any thread at any time.
 * Errors: argument.*, language.*, task.empty_text, task.too_long.
 */
POLYGRAFT_API
polygraft_status polygraft_examples_labelled(const char *const *languages,
                                             const char *const *texts_utf8,
                                             const char *const *labels,
                                             size_t count,
                                             polygraft_examples **examples,
                                             polygraft_error **error);

/**
 * Adds all examples of a list to an update, as the functions `polygraft_update_add_...` do one by
 * one. When one is refused, the ones before it have been added.
 *
 * Ownership: the examples are copied.
 * Threads: exclusive: one call on an update at a time.
 * Errors: argument.*, task.kind (a target of another kind than before), update.state.
 */
POLYGRAFT_API
polygraft_status polygraft_update_add_examples(polygraft_update *update,
                                               const polygraft_examples *examples,
                                               polygraft_error **error);

/**
 * Returns the number of examples in a list; 0 for NULL.
 *
 * Ownership: the caller keeps `examples`.
 * Threads: may be called concurrently on one list.
 * Errors: none.
 */
POLYGRAFT_API size_t polygraft_examples_count(const polygraft_examples *examples);

/**
 * Frees a list of examples and sets `*examples` to NULL. NULL and a pointer to NULL do nothing.
 *
 * Ownership: the function consumes `*examples`. Updates that they were added to keep them.
 * Threads: exclusive: no other thread may be using this list.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_examples_free(polygraft_examples **examples);

/**
 * Evaluates the versions of `task` that serve the languages of `examples` on these examples. It
 * trains and changes nothing.
 *
 * `cancel` and `progress` may be NULL. `user` is passed to `progress` and is not read.
 *
 * Ownership: the caller owns `*scores` and frees it with `polygraft_scores_free`. The caller keeps
 * everything else.
 * Threads: may be called concurrently on one model. The callback runs on this thread.
 * Errors: argument.*, cancelled, store.no_version, task.name, task.kind (targets of another kind
 * than the task's), task.unknown_label (a label that the serving version does not know),
 * task.too_long, adapter.*, runtime.failed, runtime.not_finite, store.*, io.*.
 */
POLYGRAFT_API
polygraft_status polygraft_model_evaluate(const polygraft_model *model,
                                          const char *task,
                                          const polygraft_examples *examples,
                                          const polygraft_cancel *cancel,
                                          polygraft_scores **scores,
                                          polygraft_error **error,
                                          polygraft_step_callback progress,
                                          void *user);

/**
 * Returns the number of languages of an evaluation; 0 for NULL.
 *
 * Ownership: the caller keeps `scores`.
 * Threads: may be called concurrently on one object.
 * Errors: none.
 */
POLYGRAFT_API size_t polygraft_scores_count(const polygraft_scores *scores);

/**
 * Fills `score` with the score of one language. Languages are sorted by tag. The caller sets
 * `score->struct_size` before.
 *
 * Ownership: the views in `*score` are valid until `scores` is freed.
 * Threads: may be called concurrently on one object.
 * Errors: argument.null, argument.invalid (an `index` past the end, a wrong `struct_size`).
 */
POLYGRAFT_API
polygraft_status polygraft_scores_get(const polygraft_scores *scores,
                                      size_t index,
                                      polygraft_score *score,
                                      polygraft_error **error);

/**
 * Fills `score` with the mean over the languages, which count the same however many examples they
 * have. The caller sets `score->struct_size` before.
 *
 * Ownership: the views in `*score` are valid until `scores` is freed.
 * Threads: may be called concurrently on one object.
 * Errors: argument.null, argument.invalid (a wrong `struct_size`).
 */
POLYGRAFT_API
polygraft_status polygraft_scores_mean(const polygraft_scores *scores,
                                       polygraft_score *score,
                                       polygraft_error **error);

/**
 * Returns one metric of one language, the most informative first. NULL and an index past the end
 * give an empty name and NaN.
 *
 * Ownership: the view in the metric is valid until `scores` is freed.
 * Threads: may be called concurrently on one object.
 * Errors: none.
 */
POLYGRAFT_API
polygraft_metric polygraft_scores_metric(const polygraft_scores *scores,
                                         size_t index,
                                         size_t metric_index);

/**
 * Returns one metric of the mean over the languages. NULL and an index past the end give an empty
 * name and NaN.
 *
 * Ownership: the view in the metric is valid until `scores` is freed.
 * Threads: may be called concurrently on one object.
 * Errors: none.
 */
POLYGRAFT_API
polygraft_metric polygraft_scores_mean_metric(const polygraft_scores *scores,
                                              size_t metric_index);

/**
 * Frees the scores of an evaluation and sets `*scores` to NULL. NULL and a pointer to NULL do
 * nothing.
 *
 * Ownership: the function consumes `*scores`; views into it become invalid.
 * Threads: exclusive: no other thread may be using this object.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_scores_free(polygraft_scores **scores);

/**
 * Counts what a store contains: versions, reports and remembered examples of every task.
 *
 * Ownership: the caller owns `*statistics` and frees it with `polygraft_statistics_free`.
 * Threads: may be called concurrently on one store.
 * Errors: argument.*, store.malformed, store.corrupt, rehearsal.malformed, io.read.
 */
POLYGRAFT_API
polygraft_status polygraft_store_count(const polygraft_store *store,
                                       polygraft_statistics **statistics,
                                       polygraft_error **error);

/**
 * Fills `entry` with the sums over all tasks. The caller sets `entry->struct_size` before.
 *
 * Ownership: the function writes `*entry`, which stays the caller's.
 * Threads: may be called concurrently on one object.
 * Errors: argument.null, argument.invalid (a wrong `struct_size`).
 */
POLYGRAFT_API
polygraft_status polygraft_statistics_store(const polygraft_statistics *statistics,
                                            polygraft_store_statistics *entry,
                                            polygraft_error **error);

/**
 * Returns the number of tasks; 0 for NULL.
 *
 * Ownership: the caller keeps `statistics`.
 * Threads: may be called concurrently on one object.
 * Errors: none.
 */
POLYGRAFT_API size_t polygraft_statistics_tasks_count(const polygraft_statistics *statistics);

/**
 * Fills `entry` with the numbers of one task. Tasks are sorted by name. The caller sets
 * `entry->struct_size` before.
 *
 * Ownership: the view in `*entry` is valid until `statistics` is freed.
 * Threads: may be called concurrently on one object.
 * Errors: argument.null, argument.invalid (an `index` past the end, a wrong `struct_size`).
 */
POLYGRAFT_API
polygraft_status polygraft_statistics_task(const polygraft_statistics *statistics,
                                           size_t index,
                                           polygraft_task_statistics *entry,
                                           polygraft_error **error);

/**
 * Fills `entry` with what is remembered of one language of a task. Languages are sorted by tag.
 * The caller sets `entry->struct_size` before.
 *
 * Ownership: the view in `*entry` is valid until `statistics` is freed.
 * Threads: may be called concurrently on one object.
 * Errors: argument.null, argument.invalid (an index past the end, a wrong `struct_size`).
 */
POLYGRAFT_API
polygraft_status polygraft_statistics_examples(const polygraft_statistics *statistics,
                                               size_t task_index,
                                               size_t index,
                                               polygraft_examples_statistics *entry,
                                               polygraft_error **error);

/**
 * Frees statistics and sets `*statistics` to NULL. NULL and a pointer to NULL do nothing.
 *
 * Ownership: the function consumes `*statistics`; views into it become invalid.
 * Threads: exclusive: no other thread may be using this object.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_statistics_free(polygraft_statistics **statistics);

/**
 * Fills `options` with the defaults; pass `sizeof(polygraft_diagnose_options)` as `struct_size`.
 *
 * Ownership: the function writes `*options`, which stays the caller's.
 * Threads: may be called concurrently on different structs.
 * Errors: argument.null, argument.invalid (a `struct_size` that no version had).
 */
POLYGRAFT_API
polygraft_status polygraft_diagnose_options_init(polygraft_diagnose_options *options,
                                                 size_t struct_size,
                                                 polygraft_error **error);

/**
 * Checks this machine, a bundle and a store, as the command `polygraft doctor` does. It opens ONNX
 * Runtime, hashes the files of the bundle, reads every version, report and remembered example of
 * the store and, if nothing is wrong so far, opens the model and loads every active version. It
 * changes and repairs nothing.
 *
 * `options` may be NULL: only the machine and ONNX Runtime are checked. What is wrong is in the
 * result and does not make the call fail.
 *
 * Ownership: the caller owns `*checks` and frees it with `polygraft_checks_free`. `options` is
 * only read.
 * Threads: may be called from any thread at any time, apart from what `polygraft_engine_open` says
 * about the environment.
 * Errors: argument.*.
 */
POLYGRAFT_API
polygraft_status polygraft_diagnose(const polygraft_diagnose_options *options,
                                    polygraft_checks **checks,
                                    polygraft_error **error);

/**
 * Reads every version of a store and compares it with its hash. The result has one check for each
 * file that is missing or damaged, and is empty if there is none.
 *
 * Ownership: the caller owns `*checks` and frees it with `polygraft_checks_free`.
 * Threads: may be called concurrently on one store.
 * Errors: argument.*, io.read.
 */
POLYGRAFT_API
polygraft_status polygraft_store_verify(const polygraft_store *store,
                                        polygraft_checks **checks,
                                        polygraft_error **error);

/**
 * Compares the hash of every file of the bundle at `bundle_path` with its manifest.
 *
 * Ownership: the caller keeps `bundle_path`.
 * Threads: may be called from any thread at any time.
 * Errors: argument.null, bundle.* (bundle.mismatch names the file, what was expected and found),
 * graph.*, io.*.
 */
POLYGRAFT_API
polygraft_status polygraft_bundle_verify(const char *bundle_path,
                                         polygraft_error **error);

/**
 * Returns the number of checks; 0 for NULL.
 *
 * Ownership: the caller keeps `checks`.
 * Threads: may be called concurrently on one object.
 * Errors: none.
 */
POLYGRAFT_API size_t polygraft_checks_count(const polygraft_checks *checks);

/**
 * Returns 1 if no check is wrong, else 0; 1 for NULL.
 *
 * Ownership: the caller keeps `checks`.
 * Threads: may be called concurrently on one object.
 * Errors: none.
 */
POLYGRAFT_API uint8_t polygraft_checks_all_right(const polygraft_checks *checks);

/**
 * Fills `check` with the result of one check. The caller sets `check->struct_size` before.
 *
 * Ownership: the views in `*check` are valid until `checks` is freed.
 * Threads: may be called concurrently on one object.
 * Errors: argument.null, argument.invalid (an `index` past the end, a wrong `struct_size`).
 */
POLYGRAFT_API
polygraft_status polygraft_checks_get(const polygraft_checks *checks,
                                      size_t index,
                                      polygraft_check *check,
                                      polygraft_error **error);

/**
 * Frees the results of checks and sets `*checks` to NULL. NULL and a pointer to NULL do nothing.
 *
 * Ownership: the function consumes `*checks`; views into it become invalid.
 * Threads: exclusive: no other thread may be using this object.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_checks_free(polygraft_checks **checks);

/**
 * Asks for a round of `task`: makes the message for devices, from the versions that serve the
 * languages in the store of `model`.
 *
 * `options_json` is a JSON object; docs/fleet.md has its fields. `languages` is required, as in
 * `{"languages": ["de", "tr"]}`.
 *
 * Ownership: the caller owns `*round` and frees it with `polygraft_round_free`.
 * Threads: may be called concurrently on one model.
 * Errors: argument.* (argument.invalid for an unknown field or a value out of its range),
 * task.name, store.no_version (a language that nothing serves), store.*.
 */
POLYGRAFT_API
polygraft_status polygraft_round_ask(const polygraft_model *model,
                                     const char *task,
                                     const char *options_json,
                                     polygraft_round **round,
                                     polygraft_error **error);

/**
 * Answers the `message_size` bytes of a message: trains from its base versions, on `examples` and
 * on remembered ones, and makes the reply. New examples are remembered. Nothing is published or
 * activated.
 *
 * `examples` may be NULL: the device trains on what it remembers. `options_json` is a JSON object
 * or NULL for the defaults; docs/fleet.md has its fields. `cancel` may be NULL.
 *
 * Ownership: the caller owns `*round` and frees it with `polygraft_round_free`. The bytes and the
 * examples are copied.
 * Threads: may be called concurrently on one model, also while it predicts.
 * Errors: argument.*, round.malformed, round.mismatch (a message for another bundle, from a base
 * that the store lacks, or with less noise than the options demand), update.no_examples,
 * update.diverged, task.unknown_label, task.kind, cancelled, store.locked (an update of the task
 * is running), adapter.*, runtime.failed, io.*.
 */
POLYGRAFT_API
polygraft_status polygraft_round_reply(const polygraft_model *model,
                                       const uint8_t *message,
                                       size_t message_size,
                                       const polygraft_examples *examples,
                                       const char *options_json,
                                       const polygraft_cancel *cancel,
                                       polygraft_round **round,
                                       polygraft_error **error);

/**
 * Averages `count` replies to a message and makes the aggregate. A reply with anything wrong is
 * refused as a whole and changes nothing; the JSON of `*round` lists the refused ones under
 * `refused`, with their position, the name of the error and its message. Base versions that the
 * message does not carry come from `store`.
 *
 * `options_json` is a JSON object or NULL for the defaults; docs/fleet.md has its fields.
 *
 * Ownership: the caller owns `*round` and frees it with `polygraft_round_free`. Nothing is kept.
 * Threads: may be called concurrently on one store.
 * Errors: argument.*, round.malformed (the message), round.mismatch (a base version is nowhere),
 * adapter.*, store.*.
 */
POLYGRAFT_API
polygraft_status polygraft_round_average(const polygraft_store *store,
                                         const uint8_t *message,
                                         size_t message_size,
                                         const uint8_t *const *replies,
                                         const size_t *reply_sizes,
                                         size_t count,
                                         const char *options_json,
                                         polygraft_round **round,
                                         polygraft_error **error);

/**
 * Applies an aggregate: publishes its adapters as versions, each of which becomes active only if
 * the gate of this device finds it no worse than what serves the language, on the held-out
 * examples that are remembered here. A language without any keeps what serves it. The JSON of
 * `*round` is a list with an entry for each language; its bytes are empty.
 *
 * `options_json` is a JSON object or NULL for the defaults; docs/fleet.md has its fields.
 *
 * Ownership: the caller owns `*round` and frees it with `polygraft_round_free`. Nothing is kept.
 * Threads: may be called concurrently on one model, also while it predicts.
 * Errors: argument.*, round.malformed, round.mismatch (an aggregate for another bundle),
 * adapter.*, task.kind, runtime.failed, rehearsal.malformed, store.*, io.*.
 */
POLYGRAFT_API
polygraft_status polygraft_round_apply(const polygraft_model *model,
                                       const uint8_t *aggregate,
                                       size_t aggregate_size,
                                       const char *options_json,
                                       polygraft_round **round,
                                       polygraft_error **error);

/**
 * Reads a message, a reply or an aggregate, and describes it as JSON: its kind, version, hash,
 * size and what its header says. The deltas and adapters in it are checked when it is used.
 *
 * Ownership: the caller owns `*round` and frees it with `polygraft_round_free`. The bytes are
 * copied.
 * Threads: may be called from any thread at any time.
 * Errors: argument.null, round.malformed.
 */
POLYGRAFT_API
polygraft_status polygraft_round_read(const uint8_t *bytes,
                                      size_t size,
                                      polygraft_round **round,
                                      polygraft_error **error);

/**
 * Returns the bytes of a message, a reply or an aggregate and writes their number to `*size`, if
 * `size` is not NULL. Without bytes, and for NULL, it returns NULL and the number is 0.
 *
 * Ownership: the bytes belong to `round` and are valid until that is freed.
 * Threads: may be called concurrently on one object.
 * Errors: none.
 */
POLYGRAFT_API const uint8_t *polygraft_round_bytes(const polygraft_round *round, size_t *size);

/**
 * Returns the description of a message, a reply or an aggregate, or the outcome of applying one,
 * as JSON; an empty text for NULL.
 *
 * Ownership: the view is valid until `round` is freed.
 * Threads: may be called concurrently on one object.
 * Errors: none.
 */
POLYGRAFT_API polygraft_string_view polygraft_round_json(const polygraft_round *round);

/**
 * Frees a message, a reply or an aggregate and sets `*round` to NULL. NULL and a pointer to NULL
 * do nothing.
 *
 * Ownership: the function consumes `*round`; its bytes and views become invalid.
 * Threads: exclusive: no other thread may be using this object.
 * Errors: none.
 */
POLYGRAFT_API void polygraft_round_free(polygraft_round **round);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* POLYGRAFT_H */
