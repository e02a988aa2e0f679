//! Bundles of an encoder and its decoder.
#[path = "sequence_support/mod.rs"]
mod sequence_support;

use polygraft::bundle::{Bundle, Verify};
use sequence_support::{FIXTURES, create, options};

#[test]
fn the_layout_of_optimum_becomes_a_bundle() {
    for name in FIXTURES {
        let folder = tempfile::tempdir().unwrap();
        let bundle = create(name, folder.path());
        println!("{:#?}", bundle.manifest());
        let sites = polygraft::adapter::find_sites(bundle.model().graph().unwrap(), bundle.weights());
        for s in &sites { println!("{} {:?}", s.module, s.role); }
        let g = bundle.graphs().unwrap();
        for m in [&g.encoder, &g.decoder, g.with_past.as_ref().unwrap()] {
            let own = polygraft::adapter::find_sites(m.graph().unwrap(), bundle.weights());
            println!("{:?}", m.graph().unwrap().input.iter().map(|i| i.name()).collect::<Vec<_>>());
            println!("{:?}", own.len());
            for s in &own { assert!(sites.iter().any(|o| o.module == s.module && o.role == s.role && (o.inputs, o.outputs)==(s.inputs,s.outputs)), "{s:?}"); }
        }
        Bundle::open(&folder.path().join("bundle"), Verify::Full).unwrap();
        let t = bundle.tokenizer();
        let e = t.encode("ışığ kapat", 30).unwrap();
        println!("{e:?} {:?} {:?}", t.decode(&e.ids), t.encode_plain("ışığ kapat", 30));
    }
    let _ = options;
}
