package polygraft

// #include <polygraft.h>
import "C"

import (
	"math"
	"runtime"
	"time"
	"unsafe"
)

// StepKind is the reason why a language is in a chain.
type StepKind uint32

const (
	// StepOwn is the requested language.
	StepOwn StepKind = C.POLYGRAFT_STEP_OWN
	// StepShorterTag is a language whose tag is a prefix of the requested tag.
	StepShorterTag StepKind = C.POLYGRAFT_STEP_SHORTER_TAG
	// StepNearest is the nearest language with an active version.
	StepNearest StepKind = C.POLYGRAFT_STEP_NEAREST
	// StepTooFar is the nearest language with an active version, too far away to serve.
	StepTooFar StepKind = C.POLYGRAFT_STEP_TOO_FAR
	// StepShared is the shared adapter, mul.
	StepShared StepKind = C.POLYGRAFT_STEP_SHARED
)

// ChainStep is a language that is asked for a version.
type ChainStep struct {
	Kind     StepKind
	Language string
	// Distance is the mixed typological distance to the requested language; nil if there is none.
	Distance *float64 `json:",omitempty"`
	// Version is the number of the language's active version; 0 for none.
	Version uint32
	// Serves is true if this version serves the requested language.
	Serves bool
}

// Explain lists the languages that are asked for a version of a task, in their order, and says
// which one serves the language.
func (s *Store) Explain(task, language string) ([]ChainStep, error) {
	defer runtime.KeepAlive(s)
	arguments := arguments{}
	defer arguments.free()
	name, tag := arguments.text("task", task), arguments.text("language", language)
	if arguments.err != nil {
		return nil, arguments.err
	}
	var failure *C.polygraft_error
	var chain *C.polygraft_chain
	status := C.polygraft_store_explain(s.handle, name, tag, &chain, &failure)
	if err := check(status, failure); err != nil {
		return nil, err
	}
	defer C.polygraft_chain_free(&chain)
	var steps []ChainStep
	for index := range C.polygraft_chain_count(chain) {
		var entry C.polygraft_chain_step
		entry.struct_size = C.uint32_t(unsafe.Sizeof(entry))
		status := C.polygraft_chain_get(chain, index, &entry, &failure)
		if err := check(status, failure); err != nil {
			return nil, err
		}
		step := ChainStep{
			Kind:     StepKind(entry.kind),
			Language: text(entry.language),
			Version:  uint32(entry.version),
			Serves:   entry.serves != 0,
		}
		if distance := float64(entry.distance); !math.IsNaN(distance) {
			step.Distance = &distance
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// StoreStatistics are the contents of a store in numbers.
type StoreStatistics struct {
	// Generation grows by one with every change.
	Generation    uint64
	VersionsCount uint64
	// ContentsCount is the number of distinct contents of versions, which can share one.
	ContentsCount, ContentsSizeBytes uint64
	// Tasks are sorted by name.
	Tasks []TaskStatistics
}

// TaskStatistics are the contents of a store of one task.
type TaskStatistics struct {
	Task                                                    string
	LanguagesCount, VersionsCount, ActiveCount, PinnedCount uint64
	// VersionsSizeBytes is the size of the distinct contents of the versions.
	VersionsSizeBytes uint64
	// ReportsCount is the number of updates that were committed.
	ReportsCount uint64
	// ExamplesCount is the number of remembered examples, and ExamplesSizeBytes their size.
	ExamplesCount, ExamplesSizeBytes uint64
	// HasCheckpoint is true if there is a checkpoint of a stopped or running update.
	HasCheckpoint bool
	// Examples has the remembered examples of each language, sorted by tag.
	Examples []ExamplesStatistics
}

// ExamplesStatistics are the remembered examples of one language of a task.
type ExamplesStatistics struct {
	Language                                  string
	TrainingCount, HeldOutCount, PendingCount uint64
	SizeBytes                                 uint64
	// Oldest is the day on which the oldest example was added; the zero time if it is not known.
	Oldest time.Time
}

// Statistics counts the versions, reports and remembered examples of every task.
func (s *Store) Statistics() (*StoreStatistics, error) {
	defer runtime.KeepAlive(s)
	var failure *C.polygraft_error
	var statistics *C.polygraft_statistics
	status := C.polygraft_store_count(s.handle, &statistics, &failure)
	if err := check(status, failure); err != nil {
		return nil, err
	}
	defer C.polygraft_statistics_free(&statistics)
	var entry C.polygraft_store_statistics
	entry.struct_size = C.uint32_t(unsafe.Sizeof(entry))
	status = C.polygraft_statistics_store(statistics, &entry, &failure)
	if err := check(status, failure); err != nil {
		return nil, err
	}
	result := &StoreStatistics{
		Generation:        uint64(entry.generation),
		VersionsCount:     uint64(entry.versions_count),
		ContentsCount:     uint64(entry.contents_count),
		ContentsSizeBytes: uint64(entry.contents_size_bytes),
	}
	for index := range C.polygraft_statistics_tasks_count(statistics) {
		task, err := copyTask(statistics, index)
		if err != nil {
			return nil, err
		}
		result.Tasks = append(result.Tasks, task)
	}
	return result, nil
}

func copyTask(statistics *C.polygraft_statistics, task C.size_t) (TaskStatistics, error) {
	var failure *C.polygraft_error
	var entry C.polygraft_task_statistics
	entry.struct_size = C.uint32_t(unsafe.Sizeof(entry))
	status := C.polygraft_statistics_task(statistics, task, &entry, &failure)
	if err := check(status, failure); err != nil {
		return TaskStatistics{}, err
	}
	result := TaskStatistics{
		Task:              text(entry.task),
		LanguagesCount:    uint64(entry.languages_count),
		VersionsCount:     uint64(entry.versions_count),
		ActiveCount:       uint64(entry.active_count),
		PinnedCount:       uint64(entry.pinned_count),
		VersionsSizeBytes: uint64(entry.versions_size_bytes),
		ReportsCount:      uint64(entry.reports_count),
		ExamplesCount:     uint64(entry.examples_count),
		ExamplesSizeBytes: uint64(entry.examples_size_bytes),
		HasCheckpoint:     entry.has_checkpoint != 0,
	}
	for index := range C.size_t(entry.examples_languages_count) {
		var examples C.polygraft_examples_statistics
		examples.struct_size = C.uint32_t(unsafe.Sizeof(examples))
		status := C.polygraft_statistics_examples(statistics, task, index, &examples, &failure)
		if err := check(status, failure); err != nil {
			return TaskStatistics{}, err
		}
		one := ExamplesStatistics{
			Language:      text(examples.language),
			TrainingCount: uint64(examples.training_count),
			HeldOutCount:  uint64(examples.held_out_count),
			PendingCount:  uint64(examples.pending_count),
			SizeBytes:     uint64(examples.size_bytes),
		}
		if examples.oldest_unix_ms != 0 {
			one.Oldest = time.UnixMilli(int64(examples.oldest_unix_ms)).UTC()
		}
		result.Examples = append(result.Examples, one)
	}
	return result, nil
}

// CheckState is the outcome of a check.
type CheckState uint32

const (
	// CheckOK means that nothing is wrong.
	CheckOK CheckState = C.POLYGRAFT_CHECK_OK
	// CheckNote is worth knowing, and nothing is wrong.
	CheckNote CheckState = C.POLYGRAFT_CHECK_NOTE
	// CheckWrong means that something is wrong.
	CheckWrong CheckState = C.POLYGRAFT_CHECK_WRONG
)

// Check is the result of one check.
type Check struct {
	State CheckState
	// Subject is what was checked, for example onnxruntime, bundle or store.
	Subject string
	// Details says what was found, in lines.
	Details string
	// Code is the code of what is wrong; 0 if nothing is, or if several things are.
	Code Code
}

// DiagnoseOptions say what [Diagnose] checks. Empty paths are left out.
type DiagnoseOptions struct {
	ONNXRuntimePath, BundlePath, StorePath string
	Mode                                   Mode
}

// Diagnose checks this machine, a bundle and a store, as the command polygraft doctor does, and says
// whether all is right. It repairs nothing. Options may be nil: only the machine and ONNX Runtime
// are checked.
func Diagnose(options *DiagnoseOptions) (checks []Check, allRight bool, err error) {
	var failure *C.polygraft_error
	var settings C.polygraft_diagnose_options
	size := C.size_t(unsafe.Sizeof(settings))
	err = check(C.polygraft_diagnose_options_init(&settings, size, &failure), failure)
	if err != nil {
		return nil, false, err
	}
	arguments := arguments{}
	defer arguments.free()
	if options != nil {
		settings.onnxruntime_path = arguments.unlessEmpty("ONNXRuntimePath", options.ONNXRuntimePath)
		settings.bundle_path = arguments.unlessEmpty("BundlePath", options.BundlePath)
		settings.store_path = arguments.unlessEmpty("StorePath", options.StorePath)
		settings.mode = C.uint32_t(options.Mode)
	}
	if arguments.err != nil {
		return nil, false, arguments.err
	}
	var list *C.polygraft_checks
	if err := check(C.polygraft_diagnose(&settings, &list, &failure), failure); err != nil {
		return nil, false, err
	}
	return copyChecks(list)
}

// Verify compares every version with its hash. There is one check for each file that is missing or
// damaged.
func (s *Store) Verify() ([]Check, error) {
	defer runtime.KeepAlive(s)
	var failure *C.polygraft_error
	var list *C.polygraft_checks
	if err := check(C.polygraft_store_verify(s.handle, &list, &failure), failure); err != nil {
		return nil, err
	}
	checks, _, err := copyChecks(list)
	return checks, err
}

// VerifyBundle compares the hash of every file of a bundle with its manifest.
func VerifyBundle(path string) error {
	arguments := arguments{}
	defer arguments.free()
	folder := arguments.text("path", path)
	if arguments.err != nil {
		return arguments.err
	}
	var failure *C.polygraft_error
	return check(C.polygraft_bundle_verify(folder, &failure), failure)
}

// copyChecks copies a list of checks and frees it.
func copyChecks(list *C.polygraft_checks) (checks []Check, allRight bool, err error) {
	defer C.polygraft_checks_free(&list)
	var failure *C.polygraft_error
	for index := range C.polygraft_checks_count(list) {
		var entry C.polygraft_check
		entry.struct_size = C.uint32_t(unsafe.Sizeof(entry))
		status := C.polygraft_checks_get(list, index, &entry, &failure)
		if err := check(status, failure); err != nil {
			return nil, false, err
		}
		checks = append(checks, Check{
			State:   CheckState(entry.state),
			Subject: text(entry.subject),
			Details: text(entry.details),
			Code:    Code(entry.status),
		})
	}
	return checks, C.polygraft_checks_all_right(list) != 0, nil
}
