package polygraft

// #include <polygraft.h>
import "C"

import (
	"runtime"
	"unsafe"
)

// Mode is how ONNX Runtime holds the weights.
type Mode uint32

const (
	// Lean keeps the weights in clean, shared file pages. It takes the least private memory.
	Lean Mode = C.POLYGRAFT_MODE_LEAN
	// Fast packs the weights into private memory. It gives the fastest runs.
	Fast Mode = C.POLYGRAFT_MODE_FAST
)

// Model is a backbone with the adapters of a store.
type Model struct {
	handle *C.polygraft_model
}

// ModelOptions are the options of [OpenModel]. The zero value means the defaults.
type ModelOptions struct {
	Mode Mode
	// Threads is the number of threads of one prediction; 0 takes all cores.
	Threads uint32
	// VerifyFully checks the hash of every file of the bundle. This takes as long as reading the
	// files.
	VerifyFully bool
	// VerifyQuickly does not read the weights. With neither option the weights are read whole the
	// first time, and again only after they have been written to.
	VerifyQuickly bool
	// Targets are patterns of the module names where adapters may attach; nil takes the default.
	Targets []string
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
	switch {
	case options.VerifyFully:
		settings.verify = C.POLYGRAFT_VERIFY_FULL
	case options.VerifyQuickly:
		settings.verify = C.POLYGRAFT_VERIFY_QUICK
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

// Close closes the model. It waits for running calls, unless it is called inside a callback. It
// always returns nil.
func (m *Model) Close() error {
	handle := m.handle
	C.polygraft_model_close(&handle)
	return nil
}
