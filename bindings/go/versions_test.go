package polygraft

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const light = "light"

// teach teaches two labels in a language, in a few steps and without a gate.
func teach(t *testing.T, model *Model, language string) {
	t.Helper()
	options := must[UpdateOptions](t)(DefaultUpdateOptions())
	options.StepsMax, options.Gate, options.LoRATargets = 3, false, []string{"q", "v"}
	update := must[*Update](t)(model.BeginUpdate(light, &options))
	defer update.Close()
	var all []LabelledExample
	for number := range 40 {
		way, label := "up", "on"
		if number%2 == 1 {
			way, label = "down", "off"
		}
		all = append(all, LabelledExample{language, fmt.Sprintf("tree %d %s", number, way), label})
	}
	examples := must[*Examples](t)(NewExamples(all))
	if examples.Len() != 40 {
		t.Errorf("%d examples", examples.Len())
	}
	if err := update.AddExamples(examples); err != nil {
		t.Fatal(err)
	}
	must[*Report](t)(update.Run(context.Background(), nil))
	must[*Report](t)(update.Commit())
}

func TestDevice(t *testing.T) {
	model, store := openBundle(t, sequenceBundle(t))
	teach(t, model, "de")
	own := filepath.Join(t.TempDir(), "own.safetensors")
	if err := model.Export(light, "de", 0, own, nil); err != nil {
		t.Fatal(err)
	}
	t.Run("exchange", func(t *testing.T) { testExchange(t, model, own) })
	t.Run("evaluate", func(t *testing.T) { testEvaluate(t, model) })
	t.Run("inspect", func(t *testing.T) { testInspect(t, store) })
	t.Run("wipe", func(t *testing.T) { testWipe(t, model, store, own) })
}

