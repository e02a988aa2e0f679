// Ship installs a base adapter, rolls back, and forgets a person's examples.
//
//	ship BUNDLE STORE export LANGUAGE FILE   # what the maker ships
//	ship BUNDLE STORE install FILE           # on a device, for all languages
//	ship BUNDLE STORE roll-back LANGUAGE
//	ship BUNDLE STORE wipe LANGUAGE
package main

import (
	"context"
	"fmt"
	"os"

	polygraft "github.com/polygraft/polygraft/bindings/go"
	"github.com/polygraft/polygraft/examples/go/opened"
)

const usage = "usage: ship BUNDLE STORE (export LANGUAGE FILE | install FILE | roll-back LANGUAGE | " +
	"wipe LANGUAGE)"

// argumentsCount is the number of arguments of each action.
var argumentsCount = map[string]int{"export": 2, "install": 1, "roll-back": 1, "wipe": 1}

func main() {
	if len(os.Args) < 5 || len(os.Args)-4 != argumentsCount[os.Args[3]] {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(bundle, folder, action string, arguments []string) error {
	all, err := opened.Open(bundle, folder)
	if err != nil {
		return err
	}
	defer all.Close()
	switch action {
	case "export":
		err = all.Model.Export("light", arguments[0], 0, arguments[1], nil)
	case "install":
		err = install(all, arguments[0])
	case "roll-back":
		err = rollBack(all, arguments[0])
	case "wipe":
		err = wipe(all, arguments[0])
	}
	if err != nil {
		return err
	}
	versions, err := all.Store.Versions("light")
	for _, version := range versions {
		fmt.Printf("  %s %d active %t pinned %t\n",
			version.Language, version.Number, version.Active, version.Pinned)
	}
	return err
}

// install lets the gate activate a base adapter, unless the device has something better.
func install(all *opened.All, path string) error {
	imported, err := all.Model.Import(context.Background(), "light", "mul", path, nil)
	if err == nil {
		fmt.Printf("version %d, active %t\n", imported.Version, imported.Activated)
	}
	return err
}

// rollBack goes back to the version before, and no update changes that until it is unpinned.
func rollBack(all *opened.All, language string) error {
	number, err := all.Store.RollBack("light", language)
	if err != nil {
		return err
	}
	if number == 0 {
		fmt.Println(language, "has no version any more")
		return nil
	}
	_, err = all.Store.Pin("light", language)
	fmt.Println(language, "is back on version", number)
	return err
}

// wipe also removes the versions that may have learnt from what is wiped.
func wipe(all *opened.All, language string) error {
	versions, err := all.Store.Versions("light")
	if err != nil {
		return err
	}
	for _, version := range versions {
		if version.Pinned {
			if err := all.Store.Unpin("light", version.Language); err != nil {
				return err
			}
		}
	}
	options := polygraft.WipeOptions{Language: language, Retire: true}
	wiped, err := all.Store.Wipe("light", &options)
	if err == nil {
		fmt.Println(len(wiped.Learnt), "versions are gone")
	}
	return err
}
