/**
 * polygraft: multilingual models that keep learning after they ship.
 *
 * This file is generated from src/ffi and committed; change it there.
 *
 * The shape of a program: open an engine (the ONNX Runtime library), a store (adapter versions on
 * disk) and a model (a bundle on that engine with that store); predict; begin an update, add
 * examples, run it, look at the report, commit it; roll back if you must; close everything.
 * examples/c/update.c is that program. docs/abi.md has the rules below with their reasons.
 *
 * Statuses. A function that can fail returns a polygraft_status: POLYGRAFT_OK is 0. Its parameter
 * `polygraft_error **error` may be NULL; otherwise, when the call fails and only then, it gets an
 * error that the caller frees. When a call fails, no other output is written. Error lines name the
 * stable names (polygraft_error_name) that a function can give; `io.*` means every name of that
 * group. Every function can also give internal and internal.panic; after internal.panic, close the
 * handle it happened on.
 *
 * Handles (engine, store, model, cancel, update) are closed with polygraft_..._close, which sets the
 * caller's pointer to NULL. A closed handle is refused with argument.invalid, never followed. Closing
 * waits for the calls that use the handle on other threads, and so for their callbacks; only from
 * inside a callback it returns at once, and the handle is let go when those calls return.
 *
 * Objects (error, input, prediction, predictions, vectors, versions, report, reports) belong to the
 * caller, never change, and are freed with polygraft_..._free, once. A freed object must not be used.
 *
 * Texts in are NUL-terminated UTF-8 and only read during the call. Texts out are views: `len` bytes
 * at `ptr`, followed by a 0 that `len` does not count, valid as long as the function says. Paths in
 * are NUL-terminated too, and are the bytes that the system calls the file by, UTF-8 or not; on
 * Windows they are UTF-8.
 *
 * Threads. A function may be called concurrently on the same thing if it takes it as a pointer to
 * const; otherwise the caller makes sure that it is the only one. Everything may move between
 * threads. The library keeps nothing per thread.
 *
 * Forks. ONNX Runtime's threads stay in the parent. In a forked child, a model or an update of the
 * parent is refused with runtime.failed, in every call and at once, and closing it returns at once
 * and frees nothing. Engines, stores, cancel tokens and objects go on working, and a model opened by
 * the child is as good as any. Fork while no other thread is inside a call, and do not return from a
 * callback in the child. A child that only runs another program (exec) owes nothing.
 *
 * Structs that begin with struct_size can grow in later versions. Options are filled by their
 * polygraft_..._options_init; in structs that a function fills, set struct_size = sizeof the struct.
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
  /** A defect in polygraft itself: an internal promise did not hold. */
  POLYGRAFT_ERROR_INTERNAL = 1,
  /** A panic was caught at the C boundary; the handle it happened on must be closed. */
  POLYGRAFT_ERROR_PANIC = 2,
  /** The operation was cancelled by its caller. */
  POLYGRAFT_ERROR_CANCELLED = 3,
  /** A required pointer was NULL. */
  POLYGRAFT_ERROR_ARGUMENT_NULL = 10,
  /** Text was not valid UTF-8. */
  POLYGRAFT_ERROR_ARGUMENT_UTF8 = 11,
  /** An argument or option has a value outside its range. */
  POLYGRAFT_ERROR_ARGUMENT_INVALID = 12,
  /** A file or folder does not exist. */
  POLYGRAFT_ERROR_NOT_FOUND = 20,
  /** A file could not be read. */
  POLYGRAFT_ERROR_IO_READ = 21,
  /** A file could not be written. */
  POLYGRAFT_ERROR_IO_WRITE = 22,
  /** The disk or the quota is full; nothing was changed. */
  POLYGRAFT_ERROR_IO_FULL = 23,
  /** No ONNX Runtime library was found. */
  POLYGRAFT_ERROR_RUNTIME_NOT_FOUND = 30,
  /** The ONNX Runtime library is older than polygraft needs. */
  POLYGRAFT_ERROR_RUNTIME_TOO_OLD = 31,
  /** ONNX Runtime refused a model or a run. */
  POLYGRAFT_ERROR_RUNTIME_FAILED = 32,
  /** A model gave a number that is not finite, so there is no answer. */
  POLYGRAFT_ERROR_RUNTIME_NOT_FINITE = 33,
  /** The bytes are not a valid ONNX model. */
  POLYGRAFT_ERROR_GRAPH_MALFORMED = 40,
  /** An operator or construct is not supported where it stands. */
  POLYGRAFT_ERROR_GRAPH_UNSUPPORTED = 41,
  /** External weight data is missing, truncated or outside the folder. */
  POLYGRAFT_ERROR_GRAPH_EXTERNAL_DATA = 42,
  /** The manifest of a bundle is missing, malformed or of an unknown version. */
  POLYGRAFT_ERROR_BUNDLE_MANIFEST = 50,
  /** A file of a bundle does not have the content its manifest states. */
  POLYGRAFT_ERROR_BUNDLE_MISMATCH = 51,
  /** The tokenizer cannot be read or does not fit the backbone. */
  POLYGRAFT_ERROR_BUNDLE_TOKENIZER = 52,
  /** The model of a bundle cannot do what serving and learning ask of it. */
  POLYGRAFT_ERROR_BUNDLE_UNUSABLE = 53,
  /** An adapter file is malformed. */
  POLYGRAFT_ERROR_ADAPTER_MALFORMED = 60,
  /** An adapter was trained on another backbone. */
  POLYGRAFT_ERROR_ADAPTER_BASE_MISMATCH = 61,
  /** Tensors of an adapter are missing, extra or misshapen. */
  POLYGRAFT_ERROR_ADAPTER_TENSORS = 62,
  /** No place in the backbone matches where the adapter should attach. */
  POLYGRAFT_ERROR_ADAPTER_NO_SITE = 63,
  /** An adapter of another library uses something that has no place here, or the other way round. */
  POLYGRAFT_ERROR_ADAPTER_UNSUPPORTED = 64,
  /** An adapter was taught to read texts otherwise than the bundle does, or does not say how. */
  POLYGRAFT_ERROR_ADAPTER_IDENTITY_MISMATCH = 65,
  /** A text is empty. */
  POLYGRAFT_ERROR_TASK_EMPTY_TEXT = 70,
  /** A text or label is longer than the stated limit. */
  POLYGRAFT_ERROR_TASK_TOO_LONG = 71,
  /** A label is not among the labels of the adapter. */
  POLYGRAFT_ERROR_TASK_UNKNOWN_LABEL = 72,
  /** A task name is malformed. */
  POLYGRAFT_ERROR_TASK_NAME = 73,
  /** An input, an answer or an adapter is of another kind than the task. */
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
  /** The store changed since the caller looked at it. */
  POLYGRAFT_ERROR_STORE_CHANGED = 95,
  /** A file of the rehearsal buffer is malformed. */
  POLYGRAFT_ERROR_REHEARSAL_MALFORMED = 100,
  /** A line of an examples file is malformed. */
  POLYGRAFT_ERROR_EXAMPLES_MALFORMED = 101,
  /** An update has no training examples. */
  POLYGRAFT_ERROR_UPDATE_NO_EXAMPLES = 110,
  /** An update has examples of one label only and the task has no others. */
  POLYGRAFT_ERROR_UPDATE_ONE_CLASS = 111,
  /** A step of the update was called out of order. */
  POLYGRAFT_ERROR_UPDATE_STATE = 112,
  /** The loss or a gradient is not a finite number. */
  POLYGRAFT_ERROR_UPDATE_DIVERGED = 113,
  /** A checkpoint belongs to another update, or is damaged. */
  POLYGRAFT_ERROR_UPDATE_CHECKPOINT = 114,
};

/**
 * The version of the binary interface: it grows when a program that was built against an older
 * header can no longer use the library. It is the number in the library's soname.
 */
#define POLYGRAFT_ABI_VERSION 0

/**
 * Weights stay clean, shared file pages: the least private memory.
 */
#define POLYGRAFT_MODE_LEAN 0

/**
 * Weights are packed into private memory: the fastest runs.
 */
#define POLYGRAFT_MODE_FAST 1

/**
 * Checks the sizes of the bundle's files, and the hashes of those that opening reads whole. Takes
 * milliseconds.
 */
#define POLYGRAFT_VERIFY_QUICK 0

/**
 * Checks the hash of every file of the bundle. Takes as long as reading them.
 */
#define POLYGRAFT_VERIFY_FULL 1

/**
 * The default. Like POLYGRAFT_VERIFY_FULL when the weights are met first, and like
 * POLYGRAFT_VERIFY_QUICK as long as they are not written since. What was checked is remembered in
 * a small file: in the folder that the environment variable POLYGRAFT_CACHE_DIR names (none if it
 * is empty), else in `polygraft` below XDG_CACHE_HOME or `~/.cache`.
 */
#define POLYGRAFT_VERIFY_REMEMBERED 2

/**
 * Classification: one of several labels.
 */
#define POLYGRAFT_TASK_CLASSIFICATION 1

