// Package polygraft runs multilingual models that keep learning after they ship.
//
// It is a thin layer over the C interface of the polygraft library. An [Engine] opens ONNX Runtime,
// a [Store] holds adapter versions on disk, and a [Model] is a bundle on that engine with that
// store. A model predicts, and an [Update] trains it on labelled examples. Results are copied into
// Go values that do not refer to the library's memory.
//
// Every failure is an [*Error] with a [Code]; compare with errors.Is(err, polygraft.CodeCancelled).
// All methods except those of Update may be called from many goroutines at once. Close may be
// called while other methods run: it waits for running calls, and later calls fail.
//
// Paths may have any bytes that the system allows. Results can be encoded as JSON; numbers that are
// NaN are left out.
package polygraft

/*
#cgo CFLAGS: -I${SRCDIR}/../../include
#cgo LDFLAGS: -lpolygraft
#include <stdlib.h>
#include <polygraft.h>
*/
import "C"

import (
	"runtime"
	"strings"
	"unsafe"
)

// ABIVersion is the version of the binary interface that this package was compiled with.
const ABIVersion = C.POLYGRAFT_ABI_VERSION

// Version returns the version of the loaded library.
func Version() string {
	return text(C.polygraft_version_string())
}

// BuildInfo describes the loaded library in one line.
func BuildInfo() string {
	return text(C.polygraft_build_info())
}

// Engine is the opened ONNX Runtime library. One engine per process is enough.
type Engine struct {
	// The handle never changes: the library refuses a closed one, and never reuses its number.
	handle  *C.polygraft_engine
	version string
}

// EngineOptions are the options of [OpenEngine]. The zero value means the defaults.
type EngineOptions struct {
	// ONNXRuntimePath is the path of the ONNX Runtime library. If it is empty, the library is
	// searched in ORT_DYLIB_PATH, beside the polygraft library, and where the system's loader
	// looks.
	ONNXRuntimePath string
}

// OpenEngine opens ONNX Runtime with its telemetry switched off. The first call sets
// ORT_DISABLE_TELEMETRY to 1 in the environment of the C library, unless it is 1 already. Options
// may be nil.
func OpenEngine(options *EngineOptions) (*Engine, error) {
	var failure *C.polygraft_error
	var settings C.polygraft_engine_options
	size := C.size_t(unsafe.Sizeof(settings))
	if err := check(C.polygraft_engine_options_init(&settings, size, &failure), failure); err != nil {
		return nil, err
	}
	arguments := arguments{}
	defer arguments.free()
	if options != nil && options.ONNXRuntimePath != "" {
		settings.onnxruntime_path = arguments.text("ONNXRuntimePath", options.ONNXRuntimePath)
	}
	if arguments.err != nil {
		return nil, arguments.err
	}
	engine := &Engine{}
	status := C.polygraft_engine_open(&settings, &engine.handle, &failure)
	if err := check(status, failure); err != nil {
		return nil, err
	}
	// This closes an engine that nobody closes. Closing twice does nothing.
	runtime.AddCleanup(engine, func(handle *C.polygraft_engine) {
		C.polygraft_engine_close(&handle)
	}, engine.handle)
	// The view is valid until the engine is closed, so it is copied before anybody else can close
	// it.
	var version C.polygraft_string_view
	status = C.polygraft_engine_onnxruntime_version(engine.handle, &version, &failure)
	if err := check(status, failure); err != nil {
		return nil, err
	}
	engine.version = text(version)
	return engine, nil
}

// ONNXRuntimeVersion returns the version of the opened ONNX Runtime.
func (e *Engine) ONNXRuntimeVersion() string {
	return e.version
}

// Close closes the engine. Models that were opened with it stay usable. It always returns nil.
func (e *Engine) Close() error {
	handle := e.handle
	C.polygraft_engine_close(&handle)
	return nil
}

// text copies a view of the library into a Go string.
func text(view C.polygraft_string_view) string {
	return strings.Clone(unsafe.String((*byte)(unsafe.Pointer(view.ptr)), int(view.len)))
}

// arguments holds the C texts and inputs of one call. If C cannot carry one of them or the library
// refuses it, err has the first such failure.
type arguments struct {
	texts  []*C.char
	inputs []*C.polygraft_input
	err    error
}

// text returns a C copy of a text, which is valid until free.
func (a *arguments) text(name, value string) *C.char {
	if strings.IndexByte(value, 0) >= 0 && a.err == nil {
		a.err = &Error{
			Code:    CodeArgumentInvalid,
			Message: name + " contains a NUL character",
			Causes:  []string{name + " contains a NUL character"},
		}
	}
	copied := C.CString(value)
	a.texts = append(a.texts, copied)
	return copied
}

// array returns a C array of C copies, which is valid until free.
func (a *arguments) array(name string, values []string) **C.char {
	if len(values) == 0 {
		return nil
	}
	size := C.size_t(len(values)) * C.size_t(unsafe.Sizeof((*C.char)(nil)))
	memory := (**C.char)(C.malloc(size))
	a.texts = append(a.texts, (*C.char)(unsafe.Pointer(memory)))
	for index, value := range values {
		unsafe.Slice(memory, len(values))[index] = a.text(name, value)
	}
	return memory
}

func (a *arguments) free() {
	for index := range a.inputs {
		C.polygraft_input_free(&a.inputs[index])
	}
	for _, text := range a.texts {
		C.free(unsafe.Pointer(text))
	}
}
