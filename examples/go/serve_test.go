package examples

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// service is the program serve in a process of its own.
type service struct {
	t       *testing.T
	command *exec.Cmd
	url     string
}

func serve(t *testing.T) *service {
	t.Helper()
	store := filepath.Join(t.TempDir(), "store")
	command := exec.Command(filepath.Join(programs(t), "serve"),
		"-address", "localhost:0", "-steps-max", "4", bundle(t), store)
	errors, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	line, err := bufio.NewReader(errors).ReadString('\n')
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	address, found := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !found {
		t.Fatalf("it said %q", line)
	}
	return &service{t, command, "http://" + address}
}

// post sends a body and expects a status; it returns the answer.
func (s *service) post(path, body string, status int) string {
	s.t.Helper()
	response, err := http.Post(s.url+path, "application/json", strings.NewReader(body))
	return s.read(response, err, status)
}

func (s *service) get(path string) string {
	s.t.Helper()
	response, err := http.Get(s.url + path)
	return s.read(response, err, http.StatusOK)
}

func (s *service) read(response *http.Response, err error, status int) string {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status {
		s.t.Fatalf("%s: expected status %d, found %d: %s %v",
			response.Request.URL, status, response.StatusCode, body, err)
	}
	return string(body)
}

// learn sends feedback, updates, and asks the question until the update has ended; it returns the
// versions that answered.
func (s *service) learn(feedback, question string) map[uint32]bool {
	s.t.Helper()
	s.post("/feedback", feedback, http.StatusAccepted)
	s.post("/update", "", http.StatusAccepted)
	versions := map[uint32]bool{}
	for start := time.Now(); time.Since(start) < 5*time.Minute; {
		var state struct {
			Running bool
			Error   string
		}
		if err := json.Unmarshal([]byte(s.get("/update")), &state); err != nil || state.Error != "" {
			s.t.Fatal(state.Error, err)
		}
		if !state.Running {
			return versions
		}
		var found struct{ Version uint32 }
		if err := json.Unmarshal([]byte(s.post("/predict", question, http.StatusOK)), &found); err != nil {
			s.t.Fatal(err)
		}
		versions[found.Version] = true
	}
	s.t.Fatal("the update does not end")
	return nil
}

func TestAServiceAnswersWhileItLearns(t *testing.T) {
	service, question := serve(t), `{"lang": "de", "text": "Licht an"}`
	feedback, err := os.ReadFile(light)
	if err != nil {
		t.Fatal(err)
	}
	service.get("/healthz")
	service.post("/update", "", http.StatusBadRequest)
	service.post("/feedback", "not an example", http.StatusBadRequest)
	service.post("/predict", "not a question", http.StatusBadRequest)
	service.post("/predict", question, http.StatusServiceUnavailable)

	service.post("/feedback", string(feedback), http.StatusAccepted)
	service.post("/update", "", http.StatusAccepted)
	service.post("/update", "", http.StatusConflict)
	for strings.Contains(service.get("/update"), `"running":true`) {
		time.Sleep(50 * time.Millisecond)
	}
	service.post("/predict", question, http.StatusOK)

	versions := service.learn(string(feedback), question)
	if !versions[1] {
		t.Errorf("versions %v answered while it learnt", versions)
	}
	metrics := service.get("/metrics")
	for _, expected := range []string{
		"polygraft_updates_total 2", "polygraft_update_running 0", "polygraft_prediction_errors_total 2",
		fmt.Sprintf("polygraft_prediction_seconds_bucket{le=%q}", "+Inf"),
	} {
		if !strings.Contains(metrics, expected) {
			t.Errorf("expected %s in %s", expected, metrics)
		}
	}
	if err := service.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := service.command.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