func testExchange(t *testing.T, model *Model, own string) {
	ctx := context.Background()
	within := "encoder"
	peft := filepath.Join(t.TempDir(), "peft")
	how := &ExportOptions{Format: FormatPEFT, Encoder: "encoder", Within: &within}
	if err := model.Export(light, "de", 1, peft, how); err != nil {
		t.Fatal(err)
	}
	options := must[ImportOptions](t)(DefaultImportOptions())
	if options.Activation != ActivateGated || options.GateConfidence <= 0.5 {
		t.Errorf("%+v", options)
	}
	options.Activation, options.HeadOnPooled = ActivateAlways, true
	options.Labels = []string{"off", "on"}
	imported := must[*Imported](t)(model.Import(ctx, light, "fr", peft, &options))
	if !imported.Activated || imported.Format != FormatPEFT || imported.Decision != nil {
		t.Errorf("%+v", imported)
	}
	gated := must[*Imported](t)(model.Import(ctx, light, "de", own, nil))
	if gated.Version != 2 || gated.Decision == nil || gated.Decision.Candidate != ImportedCandidate ||
		gated.Decision.Activated != gated.Activated {
		t.Errorf("%+v", gated)
	}
	if err := model.Export(light, "de", 0, own, nil); !errors.Is(err, CodeArgumentInvalid) {
		t.Errorf("overwriting gave %v", err)
	}
	if _, err := model.Import(ctx, light, "de", "/nowhere", nil); !errors.Is(err, CodeNotFound) {
		t.Errorf("%v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := model.Import(cancelled, light, "de", own, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	how.Encoder = "other"
	if err := model.Export(light, "de", 1, elsewhere, how); err != nil {
		t.Fatal(err)
	}
	other := "other"
	options.Activation, options.Encoder, options.Within = ActivateNever, &other, &within
	renamed := must[*Imported](t)(model.Import(ctx, light, "fr", elsewhere, &options))
	if len(renamed.Notes) != 1 || !strings.Contains(renamed.Notes[0], "other.*") {
		t.Errorf("%+v", renamed)
	}
	folder := t.TempDir()
	half := []WeightedAdapter{{own, 0.5}, {own, 0.5}}
	if err := CombineAdapters(half, filepath.Join(folder, "combined")); err != nil {
		t.Error(err)
	}
	if err := StackAdapters(own, own, filepath.Join(folder, "stacked")); err != nil {
		t.Error(err)
	}
	if err := CombineAdapters(nil, filepath.Join(folder, "no")); !errors.Is(err, CodeArgumentInvalid) {
		t.Errorf("%v", err)
	}
}

func testEvaluate(t *testing.T, model *Model) {
	ctx := context.Background()
	lines := `{"lang": "de", "text": "tree 1 up", "label": "on"}
		{"lang": "lb", "text": "tree 2 down", "label": "off"}`
	path := filepath.Join(t.TempDir(), "examples.jsonl")
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	examples := must[*Examples](t)(ReadExamples(path))
	calls := 0
	scores, mean, err := model.Evaluate(ctx, light, examples, func(step, count int) bool {
		calls++
		return step <= count && count == 2
	})
	if err != nil || len(scores) != 2 || calls == 0 {
		t.Fatalf("%+v, %v after %d calls", scores, err, calls)
	}
	if scores[1].Language != "lb" || scores[1].ServedBy != "de" || scores[1].ExamplesCount != 1 {
		t.Errorf("%+v", scores[1])
	}
	accuracy := (scores[0].Metrics["accuracy"] + scores[1].Metrics["accuracy"]) / 2
	if math.Abs(mean.Metrics["accuracy"]-accuracy) > 1e-9 || mean.ExamplesCount != 2 {
		t.Errorf("%+v", mean)
	}
	no := func(int, int) bool { return false }
	if _, _, err := model.Evaluate(ctx, light, examples, no); !errors.Is(err, CodeCancelled) {
		t.Errorf("%v", err)
	}
	func() {
		defer func() {
			if value := recover(); value != "mine" {
				t.Errorf("recovered %v", value)
			}
		}()
		_, _, _ = model.Evaluate(ctx, light, examples, func(int, int) bool { panic("mine") })
	}()
	// Nothing refers to the examples any more: the collector frees those of the library.
	examples = nil
	runtime.GC()
	if _, err := ParseExamples("{}"); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("%v", err)
	}
	if _, err := NewExamples([]LabelledExample{{"de", "", "on"}}); !errors.Is(err, CodeTaskEmptyText) {
		t.Errorf("%v", err)
	}
}

func testInspect(t *testing.T, store *Store) {
	chain := must[[]ChainStep](t)(store.Explain(light, "lb"))
	if len(chain) != 3 || chain[1].Kind != StepNearest || !chain[1].Serves ||
		chain[1].Language != "de" || *chain[1].Distance <= 0 || chain[2].Distance != nil {
		t.Errorf("%+v", chain)
	}
	statistics := must[*StoreStatistics](t)(store.Statistics())
	if len(statistics.Tasks) != 1 || statistics.Tasks[0].Task != light {
		t.Fatalf("%+v", statistics)
	}
	one := statistics.Tasks[0]
	if one.ExamplesCount != 40 || one.ReportsCount != 1 || len(one.Examples) != 1 ||
		one.VersionsCount != statistics.VersionsCount {
		t.Errorf("%+v", one)
	}
	if age := time.Since(one.Examples[0].Oldest); age < 0 || age > 48*time.Hour {
		t.Errorf("the oldest is %v old", age)
	}
	if checks := must[[]Check](t)(store.Verify()); len(checks) != 0 {
		t.Errorf("%+v", checks)
	}
	checks, allRight, err := Diagnose(&DiagnoseOptions{StorePath: "/nowhere/store"})
	if err != nil || allRight {
		t.Fatalf("%+v, %v", checks, err)
	}
	wrong := false
	for _, one := range checks {
		wrong = wrong || one.State == CheckWrong && one.Subject == "store" && one.Code == CodeNotFound
	}
	if !wrong {
		t.Errorf("%+v", checks)
	}
	if err := VerifyBundle("/nowhere/bundle"); err == nil {
		t.Error("a bundle that is not there is verified")
	}
}

func testWipe(t *testing.T, model *Model, store *Store, own string) {
	removed := must[[]StoredVersion](t)(store.RemoveVersions(light, "", 10))
	if len(removed) != 0 {
		t.Errorf("%+v", removed)
	}
	wiped := must[*Wiped](t)(store.Wipe(light, &WipeOptions{Language: "de", Label: "off"}))
	if wiped.Examples["de"] != 20 || len(wiped.Learnt) == 0 || wiped.Retired {
		t.Errorf("%+v", wiped)
	}
	old := must[*Wiped](t)(store.Wipe(light, &WipeOptions{AddedBefore: time.Unix(86400, 0)}))
	if len(old.Examples) != 0 || len(old.Learnt) != 0 {
		t.Errorf("%+v", old)
	}
	wiped = must[*Wiped](t)(store.Wipe(light, &WipeOptions{Retire: true}))
	if wiped.Examples["de"] != 20 || !wiped.Retired {
		t.Errorf("%+v", wiped)
	}
	left := must[[]StoredVersion](t)(store.Versions(light))
	for _, version := range left {
		// A translation by another library has another content; it was imported and stays.
		if version.Language != "fr" {
			t.Errorf("%+v is left", version)
		}
	}
	if _, err := store.RemoveVersions(light, "it", 0); !errors.Is(err, CodeStoreNoVersion) {
		t.Errorf("%v", err)
	}
	imported := must[*Imported](t)(model.Import(context.Background(), light, "mul", own, nil))
	if !imported.Activated || imported.Version < 2 {
		t.Errorf("%+v", imported)
	}
}

func TestLog(t *testing.T) {
	var heard atomic.Int64
	log := func(severity Severity, source, message string) {
		if severity > LogFatal || (source != "polygraft" && source != "onnxruntime") {
			t.Errorf("%v %q: %s", severity, source, message)
		}
		heard.Add(1)
		panic("dropped")
	}
	path := os.Getenv("ORT_DYLIB_PATH")
	options := &EngineOptions{ONNXRuntimePath: path, Log: log, LogFrom: LogInfo}
	engine := must[*Engine](t)(OpenEngine(options))
	store := must[*Store](t)(OpenStore(t.TempDir()))
	defer store.Close()
	bundle := sequenceBundle(t)
	model := must[*Model](t)(OpenModel(engine, bundle, store, nil))
	model.Close()
	if heard.Load() == 0 {
		t.Error("nothing is heard")
	}
	engine.Close()
	engine.Close()
	before := heard.Load()
	if _, err := OpenModel(engine, bundle, store, nil); !errors.Is(err, CodeArgumentInvalid) {
		t.Errorf("%v", err)
	}
	if heard.Load() != before {
		t.Error("a closed engine hears")
	}
}
