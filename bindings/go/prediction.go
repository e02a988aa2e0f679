package polygraft

// #include <polygraft.h>
import "C"

// TaskKind is the kind of a task.
type TaskKind uint32

const (
	// Classification predicts exactly one of several labels.
	Classification TaskKind = C.POLYGRAFT_TASK_CLASSIFICATION
	// MultiLabel predicts any number of labels.
	MultiLabel TaskKind = C.POLYGRAFT_TASK_MULTI_LABEL
	// Regression predicts a number.
	Regression TaskKind = C.POLYGRAFT_TASK_REGRESSION
	// TokenClassification predicts a tag for each word.
	TokenClassification TaskKind = C.POLYGRAFT_TASK_TOKEN_CLASSIFICATION
	// IntentAndSlots predicts a label of the whole input and a tag for each word.
	IntentAndSlots TaskKind = C.POLYGRAFT_TASK_INTENT_AND_SLOTS
	// SequenceToSequence generates a text.
	SequenceToSequence TaskKind = C.POLYGRAFT_TASK_SEQUENCE_TO_SEQUENCE
)

// Label is one label with its probability.
type Label struct {
	Name        string
	Probability float32
}

// Place is the position of a word or span in the input text. The text of [Words] is its words
// joined by single spaces.
type Place struct {
	// ByteStart and ByteEnd slice the text: text[ByteStart:ByteEnd].
	ByteStart, ByteEnd int
	// RuneStart and RuneEnd slice its runes.
	RuneStart, RuneEnd int
}

// Word is a word with its tag.
type Word struct {
	Place
	// Tag is empty for a word beyond what the model reads.
	Tag         string
	Probability float32
}

// Span is a group of consecutive words that the tags mark as one thing.
type Span struct {
	Place
	// Kind is the kind of the span: its tags without B- and I-.
	Kind string
	// WordFirst and WordLast are the positions of the first and the last word.
	WordFirst, WordLast int
	// Probability is the probability of the least certain word.
	Probability float32
}

// FinishReason is the reason why a generated text ended.
type FinishReason uint32

const (
	// NotText means that the prediction is not a generated text.
	NotText FinishReason = C.POLYGRAFT_FINISH_NONE
	// FinishedAtEnd means that the model generated an end token.
	FinishedAtEnd FinishReason = C.POLYGRAFT_FINISH_END
	// FinishedAtLength means that the text reached the maximum number of tokens.
	FinishedAtLength FinishReason = C.POLYGRAFT_FINISH_LENGTH
	// FinishedAtStop means that the text reached a stop string, or that the callback ended it.
	FinishedAtStop FinishReason = C.POLYGRAFT_FINISH_STOPPED
	// FinishedByCancel means that the context ended; the prediction has the text as far as it was
	// generated.
	FinishedByCancel FinishReason = C.POLYGRAFT_FINISH_CANCELLED
)

// Prediction is the output of a task for one input. Fields that its kind does not have are empty.
type Prediction struct {
	// Kind is the kind of the task.
	Kind TaskKind
	// Labels are sorted by probability, highest first. In classification the first label applies,
	// and in [MultiLabel] all labels with a probability of at least 0.5 apply.
	Labels []Label
	// Number is the number of a [Regression]; it is NaN for other kinds.
	Number float64
	// Words are all words of the input with their tags, in order.
	Words []Word
	// Spans are the spans that the tags mark, if they follow the scheme BIO.
	Spans []Span
	// Text is the generated text of a [SequenceToSequence], without its end token or stop string.
	Text string
	// LogProbability is the sum of the log probabilities of the text's tokens; it is NaN for other
	// kinds.
	LogProbability float64
	// TokensCount is the number of the text's tokens, including the end token. FinishReason is the
	// reason why the text ended.
	TokensCount  int
	FinishReason FinishReason
	// Language is the language whose version was used: the requested one, or the one it fell back
	// to.
	Language string
	// Version is the number of the version that was used.
	Version uint32
	// Truncated is true if the input was longer than the model reads and was therefore truncated.
	Truncated bool
}

func copyPrediction(prediction *C.polygraft_prediction) Prediction {
	result := Prediction{
		Kind:         TaskKind(C.polygraft_prediction_kind(prediction)),
		Number:       float64(C.polygraft_prediction_number(prediction)),
		Text:         text(C.polygraft_prediction_text(prediction)),
		FinishReason: FinishReason(C.polygraft_prediction_finish_reason(prediction)),
		Language:     text(C.polygraft_prediction_language(prediction)),
		Version:      uint32(C.polygraft_prediction_version(prediction)),
		Truncated:    C.polygraft_prediction_truncated(prediction) != 0,

		LogProbability: float64(C.polygraft_prediction_log_probability(prediction)),
		TokensCount:    int(C.polygraft_prediction_tokens_count(prediction)),
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
