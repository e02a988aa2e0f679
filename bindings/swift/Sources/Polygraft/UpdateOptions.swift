import CPolygraft

/// The options of an update. `init()` takes the defaults from the library.
public struct UpdateOptions: Hashable, Codable, Sendable {
    /// How the languages of the update share data.
    public var strategy: Strategy
    /// The seed of all random choices. The same seed, thread count and examples give the same
    /// bytes.
    public var seed: UInt64
    /// How ONNX Runtime holds the weights for training.
    public var mode: Model.Mode
    /// The number of threads of a training step; 0 takes all cores.
    public var threads: Int
    /// The number of examples of one optimiser step.
    public var batchSize: Int
    /// The maximum number of tokens, padding included, of one run of the training graph. It bounds
    /// the memory of a step.
    public var microBatchTokensMax: Int
    /// Accepts labels that the task did not have before.
    public var newLabels: Bool
    /// Activates only in languages that do not get worse by more than `gateMargin`, with the
    /// one-sided confidence `gateConfidence`.
    public var gate: Bool
    /// The loss in score that a candidate may have and still be activated.
    public var gateMargin: Double
    /// The confidence of the gate, from 0.5 to less than 1.
    public var gateConfidence: Double
    /// The percentage of new examples that is held out, 0 to 90. It is fixed once a task has
    /// examples.
    public var rehearsalHeldOutPercent: Int
    /// The number of remembered examples per new example, for strategies that rehearse.
    public var rehearsalRatio: Double
    /// The maximum size of the remembered examples on disk, in bytes.
    public var rehearsalBytesMax: Int
    /// The maximum number of remembered training examples per language.
    public var rehearsalExamplesPerLanguageMax: Int
    /// The maximum number of held-out examples per language.
    public var rehearsalHeldOutPerLanguageMax: Int
    /// The number of passes over the new examples, which may be fractional. 0 derives it from the
    /// number of examples: four passes, or as many as make `stepsMin` steps; training ends earlier
    /// when nothing is left to learn.
    public var epochs: Double
    /// The minimum number of optimiser steps of a training run while `epochs` is 0. A run that
    /// starts from a version takes a third of it.
    public var stepsMin: Int
    /// The maximum number of optimiser steps; 0 for no limit.
    public var stepsMax: Int
    /// The time budget in seconds, after which training ends; 0 for no limit.
    public var secondsMax: Double
    /// The number of optimiser steps between checkpoints, from which the same update continues
    /// after a crash or a cancellation; 0 writes no checkpoints.
    public var checkpointSteps: Int
    /// Trains at the lowest priority of the system, so that predictions come first.
    public var background: Bool
    /// The maximum private memory of one run of the training graph, in bytes, by estimate; 0 for no
    /// limit.
    public var memoryBytesMax: Int
    /// The peak learning rate.
    public var learningRate: Double
    /// The factor on the learning rate of a new head, and of a head with new labels.
    public var headRateFactor: Double
    /// The fraction of the steps during which the learning rate rises.
    public var warmupFraction: Double
    /// The decay of the optimiser's first moment.
    public var beta1: Double
    /// The decay of the optimiser's second moment.
    public var beta2: Double
    /// The term in the optimiser's denominator that prevents division by zero.
    public var epsilon: Double
    /// The decoupled weight decay.
    public var weightDecay: Double
    /// The maximum norm of the gradients, which are scaled down to it; 0 does not clip.
    public var clipNorm: Double
    /// The kind of a new adapter; an existing adapter keeps its kind.
    public var adapter: AdapterKind
    /// The LoRA rank of a new adapter.
    public var loraRank: Int
    /// The LoRA alpha of a new adapter.
    public var loraAlpha: Double
    /// Scales LoRA by alpha / sqrt(rank) instead of alpha / rank.
    public var loraRankStabilized: Bool
    /// Patterns of the module names where new adapters attach, also for (IA)3; none take the
    /// default.
    public var loraTargets: [String] = []
    /// The placement of new bottlenecks.
    public var bottleneckPlacement: Placement
    /// The sub-layers of new bottlenecks.
    public var bottleneckSubLayers: SubLayers
    /// The function between the layers of new bottlenecks.
    public var bottleneckActivation: Activation
    /// The size of the hidden states divided by the size of new bottlenecks.
    public var bottleneckReductionFactor: Double
    /// The distance at which the strategy `uriel` shares with a weight of 1/e (37 %).
    public var urielTemperature: Double
    /// The distance that the strategy `uriel` uses.
    public var urielDistance: Distance
    /// The maximum number of languages that one language learns from; 0 for no limit.
    public var urielNeighbours: Int
    /// What the strategy `uriel` shares.
    public var urielSharing: Sharing
    /// The share of a target's probability that is spread evenly over all tokens, from 0 to less
    /// than 1. It applies to sequence-to-sequence tasks only.
    public var labelSmoothing: Double
    /// How much the outputs of the version that a training run starts from count in the targets of
    /// rehearsed examples, beside their labels, from 0 to 1. It does not apply to
    /// sequence-to-sequence tasks.
    public var distillation: Double
    /// The number of layers, from the end of the backbone, that a new adapter attaches to; 0 for
    /// all. What lies below them is computed once for each text of an update.
    public var layersTop: Int
    /// The maximum size of hidden states below the lowest adapter that an update keeps in memory,
    /// in bytes; others are in a file while the update runs. With 0 none are kept.
    public var lowerStatesBytesMax: Int

