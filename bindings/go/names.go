package polygraft

import "fmt"

// named returns the name of a value, counted from first. A value of a newer library is named by its
// number.
func named(kind string, value, first uint32, names ...string) string {
	if value >= first && value-first < uint32(len(names)) {
		return names[value-first]
	}
	return fmt.Sprintf("%s(%d)", kind, value)
}

// String returns the name of the mode in the command.
func (m Mode) String() string {
	return named("Mode", uint32(m), 0, "lean", "fast")
}

// String returns the name of the strategy in reports and in the command.
func (s Strategy) String() string {
	return named("Strategy", uint32(s), 0, "naive", "replay", "per-language", "uriel")
}

// String returns the name of the distance in the command.
func (d Distance) String() string {
	return named("Distance", uint32(d), 0, "mixed", "syntactic", "geographic", "genetic",
		"phonological", "inventory", "featural")
}

// String returns the name of the form of sharing in the command.
func (s Sharing) String() string {
	return named("Sharing", uint32(s), 0, "combine", "sample")
}

// String returns the name of the kind in the command.
func (k AdapterKind) String() string {
	return named("AdapterKind", uint32(k), 0, "lora", "bottleneck", "ia3")
}

// String returns the name of the placement.
func (p Placement) String() string {
	return named("Placement", uint32(p), 0, "sequential", "after_norm", "parallel")
}

// String returns the name of the function.
func (a Activation) String() string {
	return named("Activation", uint32(a), 0, "relu", "gelu", "silu")
}

// String returns the name of the sub-layers.
func (s SubLayers) String() string {
	return named("SubLayers", uint32(s), 0, "as published", "attention", "feed-forward", "both")
}

// String returns the name of the phase in the command.
func (p Phase) String() string {
	return named("Phase", uint32(p), 0, "prepare", "train", "measure before", "measure after")
}

// String returns the name of the kind of candidate in reports.
func (c Candidate) String() string {
	return named("Candidate", uint32(c), 0, "none", "shared", "own", "combined", "imported",
		"earlier")
}

// String returns the name of the reason in reports.
func (k ReasonKind) String() string {
	return named("ReasonKind", uint32(k), 0, "unstated", "no-candidate", "pinned",
		"too-few-examples", "worse", "uncertain", "first-version", "gate-off", "no-worse", "better",
		"not-finite", "below-earlier")
}

// String returns the name of the kind.
func (k TaskKind) String() string {
	return named("TaskKind", uint32(k), 1, "classification", "multi-label classification", "regression",
		"token classification", "intent and slots", "sequence to sequence")
}

// String returns the name of the finish reason in the command.
func (f FinishReason) String() string {
	return named("FinishReason", uint32(f), 0, "none", "end", "length", "stopped", "cancelled")
}

// String returns the name of the format in the command.
func (f Format) String() string {
	return named("Format", uint32(f), 0, "own", "peft", "onnx-adapter", "adapterhub")
}

// String returns the name of the activation.
func (a ImportActivation) String() string {
	return named("ImportActivation", uint32(a), 0, "never", "gated", "always")
}

// String returns the name of the step in the command.
func (k StepKind) String() string {
	return named("StepKind", uint32(k), 0, "own", "shorter tag", "nearest", "too far", "shared")
}

// String returns the name of the state in the command.
func (s CheckState) String() string {
	return named("CheckState", uint32(s), 0, "ok", "note", "wrong")
}

// String returns the name of the severity.
func (s Severity) String() string {
	return named("Severity", uint32(s), 0, "verbose", "info", "warning", "error", "fatal")
}
