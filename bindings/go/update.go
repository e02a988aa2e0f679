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

// Strategy is how the languages of an update share data.
type Strategy uint32

const (
	// Naive trains on the new examples only.
	Naive Strategy = C.POLYGRAFT_STRATEGY_NAIVE
	// Replay mixes the new examples with remembered examples of all languages.
	Replay Strategy = C.POLYGRAFT_STRATEGY_REPLAY
	// PerLanguage gives each language with new examples a version of its own; other languages do
	// not change.
	PerLanguage Strategy = C.POLYGRAFT_STRATEGY_PER_LANGUAGE
	// Uriel shares deltas by typological distance, and rehearses remembered examples.
	Uriel Strategy = C.POLYGRAFT_STRATEGY_URIEL
)

// Distance is the distance between languages that the strategy [Uriel] uses.
type Distance uint32

const (
	// Mixed is the mean of the syntactic, genetic and geographic distances.
	Mixed        Distance = C.POLYGRAFT_DISTANCE_MIXED
	Syntactic    Distance = C.POLYGRAFT_DISTANCE_SYNTACTIC
	Geographic   Distance = C.POLYGRAFT_DISTANCE_GEOGRAPHIC
	Genetic      Distance = C.POLYGRAFT_DISTANCE_GENETIC
	Phonological Distance = C.POLYGRAFT_DISTANCE_PHONOLOGICAL
	Inventory    Distance = C.POLYGRAFT_DISTANCE_INVENTORY
	Featural     Distance = C.POLYGRAFT_DISTANCE_FEATURAL
)

// Sharing is what the strategy [Uriel] shares.
type Sharing uint32

const (
	// Combine adds up the deltas of several languages, with weights, after training.
	Combine Sharing = C.POLYGRAFT_SHARING_COMBINE
	// Sample draws examples of several languages, with weights, during training.
	Sample Sharing = C.POLYGRAFT_SHARING_SAMPLE
)

// AdapterKind is the kind of a new adapter.
type AdapterKind uint32

const (
	// LoRA adds a low-rank product to some linear layers.
	LoRA AdapterKind = C.POLYGRAFT_ADAPTER_LORA
	// Bottleneck adds a small network to some sub-layers.
	Bottleneck AdapterKind = C.POLYGRAFT_ADAPTER_BOTTLENECK
	// IA3 multiplies the outputs or the inputs of some linear layers by factors.
	IA3 AdapterKind = C.POLYGRAFT_ADAPTER_IA3
)

// Placement is the tensor that a bottleneck reads.
type Placement uint32

const (
	// Sequential reads the output of the sub-layer.
	Sequential Placement = C.POLYGRAFT_PLACEMENT_SEQUENTIAL
	// AfterNorm reads the normalised sum after the sub-layer.
	AfterNorm Placement = C.POLYGRAFT_PLACEMENT_AFTER_NORM
	// Parallel reads the input of the feed-forward sub-layer.
	Parallel Placement = C.POLYGRAFT_PLACEMENT_PARALLEL
)

// Activation is the function between the two layers of a bottleneck.
type Activation uint32

const (
	// ReLU is max(x, 0).
	ReLU Activation = C.POLYGRAFT_ACTIVATION_RELU
	// GELU is x Phi(x).
	GELU Activation = C.POLYGRAFT_ACTIVATION_GELU
	// SiLU is x sigmoid(x).
	SiLU Activation = C.POLYGRAFT_ACTIVATION_SILU
)

// SubLayers are the sub-layers that bottlenecks attach to.
type SubLayers uint32

const (
	// AsPublished attaches to the sub-layers that the placement was published for.
	AsPublished SubLayers = C.POLYGRAFT_SUB_LAYERS_AS_PUBLISHED
	// InAttention attaches to every attention sub-layer.
	InAttention SubLayers = C.POLYGRAFT_SUB_LAYERS_ATTENTION
	// InFeedForward attaches to every feed-forward sub-layer.
	InFeedForward SubLayers = C.POLYGRAFT_SUB_LAYERS_FEED_FORWARD
	// InBoth attaches to every attention and every feed-forward sub-layer.
	InBoth SubLayers = C.POLYGRAFT_SUB_LAYERS_BOTH
)

