package polygraft

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

type tagged struct {
	Lang  string
	Words Words
	Tags  []string
	Label string
}

func (t tagged) text() string { return strings.Join(t.Words, " ") }

// sentences reads the first real sentences of a language that have a slot.
func sentences(t *testing.T, language string, count int) []tagged {
	t.Helper()
	bytes, err := os.ReadFile(cache(t, "data", "slots", "train", language+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var found []tagged
	for line := range strings.Lines(string(bytes)) {
		var one tagged
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		isSlot := func(tag string) bool { return strings.HasPrefix(tag, "B-") }
		if len(found) < count && slices.ContainsFunc(one.Tags, isSlot) {
			found = append(found, one)
		}
	}
	return found
}

// train makes a short update with real sentences in two languages and commits it.
func train(t *testing.T, model *Model, task string, add func(*Update, tagged) error) {
	t.Helper()
	options := must[UpdateOptions](t)(DefaultUpdateOptions())
	options.Seed, options.StepsMax, options.NewLabels, options.Gate = 7, 2, true, false
	update := must[*Update](t)(model.BeginUpdate(task, &options))
	defer update.Close()
	for _, language := range []string{"de", "en"} {
		for _, one := range sentences(t, language, 12) {
			if err := add(update, one); err != nil {
				t.Fatal(err)
			}
		}
	}
	must[*Report](t)(update.Run(context.Background(), nil))
	must[*Report](t)(update.Commit())
}

func TestPairsSetsAndNumbers(t *testing.T) {
	ctx := context.Background()
	model, _ := open(t)
	train(t, model, "same", func(update *Update, one tagged) error {
		label := "other"
		if one.Label == "HassTurnOn" {
			label = "same"
		}
		return update.AddLabel(one.Lang, Pair{one.text(), "mach das Licht an"}, label)
	})
	pair := Pair{"mach das Licht an", "schalte das Licht ein"}
	prediction := must[*Prediction](t)(model.PredictInput(ctx, "same", "de", pair, nil))
	if prediction.Kind != Classification || len(prediction.Labels) != 2 || !math.IsNaN(prediction.Number) {
		t.Errorf("%+v", prediction)
	}
	sum := prediction.Labels[0].Probability + prediction.Labels[1].Probability
	if math.Abs(float64(sum)-1) > 1e-4 {
		t.Errorf("probabilities sum to %v", sum)
	}
	_, err := model.PredictInput(ctx, "same", "de", Words{"Licht", "an"}, nil)
	if !errors.Is(err, CodeTaskKind) {
		t.Errorf("words for a task of pairs: %v", err)
	}

	train(t, model, "slot-kinds", func(update *Update, one tagged) error {
		var labels []string
		for _, tag := range one.Tags {
			if kind, begins := strings.CutPrefix(tag, "B-"); begins {
				labels = append(labels, kind)
			}
		}
		return update.AddLabels(one.Lang, Text(one.text()), labels)
	})
	predictions := must[[]Prediction](t)(model.PredictInputs(
		ctx, "slot-kinds", "de", []Input{Text("Licht an"), pair}, &PredictOptions{TopK: 1}))
	if len(predictions) != 2 || predictions[1].Kind != MultiLabel || len(predictions[1].Labels) != 1 {
		t.Errorf("%+v", predictions)
	}

	train(t, model, "length", func(update *Update, one tagged) error {
		return update.AddNumber(one.Lang, Text(one.text()), float64(len(one.Words)))
	})
	prediction = must[*Prediction](t)(model.Predict(ctx, "length", "de", "Licht an", 0))
	if prediction.Kind != Regression || !(prediction.Number > 0 && prediction.Number < 40) {
		t.Errorf("%+v", prediction)
	}
}

func TestIntentAndSlots(t *testing.T) {
	ctx := context.Background()
	model, _ := open(t)
	train(t, model, "slots", func(update *Update, one tagged) error {
		if one.Lang == "de" {
			refused(t, update)
		}
		return update.AddLabelAndTags(one.Lang, one.Words, one.Label, one.Tags)
	})
	one := sentences(t, "de", 1)[0]
	given := "  Küche: 打开 Licht än!  "
	predictions := must[[]Prediction](t)(model.PredictInputs(
		ctx, "slots", "de", []Input{one.Words, Text(given)}, nil))
	for index, input := range []string{one.text(), given} {
		prediction := predictions[index]
		if prediction.Kind != IntentAndSlots || len(prediction.Labels) == 0 {
			t.Errorf("%+v", prediction)
		}
		checkPlaces(t, input, prediction)
	}
	many := must[[]Prediction](t)(model.PredictMany(ctx, "slots", []LanguageInput{
		{"en", Text("light on")}, {"de", one.Words},
	}, &PredictOptions{TopK: 1}))
	if len(many) != 2 || many[0].Language != "en" || many[1].Labels[0].Name != predictions[0].Labels[0].Name {
		t.Errorf("%+v", many)
	}
	_, err := model.PredictMany(ctx, "slots", []LanguageInput{{"de", Text("an")}, {"de", nil}}, nil)
	if !errors.Is(err, CodeArgumentNull) {
		t.Errorf("an input that is nil: %v", err)
	}
	for index, word := range predictions[0].Words {
		if got := one.text()[word.ByteStart:word.ByteEnd]; got != one.Words[index] {
			t.Errorf("word %d is %q, expected %q", index, got, one.Words[index])
		}
	}
	if len(predictions[1].Words) != 7 {
		t.Errorf("%+v", predictions[1].Words)
	}
}

func TestSpansOfRawTexts(t *testing.T) {
	ctx := context.Background()
	model, _ := open(t)
	options := must[UpdateOptions](t)(DefaultUpdateOptions())
	options.Seed, options.Epochs, options.NewLabels, options.Gate = 7, 30, true, false
	options.LearningRate = 0.003
	update := must[*Update](t)(model.BeginUpdate("rooms", &options))
	defer update.Close()
	for _, room := range []string{"Küche", "Bad", "Flur", "Keller", "Garten", "Büro"} {
		text := "Licht im " + room + " an!"
		span := TextSpan{Kind: "room", ByteStart: 9, ByteEnd: 9 + len(room)}
		if err := update.AddSpans("de", text, "", []TextSpan{span}); err != nil {
			t.Fatal(err)
		}
	}
	both := []TextSpan{{"room", 0, 2}, {"room", 2, 4}}
	err := update.AddSpans("de", "Flurlicht", "", both)
	if !errors.Is(err, CodeArgumentInvalid) || !strings.Contains(err.Error(), "share the word") {
		t.Errorf("two spans in one word: %v", err)
	}
	for _, span := range []TextSpan{{"room", -1, 2}, {"room", 0, 99}, {"room", 1, 2}, {"", 0, 3}} {
		err := update.AddSpans("de", "öde Flure", "", []TextSpan{span})
		if !errors.Is(err, CodeArgumentInvalid) {
			t.Errorf("%+v: %v", span, err)
		}
	}
	must[*Report](t)(update.Run(ctx, nil))
	must[*Report](t)(update.Commit())
	text := "Licht im Saal an!"
	prediction := must[*Prediction](t)(model.Predict(ctx, "rooms", "de", text, 0))
	checkPlaces(t, text, *prediction)
	if len(prediction.Spans) != 1 || text[prediction.Spans[0].ByteStart:prediction.Spans[0].ByteEnd] != "Saal" {
		t.Errorf("%+v", prediction)
	}
}

// refused adds what does not fit together.
func refused(t *testing.T, update *Update) {
	t.Helper()
	words := Words{"im", "alten", "Bad"}
	err := update.AddLabelAndTags("de", words, "x", []string{"O", "I-area", "O"})
	if !errors.Is(err, CodeArgumentInvalid) || !strings.Contains(err.Error(), "tag 2") {
		t.Errorf("broken tags: %v", err)
	}
	if err := update.AddTags("de", words, []string{"O"}); !errors.Is(err, CodeArgumentInvalid) {
		t.Errorf("too few tags: %v", err)
	}
	if err := update.AddTags("de", Words{}, nil); !errors.Is(err, CodeTaskEmptyText) {
		t.Errorf("no words: %v", err)
	}
	if err := update.AddLabel("de", nil, "x"); !errors.Is(err, CodeArgumentNull) {
		t.Errorf("no input: %v", err)
	}
	if err := update.AddLabel("de", Text("a\x00b"), "x"); !errors.Is(err, CodeArgumentInvalid) {
		t.Errorf("NUL in a text: %v", err)
	}
	if err := update.AddNumber("de", Text("x"), math.NaN()); !errors.Is(err, CodeArgumentInvalid) {
		t.Errorf("not a number: %v", err)
	}
}

// checkPlaces counts bytes and runes of words and spans once more.
func checkPlaces(t *testing.T, input string, prediction Prediction) {
	t.Helper()
	check := func(place Place) {
		before, inside := input[:place.ByteStart], input[place.ByteStart:place.ByteEnd]
		start := utf8.RuneCountInString(before)
		if place.RuneStart != start || place.RuneEnd != start+utf8.RuneCountInString(inside) {
			t.Errorf("%+v of %q", place, input)
		}
		if strings.TrimSpace(inside) != inside || inside == "" {
			t.Errorf("a word is %q", inside)
		}
	}
	begun := 0
	for _, word := range prediction.Words {
		check(word.Place)
		if strings.HasPrefix(word.Tag, "B-") {
			begun++
		}
	}
	if begun != len(prediction.Spans) {
		t.Errorf("%d spans of %+v", len(prediction.Spans), prediction.Words)
	}
	for _, span := range prediction.Spans {
		check(span.Place)
		first, last := prediction.Words[span.WordFirst], prediction.Words[span.WordLast]
		if first.Tag != "B-"+span.Kind || first.ByteStart != span.ByteStart ||
			last.ByteEnd != span.ByteEnd {
			t.Errorf("%+v", span)
		}
	}
}

func TestEmbed(t *testing.T) {
	model, _ := open(t)
	texts := []string{"mach das Licht an", "turn on the light", "wie wird das Wetter?"}
	vectors := must[[][]float32](t)(model.Embed("", "", texts, true))
	product := func(left, right []float32) (sum float64) {
		for index := range left {
			sum += float64(left[index]) * float64(right[index])
		}
		return sum
	}
	if len(vectors) != 3 || math.Abs(product(vectors[2], vectors[2])-1) > 1e-4 {
		t.Fatalf("%d vectors", len(vectors))
	}
	if product(vectors[0], vectors[1]) <= product(vectors[0], vectors[2]) {
		t.Error("a translation is farther than another question")
	}
	if _, err := model.Embed("nothing", "de", texts, true); !errors.Is(err, CodeStoreNoVersion) {
		t.Errorf("%v", err)
	}
	if none := must[[][]float32](t)(model.Embed("", "", nil, false)); len(none) != 0 {
		t.Errorf("%v", none)
	}
}
