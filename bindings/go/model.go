package polygraft

// #include <polygraft.h>
import "C"

import (
	"context"
	"errors"
	"runtime"
	"unsafe"
)

// Mode says how ONNX Runtime holds the weights.
type Mode uint32

const (
	// Lean keeps weights as clean, shared file pages: the least private memory.
	Lean Mode = C.POLYGRAFT_MODE_LEAN
	// Fast packs weights into private memory: the fastest runs.
	Fast Mode = C.POLYGRAFT_MODE_FAST
)

// Model is a backbone with the adapters of a store on it.
type Model struct {
	handle *C.polygraft_model
}

// ModelOptions says how to open a model. The zero value means the defaults.
type ModelOptions struct {
	Mode Mode
	// Threads of one prediction; 0 takes all cores.
	Threads uint32
	// VerifyFully checks the hash of every file of the bundle, which takes as long as reading them.
	VerifyFully bool
	// Targets are patterns of the module names where adapters may attach; nil for the default.
	Targets []string
}

// Label is one possible answer.
type Label struct {
	Name        string
	Probability float32
}

// Prediction is the answer to one text.
type Prediction struct {
	// Labels are sorted by probability, highest first.
	Labels []Label
	// Language is the one whose version answered: the one asked for or what it fell back to.
	Language string
	// Version is the number of that version.
	Version uint32
	// Truncated says that the text was longer than the model reads and was cut.
	Truncated bool
}

// OpenModel opens the model in a bundle, with the adapters in a store. Options may be nil.
func OpenModel(engine *Engine, bundle string, store *Store, options *ModelOptions) (*Model, error) {
	defer runtime.KeepAlive(engine)
	defer runtime.KeepAlive(store)
	if options == nil {
		options = &ModelOptions{}
	}
	var failure *C.polygraft_error
	var settings C.polygraft_model_options
	size := C.size_t(unsafe.Sizeof(settings))
	if err := check(C.polygraft_model_options_init(&settings, size, &failure), failure); err != nil {
		return nil, err
	}
	arguments := arguments{}
	defer arguments.free()
	settings.mode = C.uint32_t(options.Mode)
	settings.threads = C.uint32_t(options.Threads)
	if options.VerifyFully {
		settings.verify = C.POLYGRAFT_VERIFY_FULL
	}
	settings.targets = arguments.array("Targets", options.Targets)
	settings.targets_count = C.uint32_t(len(options.Targets))
	folder := arguments.text("bundle", bundle)
	if arguments.err != nil {
		return nil, arguments.err
	}
	model := &Model{}
	status := C.polygraft_model_open(
		engine.handle, folder, store.handle, &settings, &model.handle, &failure)
	if err := check(status, failure); err != nil {
		return nil, err
	}
	runtime.AddCleanup(model, func(handle *C.polygraft_model) {
		C.polygraft_model_close(&handle)
	}, model.handle)
	return model, nil
}

// Close closes the model; calls that run finish first. It always returns nil.
func (m *Model) Close() error {
	handle := m.handle
	C.polygraft_model_close(&handle)
	return nil
}

// Predict predicts the label of one text. It gives the topK most probable labels, all if topK is 0.
// Ending the context cancels it.
func (m *Model) Predict(
	ctx context.Context, task, language, input string, topK uint32,
) (*Prediction, error) {
	defer runtime.KeepAlive(m)
	arguments := arguments{}
	defer arguments.free()
	name, tag := arguments.text("task", task), arguments.text("language", language)
	utf8 := arguments.text("input", input)
	if arguments.err != nil {
		return nil, arguments.err
	}
	var prediction *C.polygraft_prediction
	err := withOptions(ctx, topK, func(options *C.polygraft_predict_options) error {
		var failure *C.polygraft_error
		status := C.polygraft_model_predict(
			m.handle, name, tag, utf8, options, &prediction, &failure)
		return check(status, failure)
	})
	if err != nil {
		return nil, err
	}
	defer C.polygraft_prediction_free(&prediction)
	copied := copyPrediction(prediction)
	return &copied, nil
}

// PredictBatch predicts the labels of several texts in one language, sooner than one by one.
func (m *Model) PredictBatch(
	ctx context.Context, task, language string, inputs []string, topK uint32,
) ([]Prediction, error) {
	defer runtime.KeepAlive(m)
	arguments := arguments{}
	defer arguments.free()
	name, tag := arguments.text("task", task), arguments.text("language", language)
	texts := arguments.array("input", inputs)
	if arguments.err != nil {
		return nil, arguments.err
	}
	var batch *C.polygraft_predictions
	err := withOptions(ctx, topK, func(options *C.polygraft_predict_options) error {
		var failure *C.polygraft_error
		status := C.polygraft_model_predict_batch(
			m.handle, name, tag, texts, C.size_t(len(inputs)), options, &batch, &failure)
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

// withOptions runs a prediction with options and a cancel token that the context triggers.
func withOptions(
	ctx context.Context, topK uint32, predict func(*C.polygraft_predict_options) error,
) error {
	return withCancel(ctx, func(cancel *C.polygraft_cancel) error {
		var failure *C.polygraft_error
		var options C.polygraft_predict_options
		size := C.size_t(unsafe.Sizeof(options))
		status := C.polygraft_predict_options_init(&options, size, &failure)
		if err := check(status, failure); err != nil {
			return err
		}
		options.top_k = C.uint32_t(topK)
		options.cancel = cancel
		return predict(&options)
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
	count := C.polygraft_prediction_labels_count(prediction)
	labels := make([]Label, 0, int(count))
	for index := range count {
		labels = append(labels, Label{
			Name:        text(C.polygraft_prediction_label(prediction, index)),
			Probability: float32(C.polygraft_prediction_probability(prediction, index)),
		})
	}
	return Prediction{
		Labels:    labels,
		Language:  text(C.polygraft_prediction_language(prediction)),
		Version:   uint32(C.polygraft_prediction_version(prediction)),
		Truncated: C.polygraft_prediction_truncated(prediction) != 0,
	}
}
