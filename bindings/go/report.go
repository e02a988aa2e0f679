package polygraft

// #include <polygraft.h>
import "C"

import (
	"time"
	"unsafe"
)

// Report says what an update does to each language.
type Report struct {
	Task     string
	Strategy string
	// Gate is the gate's rule in words.
	Gate string
	// Languages are sorted by tag; the shared adapter, mul, comes last.
	Languages []LanguageReport
	// Improved and Lost count the languages that users are served better and worse.
	Improved, Lost uint64
	// GainTotal and LossTotal add up the changes in score, both as positive numbers.
	GainTotal, LossTotal float64
	// Training says how the training went.
	Training Training
}

// Training says how the training of an update went.
type Training struct {
	// ExamplesNew counts the new training examples, ExamplesRehearsed those drawn from earlier
	// updates in each pass.
	ExamplesNew, ExamplesRehearsed uint64
	// TrainingRuns counts the training runs: one for all languages, or one per language with new data.
	TrainingRuns uint64
	// Steps counts the optimiser steps.
	Steps uint64
	// LossFirst and LossLast are the mean losses of the first and the last tenth of the steps.
	LossFirst, LossLast float64
	// CutShort says that the time budget ended training before its last step, StillFalling that
	// the loss of a training was still going down at its end, so that more steps may help.
	CutShort, StillFalling bool
	// Elapsed is the time of training and measuring.
	Elapsed time.Duration
}

// Candidate is what a candidate version was made of.
type Candidate uint32

const (
	// NoCandidate: nothing was learnt for the language.
	NoCandidate Candidate = C.POLYGRAFT_CANDIDATE_NONE
	// SharedCandidate: all new data together.
	SharedCandidate Candidate = C.POLYGRAFT_CANDIDATE_SHARED
	// OwnCandidate: the new data of the language itself.
	OwnCandidate Candidate = C.POLYGRAFT_CANDIDATE_OWN
	// CombinedCandidate: near languages, weighted by typological distance.
	CombinedCandidate Candidate = C.POLYGRAFT_CANDIDATE_COMBINED
)

// ReasonKind is why the gate decided as it did.
type ReasonKind uint32

const (
	// ReasonUnstated: the report has the sentence alone, or a reason of a newer library.
	ReasonUnstated ReasonKind = C.POLYGRAFT_REASON_UNSTATED
	// ReasonNoCandidate: kept, the update had no candidate for the language.
	ReasonNoCandidate ReasonKind = C.POLYGRAFT_REASON_NO_CANDIDATE
	// ReasonPinned: kept, an operator has pinned the language to its version.
	ReasonPinned ReasonKind = C.POLYGRAFT_REASON_PINNED
	// ReasonTooFewExamples: kept, too few selection examples to judge by; see ExamplesNeeded.
	ReasonTooFewExamples ReasonKind = C.POLYGRAFT_REASON_TOO_FEW_EXAMPLES
	// ReasonWorse: kept, the candidate scores less on the selection split.
	ReasonWorse ReasonKind = C.POLYGRAFT_REASON_WORSE
	// ReasonUncertain: kept, so few examples could hide a loss beyond the margin.
	ReasonUncertain ReasonKind = C.POLYGRAFT_REASON_UNCERTAIN
	// ReasonFirstVersion: activated, nothing served the language.
	ReasonFirstVersion ReasonKind = C.POLYGRAFT_REASON_FIRST_VERSION
	// ReasonGateOff: activated, the gate is off.
	ReasonGateOff ReasonKind = C.POLYGRAFT_REASON_GATE_OFF
	// ReasonNoWorse: activated, the first candidate is no worse by more than the margin.
	ReasonNoWorse ReasonKind = C.POLYGRAFT_REASON_NO_WORSE
	// ReasonBetter: activated, another candidate is clearly better.
	ReasonBetter ReasonKind = C.POLYGRAFT_REASON_BETTER
	// ReasonNotFinite: kept, no candidate answers every example with numbers that are finite.
	ReasonNotFinite ReasonKind = C.POLYGRAFT_REASON_NOT_FINITE
)

