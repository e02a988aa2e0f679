package polygraft

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sequenceBundle makes a bundle of a small model with a decoder; its weights are random.
func sequenceBundle(t *testing.T) string {
	t.Helper()
	command := os.Getenv("POLYGRAFT_COMMAND")
	if command == "" {
		t.Fatal("POLYGRAFT_COMMAND names no polygraft command: run test.sh")
	}
	model := filepath.Join("..", "..", "tests", "fixtures", "sequence", "mt5")
	folder := filepath.Join(t.TempDir(), "bundle")
	output, err := exec.Command(
		command, "bundle", "create", "--onnx", model, "--out", folder).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return folder
}

func TestTexts(t *testing.T) {
	ctx := context.Background()
	model, _ := openBundle(t, sequenceBundle(t))
	options := must[UpdateOptions](t)(DefaultUpdateOptions())
	options.Seed, options.StepsMax, options.Gate, options.LabelSmoothing = 7, 2, false, 0.1
	options.LoRATargets = []string{"q", "v"}
	update := must[*Update](t)(model.BeginUpdate("plural", &options))
	for number := range 16 {
		text, target := fmt.Sprintf("one tree %d", number), fmt.Sprintf("%d trees", number)
		if err := update.AddText("en", text, target); err != nil {
			t.Fatal(err)
		}
	}
	must[*Report](t)(update.Run(ctx, nil))
	must[*Report](t)(update.Commit())

	generate := must[GenerateOptions](t)(DefaultGenerateOptions())
	generate.MaxNewTokens = 12
	how := &PredictOptions{Generate: &generate}
	whole := must[*Prediction](t)(model.PredictInput(ctx, "plural", "en", Text("one tree 3"), how))
	if whole.Kind != SequenceToSequence || whole.Text == "" || whole.TokensCount > 12 ||
		!(whole.LogProbability <= 0) || !math.IsNaN(whole.Number) {
		t.Errorf("%+v", whole)
	}

	var chunks []string
	streamed := must[*Prediction](t)(
		model.Generate(ctx, "plural", "en", "one tree 3", how, func(chunk string) bool {
			chunks = append(chunks, chunk)
			return true
		}))
	if streamed.Text != whole.Text || strings.Join(chunks, "") != whole.Text || len(chunks) < 2 {
		t.Errorf("%q in chunks %q, expected %q", streamed.Text, chunks, whole.Text)
	}
	first := must[*Prediction](t)(
		model.Generate(ctx, "plural", "en", "one tree 3", how, func(string) bool { return false }))
	if first.FinishReason != FinishedAtStop || !strings.HasPrefix(whole.Text, first.Text) {
		t.Errorf("%+v", first)
	}

	stopping := generate
	stopping.StopStrings = []string{chunks[len(chunks)-1]}
	stopped := must[*Prediction](t)(
		model.PredictInput(ctx, "plural", "en", Text("one tree 3"), &PredictOptions{Generate: &stopping}))
	if stopped.FinishReason != FinishedAtStop || strings.Contains(stopped.Text, stopping.StopStrings[0]) {
		t.Errorf("%+v", stopped)
	}

	cancelled, cancel := context.WithCancel(ctx)
	ended := must[*Prediction](t)(
		model.Generate(cancelled, "plural", "en", "one tree 3", how, func(string) bool {
			cancel()
			return true
		}))
	if ended.FinishReason == FinishedAtStop || !strings.HasPrefix(whole.Text, ended.Text) {
		t.Errorf("%+v", ended)
	}

	generate.NumBeams = 0
	_, err := model.PredictInput(ctx, "plural", "en", Text("one"), how)
	if !errors.Is(err, CodeArgumentInvalid) {
		t.Errorf("no beams: %v", err)
	}
	func() {
		defer func() {
			if value := recover(); value != "defect" {
				t.Errorf("recovered %v", value)
			}
		}()
		model.Generate(ctx, "plural", "en", "one", nil, func(string) bool { panic("defect") })
	}()
}