    /// The defaults of the library.
    public init() throws {
        let settings = try UpdateOptions.settings()
        strategy = Strategy(rawValue: settings.strategy)
        seed = settings.seed
        mode = Model.Mode(rawValue: settings.mode)
        threads = Int(settings.threads)
        batchSize = Int(settings.batch_size)
        microBatchTokensMax = Int(settings.micro_batch_tokens_max)
        newLabels = settings.new_labels != 0
        gate = settings.gate_enabled != 0
        gateMargin = settings.gate_margin
        gateConfidence = settings.gate_confidence
        rehearsalHeldOutPercent = Int(settings.rehearsal_held_out_percent)
        rehearsalRatio = settings.rehearsal_ratio
        rehearsalBytesMax = Int(settings.rehearsal_bytes_max)
        rehearsalExamplesPerLanguageMax = Int(settings.rehearsal_examples_per_language_max)
        rehearsalHeldOutPerLanguageMax = Int(settings.rehearsal_held_out_per_language_max)
        epochs = settings.epochs
        stepsMin = Int(settings.steps_min)
        stepsMax = Int(settings.steps_max)
        secondsMax = settings.seconds_max
        checkpointSteps = Int(settings.checkpoint_steps)
        background = settings.background != 0
        memoryBytesMax = Int(settings.memory_bytes_max)
        learningRate = settings.learning_rate
        headRateFactor = settings.head_rate_factor
        warmupFraction = settings.warmup_fraction
        beta1 = settings.beta1
        beta2 = settings.beta2
        epsilon = settings.epsilon
        weightDecay = settings.weight_decay
        clipNorm = settings.clip_norm
        adapter = AdapterKind(rawValue: settings.adapter_kind)
        loraRank = Int(settings.lora_rank)
        loraAlpha = settings.lora_alpha
        loraRankStabilized = settings.lora_rank_stabilized != 0
        bottleneckPlacement = Placement(rawValue: settings.bottleneck_placement)
        bottleneckSubLayers = SubLayers(rawValue: settings.bottleneck_sub_layers)
        bottleneckActivation = Activation(rawValue: settings.bottleneck_activation)
        bottleneckReductionFactor = settings.bottleneck_reduction_factor
        urielTemperature = settings.uriel_temperature
        urielDistance = Distance(rawValue: settings.uriel_distance)
        urielNeighbours = Int(settings.uriel_neighbours)
        urielSharing = Sharing(rawValue: settings.uriel_sharing)
        labelSmoothing = settings.label_smoothing
        distillation = settings.distillation
        layersTop = Int(settings.layers_top)
        lowerStatesBytesMax = Int(settings.lower_states_bytes_max)
    }

