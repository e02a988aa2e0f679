package polygraft

// #include <polygraft.h>
import "C"

import (
	"context"
	"errors"
	"runtime"
	"unsafe"
)

// PredictOptions are the options of a prediction. The zero value means the defaults.
type PredictOptions struct {
	// TopK is the number of labels to return, the most probable first; 0 returns all.
	TopK uint32
	// Generate are the options of a generation; nil takes the defaults.
	Generate *GenerateOptions
}

// GenerateOptions are the options of a generation. Begin with [DefaultGenerateOptions].
type GenerateOptions struct {
	// NumBeams is the number of beams; 1 is greedy decoding.
	NumBeams uint32
	// MaxNewTokens is the maximum number of new tokens, including the end token; 0 takes the limit
	// of the bundle.
	MaxNewTokens uint32
	// LengthPenalty is the exponent of the length in the score of a finished hypothesis, which is
	// its log probability / tokens ^ LengthPenalty. It has no effect with one beam.
	LengthPenalty float64
	// StopStrings are strings that end a text. The text is cut before the first of them.
	StopStrings []string
	// MinNewTokens is the minimum number of new tokens. Before it is reached, only a string of
	// StopStrings ends a text.
	MinNewTokens uint32
	// NoRepeatNgramSize forbids that a sequence of this many tokens occurs twice; 0 switches the
	// rule off.
	NoRepeatNgramSize uint32
	// RepetitionPenalty is the penalty on tokens that occurred before: positive logits are divided
	// by it and negative ones multiplied. Values above 1 make repetition less probable.
	RepetitionPenalty float64
	// ForcedBosTokenID is the id of the first token, which selects the language in some models; -1
	// takes what the bundle says.
	ForcedBosTokenID int64
}

// DefaultGenerateOptions returns the defaults of the library.
func DefaultGenerateOptions() (GenerateOptions, error) {
	settings, err := predictSettings()
	return GenerateOptions{
		NumBeams:          uint32(settings.num_beams),
		MaxNewTokens:      uint32(settings.max_new_tokens),
		LengthPenalty:     float64(settings.length_penalty),
		MinNewTokens:      uint32(settings.min_new_tokens),
		NoRepeatNgramSize: uint32(settings.no_repeat_ngram_size),
		RepetitionPenalty: float64(settings.repetition_penalty),
		ForcedBosTokenID:  int64(settings.forced_bos_token_id),
	}, err
}

func predictSettings() (C.polygraft_predict_options, error) {
	var failure *C.polygraft_error
	var settings C.polygraft_predict_options
	size := C.size_t(unsafe.Sizeof(settings))
	status := C.polygraft_predict_options_init(&settings, size, &failure)
	return settings, check(status, failure)
}

// Predict predicts for one text. It returns the topK most probable labels, all if topK is 0. Ending
// the context cancels it.
func (m *Model) Predict(
	ctx context.Context, task, language, input string, topK uint32,
) (*Prediction, error) {
	return m.PredictInput(ctx, task, language, Text(input), &PredictOptions{TopK: topK})
}

// PredictBatch predicts for several texts in one language, in less time than one call per text.
func (m *Model) PredictBatch(
	ctx context.Context, task, language string, inputs []string, topK uint32,
) ([]Prediction, error) {
	defer runtime.KeepAlive(m)
	arguments := arguments{}
	defer arguments.free()
	name, tag := arguments.text("task", task), arguments.text("language", language)
	asked, count := arguments.array("inputs", inputs), C.size_t(len(inputs))
	options := &PredictOptions{TopK: topK}
	var batch *C.polygraft_predictions
	err := withOptions(ctx, &arguments, options, func(settings *C.polygraft_predict_options) error {
		var failure *C.polygraft_error
		status := C.polygraft_model_predict_batch(
			m.handle, name, tag, asked, count, settings, &batch, &failure)
		return check(status, failure)
	})
	if err != nil {
		return nil, err
	}
	return takePredictions(batch), nil
}

