package examples

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/polygraft/polygraft/examples/go/opened"
)

// server is what stands behind a gateway: it asks once, and averages the reply that comes.
type server struct {
	t       *testing.T
	all     *opened.All
	message []byte

	mutex     sync.Mutex
	aggregate []byte
}

func (s *server) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	data := map[string][]byte{"/message": s.message, "/aggregate": s.aggregate}[request.URL.Path]
	switch {
	case request.Method == http.MethodPost && request.URL.Path == "/reply":
		reply, err := io.ReadAll(request.Body)
		if err != nil {
			s.t.Error(err)
		}
		average, err := s.all.Store.RoundAverage(s.message, [][]byte{reply}, nil)
		if err != nil {
			s.t.Error(err)
			http.Error(writer, err.Error(), http.StatusBadRequest)
			return
		}
		s.aggregate = average.Data
		writer.WriteHeader(http.StatusNoContent)
	case data == nil:
		writer.WriteHeader(http.StatusNoContent)
	default:
		_, _ = writer.Write(data)
	}
}

func TestADeviceTakesPartInARound(t *testing.T) {
	folder, store, b := programs(t), filepath.Join(t.TempDir(), "server"), bundle(t)
	adapter := filepath.Join(t.TempDir(), "base.adapter")
	for _, arguments := range [][]string{
		{"update", "-steps-max", "3", b, store, light},
		{"ship", b, store, "export", "mul", adapter},
	} {
		command := exec.Command(filepath.Join(folder, arguments[0]), arguments[1:]...)
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
	}
	all, err := opened.Open(b, store)
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	asked := map[string]any{"languages": []string{"de"}, "training": map[string]any{"steps_max": 2}}
	message, err := all.Model.RoundAsk("light", asked)
	if err != nil {
		t.Fatal(err)
	}
	gateway := httptest.NewServer(&server{t: t, all: all, message: message.Data})
	defer gateway.Close()

	device := exec.Command(filepath.Join(folder, "device"), "-task", "light", "-base", adapter,
		b, filepath.Join(t.TempDir(), "device"), light, gateway.URL)
	output, err := device.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	for _, expected := range []string{`answers {`, "de version 1 active "} {
		if !strings.Contains(string(output), expected) {
			t.Errorf("expected %q: %s", expected, output)
		}
	}
}
