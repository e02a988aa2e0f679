package polygraft

// #include <polygraft.h>
import "C"

import "unsafe"

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
	// Epochs is the number of passes over the new examples. 0 derives it from the number of
	// examples: four passes, or as many as make StepsMin steps of a training run (a third of it if
	// the run starts from a version). Training then ends earlier when nothing is left to learn.
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
	// RehearsalHeldOutPercent is the percentage of new examples that is held out, 0 to 90. It is
	// fixed once a task has examples.
	RehearsalHeldOutPercent uint8
	// RehearsalBytesMax is the maximum size of the remembered examples on disk, in bytes. The other
	// two are the maximum numbers of remembered training and held-out examples per language.
	RehearsalBytesMax               uint64
	RehearsalExamplesPerLanguageMax uint32
	RehearsalHeldOutPerLanguageMax  uint32
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
	BatchSize uint32
	// MicroBatchTokensMax is the maximum number of tokens, padding included, of one run of the
	// training graph. It bounds the memory of a step.
	MicroBatchTokensMax uint32
	// LearningRate is the peak learning rate. HeadRateFactor is the factor on it for a new head and
	// for a head with new labels. WarmupFraction is the fraction of the steps during which it rises.
	LearningRate, HeadRateFactor, WarmupFraction float64
	// These fields are the optimiser's: AdamW with decoupled weight decay.
	Beta1, Beta2, Epsilon, WeightDecay float64
	// ClipNorm is the maximum norm of the gradients, which are scaled down to it; 0 does not clip.
	ClipNorm float64
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
	// LoRARankStabilized scales LoRA by alpha / sqrt(rank) instead of alpha / rank.
	LoRARankStabilized bool
	// These fields are the placement, the sub-layers and the activation function of new
	// bottlenecks, and the size of the hidden states divided by the size of the bottlenecks.
	BottleneckPlacement       Placement
	BottleneckSubLayers       SubLayers
	BottleneckActivation      Activation
	BottleneckReductionFactor float64
	// LabelSmoothing is the share of a target's probability that is spread evenly over all tokens.
	// It applies to sequence-to-sequence tasks only.
	LabelSmoothing float64
	// Distillation is how much the outputs of the version that a training run starts from count in
	// the targets of rehearsed examples, beside their labels, from 0 to 1. It does not apply to
	// sequence-to-sequence tasks.
	Distillation float64
	// LayersTop is the number of layers, from the end of the backbone, that a new adapter attaches
	// to; 0 for all. What lies below them is computed once for each text of an update. Bottlenecks
	// attach to all.
	LayersTop uint64
	// LowerStatesBytesMax is the maximum size of hidden states below the lowest adapter that an
	// update keeps in memory, in bytes; others are in a file while the update runs. With 0 none are
	// kept, and all layers run in every step.
	LowerStatesBytesMax uint64
}

// DefaultUpdateOptions returns the defaults of the library.
func DefaultUpdateOptions() (UpdateOptions, error) {
	settings, err := updateSettings()
	return UpdateOptions{
		Strategy:                        Strategy(settings.strategy),
		Seed:                            uint64(settings.seed),
		Mode:                            Mode(settings.mode),
		Threads:                         uint32(settings.threads),
		Epochs:                          float64(settings.epochs),
		StepsMin:                        uint64(settings.steps_min),
		StepsMax:                        uint64(settings.steps_max),
		BatchSize:                       uint32(settings.batch_size),
		LearningRate:                    float64(settings.learning_rate),
		NewLabels:                       settings.new_labels != 0,
		Gate:                            settings.gate_enabled != 0,
		GateMargin:                      float64(settings.gate_margin),
		GateConfidence:                  float64(settings.gate_confidence),
		SecondsMax:                      float64(settings.seconds_max),
		CheckpointSteps:                 uint64(settings.checkpoint_steps),
		Background:                      settings.background != 0,
		MemoryBytesMax:                  uint64(settings.memory_bytes_max),
		RehearsalRatio:                  float64(settings.rehearsal_ratio),
		UrielTemperature:                float64(settings.uriel_temperature),
		UrielDistance:                   Distance(settings.uriel_distance),
		UrielNeighbours:                 uint32(settings.uriel_neighbours),
		UrielSharing:                    Sharing(settings.uriel_sharing),
		LoRARank:                        uint32(settings.lora_rank),
		LoRAAlpha:                       float64(settings.lora_alpha),
		Adapter:                         AdapterKind(settings.adapter_kind),
		RehearsalHeldOutPercent:         uint8(settings.rehearsal_held_out_percent),
		RehearsalBytesMax:               uint64(settings.rehearsal_bytes_max),
		RehearsalExamplesPerLanguageMax: uint32(settings.rehearsal_examples_per_language_max),
		RehearsalHeldOutPerLanguageMax:  uint32(settings.rehearsal_held_out_per_language_max),
		MicroBatchTokensMax:             uint32(settings.micro_batch_tokens_max),
		HeadRateFactor:                  float64(settings.head_rate_factor),
		WarmupFraction:                  float64(settings.warmup_fraction),
		Beta1:                           float64(settings.beta1),
		Beta2:                           float64(settings.beta2),
		Epsilon:                         float64(settings.epsilon),
		WeightDecay:                     float64(settings.weight_decay),
		ClipNorm:                        float64(settings.clip_norm),
		LoRARankStabilized:              settings.lora_rank_stabilized != 0,

		BottleneckPlacement:       Placement(settings.bottleneck_placement),
		BottleneckSubLayers:       SubLayers(settings.bottleneck_sub_layers),
		BottleneckActivation:      Activation(settings.bottleneck_activation),
		BottleneckReductionFactor: float64(settings.bottleneck_reduction_factor),
		LabelSmoothing:            float64(settings.label_smoothing),
		Distillation:              float64(settings.distillation),
		LayersTop:                 uint64(settings.layers_top),
		LowerStatesBytesMax:       uint64(settings.lower_states_bytes_max),
	}, err
}

