package polygraft

// #include <polygraft.h>
import "C"

import (
	"context"
	"runtime"
	"unsafe"
)

// ImportActivation is whether an imported version becomes active.
type ImportActivation uint32

const (
	// ActivateNever publishes the version and does not activate it.
	ActivateNever ImportActivation = C.POLYGRAFT_ACTIVATION_NEVER
	// ActivateGated lets the gate decide, on the held-out examples that are remembered for the
	// language. It is the default.
	ActivateGated ImportActivation = C.POLYGRAFT_ACTIVATION_GATED
	// ActivateAlways activates the version without measuring it, unless the language is pinned.
	ActivateAlways ImportActivation = C.POLYGRAFT_ACTIVATION_ALWAYS
)

// Format is a format of adapters.
type Format uint32

const (
	// FormatOwn is polygraft's own file.
	FormatOwn Format = C.POLYGRAFT_FORMAT_OWN
	// FormatPEFT is a folder of the library PEFT.
	FormatPEFT Format = C.POLYGRAFT_FORMAT_PEFT
	// FormatONNXAdapter is a file of ONNX Runtime, .onnx_adapter.
	FormatONNXAdapter Format = C.POLYGRAFT_FORMAT_ONNX_ADAPTER
	// FormatAdapterHub is a folder of AdapterHub's library adapters.
	FormatAdapterHub Format = C.POLYGRAFT_FORMAT_ADAPTERHUB
)

// ImportOptions are the options of [Model.Import]; take them from [DefaultImportOptions].
type ImportOptions struct {
	Activation ImportActivation
	// GateMargin is the loss of accuracy that still counts as not worse, and GateConfidence the
	// confidence of the gate.
	GateMargin, GateConfidence float64
	// Labels are the labels of the head in the order of its outputs, instead of those of the file.
	Labels []string
	// HeadOnPooled states that the head reads the pooled hidden states of the bundle.
	HeadOnPooled bool
	// Encoder is the prefix of the layers in the other library's model, and Within the prefix of
	// the same layers in the bundle. With nil they are found from the names.
	Encoder, Within *string
}

// ExportOptions are the options of [Model.Export]. The zero value means polygraft's own format.
type ExportOptions struct {
	Format Format
	// Encoder is the name of the encoder in the other library's model. Within is the prefix of the
	// layers in the bundle that is not written; nil takes the one that a wrapper added.
	Encoder string
	Within  *string
	// HeadModule is the module of the head in PEFT's model. Name is the name of the adapter in
	// AdapterHub, and ModelType that of the architecture. Empty ones take their defaults.
	HeadModule, Name, ModelType string
	// WithoutHead leaves the head out.
	WithoutHead bool
}

// Imported is a version that was imported.
type Imported struct {
	Version   uint32
	Activated bool
	Format    Format
	// Decision is what the gate decided; nil if it was not asked.
	Decision *LanguageReport
	// Notes are about the translation of an adapter of another library.
	Notes []string
}

// optional returns a C copy of a text, or NULL for nil.
func (a *arguments) optional(name string, value *string) *C.char {
	if value == nil {
		return nil
	}
	return a.text(name, *value)
}

// unlessEmpty returns a C copy of a text, or NULL for an empty one.
func (a *arguments) unlessEmpty(name, value string) *C.char {
	if value == "" {
		return nil
	}
	return a.text(name, value)
}

func importSettings() (settings C.polygraft_import_options, err error) {
	var failure *C.polygraft_error
	size := C.size_t(unsafe.Sizeof(settings))
	err = check(C.polygraft_import_options_init(&settings, size, &failure), failure)
	return settings, err
}

// DefaultImportOptions returns the library's defaults.
func DefaultImportOptions() (ImportOptions, error) {
	settings, err := importSettings()
	return ImportOptions{
		Activation:     ImportActivation(settings.activation),
		GateMargin:     float64(settings.gate_margin),
		GateConfidence: float64(settings.gate_confidence),
	}, err
}

