package polygraft

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// fill sets every number with a fraction in a value to NaN, and gives every list one element.
func fill(value reflect.Value) {
	switch value.Kind() {
	case reflect.Float64:
		value.SetFloat(math.NaN())
	case reflect.Struct:
		for index := range value.NumField() {
			fill(value.Field(index))
		}
	case reflect.Slice:
		value.Set(reflect.MakeSlice(value.Type(), 1, 1))
		fill(value.Index(0))
	}
}

// same compares what is printed: NaN is not equal to itself, but is printed as itself.
func same(a, b any) bool {
	return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b)
}

func TestResultsAreJSON(t *testing.T) {
	// A report's own numbers are sums and a strength is a factor, which are never NaN; the other
	// numbers of its languages can be.
	report := Report{Task: "intent", GainTotal: 1.5, Languages: make([]LanguageReport, 1)}
	fill(reflect.ValueOf(&report.Languages[0]).Elem())
	report.Languages[0].Strength = 0.25
	var prediction Prediction
	fill(reflect.ValueOf(&prediction).Elem())
	var progress Progress
	fill(reflect.ValueOf(&progress).Elem())
	progress.Fraction = 0.25
	results := []any{&report, &prediction, &progress, &[]Prediction{prediction},
		&StoredVersion{Number: 3}, &Prediction{Number: 2.5, LogProbability: -1, Text: "x"},
		&Prediction{Number: math.Inf(1), LogProbability: math.NaN()}}
	for _, result := range results {
		data, err := json.Marshal(result)
		if err != nil {
			t.Errorf("%T: %v", result, err)
			continue
		}
		again := reflect.New(reflect.TypeOf(result).Elem())
		if err := json.Unmarshal(data, again.Interface()); err != nil {
			t.Errorf("%T: %v in %s", result, err, data)
			continue
		}
		// What JSON has no number for comes back as NaN.
		expected := reflect.ValueOf(result).Elem().Interface()
		if p, is := expected.(Prediction); is && math.IsInf(p.Number, 0) {
			p.Number = math.NaN()
			expected = p
		}
		if !same(expected, again.Elem().Interface()) {
			t.Errorf("%s\nis      %+v\nand was %+v", data, again.Elem().Interface(), expected)
		}
	}
	data, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, absent := range []string{"Before", "After", "Change", "LowerBound", "UpperBound", "LossChance"} {
		if strings.Contains(string(data), absent) {
			t.Errorf("%s is in %s", absent, data)
		}
	}
	if !strings.Contains(string(data), `"GainTotal":1.5`) {
		t.Errorf("no gain in %s", data)
	}
}

func TestNames(t *testing.T) {
	names := map[fmt.Stringer]string{
		Lean: "lean", Fast: "fast",
		Naive: "naive", Replay: "replay", PerLanguage: "per-language", Uriel: "uriel",
		Mixed: "mixed", Syntactic: "syntactic", Geographic: "geographic", Genetic: "genetic",
		Phonological: "phonological", Inventory: "inventory", Featural: "featural",
		Combine: "combine", Sample: "sample",
		LoRA: "lora", Bottleneck: "bottleneck", IA3: "ia3",
		Sequential: "sequential", AfterNorm: "after_norm", Parallel: "parallel",
		ReLU: "relu", GELU: "gelu", SiLU: "silu",
		AsPublished: "as published", InAttention: "attention", InFeedForward: "feed-forward",
		InBoth:  "both",
		Prepare: "prepare", Train: "train", MeasureBefore: "measure before",
		MeasureAfter: "measure after",
		NoCandidate:  "none", SharedCandidate: "shared", OwnCandidate: "own",
		CombinedCandidate: "combined", EarlierCandidate: "earlier",
		ReasonUnstated: "unstated", ReasonNoCandidate: "no-candidate", ReasonPinned: "pinned",
		ReasonTooFewExamples: "too-few-examples", ReasonWorse: "worse",
		ReasonUncertain: "uncertain", ReasonFirstVersion: "first-version",
		ReasonGateOff: "gate-off", ReasonNoWorse: "no-worse", ReasonBetter: "better",
		ReasonNotFinite: "not-finite", ReasonBelowEarlier: "below-earlier",
		Classification: "classification", MultiLabel: "multi-label classification",
		Regression: "regression", TokenClassification: "token classification",
		IntentAndSlots: "intent and slots", SequenceToSequence: "sequence to sequence",
		NotText: "none", FinishedAtEnd: "end", FinishedAtLength: "length",
		FinishedAtStop: "stopped", FinishedByCancel: "cancelled",
		Phase(9): "Phase(9)", TaskKind(0): "TaskKind(0)",
	}
	for value, expected := range names {
		if value.String() != expected {
			t.Errorf("%#v is %q, expected %q", value, value, expected)
		}
	}
}

// Every type of constants has names.
func TestEveryConstantHasAName(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(data)
	}
	kinds := regexp.MustCompile(`(?m)^type ([A-Z]\w*) u?int32$`).FindAllStringSubmatch(source.String(), -1)
	if len(kinds) < 10 {
		t.Fatalf("%v", kinds)
	}
	for _, kind := range kinds {
		method := regexp.MustCompile(`(?m)^func \(\w+ ` + kind[1] + `\) (String|Name)\(\) string`)
		if !method.MatchString(source.String()) {
			t.Errorf("%s has no String", kind[1])
		}
	}
}
