package polygraft

// #include <polygraft.h>
import "C"

// TaskKind is what a task predicts.
type TaskKind uint32

const (
	// Classification is one of several labels.
	Classification TaskKind = C.POLYGRAFT_TASK_CLASSIFICATION
	// MultiLabel is any number of labels.
	MultiLabel TaskKind = C.POLYGRAFT_TASK_MULTI_LABEL
	// Regression is a number.
	Regression TaskKind = C.POLYGRAFT_TASK_REGRESSION
	// TokenClassification is a tag for each word.
	TokenClassification TaskKind = C.POLYGRAFT_TASK_TOKEN_CLASSIFICATION
	// IntentAndSlots is a label of the whole and a tag for each word.
	IntentAndSlots TaskKind = C.POLYGRAFT_TASK_INTENT_AND_SLOTS
	// SequenceToSequence is a text.
	SequenceToSequence TaskKind = C.POLYGRAFT_TASK_SEQUENCE_TO_SEQUENCE
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

// Finish says why a text ended.
type Finish uint32

const (
	// NotText: the prediction is no text.
	NotText Finish = C.POLYGRAFT_FINISH_NONE
	// FinishedAtEnd: the model gave a token that ends a text.
	FinishedAtEnd Finish = C.POLYGRAFT_FINISH_END
	// FinishedAtLength: the limit of tokens was reached.
	FinishedAtLength Finish = C.POLYGRAFT_FINISH_LENGTH
	// FinishedAtStop: one of the texts to stop at was there, or the callback ended it.
	FinishedAtStop Finish = C.POLYGRAFT_FINISH_STOPPED
	// FinishedByCancel: the context ended; the text is what there was.
	FinishedByCancel Finish = C.POLYGRAFT_FINISH_CANCELLED
)

// Prediction is the answer to one input. What its kind of answer does not have is empty.
type Prediction struct {
	// Kind is the kind of answer.
	Kind TaskKind
	// Labels are sorted by probability, highest first. The first one applies; of a [MultiLabel],
	// all with a probability of at least 0.5.
	Labels []Label
	// Number is NaN for every other kind than a [Regression].
	Number float64
	// Words are all words of the input, in order.
	Words []Word
	// Spans are what the tags mark, where they are of the scheme BIO.
	Spans []Span
	// Text is the text of a [SequenceToSequence], without what ended it.
	Text string
	// LogProbability sums up the logarithms of the probabilities of its tokens; NaN for other kinds.
	LogProbability float64
	// TokensCount is how many tokens it is, the end included, and Finish why it ended.
	TokensCount int
	Finish      Finish
	// Language is the one whose version answered: the one asked for or what it fell back to.
	Language string
	// Version is the number of that version.
	Version uint32
	// Truncated says that the input was longer than the model reads and was cut.
	Truncated bool
}

func copyPrediction(prediction *C.polygraft_prediction) Prediction {
	result := Prediction{
		Kind:      TaskKind(C.polygraft_prediction_kind(prediction)),
		Number:    float64(C.polygraft_prediction_number(prediction)),
		Text:      text(C.polygraft_prediction_text(prediction)),
		Finish:    Finish(C.polygraft_prediction_finish(prediction)),
		Language:  text(C.polygraft_prediction_language(prediction)),
		Version:   uint32(C.polygraft_prediction_version(prediction)),
		Truncated: C.polygraft_prediction_truncated(prediction) != 0,

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