    static func settings() throws -> polygraft_update_options {
        try defaults(polygraft_update_options()) { polygraft_update_options_init($0, $1, $2) }
    }

    /// Writes the options into the library's. What these point to is valid as long as the
    /// arguments.
    func filled(_ arguments: Arguments) throws -> polygraft_update_options {
        var settings = try UpdateOptions.settings()
        settings.strategy = strategy.rawValue
        settings.seed = seed
        settings.mode = mode.rawValue
        settings.threads = try UInt32(checked: threads, "threads")
        settings.batch_size = try UInt32(checked: batchSize, "batchSize")
        settings.micro_batch_tokens_max = try UInt32(
            checked: microBatchTokensMax, "microBatchTokensMax")
        settings.new_labels = newLabels ? 1 : 0
        settings.gate_enabled = gate ? 1 : 0
        settings.gate_margin = gateMargin
        settings.gate_confidence = gateConfidence
        settings.rehearsal_held_out_percent = try UInt8(
            checked: rehearsalHeldOutPercent, "rehearsalHeldOutPercent")
        settings.rehearsal_ratio = rehearsalRatio
        settings.rehearsal_bytes_max = try UInt64(checked: rehearsalBytesMax, "rehearsalBytesMax")
        settings.rehearsal_examples_per_language_max = try UInt32(
            checked: rehearsalExamplesPerLanguageMax, "rehearsalExamplesPerLanguageMax")
        settings.rehearsal_held_out_per_language_max = try UInt32(
            checked: rehearsalHeldOutPerLanguageMax, "rehearsalHeldOutPerLanguageMax")
        settings.epochs = epochs
        settings.steps_min = try UInt64(checked: stepsMin, "stepsMin")
        settings.steps_max = try UInt64(checked: stepsMax, "stepsMax")
        settings.seconds_max = secondsMax
        settings.checkpoint_steps = try UInt64(checked: checkpointSteps, "checkpointSteps")
        settings.background = background ? 1 : 0
        settings.memory_bytes_max = try UInt64(checked: memoryBytesMax, "memoryBytesMax")
        settings.learning_rate = learningRate
        settings.head_rate_factor = headRateFactor
        settings.warmup_fraction = warmupFraction
        settings.beta1 = beta1
        settings.beta2 = beta2
        settings.epsilon = epsilon
        settings.weight_decay = weightDecay
        settings.clip_norm = clipNorm
        settings.adapter_kind = adapter.rawValue
        settings.lora_rank = try UInt32(checked: loraRank, "loraRank")
        settings.lora_alpha = loraAlpha
        settings.lora_rank_stabilized = loraRankStabilized ? 1 : 0
        settings.lora_targets = try arguments.array("loraTargets", loraTargets)
        settings.lora_targets_count = UInt32(loraTargets.count)
        settings.bottleneck_placement = bottleneckPlacement.rawValue
        settings.bottleneck_sub_layers = bottleneckSubLayers.rawValue
        settings.bottleneck_activation = bottleneckActivation.rawValue
        settings.bottleneck_reduction_factor = bottleneckReductionFactor
        settings.uriel_temperature = urielTemperature
        settings.uriel_distance = urielDistance.rawValue
        settings.uriel_neighbours = try UInt32(checked: urielNeighbours, "urielNeighbours")
        settings.uriel_sharing = urielSharing.rawValue
        settings.label_smoothing = labelSmoothing
        settings.distillation = distillation
        settings.layers_top = try UInt64(checked: layersTop, "layersTop")
        settings.lower_states_bytes_max =
            try UInt64(checked: lowerStatesBytesMax, "lowerStatesBytesMax")
        return settings
    }
}