// LanguageReport is one language of a report, measured on the examples held out for it.
type LanguageReport struct {
	Language string
	// Updated says whether the update brought new training examples in this language.
	Updated bool
	// Before and After are scores on the report split, 0 to 1: accuracy for labels, and for
	// other kinds of answers the mean of how good each is; NaN where there was nothing to measure.
	Before, After float64
	// ReportExamples counts the examples of the report split, which never decide anything;
	// SelectionExamples counts those of the selection split, by which the gate chose and decided.
	ReportExamples, SelectionExamples uint64
	// Candidate is what the chosen candidate was made of.
	Candidate Candidate
	// LowerBound is the lower confidence bound of the change on the selection split; NaN where
	// there is none.
	LowerBound float64
	// Gained counts the selection examples that the candidate answers better, Lost those that the
	// previous version does.
	Gained, Lost uint64
	// Activated says whether the candidate becomes the language's version, Reason why.
	Activated bool
	Reason    string
	// ReasonKind is the same for programs.
	ReasonKind ReasonKind
	// ExamplesNeeded is about how many more examples of the language would have given the gate
	// enough to decide by; 0 when it did not lack any, or when no number of them would do.
	ExamplesNeeded uint64
	// Version is the number that the commit gave the candidate; 0 before it or without one.
	Version uint32
}

func copyReport(report *C.polygraft_report) (*Report, error) {
	var failure *C.polygraft_error
	result := &Report{
		Task:     text(C.polygraft_report_task(report)),
		Strategy: text(C.polygraft_report_strategy(report)),
		Gate:     text(C.polygraft_report_gate(report)),
	}
	for index := range C.polygraft_report_languages_count(report) {
		var entry C.polygraft_language_report
		entry.struct_size = C.uint32_t(unsafe.Sizeof(entry))
		status := C.polygraft_report_language(report, index, &entry, &failure)
		if err := check(status, failure); err != nil {
			return nil, err
		}
		result.Languages = append(result.Languages, LanguageReport{
			Language:       text(entry.language),
			Updated:        entry.updated != 0,
			Before:         float64(entry.before),
			After:          float64(entry.after),
			LowerBound:     float64(entry.lower_bound),
			ReportExamples: uint64(entry.report_examples),
			SelectionExamples: uint64(entry.selection_examples),
			Candidate:      Candidate(entry.candidate),
			Gained:         uint64(entry.gained),
			Lost:           uint64(entry.lost),
			Activated:      entry.decision == C.POLYGRAFT_DECISION_ACTIVATE,
			Reason:         text(entry.reason),
			ReasonKind:     ReasonKind(entry.reason_kind),
			ExamplesNeeded: uint64(entry.examples_needed),
			Version:        uint32(entry.version),
		})
	}
	var summary C.polygraft_summary
	summary.struct_size = C.uint32_t(unsafe.Sizeof(summary))
	if err := check(C.polygraft_report_summary(report, &summary, &failure), failure); err != nil {
		return nil, err
	}
	result.Improved, result.Lost = uint64(summary.improved), uint64(summary.lost)
	result.GainTotal, result.LossTotal = float64(summary.gain_total), float64(summary.loss_total)
	var training C.polygraft_training
	training.struct_size = C.uint32_t(unsafe.Sizeof(training))
	if err := check(C.polygraft_report_training(report, &training, &failure), failure); err != nil {
		return nil, err
	}
	result.Training = Training{
		ExamplesNew:       uint64(training.examples_new),
		ExamplesRehearsed: uint64(training.examples_rehearsed),
		TrainingRuns: uint64(training.training_runs),
		Steps:             uint64(training.steps),
		LossFirst:         float64(training.loss_first),
		LossLast:          float64(training.loss_last),
		CutShort:          training.cut_short != 0,
		StillFalling:      training.still_falling != 0,
		Elapsed:           time.Duration(training.elapsed_ms) * time.Millisecond,
	}
	return result, nil
}
