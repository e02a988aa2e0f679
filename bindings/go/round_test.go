package polygraft

import (
	"context"
	"errors"
	"testing"
)

func TestARoundGoesAround(t *testing.T) {
	bundle := sequenceBundle(t)
	server, serverStore := openBundle(t, bundle)
	teach(t, server, "de")
	training := map[string]any{"steps_max": 3}
	asked := map[string]any{"languages": []string{"de", "tr"}, "training": training}
	message := must[*Round](t)(server.RoundAsk(light, asked))
	// The server is one of the devices.
	ctx := context.Background()
	reply := must[*Round](t)(server.RoundReply(ctx, message.Data, nil, nil))
	again := must[*Round](t)(ReadRound(reply.Data))
	if string(again.Data) != string(reply.Data) || string(again.About) != string(reply.About) {
		t.Error("a reply is not read as it was written")
	}
	replies := [][]byte{reply.Data, nil, []byte("nonsense")}
	aggregate := must[*Round](t)(serverStore.RoundAverage(message.Data, replies, nil))
	applied := must[[]Applied](t)(server.RoundApply(aggregate.Data, map[string]any{"gate_margin": 0.9}))
	if len(applied) != 1 || applied[0].Language != "de" || applied[0].Version == 0 {
		t.Errorf("%+v", applied)
	}
	if _, err := ReadRound([]byte("nonsense")); !errors.Is(err, CodeRoundMalformed) {
		t.Error(err)
	}
	if _, err := server.RoundAsk(light, nil); !errors.Is(err, CodeArgumentInvalid) {
		t.Error(err)
	}
	examples := must[*Examples](t)(NewExamples([]LabelledExample{{"de", "tree", "blink"}}))
	_, err := server.RoundReply(ctx, message.Data, examples, nil)
	if !errors.Is(err, CodeTaskUnknownLabel) {
		t.Error(err)
	}
	ended, end := context.WithCancel(ctx)
	end()
	if _, err := server.RoundReply(ended, message.Data, nil, nil); !errors.Is(err, CodeCancelled) {
		t.Error(err)
	}
}
