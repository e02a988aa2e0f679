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

// Strategy says how an update shares between languages.
type Strategy uint32

const (
	// Naive trains on the new examples alone.
	Naive Strategy = C.POLYGRAFT_STRATEGY_NAIVE
	// Replay mixes the new examples with remembered ones of all languages.
	Replay Strategy = C.POLYGRAFT_STRATEGY_REPLAY
	// PerLanguage gives each language with new examples its own version and touches nobody else.
	PerLanguage Strategy = C.POLYGRAFT_STRATEGY_PER_LANGUAGE
	// Uriel shares what the new examples teach by typological distance, and rehearses.
	Uriel Strategy = C.POLYGRAFT_STRATEGY_URIEL
)

// Distance says what near means to the strategy [Uriel].
type Distance uint32

const (
	// Mixed is the mean of syntactic, genetic and geographic.
	Mixed        Distance = C.POLYGRAFT_DISTANCE_MIXED
	Syntactic    Distance = C.POLYGRAFT_DISTANCE_SYNTACTIC
	Geographic   Distance = C.POLYGRAFT_DISTANCE_GEOGRAPHIC
	Genetic      Distance = C.POLYGRAFT_DISTANCE_GENETIC
	Phonological Distance = C.POLYGRAFT_DISTANCE_PHONOLOGICAL
	Inventory    Distance = C.POLYGRAFT_DISTANCE_INVENTORY
	Featural     Distance = C.POLYGRAFT_DISTANCE_FEATURAL
)

// Sharing says where the strategy [Uriel] shares.
type Sharing uint32

const (
	// Combine adds up what was learnt, with weights, after training.
	Combine Sharing = C.POLYGRAFT_SHARING_COMBINE
	// Sample draws examples with weights in training.
	Sample Sharing = C.POLYGRAFT_SHARING_SAMPLE
)

// AdapterKind says what a new adapter is made of.
type AdapterKind uint32

const (
	// LoRA is a low-rank product beside each of some linear layers.
	LoRA AdapterKind = C.POLYGRAFT_ADAPTER_LORA
	// Bottleneck is a small network at the end of each sub-layer.
	Bottleneck AdapterKind = C.POLYGRAFT_ADAPTER_BOTTLENECK
	// IA3 is factors on what some linear layers make or read.
	IA3 AdapterKind = C.POLYGRAFT_ADAPTER_IA3
)

// Placement says what a bottleneck reads.
type Placement uint32

