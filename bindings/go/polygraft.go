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
// The library is found by pkg-config (package polygraft). With the build tag polygraft_vendored it is
// the file native/GOOS_GOARCH/libpolygraft.so.0 of this module instead.
//
// Paths may have any bytes that the system allows. Results can be encoded as JSON; numbers that are
// NaN are left out.
package polygraft

/*
#cgo CFLAGS: -I${SRCDIR}
#include <stdlib.h>
#include <polygraft.h>

void polygraftGoLog(uint32_t severity, polygraft_string_view source, polygraft_string_view message,
                    void *user);
*/
import "C"

import (
	"fmt"
	"runtime"
	"runtime/cgo"
	"strings"
	"sync"
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

// checkABI refuses a library with another binary interface than that of polygraft.h. The loader
// refuses it, too, unless the file was renamed.
func checkABI() error {
	found := uint32(C.polygraft_abi_version())
	if found == ABIVersion {
		return nil
	}
	message := fmt.Sprintf("libpolygraft %s: expected version %d of the binary interface, found %d",
		Version(), ABIVersion, found)
	return &Error{Code: CodeArgumentInvalid, Message: message, Causes: []string{message}}
}

// Engine is the opened ONNX Runtime library. One engine per process is enough.
type Engine struct {
	// The handle never changes: the library refuses a closed one, and never reuses its number.
	handle  *C.polygraft_engine
	version string
	// closing is done once: it closes the handle, then frees the logger.
	closing func()
}

// EngineOptions are the options of [OpenEngine]. The zero value means the defaults.
type EngineOptions struct {
	// ONNXRuntimePath is the path of the ONNX Runtime library. If it is empty, the library is
	// searched in ORT_DYLIB_PATH, beside the polygraft library, and where the system's loader
	// looks.
	ONNXRuntimePath string
	// ORTAPIBase is what the C function OrtGetApiBase of an ONNX Runtime returns that the program
	// has linked or loaded itself; nil to open a library. ONNXRuntimePath must be empty then.
	ORTAPIBase unsafe.Pointer
	// Log receives what ONNX Runtime and polygraft log until the engine is closed; nil for none. It
	// may be called on several threads at once. A panic in it is recovered and dropped.
	Log func(severity Severity, source, message string)
	// LogFrom is the least severity that Log receives. With the zero value it receives everything.
	LogFrom Severity
}

// Severity is how bad a logged message is.
type Severity uint32

const (
	// LogVerbose is for details of what ONNX Runtime does to a graph.
	LogVerbose Severity = C.POLYGRAFT_LOG_VERBOSE
	// LogInfo is for what is normal.
	LogInfo Severity = C.POLYGRAFT_LOG_INFO
	// LogWarning is for what is suspicious; the call continues.
	LogWarning Severity = C.POLYGRAFT_LOG_WARNING
	// LogError is for a call that fails; its error says the same.
	LogError Severity = C.POLYGRAFT_LOG_ERROR
	// LogFatal is for a fatal failure.
	LogFatal Severity = C.POLYGRAFT_LOG_FATAL
)

// logger is what the library's log callback needs. The library keeps its address, so it lies in
// memory of C.
type logger struct {
	memory unsafe.Pointer
}

func newLogger(log func(Severity, string, string)) *logger {
	memory := C.malloc(C.size_t(unsafe.Sizeof(cgo.Handle(0))))
	*(*cgo.Handle)(memory) = cgo.NewHandle(log)
	return &logger{memory}
}

// free ends the logger. The engine is closed before, so the library no longer calls it.
func (l *logger) free() {
	if l == nil || l.memory == nil {
		return
	}
	(*(*cgo.Handle)(l.memory)).Delete()
	C.free(l.memory)
	l.memory = nil
}

//export polygraftGoLog
func polygraftGoLog(
	severity C.uint32_t, source, message C.polygraft_string_view, user unsafe.Pointer,
) {
	// A panic must not cross the library's frames, and there is no call that could pass it on.
	defer func() { _ = recover() }()
	log := (*(*cgo.Handle)(user)).Value().(func(Severity, string, string))
	log(Severity(severity), text(source), text(message))
}

// OpenEngine opens ONNX Runtime with its telemetry switched off. The first call sets
// ORT_DISABLE_TELEMETRY to 1 in the environment of the C library, unless it is 1 already. Options
// may be nil.
func OpenEngine(options *EngineOptions) (*Engine, error) {
	if err := checkABI(); err != nil {
		return nil, err
	}
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
	var log *logger
	if options != nil {
		settings.ort_api_base = options.ORTAPIBase
		settings.log_severity = C.uint32_t(options.LogFrom)
		if options.Log != nil {
			log = newLogger(options.Log)
			settings.log = C.polygraft_log_callback(C.polygraftGoLog)
			settings.log_user = log.memory
		}
	}
	engine := &Engine{}
	status := C.polygraft_engine_open(&settings, &engine.handle, &failure)
	if err := check(status, failure); err != nil {
		log.free()
		return nil, err
	}
	handle := engine.handle
	engine.closing = sync.OnceFunc(func() {
		C.polygraft_engine_close(&handle)
		log.free()
	})
	// This closes an engine that is collected without having been closed.
	runtime.AddCleanup(engine, func(closing func()) { closing() }, engine.closing)
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

// Close closes the engine. Models that were opened with it stay usable. It waits for calls of Log, so
// Log must not call it. It always returns nil.
func (e *Engine) Close() error {
	e.closing()
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