/**
 * Multi-label classification: any number of labels.
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
 * Intent and slots: a label of the whole and a tag for each word.
 */
#define POLYGRAFT_TASK_INTENT_AND_SLOTS 5

/**
 * Sequence to sequence: a text.
 */
#define POLYGRAFT_TASK_SEQUENCE_TO_SEQUENCE 6

/**
 * The prediction is no text.
 */
#define POLYGRAFT_FINISH_NONE 0

/**
 * The model gave a token that ends a text.
 */
#define POLYGRAFT_FINISH_END 1

/**
 * The limit of tokens was reached.
 */
#define POLYGRAFT_FINISH_LENGTH 2

/**
 * One of the texts to stop at was there, or the callback ended it.
 */
#define POLYGRAFT_FINISH_STOPPED 3

/**
 * The cancel token was triggered; the text is what there was.
 */
#define POLYGRAFT_FINISH_CANCELLED 4

/**
 * The report has the sentence alone, or a reason that this version does not know.
 */
#define POLYGRAFT_REASON_UNSTATED 0

/**
 * Kept: the update had no candidate for the language.
 */
#define POLYGRAFT_REASON_NO_CANDIDATE 1

/**
 * Kept: an operator has pinned the language to its version.
 */
#define POLYGRAFT_REASON_PINNED 2

/**
 * Kept: too few choosing examples to judge by; `examples_needed` says how many more would do.
 */
#define POLYGRAFT_REASON_TOO_FEW_EXAMPLES 3

/**
 * Kept: the candidate scores less on the choosing examples.
 */
#define POLYGRAFT_REASON_WORSE 4

/**
 * Kept: the candidate scores no less, but so few examples could hide a loss beyond the margin.
 */
#define POLYGRAFT_REASON_UNCERTAIN 5

/**
 * Activated: nothing served the language.
 */
#define POLYGRAFT_REASON_FIRST_VERSION 6

/**
 * Activated: the gate is off.
 */
#define POLYGRAFT_REASON_GATE_OFF 7

/**
 * Activated: the strategy's first candidate is no worse by more than the margin.
 */
#define POLYGRAFT_REASON_NO_WORSE 8

/**
 * Activated: another candidate is clearly better than the active version and the first one.
 */
#define POLYGRAFT_REASON_BETTER 9

/**
 * Kept: no candidate answers every example with numbers that are finite.
 */
#define POLYGRAFT_REASON_NOT_FINITE 10

/**
 * The language keeps the version it had.
 */
#define POLYGRAFT_DECISION_KEEP 0

/**
 * The candidate becomes the language's active version.
 */
#define POLYGRAFT_DECISION_ACTIVATE 1

/**
 * There was no candidate for the language.
 */
#define POLYGRAFT_CANDIDATE_NONE 0

/**
 * What was learnt from all new data together.
 */
#define POLYGRAFT_CANDIDATE_SHARED 1

/**
 * What was learnt from the new data of the language itself.
 */
#define POLYGRAFT_CANDIDATE_OWN 2

/**
 * What was learnt from near languages, weighted by typological distance.
 */
#define POLYGRAFT_CANDIDATE_COMBINED 3

/**
 * Train on the new examples alone.
 */
#define POLYGRAFT_STRATEGY_NAIVE 0

/**
 * Mix the new examples with remembered ones of all languages.
 */
#define POLYGRAFT_STRATEGY_REPLAY 1

/**
 * Give each language with new examples its own version and touch nobody else.
 */
#define POLYGRAFT_STRATEGY_PER_LANGUAGE 2

/**
 * Share what the new examples teach by typological distance, and rehearse.
 */
#define POLYGRAFT_STRATEGY_URIEL 3

/**
 * The mean of the syntactic, genetic and geographic distances.
 */
#define POLYGRAFT_DISTANCE_MIXED 0

/**
 * How differently sentences are built.
 */
#define POLYGRAFT_DISTANCE_SYNTACTIC 1

/**
 * How far apart languages are spoken.
 */
#define POLYGRAFT_DISTANCE_GEOGRAPHIC 2

/**
 * How few ancestors languages share.
 */
#define POLYGRAFT_DISTANCE_GENETIC 3

/**
 * How differently sounds are put together.
 */
#define POLYGRAFT_DISTANCE_PHONOLOGICAL 4

/**
 * How different the sets of sounds are.
 */
#define POLYGRAFT_DISTANCE_INVENTORY 5

/**
 * All features in one.
 */
#define POLYGRAFT_DISTANCE_FEATURAL 6

/**
 * What was learnt is added up with weights after training.
 */
#define POLYGRAFT_SHARING_COMBINE 0

/**
 * Examples are drawn with weights in training.
 */
#define POLYGRAFT_SHARING_SAMPLE 1

/**
 * A new adapter is a low-rank product beside each of some linear layers.
 */
#define POLYGRAFT_ADAPTER_LORA 0

/**
 * A new adapter is a small network at the end of each sub-layer.
 */
#define POLYGRAFT_ADAPTER_BOTTLENECK 1

/**
 * A new adapter is factors on what some linear layers make or read.
 */
#define POLYGRAFT_ADAPTER_IA3 2

/**
 * A bottleneck reads what its sub-layer makes (Houlsby); published for both sub-layers.
 */
#define POLYGRAFT_PLACEMENT_SEQUENTIAL 0

/**
 * A bottleneck reads the normalised sum after its sub-layer (Pfeiffer); published for the
 * feed-forward.
 */
#define POLYGRAFT_PLACEMENT_AFTER_NORM 1

/**
 * A bottleneck reads what the feed-forward reads, and stands nowhere else.
 */
#define POLYGRAFT_PLACEMENT_PARALLEL 2

/**
 * Bottlenecks stand where those of their placement were published.
 */
#define POLYGRAFT_SUB_LAYERS_AS_PUBLISHED 0

/**
 * A bottleneck stands in every attention.
 */
#define POLYGRAFT_SUB_LAYERS_ATTENTION 1

/**
 * A bottleneck stands in every feed-forward.
 */
#define POLYGRAFT_SUB_LAYERS_FEED_FORWARD 2

/**
 * A bottleneck stands in every attention and in every feed-forward.
 */
#define POLYGRAFT_SUB_LAYERS_BOTH 3

/**
 * `max(x, 0)` between the layers of a bottleneck.
 */
#define POLYGRAFT_ACTIVATION_RELU 0

/**
 * `x Phi(x)` between the layers of a bottleneck.
 */
#define POLYGRAFT_ACTIVATION_GELU 1

/**
 * `x sigmoid(x)` between the layers of a bottleneck.
 */
#define POLYGRAFT_ACTIVATION_SILU 2

/**
 * Examples are split and tokenized and the training session is opened.
 */
#define POLYGRAFT_PHASE_PREPARE 0

/**
 * The candidates are trained; steps are optimiser steps.
 */
#define POLYGRAFT_PHASE_TRAIN 1

/**
 * The active versions are measured; steps are examples.
 */
#define POLYGRAFT_PHASE_MEASURE_BEFORE 2

/**
 * The candidates are measured; steps are examples. The phases come in the order of their numbers.
 */
#define POLYGRAFT_PHASE_MEASURE_AFTER 3

/**
 * A token that cancels the predictions and updates it is given to. Once cancelled, it stays so.
 */
typedef struct polygraft_cancel polygraft_cancel;

/**
 * The opened ONNX Runtime library. One per process is enough; models keep it open.
 */
typedef struct polygraft_engine polygraft_engine;

/**
 * A failure: its status, stable name, message and causes.
 */
typedef struct polygraft_error polygraft_error;

/**
 * What a model is asked about: a text, a pair of texts, or words. For predictions and examples.
 */
typedef struct polygraft_input polygraft_input;

/**
 * A backbone with the adapters of a store on it. Many threads may predict with one model.
 */
typedef struct polygraft_model polygraft_model;

/**
 * The answer to one input: labels, a number, tags or a text, as `polygraft_prediction_kind` says.
 * What a kind of answer does not have is empty.
 */
typedef struct polygraft_prediction polygraft_prediction;

/**
 * The predictions of a batch, in the order of its inputs.
 */
typedef struct polygraft_predictions polygraft_predictions;

/**
 * What an update does to each language, and what it adds up to.
 */
typedef struct polygraft_report polygraft_report;

/**
 * The reports of all updates of one task, the oldest first.
 */
typedef struct polygraft_reports polygraft_reports;

/**
 * The versions of all tasks and languages on disk. Several processes may open one store.
 */
typedef struct polygraft_store polygraft_store;

/**
 * One update in the making. Only one thread may use it at a time.
 */
typedef struct polygraft_update polygraft_update;

/**
 * One vector per text, all of one size, one behind the other in memory.
 */
typedef struct polygraft_vectors polygraft_vectors;

/**
 * A list of versions as it was when it was made.
 */
typedef struct polygraft_versions polygraft_versions;