// PredictInput predicts for one input: a [Text], a [Pair] or [Words]. Options may be nil for the
// defaults. Ending the context cancels it; a text that is being generated then ends where it is.
func (m *Model) PredictInput(
	ctx context.Context, task, language string, input Input, options *PredictOptions,
) (*Prediction, error) {
	defer runtime.KeepAlive(m)
	arguments := arguments{}
	defer arguments.free()
	name, tag := arguments.text("task", task), arguments.text("language", language)
	var prediction *C.polygraft_prediction
	var failure *C.polygraft_error
	// A plain text needs no copy of the input in the library.
	var call func(*C.polygraft_predict_options) C.polygraft_status
	if plain, is := input.(Text); is {
		utf8 := arguments.text("input", string(plain))
		call = func(settings *C.polygraft_predict_options) C.polygraft_status {
			return C.polygraft_model_predict(
				m.handle, name, tag, utf8, settings, &prediction, &failure)
		}
	} else {
		asked := arguments.input(input)
		call = func(settings *C.polygraft_predict_options) C.polygraft_status {
			return C.polygraft_model_predict_input(
				m.handle, name, tag, asked, settings, &prediction, &failure)
		}
	}
	err := withOptions(ctx, &arguments, options, func(settings *C.polygraft_predict_options) error {
		return check(call(settings), failure)
	})
	if err != nil {
		return nil, err
	}
	defer C.polygraft_prediction_free(&prediction)
	copied := copyPrediction(prediction)
	return &copied, nil
}

// PredictInputs predicts for several inputs in one language, in less time than one call per input.
// Options may be nil for the defaults. Ending the context cancels it.
func (m *Model) PredictInputs(
	ctx context.Context, task, language string, inputs []Input, options *PredictOptions,
) ([]Prediction, error) {
	defer runtime.KeepAlive(m)
	arguments := arguments{}
	defer arguments.free()
	name, tag := arguments.text("task", task), arguments.text("language", language)
	asked := arguments.inputArray(inputs)
	var batch *C.polygraft_predictions
	err := withOptions(ctx, &arguments, options, func(settings *C.polygraft_predict_options) error {
		var failure *C.polygraft_error
		status := C.polygraft_model_predict_inputs(
			m.handle, name, tag, asked, C.size_t(len(inputs)), settings, &batch, &failure)
		return check(status, failure)
	})
	if err != nil {
		return nil, err
	}
	return takePredictions(batch), nil
}

// LanguageInput is an input and the language that it is in.
type LanguageInput struct {
	// Language is a BCP 47 tag.
	Language string
	// Input is a [Text], a [Pair] or [Words].
	Input Input
}

// PredictMany predicts for inputs in many languages, each by the version that serves its language
// when the call begins, in less time than one call per input. Options may be nil for the defaults.
// Ending the context cancels it.
func (m *Model) PredictMany(
	ctx context.Context, task string, inputs []LanguageInput, options *PredictOptions,
) ([]Prediction, error) {
	defer runtime.KeepAlive(m)
	arguments := arguments{}
	defer arguments.free()
	languages, values := make([]string, len(inputs)), make([]Input, len(inputs))
	for index, one := range inputs {
		languages[index], values[index] = one.Language, one.Input
	}
	name, tags := arguments.text("task", task), arguments.array("languages", languages)
	asked := arguments.inputArray(values)
	var batch *C.polygraft_predictions
	err := withOptions(ctx, &arguments, options, func(settings *C.polygraft_predict_options) error {
		var failure *C.polygraft_error
		status := C.polygraft_model_predict_many(
			m.handle, name, tags, asked, C.size_t(len(inputs)), settings, &batch, &failure)
		return check(status, failure)
	})
	if err != nil {
		return nil, err
	}
	return takePredictions(batch), nil
}

// takePredictions copies a batch and frees it.
func takePredictions(batch *C.polygraft_predictions) []Prediction {
	defer C.polygraft_predictions_free(&batch)
	count := C.polygraft_predictions_count(batch)
	predictions := make([]Prediction, 0, int(count))
	for index := range count {
		predictions = append(predictions, copyPrediction(C.polygraft_predictions_get(batch, index)))
	}
	return predictions
}

