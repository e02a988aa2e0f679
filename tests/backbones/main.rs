//! Backbones as people export them: many architectures, exporters, operator sets and kinds of
//! adapter, each compared with PyTorch (`tests/oracle/backbones/`).
//!
//! Every cell of the matrix is one model file with one kind of adapter. A cell is green when the
//! adapter attaches at the sites that PyTorch's modules have, and output, every gradient and one
//! step of AdamW are PyTorch's. What each cell gave is kept in `docs/results/backbones.json` and
//! shown in `docs/backbones.md`; a cell that is green there must stay green. `POLYGRAFT_BLESS=1`
//! writes both anew.

mod cell;
#[path = "../support/engine.rs"]
mod engine;
mod matrix;
mod oracle;
mod page;
mod record;

/// One test per architecture, so that they run side by side.
macro_rules! architectures {
    ($( $test:ident = $name:literal; )+) => {
        const ARCHITECTURES: &[&str] = &[ $( $name, )+ ];
        $(
            #[test]
            #[cfg_attr(not(set_up), ignore = "needs make setup")]
            fn $test() {
                matrix::check($name);
            }
        )+
    };
}

architectures! {
    bert = "bert";
    roberta = "roberta";
    xlm_roberta = "xlm-roberta";
    distilbert = "distilbert";
    albert = "albert";
    electra = "electra";
    mpnet = "mpnet";
    deberta_v2 = "deberta-v2";
    modernbert = "modernbert";
    nomic_bert = "nomic-bert";
    roformer = "roformer";
    t5_encoder = "t5-encoder";
    t5_decoder = "t5-decoder";
    mt5_encoder = "mt5-encoder";
    mt5_decoder = "mt5-decoder";
    byt5_encoder = "byt5-encoder";
    byt5_decoder = "byt5-decoder";
    mbart_encoder = "mbart-encoder";
    mbart_decoder = "mbart-decoder";
    m2m100_encoder = "m2m100-encoder";
    m2m100_decoder = "m2m100-decoder";
    marian_encoder = "marian-encoder";
    marian_decoder = "marian-decoder";
}

#[test]
fn every_fixture_has_its_rows() {
    matrix::check_record(ARCHITECTURES);
}