/**
 * A borrowed UTF-8 text: `len` bytes at `ptr`, and `ptr[len]` is 0.
 *
 * It lives as long as the function that returns it says. `ptr` is never NULL.
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
 * How to open an engine. Set it up with `polygraft_engine_options_init`.
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
   * The path of the ONNX Runtime library to open; NULL looks in `ORT_DYLIB_PATH`, beside the
   * polygraft library, and where the system's loader looks.
   */
  const char *onnxruntime_path;
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
   * Its number: 1 for the first version of a language.
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
   * The BLAKE3 hash of its content, in hexadecimal.
   */
  polygraft_string_view hash;
  /**
   * The size of its content.
   */
  uint64_t size_bytes;
  /**
   * When it was published, in milliseconds since 1970 UTC.
   */
  uint64_t created_unix_ms;
  /**
   * The version that was active when it was published; 0 for none.
   */
  uint32_t parent;
  /**
   * 1 if it serves its language now, else 0.
   */
  uint8_t active;
  /**
   * 1 if it is active and pinned, else 0.
   */
  uint8_t pinned;
  /**
   * 0.
   */
  uint16_t reserved;
} polygraft_version;

/**
 * How to open a model. Set it up with `polygraft_model_options_init`.
 */
typedef struct {
  /**
   * `sizeof(polygraft_model_options)`.
   */
  uint32_t struct_size;
  /**
   * One of `POLYGRAFT_MODE_*`.
   */
  uint32_t mode;
  /**
   * Threads of one prediction; 0 takes all cores.
   */
  uint32_t threads;
  /**
   * One of `POLYGRAFT_VERIFY_*`.
   */
  uint32_t verify;
  /**
   * Patterns of the module names where adapters may attach; read while the model is opened.
   */
  const char *const *targets;
  /**
   * How many patterns `targets` has; 0 for the default targets.
   */
  uint32_t targets_count;
  /**
   * Must be 0.
   */
  uint32_t reserved;
} polygraft_model_options;

/**
 * How to predict. Set it up with `polygraft_predict_options_init`.
 */
typedef struct {
  /**
   * `sizeof(polygraft_predict_options)`.
   */
  uint32_t struct_size;
  /**
   * How many labels to give, the most probable first; 0 gives all.
   */
  uint32_t top_k;
  /**
   * A token that can cancel the prediction; NULL for none. A text that is being generated then
   * ends where it is, with `POLYGRAFT_FINISH_CANCELLED`.
   */
  const polygraft_cancel *cancel;
  /**
   * Texts: how many hypotheses are followed; 1, the default, takes the most probable token at
   * each step.
   */
  uint32_t beams;
  /**
   * Texts: the most new tokens, the end included; 0 takes as many as the bundle allows.
   */
  uint32_t tokens_max;
  /**
   * Texts: finished hypotheses compare by log probability / tokens to this power, 1 by default:
   * above 0 favours longer ones, below 0 shorter ones. Of no effect with one beam.
   */
  double length_penalty;
  /**
   * Texts that end a generation, and are cut off with what follows; read during the call.
   */
  const char *const *stops;
  /**
   * How many texts `stops` has.
   */
  uint32_t stops_count;
  /**
   * Must be 0.
   */
  uint32_t reserved;
  /**
   * Texts: the first token, which is a language in some models; -1 for what the bundle says.
   */
  int64_t forced_begin;
  /**
   * Texts: the fewest new tokens; until then only a text of `stops` ends one.
   */
  uint32_t tokens_min;
  /**
   * Texts: no sequence of this many tokens comes twice; 0 allows it.
   */
  uint32_t no_repeat;
  /**
   * Texts: the logits of tokens that were there are divided by it, negative ones multiplied; 1
   * by default, above 1 makes repetition less probable.
   */
  double repetition_penalty;
} polygraft_predict_options;

/**
 * A word and its tag. Places count from the start of the text that was asked about; of words,
 * joined by single spaces.
 */
typedef struct {
  /**
   * The tag; empty for a word behind what the model reads.
   */
  polygraft_string_view tag;
  /**
   * Where the word begins, in bytes: at `text + byte_start`.
   */
  size_t byte_start;
  /**
   * Where it ends, in bytes: the first one behind it.
   */
  size_t byte_end;
  /**
   * Where it begins, in characters (Unicode code points).
   */
  size_t char_start;
  /**
   * Where it ends, in characters.
   */
  size_t char_end;
  /**
   * The probability of the tag, 0 to 1; 0 for a word behind what the model reads.
   */
  float probability;
  /**
   * 0.
   */
  uint32_t reserved;
} polygraft_word;

/**
 * Neighbouring words that the tags mark as one thing. Places count as those of a word.
 */
typedef struct {
  /**
   * What it is: the tags without `B-` and `I-`.
   */
  polygraft_string_view kind;
  /**
   * The position of its first word, from 0.
   */
  size_t word_first;
  /**
   * The position of its last word, which is part of it.
   */
  size_t word_last;
  /**
   * Where it begins, in bytes: at `text + byte_start`.
   */
  size_t byte_start;
  /**
   * Where it ends, in bytes: the first one behind it.
   */
  size_t byte_end;
  /**
   * Where it begins, in characters (Unicode code points).
   */
  size_t char_start;
  /**
   * Where it ends, in characters.
   */
  size_t char_end;
  /**
   * The probability of its least certain word, 0 to 1.
   */
  float probability;
  /**
   * 0.
   */
  uint32_t reserved;
} polygraft_span;

/**
 * Called with each new piece of a text, whole characters, on the thread that called
 * `polygraft_model_generate`. The view ends when the callback returns. Return 0 to go on, anything
 * else to end the text there. It must return normally: no exception, no longjmp. It may call every
 * function.
 */
typedef int (*polygraft_piece_callback)(polygraft_string_view piece, void *user);

/**
 * One language of a report, measured on the examples held out for it.
 */
typedef struct {
  /**
   * `sizeof(polygraft_language_report)`, set by the caller before the struct is filled.
   */
  uint32_t struct_size;
  /**
   * What the gate decided, one of `POLYGRAFT_DECISION_*`.
   */
  uint32_t decision;
  /**
   * The language, or `mul` for the shared adapter of the languages without a version.
   */
  polygraft_string_view language;
  /**
   * Why the gate decided so, in one short sentence.
   */
  polygraft_string_view reason;
  /**
   * Score of the version that was active on the reporting examples, 0 to 1: accuracy for labels,
   * and for other kinds of answers the mean of how good each is. NaN when nothing served the
   * language or without such examples.
   */
  double before;
  /**
   * Score of the chosen candidate on the same examples.
   */
  double after;
  /**
   * Lower confidence bound of the change in score on the choosing examples; NaN when there is
   * nothing to compare.
   */
  double lower_bound;
  /**
   * How many held-out examples the scores are reported on; they never decide anything.
   */
  uint64_t reporting;
  /**
   * Choosing examples that the candidate answers better.
   */
  uint64_t gained;
  /**
   * Choosing examples that the previous version answers better.
   */
  uint64_t lost;
  /**
   * The version number that the commit gave the candidate; 0 before the commit or without one.
   */
  uint32_t version;
  /**
   * 1 if the update brought new training examples in this language, else 0.
   */
  uint32_t updated;
  /**
   * How many other held-out examples the gate chose and decided by.
   */
  uint64_t choosing;
  /**
   * What the chosen candidate was made of, one of `POLYGRAFT_CANDIDATE_*`.
   */
  uint32_t candidate;
  /**
   * What kind of reason `reason` is, one of `POLYGRAFT_REASON_*`.
   */
  uint32_t reason_kind;
  /**
   * About how many more examples of the language would have given the gate enough to choose by;
   * 0 when it did not lack any, or when the options let no number of them do.
   */
  uint64_t examples_needed;
} polygraft_language_report;

/**
 * Gains and losses added up over languages; the shared adapter `mul` is left out.
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
   * How many languages improve.
   */
  uint64_t improved;
  /**
   * How many languages lose.
   */
  uint64_t lost;
  /**
   * Sum of the improvements, in score.
   */
  double gain_total;
  /**
   * Sum of the losses, in score, as a positive number.
   */
  double loss_total;
} polygraft_summary;

/**
 * How the training of an update went.
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
   * New training examples.
   */
  uint64_t examples_new;
  /**
   * Examples drawn from the rehearsal buffer, per epoch.
   */
  uint64_t examples_rehearsed;
  /**
   * Optimiser steps taken.
   */
  uint64_t steps;
  /**
   * Wall-clock time of training and measuring, in milliseconds.
   */
  uint64_t elapsed_ms;
  /**
   * Mean loss of the first tenth of the steps.
   */
  double loss_first;
  /**
   * Mean loss of the last tenth of the steps.
   */
  double loss_last;
  /**
   * Trainings: one for all languages, or one per language with new data.
   */
  uint64_t courses;
  /**
   * 1 if the loss of a training was still going down at its end, so that more steps may help,
   * else 0.
   */
  uint32_t still_falling;
  /**
   * 0.
   */
  uint32_t reserved;
} polygraft_training;

