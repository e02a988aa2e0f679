package polygraft

// #include <polygraft.h>
import "C"

import (
	"time"
	"unsafe"
)

// Report is the effect of an update on each language.
type Report struct {
	Task     string
	Strategy string
	// Gate is the rule of the gate in words.
	Gate string
	// Languages are sorted by tag; the shared adapter, mul, comes last.
	Languages []LanguageReport
	// Improved and Lost are the numbers of languages that improve and that get worse.
	Improved, Lost uint64
	// GainTotal and LossTotal are the sums of improvements and losses in score, both as positive
	// numbers.
	GainTotal, LossTotal float64
	// Candidates are the same sums if the candidate were activated in every language.
	Candidates Summary
	// Training has the figures of the training.
	Training Training
}

// Summary has the sums of gains and losses over languages. The shared adapter, mul, is not counted.
type Summary struct {
	Improved, Lost       uint64
	GainTotal, LossTotal float64
}

// Training has the figures of the training of an update.
type Training struct {
	// ExamplesNew is the number of new training examples. ExamplesRehearsed is the number of
	// remembered examples per epoch.
	ExamplesNew, ExamplesRehearsed uint64
	// TrainingRuns is the number of training runs: one for all languages, or one per language with new
	// data.
	TrainingRuns uint64
	// Steps is the number of optimiser steps.
	Steps uint64
	// LossFirst and LossLast are the mean losses of the first and the last tenth of the steps.
	LossFirst, LossLast float64
	// CutShort is true if the time budget ended training before its last step. StillFalling is true
	// if the loss of a training run was still falling at its end, so that more steps may help.
	CutShort, StillFalling bool
	// Elapsed is the wall-clock time of training and measuring.
	Elapsed time.Duration
}

// Candidate is the kind of a candidate version.
type Candidate uint32

const (
	// NoCandidate means that the update had no candidate for the language.
	NoCandidate Candidate = C.POLYGRAFT_CANDIDATE_NONE
	// SharedCandidate was trained on the new data of all languages together.
	SharedCandidate Candidate = C.POLYGRAFT_CANDIDATE_SHARED
	// OwnCandidate was trained on the new data of the language itself.
	OwnCandidate Candidate = C.POLYGRAFT_CANDIDATE_OWN
	// CombinedCandidate combines the deltas of near languages, weighted by typological distance.
	CombinedCandidate Candidate = C.POLYGRAFT_CANDIDATE_COMBINED
	// ImportedCandidate was imported from a file.
	ImportedCandidate Candidate = C.POLYGRAFT_CANDIDATE_IMPORTED
	// EarlierCandidate is the last version of the language that was better than what it replaced.
	EarlierCandidate Candidate = C.POLYGRAFT_CANDIDATE_EARLIER
)

// ReasonKind is the kind of reason of a decision of the gate.
type ReasonKind uint32

const (
	// ReasonUnstated means that the report has only the sentence, or a reason of a newer library.
	ReasonUnstated ReasonKind = C.POLYGRAFT_REASON_UNSTATED
	// ReasonNoCandidate: kept, the update had no candidate for the language.
	ReasonNoCandidate ReasonKind = C.POLYGRAFT_REASON_NO_CANDIDATE
	// ReasonPinned: kept, the language is pinned to its version.
	ReasonPinned ReasonKind = C.POLYGRAFT_REASON_PINNED
	// ReasonTooFewExamples: kept, so few examples could hide a loss beyond the margin; see
	// ExamplesNeeded.
	ReasonTooFewExamples ReasonKind = C.POLYGRAFT_REASON_TOO_FEW_EXAMPLES
	// ReasonWorse: kept, the candidate is worse, with the gate's confidence.
	ReasonWorse ReasonKind = C.POLYGRAFT_REASON_WORSE
	// ReasonUncertain: kept, a loss beyond the margin is possible, and more examples than are
	// remembered would be needed to exclude it.
	ReasonUncertain ReasonKind = C.POLYGRAFT_REASON_UNCERTAIN
	// ReasonFirstVersion: activated, no version served the language before.
	ReasonFirstVersion ReasonKind = C.POLYGRAFT_REASON_FIRST_VERSION
	// ReasonGateOff: activated, the gate is off.
	ReasonGateOff ReasonKind = C.POLYGRAFT_REASON_GATE_OFF
	// ReasonNoWorse: activated, the candidate is not worse by more than the margin.
	ReasonNoWorse ReasonKind = C.POLYGRAFT_REASON_NO_WORSE
	// ReasonBetter: activated, the candidate is better.
	ReasonBetter ReasonKind = C.POLYGRAFT_REASON_BETTER
	// ReasonNotFinite: kept, no candidate gives finite numbers for every example.
	ReasonNotFinite ReasonKind = C.POLYGRAFT_REASON_NOT_FINITE
	// ReasonBelowEarlier: kept, the candidate is no worse than the active version, but may be worse
	// by more than the margin than an earlier one.
	ReasonBelowEarlier ReasonKind = C.POLYGRAFT_REASON_BELOW_EARLIER
)

