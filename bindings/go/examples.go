package polygraft

// #include <polygraft.h>
import "C"

import "runtime"

// Add adds an example of a text and one label. If the update has run already, the outcome of that
// run is discarded. All targets of an update are of one kind.
func (u *Update) Add(language, input, label string) error {
	defer runtime.KeepAlive(u)
	arguments := arguments{}
	defer arguments.free()
	tag, sentence := arguments.text("language", language), arguments.text("input", input)
	target := arguments.text("label", label)
	if arguments.err != nil {
		return arguments.err
	}
	var failure *C.polygraft_error
	return check(C.polygraft_update_add(u.handle, tag, sentence, target, &failure), failure)
}

// AddLabel adds an example for classification: an input and one label. The input is a [Text] or a
// [Pair].
func (u *Update) AddLabel(language string, input Input, label string) error {
	return u.add(language, input, label, nil, func(e *example) C.polygraft_status {
		return C.polygraft_update_add_label(u.handle, e.language, e.input, e.text, &e.failure)
	})
}

// AddLabels adds an example for multi-label classification: an input and all labels that apply to
// it. There may be none. The input is a [Text] or a [Pair].
func (u *Update) AddLabels(language string, input Input, labels []string) error {
	return u.add(language, input, "", labels, func(e *example) C.polygraft_status {
		return C.polygraft_update_add_labels(
			u.handle, e.language, e.input, e.names, e.namesCount, &e.failure)
	})
}

// AddNumber adds an example for regression: an input and a finite number. The input is a [Text] or
// a [Pair].
func (u *Update) AddNumber(language string, input Input, number float64) error {
	return u.add(language, input, "", nil, func(e *example) C.polygraft_status {
		return C.polygraft_update_add_number(
			u.handle, e.language, e.input, C.double(number), &e.failure)
	})
}

// AddTags adds an example for token classification: words and one tag for each of them. Tags of the
// scheme BIO (B-place, I-place, O) mark spans and must be valid; other tags may stand in any order.
func (u *Update) AddTags(language string, words Words, tags []string) error {
	return u.add(language, words, "", tags, func(e *example) C.polygraft_status {
		return C.polygraft_update_add_tags(
			u.handle, e.language, e.input, e.names, e.namesCount, &e.failure)
	})
}

// AddLabelAndTags adds an example for joint intent and slots: words, a label of the whole input,
// and one tag for each word as for [Update.AddTags].
func (u *Update) AddLabelAndTags(language string, words Words, label string, tags []string) error {
	return u.add(language, words, label, tags, func(e *example) C.polygraft_status {
		return C.polygraft_update_add_label_and_tags(
			u.handle, e.language, e.input, e.text, e.names, e.namesCount, &e.failure)
	})
}

// TextSpan is a span of a text with its kind. ByteEnd is the offset of the first byte after it.
type TextSpan struct {
	Kind      string
	ByteStart int
	ByteEnd   int
}

// AddSpans adds an example of a raw text and its spans, as a [Prediction] returns them: for token
// classification or, if label is not empty, for joint intent and slots. A span that begins or ends
// within a word takes the whole word.
func (u *Update) AddSpans(language, text, label string, spans []TextSpan) error {
	defer runtime.KeepAlive(u)
	arguments := arguments{}
	defer arguments.free()
	var whole *C.char
	if label != "" {
		whole = arguments.text("label", label)
	}
	tag, sentence := arguments.text("language", language), arguments.text("text", text)
	parts, count := arguments.spans(spans), C.size_t(len(spans))
	if arguments.err != nil {
		return arguments.err
	}
	var failure *C.polygraft_error
	status := C.polygraft_update_add_spans(u.handle, tag, sentence, whole, parts, count, &failure)
	return check(status, failure)
}

// AddText adds an example of a text and the text to generate for it. The bundle must have a
// decoder.
func (u *Update) AddText(language, input, target string) error {
	return u.add(language, Text(input), target, nil, func(e *example) C.polygraft_status {
		return C.polygraft_update_add_text(u.handle, e.language, e.input, e.text, &e.failure)
	})
}

// example holds the parts of one example for C.
type example struct {
	language   *C.char
	input      *C.polygraft_input
	text       *C.char
	names      **C.char
	namesCount C.size_t
	failure    *C.polygraft_error
}

// add copies the parts of an example for one call. The target is a label or a text, and the names
// of labels or tags.
func (u *Update) add(
	language string, input Input, text string, names []string,
	call func(*example) C.polygraft_status,
) error {
	defer runtime.KeepAlive(u)
	arguments := arguments{}
	defer arguments.free()
	parts := &example{
		language:   arguments.text("language", language),
		input:      arguments.input(input),
		text:       arguments.text("target", text),
		names:      arguments.array("target", names),
		namesCount: C.size_t(len(names)),
	}
	if arguments.err != nil {
		return arguments.err
	}
	status := call(parts)
	return check(status, parts.failure)
}
