package polygraft

// #include <polygraft.h>
import "C"

import (
	"context"
	"errors"
	"runtime"
	"unsafe"
)

// PredictOptions says how to predict. The zero value means the defaults.
type PredictOptions struct {
	// TopK is how many labels to give, the most probable first; 0 gives all.
	TopK uint32
	// Generate says how texts are generated; nil for the defaults.
	Generate *GenerateOptions
}

// GenerateOptions says how texts are generated. Begin with [DefaultGenerateOptions].
type GenerateOptions struct {
	// Beams is how many hypotheses are followed; 1 takes the most probable token at each step.
	Beams uint32
	// TokensMax is the most new tokens, the end included; 0 takes as many as the bundle allows.
	TokensMax uint32
	// LengthPenalty compares finished hypotheses by log probability / tokens to this power. Of no
	// effect with one beam.
	LengthPenalty float64
	// Stops are texts that end a generation, and are cut off with what follows.
	Stops []string
	// TokensMin is the fewest new tokens; until then only a text of Stops ends one.
	TokensMin uint32
	// NoRepeat lets no sequence of this many tokens come twice; 0 allows it.
	NoRepeat uint32
	// RepetitionPenalty divides the logits of tokens that were there, and multiplies negative ones:
	// above 1 makes repetition less probable.
	RepetitionPenalty float64
	// ForcedBegin is the first token, which is a language in some models; -1 for what the bundle says.
	ForcedBegin int64
}

// DefaultGenerateOptions gives the defaults of the library.
func DefaultGenerateOptions() (GenerateOptions, error) {
	settings, err := predictSettings()
	return GenerateOptions{
		Beams:             uint32(settings.beams),
		TokensMax:         uint32(settings.tokens_max),
		LengthPenalty:     float64(settings.length_penalty),
		TokensMin:         uint32(settings.tokens_min),
		NoRepeat:          uint32(settings.no_repeat),
		RepetitionPenalty: float64(settings.repetition_penalty),
		ForcedBegin:       int64(settings.forced_begin),
	}, err
}

func predictSettings() (C.polygraft_predict_options, error) {
	var failure *C.polygraft_error
	var settings C.polygraft_predict_options
	size := C.size_t(unsafe.Sizeof(settings))
	status := C.polygraft_predict_options_init(&settings, size, &failure)
	return settings, check(status, failure)
}

// Predict answers one text. It gives the topK most probable labels, all if topK is 0. Ending the
// context cancels it.
func (m *Model) Predict(
	ctx context.Context, task, language, input string, topK uint32,
) (*Prediction, error) {
	return m.PredictInput(ctx, task, language, Text(input), &PredictOptions{TopK: topK})
}

// PredictBatch answers several texts in one language, sooner than one by one.
func (m *Model) PredictBatch(
	ctx context.Context, task, language string, inputs []string, topK uint32,
) ([]Prediction, error) {
	texts := make([]Input, len(inputs))
	for index, input := range inputs {
		texts[index] = Text(input)
	}
	return m.PredictInputs(ctx, task, language, texts, &PredictOptions{TopK: topK})
}

// PredictInput answers one input: a [Text], a [Pair] or [Words]. Options may be nil for the
// defaults. Ending the context cancels it; a text that is being generated then ends where it is.
func (m *Model) PredictInput(
	ctx context.Context, task, language string, input Input, options *PredictOptions,
) (*Prediction, error) {
	defer runtime.KeepAlive(m)
	arguments := arguments{}
	defer arguments.free()
	name, tag := arguments.text("task", task), arguments.text("language", language)
	asked := arguments.input(input)
	var prediction *C.polygraft_prediction
	err := withOptions(ctx, &arguments, options, func(settings *C.polygraft_predict_options) error {
		var failure *C.polygraft_error
		status := C.polygraft_model_predict_input(
			m.handle, name, tag, asked, settings, &prediction, &failure)
		return check(status, failure)
	})
	if err != nil {
		return nil, err
	}
	defer C.polygraft_prediction_free(&prediction)
	copied := copyPrediction(prediction)
	return &copied, nil
}

// PredictInputs answers several inputs in one language, sooner than one by one. Options may be nil
// for the defaults. Ending the context cancels it.
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
	defer C.polygraft_predictions_free(&batch)
	predictions := make([]Prediction, 0, len(inputs))
	for index := range C.polygraft_predictions_count(batch) {
		predictions = append(predictions, copyPrediction(C.polygraft_predictions_get(batch, index)))
	}
	return predictions, nil
}

// Embed gives one vector per text: the pooled hidden state of the backbone with the version that
// serves the language in a task, or of the bare backbone if task is empty; language is not read
// then. Vectors of length 1 if normalise, so that the product of two is their cosine. Vectors of
// different versions are not comparable.
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
		settings.beams = C.uint32_t(generate.Beams)
		settings.tokens_max = C.uint32_t(generate.TokensMax)
		settings.length_penalty = C.double(generate.LengthPenalty)
		settings.stops = arguments.array("Stops", generate.Stops)
		settings.stops_count = C.uint32_t(len(generate.Stops))
		settings.tokens_min = C.uint32_t(generate.TokensMin)
		settings.no_repeat = C.uint32_t(generate.NoRepeat)
		settings.repetition_penalty = C.double(generate.RepetitionPenalty)
		settings.forced_begin = C.int64_t(generate.ForcedBegin)
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
	// The closure may run as late as it likes: a token that is closed by then is refused.
	token := cancel
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
