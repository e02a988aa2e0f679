package polygraft

/*
#include <polygraft.h>

int polygraftGoChunk(polygraft_string_view chunk, void *user);
*/
import "C"

import (
	"context"
	"runtime"
	"runtime/cgo"
	"unsafe"
)

// Generate generates a text for one text and passes it to chunk while it grows. Each call gets a
// new chunk of whole characters, and chunk returns false to end the text. With several beams the
// whole text comes at the end. Options may be nil for the defaults. When the context ends, the text
// ends where it is.
func (m *Model) Generate(
	ctx context.Context, task, language, input string, options *PredictOptions,
	chunk func(string) bool,
) (*Prediction, error) {
	defer runtime.KeepAlive(m)
	arguments := arguments{}
	defer arguments.free()
	name, tag := arguments.text("task", task), arguments.text("language", language)
	utf8 := arguments.text("input", input)
	reader := &reader{chunk: chunk}
	handle := cgo.NewHandle(reader)
	defer handle.Delete()
	var prediction *C.polygraft_prediction
	err := withOptions(ctx, &arguments, options, func(settings *C.polygraft_predict_options) error {
		var failure *C.polygraft_error
		status := C.polygraft_model_generate(
			m.handle, name, tag, utf8, settings, &prediction, &failure,
			C.polygraft_chunk_callback(C.polygraftGoChunk), unsafe.Pointer(&handle))
		return check(status, failure)
	})
	defer C.polygraft_prediction_free(&prediction)
	if reader.panicked != nil {
		panic(reader.panicked)
	}
	if err != nil {
		return nil, err
	}
	copied := copyPrediction(prediction)
	return &copied, nil
}

// reader is the value behind the user pointer of the library's chunk callback.
type reader struct {
	chunk func(string) bool
	// panicked is the value that the callback panicked with. A panic must not cross the library's
	// frames.
	panicked any
}

//export polygraftGoChunk
func polygraftGoChunk(chunk C.polygraft_string_view, user unsafe.Pointer) (end C.int) {
	reader := (*(*cgo.Handle)(user)).Value().(*reader)
	if reader.chunk == nil {
		return 0
	}
	defer func() {
		if value := recover(); value != nil {
			reader.panicked, end = value, 1
		}
	}()
	if reader.chunk(text(chunk)) {
		return 0
	}
	return 1
}