func updateSettings() (C.polygraft_update_options, error) {
	var failure *C.polygraft_error
	var settings C.polygraft_update_options
	size := C.size_t(unsafe.Sizeof(settings))
	status := C.polygraft_update_options_init(&settings, size, &failure)
	return settings, check(status, failure)
}

// fill writes the options into the library's. What these point to is valid until the arguments are
// freed.
func (o *UpdateOptions) fill(settings *C.polygraft_update_options, arguments *arguments) {
	settings.strategy = C.uint32_t(o.Strategy)
	settings.seed = C.uint64_t(o.Seed)
	settings.mode = C.uint32_t(o.Mode)
	settings.threads = C.uint32_t(o.Threads)
	settings.epochs = C.double(o.Epochs)
	settings.steps_min = C.uint64_t(o.StepsMin)
	settings.steps_max = C.uint64_t(o.StepsMax)
	settings.batch_size = C.uint32_t(o.BatchSize)
	settings.learning_rate = C.double(o.LearningRate)
	settings.new_labels = flag(o.NewLabels)
	settings.gate_enabled = flag(o.Gate)
	settings.gate_margin = C.double(o.GateMargin)
	settings.gate_confidence = C.double(o.GateConfidence)
	settings.seconds_max = C.double(o.SecondsMax)
	settings.checkpoint_steps = C.uint64_t(o.CheckpointSteps)
	settings.background = C.uint32_t(flag(o.Background))
	settings.memory_bytes_max = C.uint64_t(o.MemoryBytesMax)
	settings.rehearsal_ratio = C.double(o.RehearsalRatio)
	settings.uriel_temperature = C.double(o.UrielTemperature)
	settings.uriel_distance = C.uint32_t(o.UrielDistance)
	settings.uriel_neighbours = C.uint32_t(o.UrielNeighbours)
	settings.uriel_sharing = C.uint32_t(o.UrielSharing)
	settings.lora_rank = C.uint32_t(o.LoRARank)
	settings.lora_alpha = C.double(o.LoRAAlpha)
	settings.lora_targets = arguments.array("LoRATargets", o.LoRATargets)
	settings.lora_targets_count = C.uint32_t(len(o.LoRATargets))
	settings.adapter_kind = C.uint32_t(o.Adapter)
	settings.bottleneck_placement = C.uint32_t(o.BottleneckPlacement)
	settings.bottleneck_sub_layers = C.uint32_t(o.BottleneckSubLayers)
	settings.bottleneck_activation = C.uint32_t(o.BottleneckActivation)
	settings.bottleneck_reduction_factor = C.double(o.BottleneckReductionFactor)
	settings.label_smoothing = C.double(o.LabelSmoothing)
	settings.distillation = C.double(o.Distillation)
	settings.layers_top = C.uint64_t(o.LayersTop)
	settings.lower_states_bytes_max = C.uint64_t(o.LowerStatesBytesMax)
	settings.rehearsal_held_out_percent = C.uint8_t(o.RehearsalHeldOutPercent)
	settings.rehearsal_bytes_max = C.uint64_t(o.RehearsalBytesMax)
	settings.rehearsal_examples_per_language_max = C.uint32_t(o.RehearsalExamplesPerLanguageMax)
	settings.rehearsal_held_out_per_language_max = C.uint32_t(o.RehearsalHeldOutPerLanguageMax)
	settings.micro_batch_tokens_max = C.uint32_t(o.MicroBatchTokensMax)
	settings.head_rate_factor = C.double(o.HeadRateFactor)
	settings.warmup_fraction = C.double(o.WarmupFraction)
	settings.beta1 = C.double(o.Beta1)
	settings.beta2 = C.double(o.Beta2)
	settings.epsilon = C.double(o.Epsilon)
	settings.weight_decay = C.double(o.WeightDecay)
	settings.clip_norm = C.double(o.ClipNorm)
	settings.lora_rank_stabilized = flag(o.LoRARankStabilized)
}

func flag(value bool) C.uint8_t {
	if value {
		return 1
	}
	return 0
}