// Import imports the adapter in a file or folder of any format as a new version of a language. A
// base adapter is installed by importing it for the language mul. Options may be nil for the
// defaults.
func (m *Model) Import(
	ctx context.Context, task, language, path string, options *ImportOptions,
) (*Imported, error) {
	defer runtime.KeepAlive(m)
	settings, err := importSettings()
	if err != nil {
		return nil, err
	}
	arguments := arguments{}
	defer arguments.free()
	if options != nil {
		settings.activation = C.uint32_t(options.Activation)
		settings.gate_margin = C.double(options.GateMargin)
		settings.gate_confidence = C.double(options.GateConfidence)
		settings.labels = arguments.array("Labels", options.Labels)
		settings.labels_count = C.uint32_t(len(options.Labels))
		settings.head_on_pooled = flag(options.HeadOnPooled)
		settings.encoder = arguments.optional("Encoder", options.Encoder)
		settings.within = arguments.optional("Within", options.Within)
	}
	name, tag := arguments.text("task", task), arguments.text("language", language)
	from := arguments.text("path", path)
	if arguments.err != nil {
		return nil, arguments.err
	}
	var imported *C.polygraft_imported
	err = withCancel(ctx, func(cancel *C.polygraft_cancel) error {
		settings.cancel = cancel
		var failure *C.polygraft_error
		status := C.polygraft_model_import(
			m.handle, name, tag, from, &settings, &imported, &failure)
		return check(status, failure)
	})
	if err != nil {
		return nil, err
	}
	defer C.polygraft_imported_free(&imported)
	result := &Imported{
		Version:   uint32(C.polygraft_imported_version(imported)),
		Activated: C.polygraft_imported_activated(imported) != 0,
		Format:    Format(C.polygraft_imported_format(imported)),
	}
	for index := range C.polygraft_imported_notes_count(imported) {
		result.Notes = append(result.Notes, text(C.polygraft_imported_note(imported, index)))
	}
	if settings.activation == C.POLYGRAFT_ACTIVATION_GATED {
		var entry C.polygraft_language_report
		entry.struct_size = C.uint32_t(unsafe.Sizeof(entry))
		var failure *C.polygraft_error
		status := C.polygraft_imported_decision(imported, &entry, &failure)
		if err := check(status, failure); err != nil {
			return nil, err
		}
		decision := copyEntry(&entry)
		result.Decision = &decision
	}
	return result, nil
}

// Export writes a version of a language to a path where nothing is yet. The number 0 stands for the
// active version of the language itself. Options may be nil for polygraft's own format.
func (m *Model) Export(
	task, language string, number uint32, path string, options *ExportOptions,
) error {
	defer runtime.KeepAlive(m)
	var failure *C.polygraft_error
	var settings C.polygraft_export_options
	size := C.size_t(unsafe.Sizeof(settings))
	if err := check(C.polygraft_export_options_init(&settings, size, &failure), failure); err != nil {
		return err
	}
	arguments := arguments{}
	defer arguments.free()
	if options != nil {
		settings.format = C.uint32_t(options.Format)
		settings.encoder = arguments.text("Encoder", options.Encoder)
		settings.within = arguments.optional("Within", options.Within)
		settings.head_module = arguments.unlessEmpty("HeadModule", options.HeadModule)
		settings.name = arguments.unlessEmpty("Name", options.Name)
		settings.model_type = arguments.unlessEmpty("ModelType", options.ModelType)
		settings.without_head = flag(options.WithoutHead)
	}
	name, tag := arguments.text("task", task), arguments.text("language", language)
	to := arguments.text("path", path)
	if arguments.err != nil {
		return arguments.err
	}
	status := C.polygraft_model_export(
		m.handle, name, tag, C.uint32_t(number), to, &settings, &failure)
	return check(status, failure)
}

// WeightedAdapter is a file of polygraft with a weight.
type WeightedAdapter struct {
	Path   string
	Weight float64
}

// CombineAdapters combines adapters in polygraft's own files side by side, each with its weight, and
// writes the result to a path where nothing is yet.
func CombineAdapters(adapters []WeightedAdapter, to string) error {
	arguments := arguments{}
	defer arguments.free()
	paths := make([]string, len(adapters))
	weights := make([]C.double, len(adapters))
	for index, adapter := range adapters {
		paths[index], weights[index] = adapter.Path, C.double(adapter.Weight)
	}
	from, out := arguments.array("Path", paths), arguments.text("to", to)
	if arguments.err != nil {
		return arguments.err
	}
	var failure *C.polygraft_error
	status := C.polygraft_adapters_combine(
		from, unsafe.SliceData(weights), C.size_t(len(paths)), out, &failure)
	return check(status, failure)
}

// StackAdapters stacks an adapter on another one, both in polygraft's own files, and writes the
// result to a path where nothing is yet. The head of the upper one is kept.
func StackAdapters(lower, upper, to string) error {
	arguments := arguments{}
	defer arguments.free()
	below, above := arguments.text("lower", lower), arguments.text("upper", upper)
	out := arguments.text("to", to)
	if arguments.err != nil {
		return arguments.err
	}
	var failure *C.polygraft_error
	return check(C.polygraft_adapters_stack(below, above, out, &failure), failure)
}
