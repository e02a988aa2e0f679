package polygraft

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const task = "intent"

// cache gives a file below the cache folder of the repository, which set-up fills.
func cache(t *testing.T, parts ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{"..", "..", ".cache"}, parts...)...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run `make bundle` in the repository's root", err)
	}
	return path
}

type labelled struct{ Lang, Text, Label string }

// examples reads real examples of two intents, count of each.
func examples(t *testing.T, language string, count int) []labelled {
	t.Helper()
	bytes, err := os.ReadFile(cache(t, "data", "intents", "train", language+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]int{"HassTurnOn": count, "HassCancelTimer": count}
	var found []labelled
	for line := range strings.Lines(string(bytes)) {
		var one labelled
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		if left[one.Label] > 0 {
			left[one.Label]--
			found = append(found, one)
		}
	}
	return found
}

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// open opens the reference bundle with an empty store.
func open(t *testing.T) (*Model, *Store) {
	t.Helper()
	return openBundle(t, cache(t, "bundle", "e5-small"))
}

func openBundle(t *testing.T, bundle string) (*Model, *Store) {
	t.Helper()
	path := os.Getenv("ORT_DYLIB_PATH")
	if path == "" {
		path = cache(t, "onnxruntime", "libonnxruntime.so")
	}
	engine := must[*Engine](t)(OpenEngine(&EngineOptions{ONNXRuntimePath: path}))
	t.Cleanup(func() { engine.Close() })
	if !strings.HasPrefix(engine.ONNXRuntimeVersion(), "1.") {
		t.Errorf("ONNX Runtime %q", engine.ONNXRuntimeVersion())
	}
	store := must[*Store](t)(OpenStore(t.TempDir()))
	t.Cleanup(func() { store.Close() })
	model := must[*Model](t)(OpenModel(engine, bundle, store, nil))
	t.Cleanup(func() { model.Close() })
	return model, store
}

// begin begins a short update with examples in two languages.
func begin(t *testing.T, model *Model, seed uint64) *Update {
	t.Helper()
	options := must[UpdateOptions](t)(DefaultUpdateOptions())
	options.Seed, options.StepsMax, options.NewLabels, options.Gate = seed, 3, true, false
	update := must[*Update](t)(model.BeginUpdate(task, &options))
	t.Cleanup(func() { update.Close() })
	for _, language := range []string{"de", "en"} {
		for _, one := range examples(t, language, 16) {
			if err := update.Add(one.Lang, one.Text, one.Label); err != nil {
				t.Fatal(err)
			}
		}
	}
	return update
}

func TestVersions(t *testing.T) {
	if !strings.Contains(BuildInfo(), Version()) || Version() == "" {
		t.Errorf("BuildInfo is %q, Version %q", BuildInfo(), Version())
	}
}

func TestErrorsAreTyped(t *testing.T) {
	_, err := OpenEngine(&EngineOptions{ONNXRuntimePath: "/nowhere/libonnxruntime.so"})
	var failure *Error
	if !errors.As(err, &failure) || !errors.Is(err, CodeRuntimeNotFound) {
		t.Fatalf("%#v", err)
	}
	if name := CodeStoreNoVersion.Error(); name != "store.no_version" {
		t.Error(name)
	}
	if failure.Name() != "runtime.not_found" || len(failure.Causes) == 0 {
		t.Errorf("%#v", failure)
	}
	if errors.Is(err, CodeCancelled) {
		t.Error("it is no cancellation")
	}
	if _, err := OpenStore("a\x00b"); !errors.Is(err, CodeArgumentInvalid) {
		t.Errorf("NUL in a path: %v", err)
	}
}

func TestPathsAreBytes(t *testing.T) {
	name := "d\xe9p\xf4t"
	store, err := OpenStore(filepath.Join(t.TempDir(), name))
	if err != nil {
		t.Fatalf("no UTF-8 in a path: %v", err)
	}
	if _, err := store.Versions(name); !errors.Is(err, CodeArgumentUTF8) {
		t.Errorf("no UTF-8 in a task: %v", err)
	}
	if _, err := store.Versions("a/b"); !errors.Is(err, CodeTaskName) {
		t.Errorf("no name of a task: %v", err)
	}
	store.Close()
}

func TestStoreOfNothing(t *testing.T) {
	store := must[*Store](t)(OpenStore(t.TempDir()))
	if versions := must[[]StoredVersion](t)(store.Versions("")); len(versions) != 0 {
		t.Errorf("%v", versions)
	}
	if err := store.Activate(task, map[string]uint32{"de": 1}); !errors.Is(err, CodeStoreNoVersion) {
		t.Errorf("%v", err)
	}
	err := store.Activate(task, map[string]uint32{"no tag": 1})
	if !errors.Is(err, CodeLanguageMalformed) {
		t.Errorf("%v", err)
	}
	err = store.Activate(task, map[string]uint32{"German": 1})
	if !errors.Is(err, CodeLanguageUnknown) || !strings.Contains(err.Error(), `did you mean "de"`) {
		t.Errorf("%v", err)
	}
	store.Close()
	store.Close()
	if _, err := store.Versions(""); !errors.Is(err, CodeArgumentInvalid) {
		t.Errorf("a closed store: %v", err)
	}
}

func TestWholeLoop(t *testing.T) {
	ctx := context.Background()
	model, store := open(t)
	if _, err := model.Predict(ctx, task, "de", "Licht an", 0); !errors.Is(err, CodeStoreNoVersion) {
		t.Fatalf("before any update: %v", err)
	}

	update := begin(t, model, 1)
	var phases []Phase
	planned := must[*Report](t)(update.Run(ctx, func(progress Progress) bool {
		if !slices.Contains(phases, progress.Phase) {
			phases = append(phases, progress.Phase)
		}
		if progress.Phase == Train && progress.Step > 0 && math.IsNaN(progress.Loss) {
			t.Errorf("training without a loss: %+v", progress)
		}
		return true
	}))
	if !slices.Contains(phases, Train) || !slices.Contains(phases, MeasureAfter) {
		t.Errorf("phases were %v", phases)
	}
	if planned.Task != task || len(planned.Languages) < 3 {
		t.Errorf("%+v", planned)
	}
	options := must[UpdateOptions](t)(DefaultUpdateOptions())
	options.GateConfidence = 0.999
	if judged := must[*Report](t)(update.Judge(&options)); judged.Gate == planned.Gate {
		t.Errorf("judged again by %q", judged.Gate)
	}
	options.Gate = false
	must[*Report](t)(update.Judge(&options))
	var again []Phase
	must[*Report](t)(update.MeasureAgain(ctx, func(progress Progress) bool {
		again = append(again, progress.Phase)
		return true
	}))
	if slices.Contains(again, Train) || !slices.Contains(again, MeasureAfter) {
		t.Errorf("measuring again went through %v", again)
	}
	if err := store.DiscardCheckpoint(task); err != nil {
		t.Error(err)
	}
	committed := must[*Report](t)(update.Commit())
	for _, entry := range committed.Languages {
		if !entry.Activated || entry.Version != 1 {
			t.Errorf("%+v", entry)
		}
	}

	update = begin(t, model, 2)
	must[*Report](t)(update.Run(ctx, nil))
	must[*Report](t)(update.Commit())
	reports, page, err := store.Reports(task)
	if err != nil || len(reports) != 2 || !strings.Contains(page, "2 updates of the task") {
		t.Errorf("%d reports, a page of %d bytes, %v", len(reports), len(page), err)
	}
	if len(reports) == 2 && len(reports[0].Languages) != len(committed.Languages) {
		t.Errorf("%+v", reports[0])
	}
	prediction := must[*Prediction](t)(model.Predict(ctx, task, "de-AT", "Licht an", 1))
	if prediction.Language != "de" || prediction.Version != 2 || len(prediction.Labels) != 1 {
		t.Errorf("%+v", prediction)
	}
	if number := must[uint32](t)(store.RollBack(task, "de")); number != 1 {
		t.Errorf("rolled back to %d", number)
	}
	batch := must[[]Prediction](t)(
		model.PredictBatch(ctx, task, "de", []string{"Licht an", "Timer abbrechen"}, 0))
	if len(batch) != 2 || batch[0].Version != 1 || len(batch[1].Labels) != 2 {
		t.Errorf("%+v", batch)
	}
	if err := store.Activate(task, map[string]uint32{"de": 2, "en": 1}); err != nil {
		t.Error(err)
	}
	active := map[string]uint32{}
	for _, version := range must[[]StoredVersion](t)(store.Versions(task)) {
		if version.Active {
			active[version.Language] = version.Number
		}
		if len(version.Hash) != 64 || time.Since(version.Created) > time.Hour {
			t.Errorf("%+v", version)
		}
	}
	if active["de"] != 2 || active["en"] != 1 || active["mul"] != 2 {
		t.Errorf("%v", active)
	}
	must[uint32](t)(store.Pin(task, "de"))
	if _, err := store.RollBack(task, "de"); !errors.Is(err, CodeStorePinned) {
		t.Errorf("%v", err)
	}
	if err := store.Unpin(task, "de"); err != nil {
		t.Error(err)
	}
}

func TestCancellation(t *testing.T) {
	model, store := open(t)
	update := begin(t, model, 1)
	_, err := update.Run(context.Background(), func(Progress) bool { return false })
	if !errors.Is(err, CodeCancelled) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	_, err = update.Run(ctx, func(progress Progress) bool { cancel(); return true })
	if !errors.Is(err, CodeCancelled) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	func() {
		defer func() {
			if value := recover(); value != "defect" {
				t.Errorf("recovered %v", value)
			}
		}()
		update.Run(context.Background(), func(Progress) bool { panic("defect") })
	}()
	if _, err := update.Commit(); !errors.Is(err, CodeUpdateState) {
		t.Errorf("commit without a run: %v", err)
	}
	if versions := must[[]StoredVersion](t)(store.Versions("")); len(versions) != 0 {
		t.Errorf("a cancelled update left %v", versions)
	}
}

func TestCloseWhilePredicting(t *testing.T) {
	ctx := context.Background()
	model, _ := open(t)
	update := begin(t, model, 1)
	must[*Report](t)(update.Run(ctx, nil))
	must[*Report](t)(update.Commit())
	var group sync.WaitGroup
	predicted := make(chan struct{}, 1024)
	for range 4 {
		group.Add(1)
		go func() {
			defer group.Done()
			for {
				_, err := model.Predict(ctx, task, "en", "turn on the light", 1)
				if errors.Is(err, CodeArgumentInvalid) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				predicted <- struct{}{}
			}
		}()
	}
	for range 16 {
		<-predicted
	}
	model.Close()
	group.Wait()
}