/**
 * How to update. Set it up with `polygraft_update_options_init`, then change what you need.
 */
typedef struct {
  /**
   * `sizeof(polygraft_update_options)`.
   */
  uint32_t struct_size;
  /**
   * How data is shared between languages, one of `POLYGRAFT_STRATEGY_*`.
   */
  uint32_t strategy;
  /**
   * The same seed with the same thread count gives the same bytes.
   */
  uint64_t seed;
  /**
   * How ONNX Runtime holds the weights for training, one of `POLYGRAFT_MODE_*`.
   */
  uint32_t mode;
  /**
   * Threads of a training step; 0 takes all cores.
   */
  uint32_t threads;
  /**
   * Examples of one optimiser step.
   */
  uint32_t batch_size;
  /**
   * Tokens, padding included, of one run of the training graph: it bounds the memory of a step.
   */
  uint32_t micro_batch_tokens_max;
  /**
   * 1 allows labels that the task did not have before, 0 refuses them.
   */
  uint8_t new_labels;
  /**
   * 1 scales adapters by alpha / sqrt(rank), 0 by alpha / rank.
   */
  uint8_t lora_rank_stabilized;
  /**
   * 1 activates only in languages that do not get worse, 0 activates everywhere.
   */
  uint8_t gate_enabled;
  /**
   * How many of 100 new examples are held out, 0 to 90; fixed once a task has examples.
   */
  uint8_t rehearsal_held_out_percent;
  /**
   * With fewer held-out examples than this, a language keeps what it has.
   */
  uint32_t gate_held_out_min;
  /**
   * Passes over the new examples, may be a fraction; 0 lets their number decide: four, or as
   * many as make `steps_min` steps, ending before once there is nothing left to learn.
   */
  double epochs;
  /**
   * Rehearsed examples per new one, for strategies that rehearse.
   */
  double rehearsal_ratio;
  /**
   * The size of the rehearsal buffer on disk, shared fairly by the languages.
   */
  uint64_t rehearsal_bytes_max;
  /**
   * Rehearsed training examples per language, shared fairly by its labels.
   */
  uint32_t rehearsal_examples_per_language_max;
  /**
   * Held-out examples per language, shared fairly by its labels.
   */
  uint32_t rehearsal_held_out_per_language_max;
  /**
   * Stops after so many optimiser steps; 0 for no limit.
   */
  uint64_t steps_max;
  /**
   * The peak learning rate.
   */
  double learning_rate;
  /**
   * Factor on the learning rate of the head.
   */
  double head_rate_factor;
  /**
   * Decay of the optimiser's first moment.
   */
  double beta1;
  /**
   * Decay of the optimiser's second moment.
   */
  double beta2;
  /**
   * The optimiser's guard against division by zero.
   */
  double epsilon;
  /**
   * Decoupled weight decay.
   */
  double weight_decay;
  /**
   * The fraction of the steps in which the learning rate rises.
   */
  double warmup_fraction;
  /**
   * Gradients are scaled down to this norm; 0 does not clip.
   */
  double clip_norm;
  /**
   * The rank of a new adapter; an existing one keeps its own.
   */
  uint32_t lora_rank;
  /**
   * How many patterns `lora_targets` has; 0 for the default targets.
   */
  uint32_t lora_targets_count;
  /**
   * The scale of a new adapter, see `lora_rank_stabilized`.
   */
  double lora_alpha;
  /**
   * Patterns of the module names where adapters attach; read when the update begins.
   */
  const char *const *lora_targets;
  /**
   * How much of its score a language may lose and still be activated.
   */
  double gate_margin;
  /**
   * The one-sided confidence of the gate's bound, 0.5 to less than 1.
   */
  double gate_confidence;
  /**
   * Ends training when the update has run for so many seconds; 0 for no limit.
   */
  double seconds_max;
  /**
   * Saves where training stands after every so many steps, so that the same update goes on from
   * there after a crash or a cancellation; 0 does not.
   */
  uint64_t checkpoint_steps;
  /**
   * The distance at which the uriel strategy still shares 37 %, more than 0.
   */
  double uriel_temperature;
  /**
   * What near means to the uriel strategy, one of `POLYGRAFT_DISTANCE_*`.
   */
  uint32_t uriel_distance;
  /**
   * From how many languages one learns at most; 0 for no limit.
   */
  uint32_t uriel_neighbours;
  /**
   * Where the uriel strategy shares, one of `POLYGRAFT_SHARING_*`.
   */
  uint32_t uriel_sharing;
  /**
   * 1 trains at the lowest priority of the system, so that predictions come first; 0 does not.
   */
  uint32_t background;
  /**
   * Bytes of private memory that one run of the training graph may take, by estimate; 0 for no
   * limit.
   */
  uint64_t memory_bytes_max;
  /**
   * What a new adapter is made of, one of `POLYGRAFT_ADAPTER_*`; an existing one keeps its own.
   * `lora_targets` also names the layers whose output new factors multiply.
   */
  uint32_t adapter_kind;
  /**
   * What new bottlenecks read, one of `POLYGRAFT_PLACEMENT_*`.
   */
  uint32_t bottleneck_placement;
  /**
   * The function in new bottlenecks, one of `POLYGRAFT_ACTIVATION_*`.
   */
  uint32_t bottleneck_activation;
  /**
   * Where new bottlenecks stand, one of `POLYGRAFT_SUB_LAYERS_*`.
   */
  uint32_t bottleneck_sub_layers;
  /**
   * The size of the hidden states divided by that of new bottlenecks.
   */
  double bottleneck_reduction_factor;
  /**
   * The share of a target's probability that is spread evenly over all tokens, 0 to less than 1;
   * only for answers that are texts.
   */
  double label_smoothing;
  /**
   * The least optimiser steps of a training while `epochs` is 0; a third of them where it starts
   * from a version.
   */
  uint64_t steps_min;
} polygraft_update_options;

/**
 * Where an update is. The struct is the library's and ends when the callback returns.
 */
typedef struct {
  /**
   * The size of the struct in this version of the library.
   */
  uint32_t struct_size;
  /**
   * One of `POLYGRAFT_PHASE_*`.
   */
  uint32_t phase;
  /**
   * Steps done in this phase.
   */
  uint64_t step;
  /**
   * Steps of this phase.
   */
  uint64_t steps_count;
  /**
   * Training examples seen so far, over all epochs.
   */
  uint64_t examples_seen;
  /**
   * Time since the update began to run, in milliseconds.
   */
  uint64_t elapsed_ms;
  /**
   * The loss, averaged over the last steps; NaN outside training.
   */
  double loss;
  /**
   * How much of the whole run is done, from 0 to 1: an estimate that never goes back, and is 1
   * at the last step of the last phase.
   */
  double fraction;
} polygraft_progress;

/**
 * Called at the first and last step of a phase and at most ten times a second between, on the
 * thread that called `polygraft_update_run`. Return 0 to go on, anything else to cancel. It must
 * return normally: no exception, no longjmp. It may call every function except those on the
 * running update, which are refused but for closing it. An update pauses for as long as the
 * callback takes; one that shall end and go on later is cancelled with `checkpoint_steps` set.
 */
typedef int (*polygraft_progress_callback)(const polygraft_progress *progress, void *user);

/**
 * A part of a text that is something.
 */
typedef struct {
  /**
   * What it is, NUL-terminated; tags get it with `B-` and `I-` before it.
   */
  const char *kind;
  /**
   * Where it begins, in bytes: at `text + byte_start`.
   */
  size_t byte_start;
  /**
   * Where it ends, in bytes: the first one behind it.
   */
  size_t byte_end;
} polygraft_text_span;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the binary interface of the loaded library; compare it with the macro
 * `POLYGRAFT_ABI_VERSION` of the header you compiled against.
 *
 * Ownership: nothing is given or taken.
 * Threads: may be called from any thread at any time.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API uint32_t polygraft_abi_version(void);

