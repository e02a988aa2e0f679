package polygraft

/*
#include <polygraft.h>

int polygraftGoProgress(polygraft_progress *progress, void *user);
*/
import "C"

import (
	"context"
	"runtime"
	"runtime/cgo"
	"time"
	"unsafe"
)

// Phase is what an update is doing. Phases follow each other in the order of their numbers.
type Phase uint32

const (
	Prepare       Phase = C.POLYGRAFT_PHASE_PREPARE
	Train         Phase = C.POLYGRAFT_PHASE_TRAIN
	MeasureBefore Phase = C.POLYGRAFT_PHASE_MEASURE_BEFORE
	MeasureAfter  Phase = C.POLYGRAFT_PHASE_MEASURE_AFTER
)

// Progress is the progress of an update.
type Progress struct {
	Phase        Phase
	Step         uint64
	StepsCount   uint64
	ExamplesSeen uint64
	Elapsed      time.Duration
	// Loss is the mean loss of the last steps; it is NaN outside of training.
	Loss float64
	// Fraction is the estimated fraction of the whole run that is done, from 0 to 1. It never
	// decreases.
	Fraction float64
}

// Update is an update that is not committed yet. Only one goroutine may use it at a time.
// Predictions and the store do not change before Commit.
type Update struct {
	handle *C.polygraft_update
}

// BeginUpdate begins an update of a task. Options may be nil for the defaults.
func (m *Model) BeginUpdate(task string, options *UpdateOptions) (*Update, error) {
	defer runtime.KeepAlive(m)
	settings, err := updateSettings()
	if err != nil {
		return nil, err
	}
	arguments := arguments{}
	defer arguments.free()
	if options != nil {
		options.fill(&settings, &arguments)
	}
	name := arguments.text("task", task)
	if arguments.err != nil {
		return nil, arguments.err
	}
	update := &Update{}
	var failure *C.polygraft_error
	status := C.polygraft_update_begin(m.handle, name, &settings, &update.handle, &failure)
	if err := check(status, failure); err != nil {
		return nil, err
	}
	runtime.AddCleanup(update, func(handle *C.polygraft_update) {
		C.polygraft_update_close(&handle)
	}, update.handle)
	return update, nil
}

// Run trains on the added examples and measures every language before and after. The report says
// what a commit would do. Run calls progress, which may be nil, at most ten times a second. When
// progress returns false or the context ends, the run is cancelled. A run that failed has changed
// nothing.
func (u *Update) Run(ctx context.Context, progress func(Progress) bool) (*Report, error) {
	return u.measured(ctx, progress, false)
}

// MeasureAgain measures the candidates of the last run against the versions that are active now,
// and lets the gate judge again. It trains nothing. Call it when Commit fails with the code
// store.changed, because a version of the task was activated, rolled back or pinned meanwhile; then
// commit again. The update keeps its candidates in any case.
func (u *Update) MeasureAgain(ctx context.Context, progress func(Progress) bool) (*Report, error) {
	return u.measured(ctx, progress, true)
}

// measured runs the update, or measures its candidates again.
func (u *Update) measured(
	ctx context.Context, progress func(Progress) bool, again bool,
) (*Report, error) {
	defer runtime.KeepAlive(u)
	listener := &listener{progress: progress}
	handle := cgo.NewHandle(listener)
	defer handle.Delete()
	var report *C.polygraft_report
	err := withCancel(ctx, func(cancel *C.polygraft_cancel) error {
		var failure *C.polygraft_error
		callback := C.polygraft_progress_callback(C.polygraftGoProgress)
		user := unsafe.Pointer(&handle)
		if again {
			status := C.polygraft_update_measure_again(u.handle, cancel, &report, &failure,
				callback, user)
			return check(status, failure)
		}
		status := C.polygraft_update_run(u.handle, cancel, &report, &failure, callback, user)
		return check(status, failure)
	})
	defer C.polygraft_report_free(&report)
	if listener.panicked != nil {
		panic(listener.panicked)
	}
	if err != nil {
		return nil, err
	}
	return copyReport(report)
}

// Judge lets the gate judge the last successful run again, with the gate's fields of options. It
// trains and measures nothing. The report says what a commit would do now. Options may be nil for
// the defaults.
func (u *Update) Judge(options *UpdateOptions) (*Report, error) {
	defer runtime.KeepAlive(u)
	settings, err := updateSettings()
	if err != nil {
		return nil, err
	}
	if options != nil {
		settings.gate_enabled = flag(options.Gate)
		settings.gate_margin = C.double(options.GateMargin)
		settings.gate_confidence = C.double(options.GateConfidence)
	}
	var failure *C.polygraft_error
	var report *C.polygraft_report
	status := C.polygraft_update_judge(u.handle, &settings, &report, &failure)
	if err := check(status, failure); err != nil {
		return nil, err
	}
	defer C.polygraft_report_free(&report)
	return copyReport(report)
}

// Commit publishes what the gate accepted and activates it, for all languages in one step. The
// report has the new version numbers. After the code store.changed, call MeasureAgain and commit
// again.
func (u *Update) Commit() (*Report, error) {
	defer runtime.KeepAlive(u)
	var failure *C.polygraft_error
	var report *C.polygraft_report
	status := C.polygraft_update_commit(u.handle, &report, &failure)
	if err := check(status, failure); err != nil {
		return nil, err
	}
	defer C.polygraft_report_free(&report)
	return copyReport(report)
}

// Close aborts an update that was not committed. It waits for a run in another goroutine, which
// ends sooner if its context is cancelled. Inside progress it returns at once. It always returns
// nil.
func (u *Update) Close() error {
	handle := u.handle
	C.polygraft_update_close(&handle)
	return nil
}

// listener is the value behind the user pointer of the library's progress callback.
type listener struct {
	progress func(Progress) bool
	// panicked is the value that the callback panicked with. A panic must not cross the library's
	// frames.
	panicked any
}

//export polygraftGoProgress
func polygraftGoProgress(progress *C.polygraft_progress, user unsafe.Pointer) (cancel C.int) {
	listener := (*(*cgo.Handle)(user)).Value().(*listener)
	if listener.progress == nil {
		return 0
	}
	defer func() {
		if value := recover(); value != nil {
			listener.panicked, cancel = value, 1
		}
	}()
	proceed := listener.progress(Progress{
		Phase:        Phase(progress.phase),
		Step:         uint64(progress.step),
		StepsCount:   uint64(progress.steps_count),
		ExamplesSeen: uint64(progress.examples_seen),
		Elapsed:      time.Duration(progress.elapsed_ms) * time.Millisecond,
		Loss:         float64(progress.loss),
		Fraction:     float64(progress.fraction),
	})
	if proceed {
		return 0
	}
	return 1
}