const (
	// Sequential reads what the sub-layer makes.
	Sequential Placement = C.POLYGRAFT_PLACEMENT_SEQUENTIAL
	// AfterNorm reads the normalised sum after the sub-layer.
	AfterNorm Placement = C.POLYGRAFT_PLACEMENT_AFTER_NORM
	// Parallel reads what the feed-forward reads.
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

// SubLayers says where bottlenecks stand.
type SubLayers uint32

const (
	// AsPublished is where bottlenecks of their placement were published.
	AsPublished SubLayers = C.POLYGRAFT_SUB_LAYERS_AS_PUBLISHED
	// InAttention is in every attention.
	InAttention SubLayers = C.POLYGRAFT_SUB_LAYERS_ATTENTION
	// InFeedForward is in every feed-forward.
	InFeedForward SubLayers = C.POLYGRAFT_SUB_LAYERS_FEED_FORWARD
	// InBoth is in every attention and in every feed-forward.
	InBoth SubLayers = C.POLYGRAFT_SUB_LAYERS_BOTH
)

// UpdateOptions says how to update. Begin with [DefaultUpdateOptions].
type UpdateOptions struct {
	Strategy Strategy
	// Seed and thread count decide the bytes of the result.
	Seed uint64
	// Mode says how ONNX Runtime holds the weights for training.
	Mode Mode
	// Threads of a training step; 0 takes all cores.
	Threads uint32
	// Epochs are passes over the new examples. 0 lets their number decide: four, or as many as
	// make StepsMin steps of a training (a third of them where it starts from a version), ending
	// before once there is nothing left to learn.
	Epochs   float64
	StepsMin uint64
	// StepsMax ends training earlier, 0 for no limit.
	StepsMax uint64
	// SecondsMax ends training when the update has run for so long; 0 for no limit.
	SecondsMax float64
	// CheckpointSteps saves where training stands after every so many steps, so that the same
	// update goes on from there after a crash or a cancellation; 0 does not.
	CheckpointSteps uint64
	// Background trains at the lowest priority of the system, so that predictions come first.
	Background bool
	// MemoryBytesMax bounds, by estimate, the private memory of one run of the training graph; 0 for
	// no limit.
	MemoryBytesMax uint64
	// RehearsalRatio counts the remembered examples per new one.
	RehearsalRatio float64
	// UrielTemperature is the distance at which the strategy [Uriel] still shares 37 %, and
	// UrielNeighbours from how many languages one learns at most, 0 for no limit.
	UrielTemperature float64
	UrielDistance    Distance
	UrielNeighbours  uint32
	UrielSharing     Sharing
	// BatchSize counts the examples of one optimiser step.
	BatchSize    uint32
	LearningRate float64
	// NewLabels accepts labels that the task did not have before.
	NewLabels bool
	// Gate activates only in languages that do not get worse than GateMargin, with one-sided
	// confidence GateConfidence; a language with fewer held-out examples than GateHeldOutMin keeps
	// its version.
	Gate           bool
	GateMargin     float64
	GateConfidence float64
	GateHeldOutMin uint32
	// Adapter is what a new adapter is made of; an existing one keeps its shape.
	Adapter AdapterKind
	// LoRARank and LoRAAlpha shape a new adapter; LoRATargets are the modules it attaches to, those
	// of factors too, nil for the default.
	LoRARank    uint32
	LoRAAlpha   float64
	LoRATargets []string
	// What new bottlenecks read, where they stand, the function in them, and the size of the hidden
	// states divided by theirs.
	BottleneckPlacement       Placement
	BottleneckSubLayers       SubLayers
	BottleneckActivation      Activation
	BottleneckReductionFactor float64
	// LabelSmoothing is the share of a target's probability that is spread evenly over all tokens;
	// only for answers that are texts.
	LabelSmoothing float64
}

// Phase says what an update is doing. The phases come in the order of their numbers.
type Phase uint32

const (
	Prepare       Phase = C.POLYGRAFT_PHASE_PREPARE
	Train         Phase = C.POLYGRAFT_PHASE_TRAIN
	MeasureBefore Phase = C.POLYGRAFT_PHASE_MEASURE_BEFORE
	MeasureAfter  Phase = C.POLYGRAFT_PHASE_MEASURE_AFTER
)

// Progress says how far an update is.
type Progress struct {
	Phase        Phase
	Step         uint64
	StepsCount   uint64
	ExamplesSeen uint64
	Elapsed      time.Duration
	// Loss is NaN outside training.
	Loss float64
	// Fraction is how much of the whole run is done, from 0 to 1: an estimate that never goes back.
	Fraction float64
}

// Update is one update in the making. Only one goroutine may use it at a time. Nothing changes for
// anybody until Commit.
type Update struct {
	handle *C.polygraft_update
}

// DefaultUpdateOptions gives the defaults of the library.
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
		GateHeldOutMin:   uint32(settings.gate_held_out_min),
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
		settings.gate_held_out_min = C.uint32_t(options.GateHeldOutMin)
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

// Run trains on the added examples and measures every language before and after; the report says
// what a commit would do. It calls progress now and then, which may be nil; returning false from
// it, or ending the context, cancels. A run that failed has changed nothing.
func (u *Update) Run(ctx context.Context, progress func(Progress) bool) (*Report, error) {
	return u.measured(ctx, progress, false)
}

// MeasureAgain measures what the last run has learnt against what serves the languages now, and
// asks the gate again; nothing is trained. It is what to do when Commit fails with the code
// store.changed: somebody activated, rolled back or pinned something in the task meanwhile. Then
// commit. What was learnt is kept in any case.
func (u *Update) MeasureAgain(ctx context.Context, progress func(Progress) bool) (*Report, error) {
	return u.measured(ctx, progress, true)
}

// measured runs the update, or measures again what it has learnt.
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

// Judge asks the gate again about a run that ended well, with the gate's fields of options and
// without training again; the report says what a commit would do now. Options may be nil for the
// defaults.
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
		settings.gate_held_out_min = C.uint32_t(options.GateHeldOutMin)
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

// Commit publishes what the gate accepted and activates it, for all its languages in one step. The
// report has the new version numbers. After the code store.changed call MeasureAgain and commit
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

// Close drops what was not committed. It waits for a run in another goroutine, which ends sooner
// when its context does; called from inside progress it returns at once. It always returns nil.
func (u *Update) Close() error {
	handle := u.handle
	C.polygraft_update_close(&handle)
	return nil
}

// listener is what the library's progress callback finds behind its user pointer.
type listener struct {
	progress func(Progress) bool
	// panicked is what the callback panicked with: a panic must not cross the library's frames.
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
