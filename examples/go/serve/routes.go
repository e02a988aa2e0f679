package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	polygraft "github.com/polygraft/polygraft/bindings/go"
)

// The task that the service answers and learns.
const task = "light"

// The largest body of a request.
const bodyBytesMax = 1 << 20

type question struct {
	Lang string `json:"lang"`
	Text string `json:"text"`
}

type answer struct {
	Label       string  `json:"label"`
	Probability float64 `json:"probability"`
	Language    string  `json:"language"`
	Version     uint32  `json:"version"`
}

func routes(model *polygraft.Model, learner *learner) http.Handler {
	metrics := &metrics{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /predict", func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		found, err := predict(model, r)
		metrics.answered(time.Since(start), err)
		reply(w, http.StatusOK, found, err)
	})
	mux.HandleFunc("POST /feedback", func(w http.ResponseWriter, r *http.Request) {
		lines, err := io.ReadAll(io.LimitReader(r.Body, bodyBytesMax))
		if err == nil {
			err = learner.remember(string(lines))
		}
		reply(w, http.StatusAccepted, learner.state(), err)
	})
	mux.HandleFunc("POST /update", func(w http.ResponseWriter, _ *http.Request) {
		err := learner.start()
		reply(w, http.StatusAccepted, learner.state(), err)
	})
	mux.HandleFunc("GET /update", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, learner.state(), nil)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		metrics.write(w, learner.state())
	})
	return mux
}

// predict answers a question. The request's context ends the prediction when its client is gone.
func predict(model *polygraft.Model, r *http.Request) (*answer, error) {
	var asked question
	if err := json.NewDecoder(io.LimitReader(r.Body, bodyBytesMax)).Decode(&asked); err != nil {
		return nil, malformed{err}
	}
	prediction, err := model.Predict(r.Context(), task, asked.Lang, asked.Text, 1)
	if err != nil {
		return nil, err
	}
	best := prediction.Labels[0]
	return &answer{best.Name, float64(best.Probability), prediction.Language, prediction.Version}, nil
}

// malformed is an error of what a client sent.
type malformed struct{ error }

// reply writes a value as JSON, or an error with the status that belongs to it.
func reply(w http.ResponseWriter, status int, value any, err error) {
	if err != nil {
		status, value = statusOf(err), map[string]string{"error": err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // the client may be gone
}

func statusOf(err error) int {
	var (
		sent    malformed
		failure *polygraft.Error
	)
	switch {
	case errors.Is(err, errRunning):
		return http.StatusConflict
	case errors.Is(err, polygraft.CodeStoreNoVersion):
		return http.StatusServiceUnavailable // nothing has been learnt yet
	case errors.As(err, &sent), errors.Is(err, errNothing):
		return http.StatusBadRequest
	case errors.As(err, &failure) && failure.Code != polygraft.CodeInternal:
		return http.StatusBadRequest
	default:
		return http.StatusInternalServerError
	}
}