// UpdateOptions are the options of an update. Begin with [DefaultUpdateOptions].
type UpdateOptions struct {
	Strategy Strategy
	// Seed is the seed of all random choices. The same seed, thread count and examples give the
	// same bytes.
	Seed uint64
	// Mode is how ONNX Runtime holds the weights for training.
	Mode Mode
	// Threads is the number of threads of a training step; 0 takes all cores.
	Threads uint32
	// Epochs is the number of passes over the new examples. 0 derives it from their number: four,
	// or as many as make StepsMin steps of a training run (a third of it if the run starts from a
	// version). Training then ends earlier when nothing is left to learn.
	Epochs   float64
	StepsMin uint64
	// StepsMax is the maximum number of optimiser steps; 0 for no limit.
	StepsMax uint64
	// SecondsMax is the time budget in seconds, after which training ends; 0 for no limit.
	SecondsMax float64
	// CheckpointSteps is the number of optimiser steps between checkpoints, from which the same
	// update continues after a crash or a cancellation; 0 writes no checkpoints.
	CheckpointSteps uint64
	// Background trains at the lowest priority of the system, so that predictions come first.
	Background bool
	// MemoryBytesMax is the maximum private memory of one run of the training graph, in bytes, by
	// estimate; 0 for no limit.
	MemoryBytesMax uint64
	// RehearsalRatio is the number of remembered examples per new example.
	RehearsalRatio float64
	// UrielTemperature is the distance at which the strategy [Uriel] shares with a weight of 1/e
	// (37 %). UrielNeighbours is the maximum number of languages that one language learns from; 0
	// for no limit.
	UrielTemperature float64
	UrielDistance    Distance
	UrielNeighbours  uint32
	UrielSharing     Sharing
	// BatchSize is the number of examples of one optimiser step.
	BatchSize    uint32
	LearningRate float64
	// NewLabels accepts labels that the task did not have before.
	NewLabels bool
	// Gate activates only in languages that do not get worse by more than GateMargin, with
	// one-sided confidence GateConfidence.
	Gate           bool
	GateMargin     float64
	GateConfidence float64
	// Adapter is the kind of a new adapter; an existing adapter keeps its kind.
	Adapter AdapterKind
	// LoRARank and LoRAAlpha are the rank and the alpha of a new adapter. LoRATargets are patterns
	// of the modules that it attaches to, also for (IA)3; nil takes the default.
	LoRARank    uint32
	LoRAAlpha   float64
	LoRATargets []string
	// These fields are the placement, the sub-layers and the activation function of new
	// bottlenecks, and the size of the hidden states divided by the size of the bottlenecks.
	BottleneckPlacement       Placement
	BottleneckSubLayers       SubLayers
	BottleneckActivation      Activation
	BottleneckReductionFactor float64
	// LabelSmoothing is the share of a target's probability that is spread evenly over all tokens.
	// It applies to sequence-to-sequence tasks only.
	LabelSmoothing float64
}

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

