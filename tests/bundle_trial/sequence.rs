//! Encoders with their decoders: what the trial makes of them.

use std::path::{Path, PathBuf};

use polygraft::bundle::{CreateSequenceOptions, Created, FoundIds, Pooling, create_sequence_tried};
use polygraft::graph::{Model, TensorType};
use polygraft::inference::TrialRun;

use crate::engine::engine;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sequence").join(name)
}

fn try_out(folder: &Path, place: &Path) -> Created {
    let options = CreateSequenceOptions {
        folder: folder.to_owned(),
        tokenizer: None,
        pooling: Pooling::Mean,
        prefix: String::new(),
        tokens_max: None,
        target_tokens_max: None,
        ids: FoundIds::default(),
        upcast: false,
        out: place.join("bundle"),
        overwrite: false,
    };
    create_sequence_tried(&options, &TrialRun::new(&engine()), &mut |_| {}).expect("a bundle")
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn sources_and_targets_have_room_for_what_the_tables_hold() {
    for (name, expected) in [("mt5", 512), ("m2m100", 64), ("mbart", 64), ("marian", 64)] {
        let place = tempfile::tempdir().unwrap();
        let created = try_out(&fixture(name), place.path());
        assert_eq!(created.notes, [""; 0], "{name}");
        let manifest = created.bundle.manifest();
        let target = manifest.decoder.as_ref().unwrap().tokens_max;
        assert_eq!((manifest.tokens_max, target), (expected, expected), "{name}");
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn adapters_have_an_effect_where_every_weight_is_an_input() {
    // Files of IR version 3, as two decoders and as a merged one.
    for merged in [false, true] {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("model");
        std::fs::create_dir(&folder).unwrap();
        for entry in std::fs::read_dir(fixture("mt5")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let is_of_two = ["decoder_model.onnx", "decoder_with_past_model.onnx"];
            if merged && is_of_two.contains(&name.as_str()) {
                continue;
            }
            let copy = folder.join(&name);
            std::fs::copy(&path, &copy).unwrap();
            if name.ends_with(".onnx") {
                let mut model = Model::read(&copy).unwrap();
                model.proto.ir_version = Some(3);
                let graph = model.graph_mut().unwrap();
                let info = graph.initializer.iter().map(|tensor| {
                    TensorType::of_dims(tensor.data_type(), &tensor.dims)
                        .to_value_info(tensor.name())
                });
                let infos: Vec<_> = info.collect();
                graph.input.extend(infos);
                let bytes = model.to_bytes();
                drop(model);
                std::fs::remove_file(&copy).unwrap();
                std::fs::write(&copy, bytes).unwrap();
            }
        }
        // The trial itself proves adapters of each kind in all three sessions.
        let created = try_out(&folder, place.path());
        assert_eq!(created.bundle.model().proto.ir_version, Some(4));
        assert_eq!(created.notes, [""; 0]);
    }
}
