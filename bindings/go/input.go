package polygraft

// #include <stdlib.h>
// #include <polygraft.h>
import "C"

import "unsafe"

// Input is an input of a model: a [Text], a [Pair] or [Words].
type Input interface {
	// open makes the library's input. A text that C cannot carry becomes the error of the
	// arguments.
	open(*arguments, **C.polygraft_input, **C.polygraft_error) C.polygraft_status
}

// Text is an input of one text.
type Text string

// Pair is an input of two texts that the model reads together and in this order, for example a
// premise and a hypothesis, or a sentence and its paraphrase.
type Pair struct{ First, Second string }

// Words is an input of a text that the caller has already split into words.
type Words []string

func (t Text) open(
	arguments *arguments, input **C.polygraft_input, failure **C.polygraft_error,
) C.polygraft_status {
	return C.polygraft_input_text(arguments.text("input", string(t)), input, failure)
}

func (p Pair) open(
	arguments *arguments, input **C.polygraft_input, failure **C.polygraft_error,
) C.polygraft_status {
	first, second := arguments.text("First", p.First), arguments.text("Second", p.Second)
	return C.polygraft_input_pair(first, second, input, failure)
}

func (w Words) open(
	arguments *arguments, input **C.polygraft_input, failure **C.polygraft_error,
) C.polygraft_status {
	words := arguments.array("Words", w)
	return C.polygraft_input_words(words, C.size_t(len(w)), input, failure)
}

// input returns the library's copy of an input, which is valid until free.
func (a *arguments) input(value Input) *C.polygraft_input {
	if a.err != nil {
		return nil
	}
	if value == nil {
		a.err = &Error{
			Code: CodeArgumentNull, Message: "the input is nil", Causes: []string{"the input is nil"},
		}
		return nil
	}
	var failure *C.polygraft_error
	var input *C.polygraft_input
	err := check(value.open(a, &input, &failure), failure)
	if input != nil {
		a.inputs = append(a.inputs, input)
	}
	// A text that C cannot carry is the better reason.
	if a.err == nil {
		a.err = err
	}
	return input
}

// inputArray returns a C array of the library's copies, which is valid until free.
func (a *arguments) inputArray(values []Input) **C.polygraft_input {
	if len(values) == 0 {
		return nil
	}
	size := C.size_t(len(values)) * C.size_t(unsafe.Sizeof((*C.polygraft_input)(nil)))
	memory := (**C.polygraft_input)(C.malloc(size))
	a.texts = append(a.texts, (*C.char)(unsafe.Pointer(memory)))
	for index, value := range values {
		unsafe.Slice(memory, len(values))[index] = a.input(value)
	}
	return memory
}

// spans returns a C array of spans, which is valid until free.
func (a *arguments) spans(values []TextSpan) *C.polygraft_text_span {
	if len(values) == 0 {
		return nil
	}
	size := C.size_t(len(values)) * C.size_t(unsafe.Sizeof(C.polygraft_text_span{}))
	memory := (*C.polygraft_text_span)(C.malloc(size))
	a.texts = append(a.texts, (*C.char)(unsafe.Pointer(memory)))
	for index, value := range values {
		unsafe.Slice(memory, len(values))[index] = C.polygraft_text_span{
			kind:       a.text("Kind", value.Kind),
			byte_start: C.size_t(value.ByteStart),
			byte_end:   C.size_t(value.ByteEnd),
		}
	}
	return memory
}
