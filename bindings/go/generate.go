package polygraft

/*
#include <polygraft.h>

int polygraftGoPiece(polygraft_string_view piece, void *user);
*/
import "C"

import (
	"context"
	"runtime"
	"runtime/cgo"
	"unsafe"
)

// Generate generates a text for one text and passes it to piece while it grows. Each call gets a
// new chunk of whole characters, and piece returns false to end the text. With several beams the
// whole text comes at the end. Options may be nil for the defaults. When the context ends, the text
// ends where it is.
func (m *Model) Generate(
	ctx context.Context, task, language, input string, options *PredictOptions,
	piece func(string) bool,
) (*Prediction, error) {
	defer runtime.KeepAlive(m)
	arguments := arguments{}
	defer arguments.free()
	name, tag := arguments.text("task", task), arguments.text("language", language)
	utf8 := arguments.text("input", input)
	reader := &reader{piece: piece}
	handle := cgo.NewHandle(reader)
	defer handle.Delete()
	var prediction *C.polygraft_prediction
	err := withOptions(ctx, &arguments, options, func(settings *C.polygraft_predict_options) error {
		var failure *C.polygraft_error
		status := C.polygraft_model_generate(
			m.handle, name, tag, utf8, settings, &prediction, &failure,
			C.polygraft_piece_callback(C.polygraftGoPiece), unsafe.Pointer(&handle))
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
	piece func(string) bool
	// panicked is the value that the callback panicked with. A panic must not cross the library's
	// frames.
	panicked any
}

//export polygraftGoPiece
func polygraftGoPiece(piece C.polygraft_string_view, user unsafe.Pointer) (end C.int) {
	reader := (*(*cgo.Handle)(user)).Value().(*reader)
	if reader.piece == nil {
		return 0
	}
	defer func() {
		if value := recover(); value != nil {
			reader.panicked, end = value, 1
		}
	}()
	if reader.piece(text(piece)) {
		return 0
	}
	return 1
}
