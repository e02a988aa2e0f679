package polygraft

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// source returns the text of all files of this package that are not tests.
func source(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(data)
	}
	return text.String()
}

// notOffered are functions of the header that this package does not offer yet.
var notOffered = map[string]bool{}

func TestEveryFunctionOfTheHeaderIsCalled(t *testing.T) {
	header, err := os.ReadFile("polygraft.h")
	if err != nil {
		t.Fatal(err)
	}
	text := source(t)
	names := regexp.MustCompile(`\b(polygraft_\w+)\(`).FindAllSubmatch(header, -1)
	if len(names) < 80 {
		t.Fatalf("%d functions", len(names))
	}
	for _, name := range names {
		called := strings.Contains(text, "C."+string(name[1])+"(")
		if !called && !notOffered[string(name[1])] {
			t.Errorf("no file of the package calls %s", name[1])
		}
	}
}

// The defaults go to the library and come back through an update's options: every field of the
// struct is read and written.
func TestEveryFieldOfTheOptionsIsReadAndWritten(t *testing.T) {
	header, err := os.ReadFile("polygraft.h")
	if err != nil {
		t.Fatal(err)
	}
	text := source(t)
	for _, kind := range []string{"update", "predict", "model"} {
		struct_ := regexp.MustCompile(`(?s)typedef struct \{([^}]*)\} polygraft_` + kind + `_options;`)
		body := struct_.FindSubmatch(header)
		if body == nil {
			t.Fatal(kind)
		}
		for _, field := range regexp.MustCompile(`(?m)^  [\w *]*?(\w+);$`).FindAllSubmatch(body[1], -1) {
			name := string(field[1])
			if name == "struct_size" || name == "reserved" {
				continue
			}
			if !strings.Contains(text, "settings."+name+" = ") {
				t.Errorf("polygraft_%s_options.%s is never written", kind, name)
			}
		}
	}
	options, err := DefaultUpdateOptions()
	if err != nil {
		t.Fatal(err)
	}
	value := reflect.ValueOf(options)
	zero := 0
	for index := range value.NumField() {
		if value.Field(index).IsZero() {
			zero++
		}
	}
	if options.BatchSize == 0 || options.Beta2 == 0 || zero > value.NumField()/2 {
		t.Errorf("%+v", options)
	}
}
