// Package examples runs the programs of this folder after each other, as their readers would.
package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const light = "../light.jsonl"

// programs builds all programs into a folder.
func programs(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	command := exec.Command("go", "build", "-o", folder+"/", "./...")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return folder
}

func bundle(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../.cache/bundle/e5-small")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run `make bundle` in the repository's root", err)
	}
	return path
}

func TestScenariosFollowEachOther(t *testing.T) {
	folder, store := programs(t), filepath.Join(t.TempDir(), "store")
	run := func(expected, program string, arguments ...string) {
		t.Helper()
		output, err := exec.Command(filepath.Join(folder, program), arguments...).CombinedOutput()
		if !strings.Contains(string(output), expected) {
			t.Fatalf("%s: expected %q, %v: %s", program, expected, err, output)
		}
	}
	b, adapter := bundle(t), filepath.Join(t.TempDir(), "base.adapter")
	run("has learnt nothing yet", "classify", b, store, "de", "Licht an")
	run("version 1: first version", "update", "-steps-max", "3", b, store, light)
	run("(de version 1)", "classify", b, store, "de", "Licht an")
	run("version 2 answered", "hotswap", "-steps-max", "2", b, store, light)
	run("mul 1 active true", "ship", b, store, "export", "mul", adapter)
	run("version 1, active true", "ship", b, store+"2", "install", adapter)
	run("(mul version 1)", "classify", b, store+"2", "tr", "ışığı kapat")
	run("de is back on version 1", "ship", b, store, "roll-back", "de")
	run("versions are gone", "ship", b, store, "wipe", "de")
	run("usage: ship", "ship", b, store, "wipe")
}

func TestControlCEndsAnUpdateAndChangesNothing(t *testing.T) {
	store := filepath.Join(t.TempDir(), "store")
	command := exec.Command(filepath.Join(programs(t), "update"), bundle(t), store, light)
	errors, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var heard strings.Builder
	buffer := make([]byte, 256)
	for sent := false; ; {
		count, err := errors.Read(buffer)
		heard.Write(buffer[:count])
		if !sent && strings.Contains(heard.String(), "train") {
			sent = true
			if err := command.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil {
			break
		}
	}
	if err := command.Wait(); err == nil {
		t.Error("the program ended well")
	}
	if !strings.Contains(heard.String(), "interrupted: nothing has changed") {
		t.Errorf("it said %s", heard.String())
	}
	if entries, _ := os.ReadDir(filepath.Join(store, "versions")); len(entries) != 0 {
		t.Errorf("the store has %v", entries)
	}
}
