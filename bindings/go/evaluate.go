package polygraft

/*
#include <polygraft.h>

int polygraftGoStep(size_t step, size_t steps_count, void *user);
*/
import "C"

import (
	"context"
	"runtime"
	"runtime/cgo"
	"unsafe"
)

// Examples are labelled examples of one kind of task, in one or several languages.
type Examples struct {
	list *C.polygraft_examples
}

// LabelledExample is a text with its language and label.
type LabelledExample struct{ Language, Text, Label string }

func newExamples(list *C.polygraft_examples) *Examples {
	examples := &Examples{list}
	runtime.AddCleanup(examples, func(list *C.polygraft_examples) {
		C.polygraft_examples_free(&list)
	}, list)
	return examples
}

// ReadExamples reads labelled examples from a file in JSON Lines.
func ReadExamples(path string) (*Examples, error) {
	return examplesOf("path", path, func(
		argument *C.char, list **C.polygraft_examples, failure **C.polygraft_error,
	) C.polygraft_status {
		return C.polygraft_examples_read(argument, list, failure)
	})
}

// ParseExamples reads labelled examples from a text in JSON Lines.
func ParseExamples(jsonLines string) (*Examples, error) {
	return examplesOf("jsonLines", jsonLines, func(
		argument *C.char, list **C.polygraft_examples, failure **C.polygraft_error,
	) C.polygraft_status {
		return C.polygraft_examples_parse(argument, list, failure)
	})
}

func examplesOf(
	name, value string,
	read func(*C.char, **C.polygraft_examples, **C.polygraft_error) C.polygraft_status,
) (*Examples, error) {
	arguments := arguments{}
	defer arguments.free()
	argument := arguments.text(name, value)
	if arguments.err != nil {
		return nil, arguments.err
	}
	var failure *C.polygraft_error
	var list *C.polygraft_examples
	if err := check(read(argument, &list, &failure), failure); err != nil {
		return nil, err
	}
	return newExamples(list), nil
}

// NewExamples makes labelled examples of texts.
func NewExamples(all []LabelledExample) (*Examples, error) {
	arguments := arguments{}
	defer arguments.free()
	var languages, inputs, labels []string
	for _, one := range all {
		languages = append(languages, one.Language)
		inputs = append(inputs, one.Text)
		labels = append(labels, one.Label)
	}
	tags := arguments.array("Language", languages)
	texts, names := arguments.array("Text", inputs), arguments.array("Label", labels)
	if arguments.err != nil {
		return nil, arguments.err
	}
	var failure *C.polygraft_error
	var list *C.polygraft_examples
	status := C.polygraft_examples_labelled(
		tags, texts, names, C.size_t(len(all)), &list, &failure)
	if err := check(status, failure); err != nil {
		return nil, err
	}
	return newExamples(list), nil
}

// Len returns the number of examples.
func (e *Examples) Len() int {
	defer runtime.KeepAlive(e)
	return int(C.polygraft_examples_count(e.list))
}

// AddExamples adds all examples of a list. When one is refused, the ones before it have been added.
func (u *Update) AddExamples(examples *Examples) error {
	defer runtime.KeepAlive(u)
	defer runtime.KeepAlive(examples)
	var failure *C.polygraft_error
	return check(C.polygraft_update_add_examples(u.handle, examples.list, &failure), failure)
}

// Score is how well the version that serves a language does on the examples in it.
type Score struct {
	Language string
	// ServedBy is the language whose version served, and Version its number.
	ServedBy string
	Version  uint32
	// ExamplesCount is the number of examples.
	ExamplesCount uint64
	// Score is the mean score of the examples, from 0 to 1.
	Score float64
	// Metrics has the usual metrics of the task, such as accuracy or macro_f1.
	Metrics map[string]float64
}

// Evaluate evaluates the versions that serve the languages of the examples on these examples. Mean
// counts all languages the same. Progress, which may be nil, receives the number of examples done
// and their total; it returns false to cancel.
func (m *Model) Evaluate(
	ctx context.Context, task string, examples *Examples, progress func(step, stepsCount int) bool,
) (scores []Score, mean Score, err error) {
	defer runtime.KeepAlive(m)
	defer runtime.KeepAlive(examples)
	arguments := arguments{}
	defer arguments.free()
	name := arguments.text("task", task)
	if arguments.err != nil {
		return nil, Score{}, arguments.err
	}
	stepper := &stepper{progress: progress}
	handle := cgo.NewHandle(stepper)
	defer handle.Delete()
	var list *C.polygraft_scores
	err = withCancel(ctx, func(cancel *C.polygraft_cancel) error {
		var failure *C.polygraft_error
		status := C.polygraft_model_evaluate(m.handle, name, examples.list, cancel, &list, &failure,
			C.polygraft_step_callback(C.polygraftGoStep), unsafe.Pointer(&handle))
		return check(status, failure)
	})
	defer C.polygraft_scores_free(&list)
	if stepper.panicked != nil {
		panic(stepper.panicked)
	}
	if err != nil {
		return nil, Score{}, err
	}
	return copyScores(list)
}

func copyScores(list *C.polygraft_scores) (scores []Score, mean Score, err error) {
	var failure *C.polygraft_error
	for index := range C.polygraft_scores_count(list) {
		var entry C.polygraft_score
		entry.struct_size = C.uint32_t(unsafe.Sizeof(entry))
		status := C.polygraft_scores_get(list, index, &entry, &failure)
		if err := check(status, failure); err != nil {
			return nil, Score{}, err
		}
		scores = append(scores, copyScore(&entry, func(metric C.size_t) C.polygraft_metric {
			return C.polygraft_scores_metric(list, index, metric)
		}))
	}
	var entry C.polygraft_score
	entry.struct_size = C.uint32_t(unsafe.Sizeof(entry))
	if err := check(C.polygraft_scores_mean(list, &entry, &failure), failure); err != nil {
		return nil, Score{}, err
	}
	mean = copyScore(&entry, func(metric C.size_t) C.polygraft_metric {
		return C.polygraft_scores_mean_metric(list, metric)
	})
	return scores, mean, nil
}

func copyScore(
	entry *C.polygraft_score, metric func(C.size_t) C.polygraft_metric,
) Score {
	score := Score{
		Language:      text(entry.language),
		ServedBy:      text(entry.served_by),
		Version:       uint32(entry.version),
		ExamplesCount: uint64(entry.examples_count),
		Score:         float64(entry.score),
		Metrics:       map[string]float64{},
	}
	for index := range C.size_t(entry.metrics_count) {
		one := metric(index)
		score.Metrics[text(one.name)] = float64(one.value)
	}
	return score
}

// stepper is the value behind the user pointer of the library's step callback.
type stepper struct {
	progress func(step, stepsCount int) bool
	// panicked is the value that the callback panicked with. A panic must not cross the library's
	// frames.
	panicked any
}

//export polygraftGoStep
func polygraftGoStep(step, stepsCount C.size_t, user unsafe.Pointer) (cancel C.int) {
	stepper := (*(*cgo.Handle)(user)).Value().(*stepper)
	if stepper.progress == nil {
		return 0
	}
	defer func() {
		if value := recover(); value != nil {
			stepper.panicked, cancel = value, 1
		}
	}()
	if stepper.progress(int(step), int(stepsCount)) {
		return 0
	}
	return 1
}
