package polygraft

import "fmt"

// named gives the name of a value, counted from first; values of newer libraries have their number.
func named(kind string, value, first uint32, names ...string) string {
	if value >= first && value-first < uint32(len(names)) {
		return names[value-first]
	}
	return fmt.Sprintf("%s(%d)", kind, value)
}

// String gives the name of the mode, as the command has it.
func (m Mode) String() string {
	return named("Mode", uint32(m), 0, "lean", "fast")
}

// String gives the name of the strategy, as reports and the command have it.
func (s Strategy) String() string {
	return named("Strategy", uint32(s), 0, "naive", "replay", "per-language", "uriel")
}

// String gives the name of the distance, as the command has it.
func (d Distance) String() string {
	return named("Distance", uint32(d), 0, "mixed", "syntactic", "geographic", "genetic",
		"phonological", "inventory", "featural")
}

// String gives the name of the sharing, as the command has it.
func (s Sharing) String() string {
	return named("Sharing", uint32(s), 0, "combine", "sample")
}

// String gives the name of the kind, as the command has it.
func (k AdapterKind) String() string {
	return named("AdapterKind", uint32(k), 0, "lora", "bottleneck", "ia3")
}

// String gives the name of the placement.
func (p Placement) String() string {
	return named("Placement", uint32(p), 0, "sequential", "after_norm", "parallel")
}

// String gives the name of the function.
func (a Activation) String() string {
	return named("Activation", uint32(a), 0, "relu", "gelu", "silu")
}

// String says where the bottlenecks stand.
func (s SubLayers) String() string {
	return named("SubLayers", uint32(s), 0, "as published", "attention", "feed-forward", "both")
}

// String gives the name of the phase, as the command has it.
func (p Phase) String() string {
	return named("Phase", uint32(p), 0, "prepare", "train", "measure before", "measure after")
}

// String gives the name of what the candidate was made of, as reports have it.
func (c Candidate) String() string {
	return named("Candidate", uint32(c), 0, "none", "shared", "own", "combined")
}

// String gives the name of the reason, as reports have it.
func (k ReasonKind) String() string {
	return named("ReasonKind", uint32(k), 0, "unstated", "no-candidate", "pinned",
		"too-few-examples", "worse", "uncertain", "first-version", "gate-off", "no-worse", "better")
}

// String gives the name of the kind.
func (k TaskKind) String() string {
	return named("TaskKind", uint32(k), 1, "classification", "multi-label classification", "regression",
		"token classification", "intent and slots", "sequence to sequence")
}

// String says why the text ended, as the command does.
func (f Finish) String() string {
	return named("Finish", uint32(f), 0, "none", "end", "length", "stopped", "cancelled")
}