// DefaultUpdateOptions returns the defaults of the library.
func DefaultUpdateOptions() (UpdateOptions, error) {
	settings, err := updateSettings()
	return UpdateOptions{
		Strategy:         Strategy(settings.strategy),
		Seed:             uint64(settings.seed),
		Mode:             Mode(settings.mode),
		Threads:          uint32(settings.threads),
		Epochs:           float64(settings.epochs),
		StepsMin:         uint64(settings.steps_min),
		StepsMax:         uint64(settings.steps_max),
		BatchSize:        uint32(settings.batch_size),
		LearningRate:     float64(settings.learning_rate),
		NewLabels:        settings.new_labels != 0,
		Gate:             settings.gate_enabled != 0,
		GateMargin:       float64(settings.gate_margin),
		GateConfidence:   float64(settings.gate_confidence),
		SecondsMax:       float64(settings.seconds_max),
		CheckpointSteps:  uint64(settings.checkpoint_steps),
		Background:       settings.background != 0,
		MemoryBytesMax:   uint64(settings.memory_bytes_max),
		RehearsalRatio:   float64(settings.rehearsal_ratio),
		UrielTemperature: float64(settings.uriel_temperature),
		UrielDistance:    Distance(settings.uriel_distance),
		UrielNeighbours:  uint32(settings.uriel_neighbours),
		UrielSharing:     Sharing(settings.uriel_sharing),
		LoRARank:         uint32(settings.lora_rank),
		LoRAAlpha:        float64(settings.lora_alpha),
		Adapter:          AdapterKind(settings.adapter_kind),

		BottleneckPlacement:       Placement(settings.bottleneck_placement),
		BottleneckSubLayers:       SubLayers(settings.bottleneck_sub_layers),
		BottleneckActivation:      Activation(settings.bottleneck_activation),
		BottleneckReductionFactor: float64(settings.bottleneck_reduction_factor),
		LabelSmoothing:            float64(settings.label_smoothing),
	}, err
}

func updateSettings() (C.polygraft_update_options, error) {
	var failure *C.polygraft_error
	var settings C.polygraft_update_options
	size := C.size_t(unsafe.Sizeof(settings))
	status := C.polygraft_update_options_init(&settings, size, &failure)
	return settings, check(status, failure)
}

func flag(value bool) C.uint8_t {
	if value {
		return 1
	}
	return 0
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
		settings.strategy = C.uint32_t(options.Strategy)
		settings.seed = C.uint64_t(options.Seed)
		settings.mode = C.uint32_t(options.Mode)
		settings.threads = C.uint32_t(options.Threads)
		settings.epochs = C.double(options.Epochs)
		settings.steps_min = C.uint64_t(options.StepsMin)
		settings.steps_max = C.uint64_t(options.StepsMax)
		settings.batch_size = C.uint32_t(options.BatchSize)
		settings.learning_rate = C.double(options.LearningRate)
		settings.new_labels = flag(options.NewLabels)
		settings.gate_enabled = flag(options.Gate)
		settings.gate_margin = C.double(options.GateMargin)
		settings.gate_confidence = C.double(options.GateConfidence)
		settings.seconds_max = C.double(options.SecondsMax)
		settings.checkpoint_steps = C.uint64_t(options.CheckpointSteps)
		settings.background = C.uint32_t(flag(options.Background))
		settings.memory_bytes_max = C.uint64_t(options.MemoryBytesMax)
		settings.rehearsal_ratio = C.double(options.RehearsalRatio)
		settings.uriel_temperature = C.double(options.UrielTemperature)
		settings.uriel_distance = C.uint32_t(options.UrielDistance)
		settings.uriel_neighbours = C.uint32_t(options.UrielNeighbours)
		settings.uriel_sharing = C.uint32_t(options.UrielSharing)
		settings.lora_rank = C.uint32_t(options.LoRARank)
		settings.lora_alpha = C.double(options.LoRAAlpha)
		settings.lora_targets = arguments.array("LoRATargets", options.LoRATargets)
		settings.lora_targets_count = C.uint32_t(len(options.LoRATargets))
		settings.adapter_kind = C.uint32_t(options.Adapter)
		settings.bottleneck_placement = C.uint32_t(options.BottleneckPlacement)
		settings.bottleneck_sub_layers = C.uint32_t(options.BottleneckSubLayers)
		settings.bottleneck_activation = C.uint32_t(options.BottleneckActivation)
		settings.bottleneck_reduction_factor = C.double(options.BottleneckReductionFactor)
		settings.label_smoothing = C.double(options.LabelSmoothing)
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
// store.changed, because somebody activated, rolled back or pinned a version of the task meanwhile;
// then commit again. The update keeps its candidates in any case.
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
