// Load asks the service of examples/go/serve, or of examples/cpp/serve, at a steady rate: first
// while nothing else happens, then while an update runs. It prints how long the answers took.
//
//	load [-rate N] [-seconds N] [-updates N] URL FEEDBACK
//
// FEEDBACK is a file of examples in JSON Lines. The service learns them before anything is measured,
// and again in each update; their texts are the questions. The time of an answer counts from the
// moment at which it should have been asked, so that a service that stalls does not look faster. A
// failed answer is counted, and ends the program with status 1.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	rate := flag.Float64("rate", 20, "questions a second")
	seconds := flag.Float64("seconds", 20, "how long to ask without an update")
	updates := flag.Int("updates", 1, "how many updates to run, one after the other")
	flag.Parse()
	if flag.NArg() != 2 || *rate <= 0 {
		fmt.Fprintln(os.Stderr, "usage: load [-rate N] [-seconds N] [-updates N] URL FEEDBACK")
		os.Exit(2)
	}
	failed, err := run(flag.Arg(0), flag.Arg(1), *rate, *seconds, *updates)
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d answers failed", failed)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(url, path string, rate, seconds float64, updates int) (int, error) {
	feedback, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	asked, err := questions(string(feedback))
	if err != nil {
		return 0, err
	}
	service := &service{url: url, client: client()}
	if err := service.learn(string(feedback), 1); err != nil {
		return 0, err
	}
	load := &load{service: service, questions: asked, pause: time.Duration(float64(time.Second) / rate)}
	fmt.Printf("%-18s%8s%8s%9s%9s%9s\n", "", "answers", "failed", "p50 ms", "p99 ms", "max ms")
	quiet := load.during(func() error {
		time.Sleep(time.Duration(seconds * float64(time.Second)))
		return nil
	})
	quiet.print("without an update")
	busy := load.during(func() error { return service.learn(string(feedback), updates) })
	busy.print("with an update")
	fmt.Printf("%d updates in %.1f s; the versions %v answered meanwhile\n",
		updates, busy.took.Seconds(), busy.versions)
	if busy.err != nil {
		return 0, busy.err
	}
	return quiet.failed + busy.failed, nil
}

// questions makes a question of each example.
func questions(lines string) ([]string, error) {
	var questions []string
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		var example struct {
			Lang string `json:"lang"`
			Text string `json:"text"`
		}
		if err := json.Unmarshal([]byte(line), &example); err != nil {
			return nil, fmt.Errorf("expected an example, found %s: %w", line, err)
		}
		question, err := json.Marshal(example)
		if err != nil {
			return nil, err
		}
		questions = append(questions, string(question))
	}
	return questions, nil
}

func client() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 16
	return &http.Client{Transport: transport, Timeout: time.Minute}
}