/**
 * The version of the loaded library, for example `0.1.0`.
 *
 * Ownership: the view is static; it is valid for as long as the library is loaded.
 * Threads: may be called from any thread at any time.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API polygraft_string_view polygraft_version_string(void);

/**
 * The version, kind and platform of the loaded library in one line, for logs and reports.
 *
 * Ownership: the view is static; it is valid for as long as the library is loaded.
 * Threads: may be called from any thread at any time.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API polygraft_string_view polygraft_build_info(void);

/**
 * The status of a failure, one of `POLYGRAFT_ERROR_*`; `POLYGRAFT_OK` for NULL.
 *
 * Ownership: borrows `error`.
 * Threads: may be called concurrently on one error.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API polygraft_status polygraft_error_code(const polygraft_error *error);

/**
 * The stable name of a failure, for example `adapter.base_mismatch`; empty for NULL.
 *
 * Ownership: the view is valid until `error` is freed.
 * Threads: may be called concurrently on one error.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API polygraft_string_view polygraft_error_name(const polygraft_error *error);

/**
 * The whole message of a failure: its causes from the outermost to the innermost, separated by
 * `": "`; empty for NULL.
 *
 * Ownership: the view is valid until `error` is freed.
 * Threads: may be called concurrently on one error.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API polygraft_string_view polygraft_error_message(const polygraft_error *error);

/**
 * How many causes a failure has; at least 1, and 0 for NULL.
 *
 * Ownership: borrows `error`.
 * Threads: may be called concurrently on one error.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API size_t polygraft_error_causes_count(const polygraft_error *error);

/**
 * One cause of a failure: 0 is the outermost (what was being done), the last one is what went
 * wrong; empty for NULL and past the end.
 *
 * Ownership: the view is valid until `error` is freed.
 * Threads: may be called concurrently on one error.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_string_view polygraft_error_cause(const polygraft_error *error,
                                            size_t index);

/**
 * Frees an error and sets `*error` to NULL. NULL and a pointer to NULL do nothing.
 *
 * Ownership: takes `*error`; every view into it ends.
 * Threads: exclusive: no other thread may be using this error.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API void polygraft_error_free(polygraft_error **error);

/**
 * The stable name of a status: `ok` for `POLYGRAFT_OK`, for example `io.not_found` for
 * `POLYGRAFT_ERROR_NOT_FOUND`, and empty for a number that is no status.
 *
 * Ownership: the view is static; it is valid for as long as the library is loaded.
 * Threads: may be called from any thread at any time.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API polygraft_string_view polygraft_status_name(polygraft_status status);

/**
 * Fills `options` with the defaults; pass `sizeof(polygraft_engine_options)` as `struct_size`.
 *
 * Ownership: writes `*options`, which stays the caller's.
 * Threads: may be called concurrently on different structs.
 * Errors: argument.null, argument.invalid (a `struct_size` that no version had).
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_engine_options_init(polygraft_engine_options *options,
                                               size_t struct_size,
                                               polygraft_error **error);

/**
 * Opens ONNX Runtime. Its telemetry is switched off before the library is opened.
 *
 * `options` may be NULL for the defaults.
 *
 * The environment: ONNX Runtime reads in its environment alone, when it is opened, that it shall
 * send no telemetry. So unless `ORT_DISABLE_TELEMETRY` is `1` already, the first call in a process
 * that opens a library sets it, with `setenv`, which the C library lets race with every thread
 * that reads or writes the environment meanwhile. A program that has such threads by then sets
 * `ORT_DISABLE_TELEMETRY=1` before it starts them, or is started with it: nothing is set then, and
 * no other variable ever is.
 *
 * Ownership: gives `*engine`; close it with `polygraft_engine_close`. `options` is only read.
 * Threads: may be called from any thread at any time, but for the environment.
 * Errors: argument.null, argument.invalid, runtime.not_found, runtime.too_old, runtime.failed.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_engine_open(const polygraft_engine_options *options,
                                       polygraft_engine **engine,
                                       polygraft_error **error);

/**
 * The version of the opened ONNX Runtime, for example `1.28.0`.
 *
 * Ownership: the view is valid until `engine` is closed.
 * Threads: may be called concurrently on one engine.
 * Errors: argument.null, argument.invalid (a closed engine).
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_engine_onnxruntime_version(const polygraft_engine *engine,
                                                      polygraft_string_view *version,
                                                      polygraft_error **error);

/**
 * Closes an engine and sets `*engine` to NULL. Models opened with it stay usable. NULL and a
 * pointer to NULL do nothing.
 *
 * Ownership: takes `*engine`.
 * Threads: safe while other threads use the engine: waits until their calls have ended, later ones
 * fail.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API void polygraft_engine_close(polygraft_engine **engine);

/**
 * Opens the store in the folder `path`, or creates it when the folder is empty or absent. A store
 * that is there is not changed by opening it. The handle stays with the folder that is there now:
 * a relative path may be given, and the working folder may change later. No file of the store
 * stays open for writing between calls.
 *
 * Ownership: gives `*store`; close it with `polygraft_store_close`.
 * Threads: may be called from any thread at any time.
 * Errors: argument.null, io.*, store.malformed, store.corrupt.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_store_open(const char *path,
                                      polygraft_store **store,
                                      polygraft_error **error);

/**
 * Closes a store and sets `*store` to NULL. Models opened with it stay usable. NULL and a pointer
 * to NULL do nothing.
 *
 * Ownership: takes `*store`.
 * Threads: safe while other threads use the store: waits until their calls have ended, later ones
 * fail.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API void polygraft_store_close(polygraft_store **store);

/**
 * Lists the versions of `task`, or of all tasks if `task` is NULL, ordered by task, language and
 * number.
 *
 * Ownership: gives `*versions`; free it with `polygraft_versions_free`.
 * Threads: may be called concurrently on one store.
 * Errors: argument.*, store.malformed, task.name.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_store_versions(const polygraft_store *store,
                                          const char *task,
                                          polygraft_versions **versions,
                                          polygraft_error **error);

/**
 * Activates `numbers[i]` for `languages[i]`, for all `count` languages in one step: after it, and
 * after a crash at any moment, either all of them are active or none. Predictions that run finish
 * on the version they started with.
 *
 * Ownership: borrows everything.
 * Threads: may be called concurrently on one store, also while it is predicted with.
 * Errors: argument.*, language.*, store.no_version, store.pinned, store.corrupt,
 * store.locked, io.*.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_store_activate(const polygraft_store *store,
                                          const char *task,
                                          const char *const *languages,
                                          const uint32_t *numbers,
                                          size_t count,
                                          polygraft_error **error);

/**
 * Activates what was active before for a language; calling it again goes back further.
 *
 * `number` may be NULL; otherwise it gets the number that is active now, 0 if none is.
 *
 * Ownership: writes `*number`, which stays the caller's.
 * Threads: may be called concurrently on one store, also while it is predicted with.
 * Errors: argument.*, language.*, store.no_version, store.pinned, store.corrupt,
 * store.locked, io.*.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_store_roll_back(const polygraft_store *store,
                                           const char *task,
                                           const char *language,
                                           uint32_t *number,
                                           polygraft_error **error);

/**
 * Pins a language to its active version: no update, activation or roll back moves it until it is
 * unpinned.
 *
 * `number` may be NULL; otherwise it gets the number that the language is pinned to.
 *
 * Ownership: writes `*number`, which stays the caller's.
 * Threads: may be called concurrently on one store.
 * Errors: argument.*, language.*, store.no_version, store.locked, io.*.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_store_pin(const polygraft_store *store,
                                     const char *task,
                                     const char *language,
                                     uint32_t *number,
                                     polygraft_error **error);

/**
 * Lets a pinned language move again.
 *
 * Ownership: borrows everything.
 * Threads: may be called concurrently on one store.
 * Errors: argument.*, language.*, store.no_version, store.locked, io.*.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_store_unpin(const polygraft_store *store,
                                       const char *task,
                                       const char *language,
                                       polygraft_error **error);

/**
 * How many versions a list has; 0 for NULL.
 *
 * Ownership: borrows `versions`.
 * Threads: may be called concurrently on one list.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API size_t polygraft_versions_count(const polygraft_versions *versions);

/**
 * Fills `version` with one version of a list. Set `version->struct_size` before.
 *
 * Ownership: the views in `*version` are valid until `versions` is freed.
 * Threads: may be called concurrently on one list.
 * Errors: argument.null, argument.invalid (an `index` past the end, a wrong `struct_size`).
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_versions_get(const polygraft_versions *versions,
                                        size_t index,
                                        polygraft_version *version,
                                        polygraft_error **error);

/**
 * Frees a list of versions and sets `*versions` to NULL. NULL and a pointer to NULL do nothing.
 *
 * Ownership: takes `*versions`; every view into it ends.
 * Threads: exclusive: no other thread may be using this list.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API void polygraft_versions_free(polygraft_versions **versions);

/**
 * Makes a token that is not cancelled.
 *
 * Ownership: gives `*cancel`; close it with `polygraft_cancel_close`.
 * Threads: may be called from any thread at any time.
 * Errors: argument.null.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_cancel_open(polygraft_cancel **cancel,
                                       polygraft_error **error);

/**
 * Cancels everything that runs with this token, now and later. What is cancelled fails with
 * `POLYGRAFT_ERROR_CANCELLED` soon, and has changed nothing.
 *
 * Ownership: borrows `cancel`.
 * Threads: may be called from any thread at any time; that is its purpose.
 * Errors: argument.null, argument.invalid (a closed token).
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_cancel_trigger(const polygraft_cancel *cancel,
                                          polygraft_error **error);

/**
 * Closes a token and sets `*cancel` to NULL, without cancelling. NULL and a pointer to NULL do
 * nothing.
 *
 * Ownership: takes `*cancel`.
 * Threads: safe while other threads run with the token, and does not wait for them.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API void polygraft_cancel_close(polygraft_cancel **cancel);

/**
 * Fills `options` with the defaults; pass `sizeof(polygraft_model_options)` as `struct_size`.
 *
 * Ownership: writes `*options`, which stays the caller's.
 * Threads: may be called concurrently on different structs.
 * Errors: argument.null, argument.invalid (a `struct_size` that no version had).
 * Since: 0.1.0
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
 * Ownership: gives `*model`; close it with `polygraft_model_close`. Borrows everything else.
 * Threads: may be called from any thread at any time.
 * Errors: argument.*, io.*, bundle.*, graph.*, runtime.failed.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_model_open(const polygraft_engine *engine,
                                      const char *bundle_path,
                                      const polygraft_store *store,
                                      const polygraft_model_options *options,
                                      polygraft_model **model,
                                      polygraft_error **error);

/**
 * Closes a model and sets `*model` to NULL. Updates begun with it stay usable, and their runs go
 * on. NULL and a pointer to NULL do nothing.
 *
 * Ownership: takes `*model`.
 * Threads: safe while other threads use the model: waits until their calls have ended, callbacks
 * included, later ones fail. From inside a callback it returns at once instead.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API void polygraft_model_close(polygraft_model **model);

/**
 * Makes an input of one text.
 *
 * Ownership: copies the text. Gives `*input`; free it with `polygraft_input_free`.
 * Threads: may be called from any thread at any time.
 * Errors: argument.null, argument.utf8, task.empty_text, task.too_long (more than 65536 bytes).
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_input_text(const char *text_utf8,
                                      polygraft_input **input,
                                      polygraft_error **error);

/**
 * Makes an input of two texts that are judged together, in this order: a premise and a hypothesis,
 * a sentence and its paraphrase.
 *
 * Ownership: copies the texts. Gives `*input`; free it with `polygraft_input_free`.
 * Threads: may be called from any thread at any time.
 * Errors: argument.null, argument.utf8, task.empty_text, task.too_long (more than 65536 bytes).
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_input_pair(const char *first,
                                      const char *second,
                                      polygraft_input **input,
                                      polygraft_error **error);

/**
 * Makes an input of a text that the caller has split into `words_count` words.
 *
 * Places in what is predicted about it count its words as joined by single spaces.
 *
 * Ownership: copies the words. Gives `*input`; free it with `polygraft_input_free`.
 * Threads: may be called from any thread at any time.
 * Errors: argument.*, task.empty_text (no words, or an empty one, which is named),
 * task.too_long (more than 8192 words, or 65536 bytes with the spaces).
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_input_words(const char *const *words,
                                       size_t words_count,
                                       polygraft_input **input,
                                       polygraft_error **error);

/**
 * Frees an input and sets `*input` to NULL. NULL and a pointer to NULL do nothing.
 *
 * Ownership: takes `*input`. Examples and predictions that were made with it stay.
 * Threads: exclusive: no other thread may be using this input.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API void polygraft_input_free(polygraft_input **input);

/**
 * Fills `options` with the defaults; pass `sizeof(polygraft_predict_options)` as `struct_size`.
 *
 * Ownership: writes `*options`, which stays the caller's.
 * Threads: may be called concurrently on different structs.
 * Errors: argument.null, argument.invalid (a `struct_size` that no version had).
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_predict_options_init(polygraft_predict_options *options,
                                                size_t struct_size,
                                                polygraft_error **error);

/**
 * Answers one text with the language's active version, or with that of the nearest language it
 * falls back to. What the answer is - a label, labels, a number, tags, a text - is what the task
 * was taught; `polygraft_prediction_kind` says it.
 *
 * `options` may be NULL for the defaults. The call uses the version that is active when it
 * starts, even if another is activated meanwhile. A pair of texts and words that are split already
 * go through `polygraft_model_predict_input`.
 *
 * Ownership: gives `*prediction`; free it with `polygraft_prediction_free`.
 * Threads: may be called concurrently on one model.
 * Errors: argument.*, cancelled, language.*, store.no_version, store.corrupt,
 * task.empty_text, task.too_long, task.name, adapter.*, runtime.failed, runtime.not_finite.
 * Since: 0.1.0
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
 * Answers `texts_count` texts in one language: the same results as one by one, sooner.
 *
 * Ownership: gives `*predictions`; free it with `polygraft_predictions_free`.
 * Threads: may be called concurrently on one model.
 * Errors: as for `polygraft_model_predict`; one bad text fails the whole call and is named.
 * Since: 0.1.0
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
 * Answers one input: a text, a pair of texts or words. Otherwise as `polygraft_model_predict`.
 *
 * A task that gives tags takes words and splits texts into words; it takes no pairs. All others
 * take texts and pairs, and no words.
 *
 * Ownership: gives `*prediction`; free it with `polygraft_prediction_free`. Borrows `input`.
 * Threads: may be called concurrently on one model, also with one input.
 * Errors: as for `polygraft_model_predict`; task.kind for an input that the task does not take.
 * Since: 0.1.0
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
 * Answers `inputs_count` inputs in one language: the same results as one by one, sooner. They may
 * be of different kinds as far as the task takes them.
 *
 * Ownership: gives `*predictions`; free it with `polygraft_predictions_free`. Borrows `inputs`.
 * Threads: may be called concurrently on one model, also with the same inputs.
 * Errors: as for `polygraft_model_predict_input`; one bad input fails the whole call and is named.
 * Since: 0.1.0
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
 * The kind of task that a prediction is of, one of `POLYGRAFT_TASK_*`; 0 for NULL.
 *
 * Ownership: borrows `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API uint32_t polygraft_prediction_kind(const polygraft_prediction *prediction);

/**
 * How many labels a prediction has; 0 for NULL.
 *
 * Ownership: borrows `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API size_t polygraft_prediction_labels_count(const polygraft_prediction *prediction);

/**
 * One label, 0 being the most probable; empty for NULL and past the end.
 *
 * Ownership: the view is valid until `prediction` is freed.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_string_view polygraft_prediction_label(const polygraft_prediction *prediction,
                                                 size_t index);

/**
 * The probability of one label, 0 to 1; 0 for NULL and past the end.
 *
 * Where one label applies, the first one does and the probabilities of all sum to 1. Where any
 * number applies (`POLYGRAFT_TASK_MULTI_LABEL`), each label has a probability of its own, and those
 * of at least 0.5 apply.
 *
 * Ownership: borrows `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API
float polygraft_prediction_probability(const polygraft_prediction *prediction,
                                       size_t index);

/**
 * The number of a prediction; NaN for NULL and for another kind of task.
 *
 * Ownership: borrows `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API double polygraft_prediction_number(const polygraft_prediction *prediction);

/**
 * The language whose version answered: the one asked for, or the one it fell back to; empty for
 * NULL.
 *
 * Ownership: the view is valid until `prediction` is freed.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_string_view polygraft_prediction_language(const polygraft_prediction *prediction);

/**
 * The number of the version that answered; 0 for NULL.
 *
 * Ownership: borrows `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API uint32_t polygraft_prediction_version(const polygraft_prediction *prediction);

/**
 * 1 if the input was longer than the model reads and was cut, else 0; 0 for NULL.
 *
 * Ownership: borrows `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API uint8_t polygraft_prediction_truncated(const polygraft_prediction *prediction);

/**
 * Frees a prediction and sets `*prediction` to NULL. NULL and a pointer to NULL do nothing.
 * Predictions of a batch are freed with it, never here.
 *
 * Ownership: takes `*prediction`; every view into it ends.
 * Threads: exclusive: no other thread may be using this prediction.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API void polygraft_prediction_free(polygraft_prediction **prediction);

/**
 * How many predictions a batch has; 0 for NULL.
 *
 * Ownership: borrows `predictions`.
 * Threads: may be called concurrently on one batch.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API size_t polygraft_predictions_count(const polygraft_predictions *predictions);

/**
 * One prediction of a batch; NULL for NULL and past the end.
 *
 * Ownership: the prediction is borrowed from the batch and ends with it; do not free it.
 * Threads: may be called concurrently on one batch.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API
const polygraft_prediction *polygraft_predictions_get(const polygraft_predictions *predictions,
                                                      size_t index);

/**
 * Frees a batch and sets `*predictions` to NULL. NULL and a pointer to NULL do nothing.
 *
 * Ownership: takes `*predictions`; its predictions and every view into them end.
 * Threads: exclusive: no other thread may be using this batch.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API void polygraft_predictions_free(polygraft_predictions **predictions);

/**
 * How many words a prediction has tags for: all of the input, in its order; 0 for NULL and for
 * kinds of answers without tags.
 *
 * Ownership: borrows `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API size_t polygraft_prediction_words_count(const polygraft_prediction *prediction);

/**
 * One word with its tag; an empty tag and zeros for NULL and past the end.
 *
 * Ownership: the view is valid until `prediction` is freed.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_word polygraft_prediction_word(const polygraft_prediction *prediction,
                                         size_t index);

/**
 * How many spans the tags of a prediction mark; 0 for NULL, and where tags are not of the scheme
 * BIO.
 *
 * Ownership: borrows `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API size_t polygraft_prediction_spans_count(const polygraft_prediction *prediction);

/**
 * One span, in the order of the text; an empty kind and zeros for NULL and past the end.
 *
 * Ownership: the view is valid until `prediction` is freed.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_span polygraft_prediction_span(const polygraft_prediction *prediction,
                                         size_t index);

/**
 * Answers one text with a text, like `polygraft_model_predict`, and hands it out while it grows.
 * With several beams the whole text comes at the end.
 *
 * `options` may be NULL for the defaults. `on_piece` may be NULL; `user` is passed to it unread.
 *
 * Ownership: gives `*prediction`; free it with `polygraft_prediction_free`.
 * Threads: may be called concurrently on one model. The callback runs on this thread.
 * Errors: as for `polygraft_model_predict`; task.kind for a task that does not give texts.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_model_generate(const polygraft_model *model,
                                          const char *task,
                                          const char *language,
                                          const char *text_utf8,
                                          const polygraft_predict_options *options,
                                          polygraft_prediction **prediction,
                                          polygraft_error **error,
                                          polygraft_piece_callback on_piece,
                                          void *user);

/**
 * The text of a prediction, without what ended it; empty for NULL and for another kind of answer.
 *
 * Ownership: the view is valid until `prediction` is freed.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_string_view polygraft_prediction_text(const polygraft_prediction *prediction);

/**
 * The sum of the logarithms of the probabilities of a text's tokens; NaN for NULL and for another
 * kind of answer.
 *
 * Ownership: borrows `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API float polygraft_prediction_log_probability(const polygraft_prediction *prediction);

/**
 * How many tokens a text is, the end included; 0 for NULL and for another kind of answer.
 *
 * Ownership: borrows `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API size_t polygraft_prediction_tokens_count(const polygraft_prediction *prediction);

/**
 * Why a text ended, one of `POLYGRAFT_FINISH_*`; `POLYGRAFT_FINISH_NONE` for NULL and for another
 * kind of answer.
 *
 * Ownership: borrows `prediction`.
 * Threads: may be called concurrently on one prediction.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API uint32_t polygraft_prediction_finish(const polygraft_prediction *prediction);

/**
 * Gives one vector for each of `texts_count` texts: the pooled hidden state of the backbone with
 * the version that serves `language` in `task`, or of the bare backbone if `task` is NULL;
 * `language` is not read then and may be NULL.
 *
 * `normalise` is 1 for vectors of length 1, so that the product of two is their cosine, or 0 for
 * vectors as the backbone gives them. Vectors of different versions are not comparable.
 *
 * Ownership: gives `*vectors`; free it with `polygraft_vectors_free`.
 * Threads: may be called concurrently on one model.
 * Errors: argument.*, language.*, store.no_version, store.corrupt, task.empty_text,
 * task.too_long, adapter.*, runtime.failed, runtime.not_finite; one bad text fails the whole
 * call and is named.
 * Since: 0.1.0
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
 * How many vectors there are; 0 for NULL.
 *
 * Ownership: borrows `vectors`.
 * Threads: may be called concurrently on the same vectors.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API size_t polygraft_vectors_count(const polygraft_vectors *vectors);

/**
 * How many numbers each vector has; 0 for NULL and without vectors.
 *
 * Ownership: borrows `vectors`.
 * Threads: may be called concurrently on the same vectors.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API size_t polygraft_vectors_size(const polygraft_vectors *vectors);

/**
 * The numbers of one vector, as many as `polygraft_vectors_size` says; those of the next vector
 * follow, so that the first one begins the whole matrix, row by row. NULL for NULL and past the
 * end.
 *
 * Ownership: the numbers are borrowed from `vectors` and end with it.
 * Threads: may be called concurrently on the same vectors.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API const float *polygraft_vectors_get(const polygraft_vectors *vectors, size_t index);

/**
 * Frees vectors and sets `*vectors` to NULL. NULL and a pointer to NULL do nothing.
 *
 * Ownership: takes `*vectors`; the numbers end with it.
 * Threads: exclusive: no other thread may be using these vectors.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API void polygraft_vectors_free(polygraft_vectors **vectors);

/**
 * The task that was updated; empty for NULL.
 *
 * Ownership: the view is valid until `report` is freed.
 * Threads: may be called concurrently on one report.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API polygraft_string_view polygraft_report_task(const polygraft_report *report);

/**
 * The name of the strategy, for example `replay`; empty for NULL.
 *
 * Ownership: the view is valid until `report` is freed.
 * Threads: may be called concurrently on one report.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API polygraft_string_view polygraft_report_strategy(const polygraft_report *report);

/**
 * The gate's rule in words, with its margin and confidence; empty for NULL.
 *
 * Ownership: the view is valid until `report` is freed.
 * Threads: may be called concurrently on one report.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API polygraft_string_view polygraft_report_gate(const polygraft_report *report);

/**
 * How many languages a report has; 0 for NULL.
 *
 * Ownership: borrows `report`.
 * Threads: may be called concurrently on one report.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API size_t polygraft_report_languages_count(const polygraft_report *report);

/**
 * Fills `entry` with one language of a report; they are sorted by tag, and the shared adapter
 * comes last. Set `entry->struct_size` before.
 *
 * Ownership: the views in `*entry` are valid until `report` is freed.
 * Threads: may be called concurrently on one report.
 * Errors: argument.null, argument.invalid (an `index` past the end, a wrong `struct_size`).
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_report_language(const polygraft_report *report,
                                           size_t index,
                                           polygraft_language_report *entry,
                                           polygraft_error **error);

/**
 * Fills `summary` with what users are served after the gate. Set `summary->struct_size` before.
 *
 * Ownership: writes `*summary`, which stays the caller's.
 * Threads: may be called concurrently on one report.
 * Errors: argument.null, argument.invalid (a wrong `struct_size`).
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_report_summary(const polygraft_report *report,
                                          polygraft_summary *summary,
                                          polygraft_error **error);

/**
 * Fills `summary` with what activating the candidate in every language would have done. Set
 * `summary->struct_size` before.
 *
 * Ownership: writes `*summary`, which stays the caller's.
 * Threads: may be called concurrently on one report.
 * Errors: argument.null, argument.invalid (a wrong `struct_size`).
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_report_candidate_summary(const polygraft_report *report,
                                                    polygraft_summary *summary,
                                                    polygraft_error **error);

/**
 * Fills `training` with how the training went. Set `training->struct_size` before.
 *
 * Ownership: writes `*training`, which stays the caller's.
 * Threads: may be called concurrently on one report.
 * Errors: argument.null, argument.invalid (a wrong `struct_size`).
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_report_training(const polygraft_report *report,
                                           polygraft_training *training,
                                           polygraft_error **error);

/**
 * Frees a report and sets `*report` to NULL. NULL and a pointer to NULL do nothing.
 *
 * Ownership: takes `*report`; every view into it ends.
 * Threads: exclusive: no other thread may be using this report.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API void polygraft_report_free(polygraft_report **report);

/**
 * Gives the reports of all updates of `task` that were committed to a store, oldest first. A task
 * that was never updated has none.
 *
 * Ownership: gives `*reports`; free it with `polygraft_reports_free`.
 * Threads: may be called concurrently on one store.
 * Errors: argument.*, task.name, store.malformed, store.corrupt, io.read.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_store_reports(const polygraft_store *store,
                                         const char *task,
                                         polygraft_reports **reports,
                                         polygraft_error **error);

/**
 * Removes the checkpoint of an update of `task` that was stopped, so that another one can begin.
 * Without a checkpoint nothing happens. That of an update that is running is not removed.
 *
 * Ownership: borrows everything.
 * Threads: may be called concurrently on one store.
 * Errors: argument.*, task.name, store.locked (an update of the task is running), io.write.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_store_discard_checkpoint(const polygraft_store *store,
                                                    const char *task,
                                                    polygraft_error **error);

/**
 * How many reports a list has; 0 for NULL.
 *
 * Ownership: borrows `reports`.
 * Threads: may be called concurrently on one list.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API size_t polygraft_reports_count(const polygraft_reports *reports);

/**
 * One report of a list, 0 being that of the first update; NULL for NULL and past the end.
 *
 * Ownership: the report is borrowed from the list and ends with it; do not free it.
 * Threads: may be called concurrently on one list.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API
const polygraft_report *polygraft_reports_get(const polygraft_reports *reports,
                                              size_t index);

/**
 * The reports as one self-contained HTML page with charts. It is empty for NULL, and always in
 * a library that was built without the feature `html`, which is on by default.
 *
 * Ownership: the view is valid until `reports` is freed.
 * Threads: may be called concurrently on one list.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API polygraft_string_view polygraft_reports_html(const polygraft_reports *reports);

/**
 * Frees a list of reports and sets `*reports` to NULL. NULL and a pointer to NULL do nothing.
 *
 * Ownership: takes `*reports`; its reports and every view into them end.
 * Threads: exclusive: no other thread may be using this list.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API void polygraft_reports_free(polygraft_reports **reports);

/**
 * Fills `options` with the defaults; pass `sizeof(polygraft_update_options)` as `struct_size`.
 *
 * Ownership: writes `*options`, which stays the caller's.
 * Threads: may be called concurrently on different structs.
 * Errors: argument.null, argument.invalid (a `struct_size` that no version had).
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_update_options_init(polygraft_update_options *options,
                                               size_t struct_size,
                                               polygraft_error **error);

/**
 * Begins an update of `task`. Nothing changes for anybody until `polygraft_update_commit`.
 *
 * `options` may be NULL for the defaults.
 *
 * Ownership: gives `*update`; close it with `polygraft_update_close`. `options` is only read.
 * Threads: may be called concurrently on one model.
 * Errors: argument.*, task.name.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_update_begin(const polygraft_model *model,
                                        const char *task,
                                        const polygraft_update_options *options,
                                        polygraft_update **update,
                                        polygraft_error **error);

/**
 * Adds one labelled text. Adding after a run discards that run's outcome. Examples of other kinds
 * are added with `polygraft_update_add_...`.
 *
 * Ownership: copies the texts.
 * Threads: exclusive: one call on an update at a time.
 * Errors: argument.*, language.*, task.empty_text, task.kind (another kind of answer than
 * before), task.too_long, update.state.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_update_add(polygraft_update *update,
                                      const char *language,
                                      const char *text_utf8,
                                      const char *label,
                                      polygraft_error **error);

/**
 * Trains on the added examples and measures every language before and after.
 *
 * `cancel` may be NULL. `report` may be NULL; otherwise it gets what a commit would do. `progress`
 * may be NULL; `user` is passed to it unread. A run that failed or was cancelled has changed
 * nothing, and the update can be run again.
 *
 * Ownership: gives `*report`; free it with `polygraft_report_free`. Borrows everything else.
 * Threads: exclusive: one call on an update at a time. The callback runs on this thread.
 * Errors: argument.*, cancelled, update.*, task.unknown_label, adapter.*, runtime.failed,
 * graph.unsupported, rehearsal.malformed, store.*, io.*.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_update_run(polygraft_update *update,
                                      const polygraft_cancel *cancel,
                                      polygraft_report **report,
                                      polygraft_error **error,
                                      polygraft_progress_callback progress,
                                      void *user);

/**
 * Asks the gate again about a run that ended well, with the gate's fields of `options` and without
 * training again: what the update learnt and how it answered stays as it is.
 *
 * `options` may be NULL for the defaults. `report` may be NULL; otherwise it gets what a commit
 * would do now.
 *
 * Ownership: gives `*report`; free it with `polygraft_report_free`. `options` is only read.
 * Threads: exclusive: one call on an update at a time.
 * Errors: argument.*, update.state (the update has not run).
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_update_judge(polygraft_update *update,
                                        const polygraft_update_options *options,
                                        polygraft_report **report,
                                        polygraft_error **error);

/**
 * Measures what the last run has learnt against what serves the languages now, and asks the gate
 * again. Nothing is trained. Call it when `polygraft_update_commit` fails with store.changed, then
 * commit.
 *
 * `cancel`, `report`, `progress` and `user` are as for `polygraft_update_run`. After a failure,
 * and when it was cancelled, what was learnt is still there.
 *
 * Ownership: gives `*report`; free it with `polygraft_report_free`. Borrows everything else.
 * Threads: exclusive: one call on an update at a time. The callback runs on this thread.
 * Errors: argument.*, cancelled, update.state (the update has not run), adapter.*, runtime.failed,
 * store.*, io.*.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_update_measure_again(polygraft_update *update,
                                                const polygraft_cancel *cancel,
                                                polygraft_report **report,
                                                polygraft_error **error,
                                                polygraft_progress_callback progress,
                                                void *user);

/**
 * Publishes what the gate accepted and activates it, for all its languages in one step. The
 * remembered examples and the report belong to the same step: after it, and after a crash at any
 * moment, all of it is there or nothing.
 *
 * `report` may be NULL; otherwise it gets the report with the new version numbers. Afterwards the
 * update is empty and can take new examples. Once the versions are active the call succeeds; what
 * could only not be tidied up is said in the report's JSON as `warnings`. After a failure the
 * store is as it was and what was learnt is kept, so the commit can be tried again: after io.full
 * and store.locked as it is; after store.changed, which means that somebody activated, rolled back
 * or pinned something in the task since the update was measured, after
 * `polygraft_update_measure_again`. What happens to other tasks does not matter. update.state
 * means that the update has not run.
 *
 * Ownership: gives `*report`; free it with `polygraft_report_free`. `update` stays to be closed.
 * Threads: exclusive: one call on an update at a time. Predictions may go on meanwhile.
 * Errors: argument.*, update.state, store.changed, store.locked and other store.*, io.write,
 * io.full.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_update_commit(polygraft_update *update,
                                         polygraft_report **report,
                                         polygraft_error **error);

/**
 * Closes an update and sets `*update` to NULL. What was not committed is dropped: this is how an
 * update is aborted. NULL and a pointer to NULL do nothing.
 *
 * Ownership: takes `*update`.
 * Threads: safe while another thread runs the update: waits until that call has ended, so that no
 * callback comes after it and `user` may be freed; trigger the run's cancel token first to wait
 * less, and hold no lock that the callback takes. From inside the callback it returns at once: the
 * run goes on, to be ended by returning non-zero, and the update is closed when it returns.
 * Errors: none.
 * Since: 0.1.0
 */
