package polygraft

// #include <polygraft.h>
import "C"

import (
	"context"
	"errors"
	"runtime"
	"unsafe"
)

// AnswerKind says what kind of answer a task gives.
type AnswerKind uint32

const (
	// LabelAnswer is one of several labels.
	LabelAnswer AnswerKind = C.POLYGRAFT_ANSWER_LABEL
	// LabelsAnswer is any number of labels.
	LabelsAnswer AnswerKind = C.POLYGRAFT_ANSWER_LABELS
	// NumberAnswer is a number.
	NumberAnswer AnswerKind = C.POLYGRAFT_ANSWER_NUMBER
	// TagsAnswer is a tag for each word.
	TagsAnswer AnswerKind = C.POLYGRAFT_ANSWER_TAGS
	// LabelAndTagsAnswer is a label of the whole and a tag for each word.
	LabelAndTagsAnswer AnswerKind = C.POLYGRAFT_ANSWER_LABEL_AND_TAGS
	// TextAnswer is a text.
	TextAnswer AnswerKind = C.POLYGRAFT_ANSWER_TEXT
)

// Label is one possible answer.
type Label struct {
	Name        string
	Probability float32
}

// Place says where something stands in the text that was asked about; [Words] count as joined by
// single spaces.
type Place struct {
	// ByteStart and ByteEnd slice the text: text[ByteStart:ByteEnd].
	ByteStart, ByteEnd int
	// RuneStart and RuneEnd slice its runes.
	RuneStart, RuneEnd int
}

// Word is a word with its tag.
type Word struct {
	Place
	// Tag is empty for a word behind what the model reads.
	Tag         string
	Probability float32
}

// Span is neighbouring words that the tags mark as one thing.
type Span struct {
	Place
	// Kind is the tags without B- and I-.
	Kind string
	// WordFirst and WordLast are the positions of its first and its last word.
	WordFirst, WordLast int
	// Probability is that of its least certain word.
	Probability float32
}

// Prediction is the answer to one input. What its kind of answer does not have is empty.
type Prediction struct {
	// Kind is the kind of answer.
	Kind AnswerKind
	// Labels are sorted by probability, highest first. The first one applies; of a [LabelsAnswer],
	// all with a probability of at least 0.5.
	Labels []Label
	// Number is NaN for every other kind than a [NumberAnswer].
	Number float64
	// Words are all words of the input, in order.
	Words []Word
	// Spans are what the tags mark, where they are of the scheme BIO.
	Spans []Span
	// Language is the one whose version answered: the one asked for or what it fell back to.
	Language string
	// Version is the number of that version.
	Version uint32
	// Truncated says that the input was longer than the model reads and was cut.
	Truncated bool
}

// PredictOptions says how to predict. The zero value means the defaults.
type PredictOptions struct {
	// TopK is how many labels to give, the most probable first; 0 gives all.
	TopK uint32
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
// defaults. Ending the context cancels it.
func (m *Model) PredictInput(
	ctx context.Context, task, language string, input Input, options *PredictOptions,
) (*Prediction, error) {
	defer runtime.KeepAlive(m)
	arguments := arguments{}
	defer arguments.free()
	name, tag := arguments.text("task", task), arguments.text("language", language)
	asked := arguments.input(input)
	if arguments.err != nil {
		return nil, arguments.err
	}
	var prediction *C.polygraft_prediction
	err := withOptions(ctx, options, func(settings *C.polygraft_predict_options) error {
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
	if arguments.err != nil {
		return nil, arguments.err
	}
	var batch *C.polygraft_predictions
	err := withOptions(ctx, options, func(settings *C.polygraft_predict_options) error {
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
	ctx context.Context, options *PredictOptions,
	predict func(*C.polygraft_predict_options) error,
) error {
	if options == nil {
		options = &PredictOptions{}
	}
	return withCancel(ctx, func(cancel *C.polygraft_cancel) error {
		var failure *C.polygraft_error
		var settings C.polygraft_predict_options
		size := C.size_t(unsafe.Sizeof(settings))
		status := C.polygraft_predict_options_init(&settings, size, &failure)
		if err := check(status, failure); err != nil {
			return err
		}
		settings.top_k = C.uint32_t(options.TopK)
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

func copyPrediction(prediction *C.polygraft_prediction) Prediction {
	result := Prediction{
		Kind:      AnswerKind(C.polygraft_prediction_kind(prediction)),
		Number:    float64(C.polygraft_prediction_number(prediction)),
		Language:  text(C.polygraft_prediction_language(prediction)),
		Version:   uint32(C.polygraft_prediction_version(prediction)),
		Truncated: C.polygraft_prediction_truncated(prediction) != 0,
	}
	for index := range C.polygraft_prediction_labels_count(prediction) {
		result.Labels = append(result.Labels, Label{
			Name:        text(C.polygraft_prediction_label(prediction, index)),
			Probability: float32(C.polygraft_prediction_probability(prediction, index)),
		})
	}
	for index := range C.polygraft_prediction_words_count(prediction) {
		word := C.polygraft_prediction_word(prediction, index)
		result.Words = append(result.Words, Word{
			Place:       place(word.byte_start, word.byte_end, word.char_start, word.char_end),
			Tag:         text(word.tag),
			Probability: float32(word.probability),
		})
	}
	for index := range C.polygraft_prediction_spans_count(prediction) {
		span := C.polygraft_prediction_span(prediction, index)
		result.Spans = append(result.Spans, Span{
			Place:       place(span.byte_start, span.byte_end, span.char_start, span.char_end),
			Kind:        text(span.kind),
			WordFirst:   int(span.word_first),
			WordLast:    int(span.word_last),
			Probability: float32(span.probability),
		})
	}
	return result
}

func place(byteStart, byteEnd, runeStart, runeEnd C.size_t) Place {
	return Place{
		ByteStart: int(byteStart), ByteEnd: int(byteEnd),
		RuneStart: int(runeStart), RuneEnd: int(runeEnd),
	}
}