// Embed returns one vector per text: the pooled hidden state of the backbone with the version that
// serves the language in a task. If task is empty, the bare backbone is used and language is not
// read. If normalise is true, vectors have length 1, and the dot product of two is their cosine.
// Vectors of different versions cannot be compared.
func (m *Model) Embed(task, language string, texts []string, normalise bool) ([][]float32, error) {
	defer runtime.KeepAlive(m)
	arguments := arguments{}
	defer arguments.free()
	var name, tag *C.char
	if task != "" {
		name, tag = arguments.text("task", task), arguments.text("language", language)
	}
	asked := arguments.array("texts", texts)
	if arguments.err != nil {
		return nil, arguments.err
	}
	var failure *C.polygraft_error
	var vectors *C.polygraft_vectors
	status := C.polygraft_model_embed(
		m.handle, name, tag, asked, C.size_t(len(texts)), flag(normalise), &vectors, &failure)
	if err := check(status, failure); err != nil {
		return nil, err
	}
	defer C.polygraft_vectors_free(&vectors)
	size := int(C.polygraft_vectors_size(vectors))
	copied := make([][]float32, 0, len(texts))
	for index := range C.polygraft_vectors_count(vectors) {
		values := (*float32)(unsafe.Pointer(C.polygraft_vectors_get(vectors, index)))
		copied = append(copied, append([]float32(nil), unsafe.Slice(values, size)...))
	}
	return copied, nil
}

// withOptions runs a prediction with options and a cancel token that the context triggers.
func withOptions(
	ctx context.Context, arguments *arguments, options *PredictOptions,
	predict func(*C.polygraft_predict_options) error,
) error {
	settings, err := predictSettings()
	if err != nil {
		return err
	}
	if options != nil {
		settings.top_k = C.uint32_t(options.TopK)
	}
	if options != nil && options.Generate != nil {
		generate := options.Generate
		settings.num_beams = C.uint32_t(generate.NumBeams)
		settings.max_new_tokens = C.uint32_t(generate.MaxNewTokens)
		settings.length_penalty = C.double(generate.LengthPenalty)
		settings.stop_strings = arguments.array("StopStrings", generate.StopStrings)
		settings.stop_strings_count = C.uint32_t(len(generate.StopStrings))
		settings.min_new_tokens = C.uint32_t(generate.MinNewTokens)
		settings.no_repeat_ngram_size = C.uint32_t(generate.NoRepeatNgramSize)
		settings.repetition_penalty = C.double(generate.RepetitionPenalty)
		settings.forced_bos_token_id = C.int64_t(generate.ForcedBosTokenID)
	}
	if arguments.err != nil {
		return arguments.err
	}
	return withCancel(ctx, func(cancel *C.polygraft_cancel) error {
		settings.cancel = cancel
		return predict(&settings)
	})
}

// withCancel runs a call with a cancel token that the context triggers.
func withCancel(ctx context.Context, call func(*C.polygraft_cancel) error) error {
	if ctx.Done() == nil {
		return call(nil)
	}
	var failure *C.polygraft_error
	var cancel *C.polygraft_cancel
	if err := check(C.polygraft_cancel_open(&cancel, &failure), failure); err != nil {
		return err
	}
	// The closure may run late: a token that is closed by then is refused.
	token := cancel
	// The function below may begin late, even for a context that has ended.
	if ctx.Err() != nil {
		C.polygraft_cancel_trigger(token, nil)
	}
	stop := context.AfterFunc(ctx, func() { C.polygraft_cancel_trigger(token, nil) })
	defer C.polygraft_cancel_close(&cancel)
	defer stop()
	err := call(cancel)
	var cancelled *Error
	if errors.As(err, &cancelled) && cancelled.Code == CodeCancelled {
		cancelled.context = context.Cause(ctx)
	}
	return err
}
