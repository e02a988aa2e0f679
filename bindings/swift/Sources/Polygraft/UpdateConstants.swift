import CPolygraft

extension UpdateOptions {
    /// How the languages of an update share data.
    public struct Strategy: LibraryConstant {
        /// The number of the constant in the header.
        public let rawValue: UInt32

        /// Makes the value of a number, also of one that this package does not know.
        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// Trains on the new examples only.
        public static let naive = Self(POLYGRAFT_STRATEGY_NAIVE)
        /// Mixes the new examples with remembered examples of all languages.
        public static let replay = Self(POLYGRAFT_STRATEGY_REPLAY)
        /// Gives each language with new examples a version of its own; other languages do not
        /// change.
        public static let perLanguage = Self(POLYGRAFT_STRATEGY_PER_LANGUAGE)
        /// Shares deltas by typological distance, and rehearses remembered examples.
        public static let uriel = Self(POLYGRAFT_STRATEGY_URIEL)

        /// The values that this package knows, with their names.
        public static let names: [Self: String] = [
            naive: "naive", replay: "replay", perLanguage: "per-language", uriel: "uriel",
        ]
    }

    /// The distance between languages that the strategy `uriel` uses.
    public struct Distance: LibraryConstant {
        /// The number of the constant in the header.
        public let rawValue: UInt32

        /// Makes the value of a number, also of one that this package does not know.
        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// The mean of the syntactic, genetic and geographic distances.
        public static let mixed = Self(POLYGRAFT_DISTANCE_MIXED)
        /// The difference in syntax.
        public static let syntactic = Self(POLYGRAFT_DISTANCE_SYNTACTIC)
        /// The distance between the regions where the languages are spoken.
        public static let geographic = Self(POLYGRAFT_DISTANCE_GEOGRAPHIC)
        /// The distance in the tree of language families.
        public static let genetic = Self(POLYGRAFT_DISTANCE_GENETIC)
        /// The difference in phonology.
        public static let phonological = Self(POLYGRAFT_DISTANCE_PHONOLOGICAL)
        /// The difference in the inventory of sounds.
        public static let inventory = Self(POLYGRAFT_DISTANCE_INVENTORY)
        /// The difference in all features together.
        public static let featural = Self(POLYGRAFT_DISTANCE_FEATURAL)

        /// The values that this package knows, with their names.
        public static let names: [Self: String] = [
            mixed: "mixed", syntactic: "syntactic", geographic: "geographic", genetic: "genetic",
            phonological: "phonological", inventory: "inventory", featural: "featural",
        ]
    }

    /// What the strategy `uriel` shares.
    public struct Sharing: LibraryConstant {
        /// The number of the constant in the header.
        public let rawValue: UInt32

        /// Makes the value of a number, also of one that this package does not know.
        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// Adds up the deltas of several languages, with weights, after training.
        public static let combine = Self(POLYGRAFT_SHARING_COMBINE)
        /// Draws examples of several languages, with weights, during training.
        public static let sample = Self(POLYGRAFT_SHARING_SAMPLE)

        /// The values that this package knows, with their names.
        public static let names: [Self: String] = [combine: "combine", sample: "sample"]
    }

    /// The kind of a new adapter.
    public struct AdapterKind: LibraryConstant {
        /// The number of the constant in the header.
        public let rawValue: UInt32

        /// Makes the value of a number, also of one that this package does not know.
        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// Adds a low-rank product to some linear layers.
        public static let lora = Self(POLYGRAFT_ADAPTER_LORA)
        /// Adds a small network to some sub-layers.
        public static let bottleneck = Self(POLYGRAFT_ADAPTER_BOTTLENECK)
        /// Multiplies the outputs or the inputs of some linear layers by factors.
        public static let ia3 = Self(POLYGRAFT_ADAPTER_IA3)

        /// The values that this package knows, with their names.
        public static let names: [Self: String] = [
            lora: "lora", bottleneck: "bottleneck", ia3: "ia3",
        ]
    }

    /// The tensor that a bottleneck reads.
    public struct Placement: LibraryConstant {
        /// The number of the constant in the header.
        public let rawValue: UInt32

        /// Makes the value of a number, also of one that this package does not know.
        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// The output of the sub-layer.
        public static let sequential = Self(POLYGRAFT_PLACEMENT_SEQUENTIAL)
        /// The normalised sum after the sub-layer.
        public static let afterNorm = Self(POLYGRAFT_PLACEMENT_AFTER_NORM)
        /// The input of the feed-forward sub-layer.
        public static let parallel = Self(POLYGRAFT_PLACEMENT_PARALLEL)

        /// The values that this package knows, with their names.
        public static let names: [Self: String] = [
            sequential: "sequential", afterNorm: "after_norm", parallel: "parallel",
        ]
    }

    /// The function between the two layers of a bottleneck.
    public struct Activation: LibraryConstant {
        /// The number of the constant in the header.
        public let rawValue: UInt32

        /// Makes the value of a number, also of one that this package does not know.
        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// `max(x, 0)`
        public static let relu = Self(POLYGRAFT_ACTIVATION_RELU)
        /// `x Phi(x)`
        public static let gelu = Self(POLYGRAFT_ACTIVATION_GELU)
        /// `x sigmoid(x)`
        public static let silu = Self(POLYGRAFT_ACTIVATION_SILU)

        /// The values that this package knows, with their names.
        public static let names: [Self: String] = [relu: "relu", gelu: "gelu", silu: "silu"]
    }

    /// The sub-layers that bottlenecks attach to.
    public struct SubLayers: LibraryConstant {
        /// The number of the constant in the header.
        public let rawValue: UInt32

        /// Makes the value of a number, also of one that this package does not know.
        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// The sub-layers that the placement was published for.
        public static let asPublished = Self(POLYGRAFT_SUB_LAYERS_AS_PUBLISHED)
        /// Every attention sub-layer.
        public static let attention = Self(POLYGRAFT_SUB_LAYERS_ATTENTION)
        /// Every feed-forward sub-layer.
        public static let feedForward = Self(POLYGRAFT_SUB_LAYERS_FEED_FORWARD)
        /// Every attention and every feed-forward sub-layer.
        public static let both = Self(POLYGRAFT_SUB_LAYERS_BOTH)

        /// The values that this package knows, with their names.
        public static let names: [Self: String] = [
            asPublished: "as published", attention: "attention", feedForward: "feed-forward",
            both: "both",
        ]
    }
}
