// Device takes part in rounds of a fleet through the gateway of examples/fleet, over HTTP.
//
//	device [-task intent] [-rounds 1] [-base FILE] BUNDLE STORE EXAMPLES URL
//
// In each round it answers one message, waits for the aggregate that the server makes of all
// replies, and lets its own gate decide about it. BASE is the adapter that the product ships with;
// it is installed if the store is empty. Ctrl-C ends it.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"time"

	polygraft "github.com/polygraft/polygraft/bindings/go"
	"github.com/polygraft/polygraft/examples/go/opened"
)

const (
	// The largest answer that is taken from the gateway.
	bytesMax = 256 << 20
	// How long the device waits for the gateway.
	patience = 4 * time.Minute
)

func main() {
	task := flag.String("task", "intent", "the task of the rounds")
	rounds := flag.Int("rounds", 1, "how many rounds to take part in")
	base := flag.String("base", "", "the adapter to install in an empty store")
	flag.Parse()
	if flag.NArg() != 4 {
		fmt.Fprintln(os.Stderr, "usage: device [FLAGS] BUNDLE STORE EXAMPLES URL")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *task, *rounds, *base, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, task string, rounds int, base string, arguments []string) error {
	all, err := opened.Open(arguments[0], arguments[1])
	if err != nil {
		return err
	}
	defer all.Close()
	if base != "" {
		if err := install(ctx, all, task, base); err != nil {
			return err
		}
	}
	examples, err := polygraft.ReadExamples(arguments[2])
	if err != nil {
		return err
	}
	gateway := gateway(arguments[3])
	var last []byte
	for range rounds {
		if err := answer(ctx, all.Model, gateway, examples); err != nil {
			return err
		}
		// They are remembered from here on.
		examples = nil
		if last, err = apply(ctx, all.Model, gateway, last); err != nil {
			return err
		}
	}
	return nil
}

// install publishes the adapter that the product ships with, unless the store has versions.
func install(ctx context.Context, all *opened.All, task, base string) error {
	versions, err := all.Store.Versions(task)
	if err != nil || len(versions) > 0 {
		return err
	}
	_, err = all.Model.Import(ctx, task, "mul", base, nil)
	return err
}

// answer waits for a message, trains, and sends the reply. Nothing becomes active.
func answer(
	ctx context.Context, model *polygraft.Model, gateway gateway, examples *polygraft.Examples,
) error {
	message, err := gateway.wait(ctx, "/message", nil)
	if err != nil {
		return err
	}
	// A message may ask for noise, which must not be foreseen.
	seed := make([]byte, 32)
	if _, err := rand.Read(seed); err != nil {
		return err
	}
	options := map[string]any{"threads": 1, "noise_seed": hex.EncodeToString(seed)}
	reply, err := model.RoundReply(ctx, message, examples, options)
	if err != nil {
		return err
	}
	fmt.Printf("answers %s\n", reply.About)
	return gateway.post(ctx, "/reply", reply.Data)
}

// apply waits for an aggregate that is not the last one. The gate of this device decides about it.
func apply(
	ctx context.Context, model *polygraft.Model, gateway gateway, last []byte,
) ([]byte, error) {
	aggregate, err := gateway.wait(ctx, "/aggregate", last)
	if err != nil {
		return nil, err
	}
	applied, err := model.RoundApply(aggregate, map[string]any{"gate_margin": 0.02})
	for _, one := range applied {
		fmt.Printf("%s version %d active %t\n", one.Language, one.Version, one.Activated)
	}
	return aggregate, err
}

// gateway is the address of the gateway.
type gateway string

// wait asks each second until there is something other than last.
func (g gateway) wait(ctx context.Context, path string, last []byte) ([]byte, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for {
		data, err := g.ask(ctx, http.MethodGet, path, nil)
		if err != nil {
			return nil, err
		}
		if len(data) > 0 && !bytes.Equal(data, last) {
			return data, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: waiting ended: %w", path, ctx.Err())
		case <-time.After(time.Second):
		}
	}
}

func (g gateway) post(ctx context.Context, path string, data []byte) error {
	_, err := g.ask(ctx, http.MethodPost, path, data)
	return err
}

// ask returns the bytes of the answer; none if the gateway has nothing.
func (g gateway) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, string(g)+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusNoContent {
		return nil, fmt.Errorf("%s %s: %s", method, path, response.Status)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, bytesMax+1))
	if err == nil && len(data) > bytesMax {
		err = errors.New("the answer of the gateway is too large")
	}
	return data, err
}