POLYGRAFT_API void polygraft_update_close(polygraft_update **update);

/**
 * Adds an example that is answered with one label. `polygraft_update_add` does the same with a
 * text.
 *
 * The input is a text or a pair of texts. All examples of an update have one kind of answer.
 *
 * Ownership: copies what it is given.
 * Threads: exclusive: one call on an update at a time.
 * Errors: argument.*, language.*, task.kind (another kind of answer than before),
 * task.too_long, update.state.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_update_add_label(polygraft_update *update,
                                            const char *language,
                                            const polygraft_input *input,
                                            const char *label,
                                            polygraft_error **error);

/**
 * Adds an example that is answered with all labels that apply to it, in any order; there may be
 * none.
 *
 * The input is a text or a pair of texts.
 *
 * Ownership: copies what it is given.
 * Threads: exclusive: one call on an update at a time.
 * Errors: as for `polygraft_update_add_label`.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_update_add_labels(polygraft_update *update,
                                             const char *language,
                                             const polygraft_input *input,
                                             const char *const *labels,
                                             size_t labels_count,
                                             polygraft_error **error);

/**
 * Adds an example that is answered with a number, which must be finite.
 *
 * The input is a text or a pair of texts.
 *
 * Ownership: copies what it is given.
 * Threads: exclusive: one call on an update at a time.
 * Errors: as for `polygraft_update_add_label`.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_update_add_number(polygraft_update *update,
                                             const char *language,
                                             const polygraft_input *input,
                                             double number,
                                             polygraft_error **error);

/**
 * Adds an example that is answered with one tag per word. The input is words.
 *
 * Tags of the scheme BIO (`B-place`, `I-place`, `O`) mark spans and must be valid: an `I-` tag
 * follows one of its kind. The error names the position of the first one that does not, from 1.
 * Other tags (`NOUN`) may stand in any order.
 *
 * Ownership: copies what it is given.
 * Threads: exclusive: one call on an update at a time.
 * Errors: as for `polygraft_update_add_label`; argument.invalid for another number of tags than
 * words and for tags that break the scheme.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_update_add_tags(polygraft_update *update,
                                           const char *language,
                                           const polygraft_input *input,
                                           const char *const *tags,
                                           size_t tags_count,
                                           polygraft_error **error);

/**
 * Adds an example that is answered with a label of the whole and one tag per word, as for
 * `polygraft_update_add_tags`: an intent and its slots.
 *
 * Ownership: copies what it is given.
 * Threads: exclusive: one call on an update at a time.
 * Errors: as for `polygraft_update_add_tags`.
 * Since: 0.1.0
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
 * Adds a raw text in which parts are something, with a label of the whole or, for NULL, without
 * one: a sentence with its slots, as a prediction gives them.
 *
 * It is learnt as tags of the scheme BIO, with the words that a prediction finds in a raw text. A
 * span that begins or ends within a word takes the whole word. Spans may come in any order, and
 * there may be none.
 *
 * Ownership: copies what it is given.
 * Threads: exclusive: one call on an update at a time.
 * Errors: as for `polygraft_update_add_label`; argument.invalid for a span that is empty, outside
 * the text or within a character, and for two that share a word; they are counted from 1.
 * Since: 0.1.0
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
 * Adds an example that is answered with a text: a translation, a summary, a parse. The input is a
 * text, and the bundle has a decoder.
 *
 * Ownership: copies what it is given.
 * Threads: exclusive: one call on an update at a time.
 * Errors: as for `polygraft_update_add_label`.
 * Since: 0.1.0
 */
POLYGRAFT_API
polygraft_status polygraft_update_add_text(polygraft_update *update,
                                           const char *language,
                                           const polygraft_input *input,
                                           const char *target,
                                           polygraft_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* POLYGRAFT_H */