// LanguageReport is the entry of one language in a report. Scores are measured on the examples held
// out for it.
type LanguageReport struct {
	Language string
	// Updated is true if the update has new training examples in this language.
	Updated bool
	// Before and After are the scores of the previous version and of the chosen candidate on the
	// report split, from 0 to 1: the accuracy for classification, and the mean score of the
	// examples for other kinds of tasks. They are NaN if there was nothing to measure.
	Before, After float64
	// ReportExamples is the number of examples in the report split, which never decide anything.
	// SelectionExamples is the number of examples in the selection split, which the gate decides by.
	ReportExamples, SelectionExamples uint64
	// Candidate is the kind of the chosen candidate.
	Candidate Candidate
	// Change is the expected change in score, by the selection splits of all languages together.
	// With the gate's confidence it is larger than LowerBound, and with the same confidence smaller
	// than UpperBound. LossChance is the chance that the candidate is worse than the previous
	// version, from 0 to 1. All are NaN if there is nothing to compare.
	Change, LowerBound, UpperBound, LossChance float64
	// ExamplesBorrowed is what the evidence of the other languages is worth, in selection examples of
	// this language.
	ExamplesBorrowed uint64
	// Strength is the factor on the deltas in the chosen candidate, at most 1.
	Strength float64
	// Gained is the number of examples in the selection split on which the candidate scores better,
	// and Lost the number on which the previous version does.
	Gained, Lost uint64
	// Activated is true if the candidate becomes the language's version. Reason is the reason in
	// words.
	Activated bool
	Reason    string
	// ReasonKind is the kind of Reason, for programs.
	ReasonKind ReasonKind
	// ExamplesNeeded is the estimated number of further examples of the language that would give
	// the gate enough to decide by. It is 0 if the gate has enough, or if no number would do.
	ExamplesNeeded uint64
	// Version is the number that the commit gave the candidate; 0 before the commit and without a
	// candidate.
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
		result.Languages = append(result.Languages, copyEntry(&entry))
	}
	var summary C.polygraft_summary
	summary.struct_size = C.uint32_t(unsafe.Sizeof(summary))
	if err := check(C.polygraft_report_summary(report, &summary, &failure), failure); err != nil {
		return nil, err
	}
	result.Improved, result.Lost = uint64(summary.improved), uint64(summary.lost)
	result.GainTotal, result.LossTotal = float64(summary.gain_total), float64(summary.loss_total)
	summary = C.polygraft_summary{struct_size: summary.struct_size}
	status := C.polygraft_report_candidate_summary(report, &summary, &failure)
	if err := check(status, failure); err != nil {
		return nil, err
	}
	result.Candidates = Summary{
		Improved: uint64(summary.improved), Lost: uint64(summary.lost),
		GainTotal: float64(summary.gain_total), LossTotal: float64(summary.loss_total),
	}
	var training C.polygraft_training
	training.struct_size = C.uint32_t(unsafe.Sizeof(training))
	if err := check(C.polygraft_report_training(report, &training, &failure), failure); err != nil {
		return nil, err
	}
	result.Training = Training{
		ExamplesNew:       uint64(training.examples_new),
		ExamplesRehearsed: uint64(training.examples_rehearsed),
		TrainingRuns:      uint64(training.training_runs),
		Steps:             uint64(training.steps),
		LossFirst:         float64(training.loss_first),
		LossLast:          float64(training.loss_last),
		CutShort:          training.cut_short != 0,
		StillFalling:      training.still_falling != 0,
		Elapsed:           time.Duration(training.elapsed_ms) * time.Millisecond,
	}
	return result, nil
}

// copyEntry copies the entry of one language.
func copyEntry(entry *C.polygraft_language_report) LanguageReport {
	return LanguageReport{
		Language:          text(entry.language),
		Updated:           entry.updated != 0,
		Before:            float64(entry.before),
		After:             float64(entry.after),
		Change:            float64(entry.change),
		LowerBound:        float64(entry.lower_bound),
		UpperBound:        float64(entry.upper_bound),
		LossChance:        float64(entry.loss_chance),
		ExamplesBorrowed:  uint64(entry.examples_borrowed),
		Strength:          float64(entry.strength),
		ReportExamples:    uint64(entry.report_examples),
		SelectionExamples: uint64(entry.selection_examples),
		Candidate:         Candidate(entry.candidate),
		Gained:            uint64(entry.gained),
		Lost:              uint64(entry.lost),
		Activated:         entry.decision == C.POLYGRAFT_DECISION_ACTIVATE,
		Reason:            text(entry.reason),
		ReasonKind:        ReasonKind(entry.reason_kind),
		ExamplesNeeded:    uint64(entry.examples_needed),
		Version:           uint32(entry.version),
	}
}
