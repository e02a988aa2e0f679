//! ONNX Runtime's own reader takes the adapter files that are written here: a session of it alone,
//! over a graph with adapter inputs, computes what the library that made the adapter computed.

mod exchange_support;

use exchange_support::{Fixture, adapters, assert_close, library_path};
use ort::session::{Adapter as OrtAdapter, RunOptions, Session, SessionInputValue};
use ort::value::Tensor;
use polygraft::exchange::{self, Format, WriteOptions};

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn onnx_runtime_reads_what_is_written_for_it() {
    let environment = ort::init_from(library_path()).unwrap().with_telemetry(false);
    let environment = environment.build().unwrap();
    let fixture = Fixture::open();
    let folder = tempfile::tempdir().unwrap();
    for name in adapters() {
        let adapter = fixture.read(name);
        let path = folder.path().join(format!("{name}.onnx_adapter"));
        let options = WriteOptions { without_head: true, ..WriteOptions::default() };
        let backbone = fixture.backbone(name);
        exchange::write(&adapter, Format::OnnxAdapter, &path, &backbone, &options).unwrap();

        let bytes = fixture.graph(&adapter).to_bytes();
        let mut session =
            Session::builder(&environment).unwrap().commit_from_memory(&bytes).unwrap();
        let mut run_options = RunOptions::new().unwrap();
        run_options.add_adapter(&OrtAdapter::from_file(&path, None).unwrap()).unwrap();
        let inputs = fixture.inputs().into_iter().map(|(name, shape, values)| {
            let tensor = Tensor::from_array((shape, values)).unwrap();
            (name, SessionInputValue::from(tensor))
        });
        let inputs: Vec<(&str, SessionInputValue<'_>)> = inputs.collect();
        let outputs = session.run_with_options(inputs, &run_options).unwrap();
        let (_, hidden) = outputs["last_hidden_state"].try_extract_tensor::<f32>().unwrap();
        assert_close(hidden, &fixture.expected(&format!("{name}.hidden")), 1e-4, name);
    }
}
