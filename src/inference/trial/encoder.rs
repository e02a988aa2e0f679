//! Tests the encoder with short texts, alone and together, and with the longest text.

use super::{lengths, unusable};
use crate::bundle::{Encoding, Findings};
use crate::error::{Code, Error, Result, ResultExt};
use crate::graph::{has_rounding, mixes_rows};
use crate::inference::batch;
use crate::inference::session::{AdapterSession, two_tokens};
use crate::runtime::Value;

/// The numbers of tokens of a short text and of a longer one.
const LENGTHS: [usize; 2] = [3, 5];

/// The smallest cosine between the states of a token in two equivalent runs.
const ALIKE_MIN: f32 = 1.0 - 1e-4;
/// The same if rounding can turn a difference of one bit into a whole quantisation step.
const ALIKE_ROUNDED_MIN: f32 = 0.98;

/// Tests the session of an encoder without heads, whose outputs for states of a wrong shape would
/// say nothing about the model.
pub(super) fn try_out(session: &AdapterSession, findings: &mut Findings) -> Result<()> {
    let texts = Texts { session };
    texts.run_together(findings)?;
    let interface = session.bundle().interface();
    let [first, second] = two_tokens(session.bundle());
    let runs = |length: usize| {
        texts.states(&[vec![first; length]])?;
        // A model that computes positions skips the padding's id, and the graph does not say which
        // id that is.
        match interface.positions {
            Some(_) => Ok(()),
            None => texts.states(&[vec![second; length]]).map(drop),
        }
    };
    let stated = findings.tokens_max;
    let found = lengths::longest("tokens_max", LENGTHS[1].min(stated), stated, &runs)?;
    findings.tokens_max = found.tokens;
    findings.notes.extend(found.note);
    Ok(())
}

/// Arbitrary texts.
struct Texts<'a> {
    session: &'a AdapterSession,
}

impl Texts<'_> {
    /// Checks that short texts give the same states alone and together.
    fn run_together(&self, findings: &mut Findings) -> Result<()> {
        let [short, long] = LENGTHS.map(|length| length.min(findings.tokens_max));
        let texts = [self.text(short, 1), self.text(long, 2), self.text(long, 3)];
        let alone = |text: &Vec<i64>| {
            let what = format!("a text of {} tokens does not run", text.len());
            self.states(std::slice::from_ref(text)).map_err(|error| unusable(error, &what))
        };
        let alone: Vec<Vec<f32>> =
            texts.iter().map(alone).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
        let together = |rows: [usize; 2]| {
            let rows = rows.map(|row| texts[row].clone());
            let [one, other] = [rows[0].len(), rows[1].len()];
            let what = format!("two texts of {one} and {other} tokens do not run together");
            self.states(&rows).map_err(|error| unusable(error, &what))
        };
        let (equal, padded) = (together([1, 2])?, together([0, 1])?);
        let model = self.session.bundle().encoder();
        if let Some(node) = mixes_rows(model) {
            findings.notes.push(format!(
                "each text runs alone, since {node} computes one scale for all texts of a run"
            ));
            return Ok(());
        }
        let rounds = has_rounding(model);
        let least = if rounds { ALIKE_ROUNDED_MIN } else { ALIKE_MIN };
        let is_alike = |rows: [usize; 2], found: &[Vec<f32>]| {
            let pairs = rows.iter().zip(found);
            pairs.map(|(&row, states)| self.likeness(&alone[row], states)).all(|one| one >= least)
        };
        let why = if !is_alike([1, 2], &equal) {
            if !rounds {
                let message = "what the model gives for a text depends on the other texts of a \
                    run, so neither predictions nor updates could be right";
                return Err(unusable(Error::new(Code::GraphUnsupported, message), "mixed texts"));
            }
            "what it gives depends on the others of a run"
        } else if !is_alike([0, 1], &padded) {
            "padding behind a text changes what it gives"
        } else {
            return Ok(());
        };
        findings.runs_alone = true;
        findings.notes.push(format!("each text runs alone, since {why}"));
        Ok(())
    }

    /// Token ids spread over the vocabulary.
    fn text(&self, length: usize, seed: usize) -> Vec<i64> {
        let tokenizer = self.session.bundle().tokenizer();
        let (count, pad) = (tokenizer.vocabulary_size().max(1), tokenizer.pad_id() as usize);
        let id = |index: usize| (count / 3 + 7 * index + 13 * seed) % count;
        let ids = (0..length).map(id).map(|id| if id == pad { (id + 1) % count } else { id });
        ids.map(|id| id as i64).collect()
    }

    /// The states of the tokens of each text.
    ///
    /// # Errors
    /// [`Code::GraphUnsupported`] for states of another shape or that are not finite.
    fn states(&self, texts: &[Vec<i64>]) -> Result<Vec<Vec<f32>>> {
        let bundle = self.session.bundle();
        let encoding = |text: &Vec<i64>| Encoding {
            ids: text.iter().map(|&id| u32::try_from(id).unwrap_or(0)).collect(),
            truncated: false,
            type_ids: Vec::new(),
        };
        let encodings: Vec<Encoding> = texts.iter().map(encoding).collect();
        let batch = batch::encode(bundle, &encodings.iter().collect::<Vec<_>>())?;
        let inputs: Vec<(&str, &Value)> =
            batch.iter().map(|(name, value)| (*name, value)).collect();
        let (output, hidden) = (bundle.interface().output.as_str(), bundle.interface().hidden);
        let found = self.session.run(&inputs, &[output], None)?;
        let states = found.first().ok_or_else(|| Error::new(Code::Internal, "no states"))?;
        let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
        check_states(states, output, [texts.len(), longest, hidden])
            .context(|| format!("running {} texts of at most {longest} tokens", texts.len()))?;
        let rows = states.as_f32()?.chunks_exact((longest * hidden).max(1));
        Ok(rows.zip(texts).map(|(row, text)| row[..text.len() * hidden].to_vec()).collect())
    }

    /// The smallest cosine between the states of a token in two runs.
    fn likeness(&self, one: &[f32], other: &[f32]) -> f32 {
        let hidden = self.session.bundle().interface().hidden.max(1);
        let cosine = |(one, other): (&[f32], &[f32])| {
            let dot = |left: &[f32], right: &[f32]| -> f32 {
                left.iter().zip(right).map(|(left, right)| left * right).sum()
            };
            let lengths = dot(one, one).sqrt() * dot(other, other).sqrt();
            if lengths > 0.0 { dot(one, other) / lengths } else { 1.0 }
        };
        one.chunks_exact(hidden).zip(other.chunks_exact(hidden)).map(cosine).fold(1.0, f32::min)
    }
}

/// Checks that states have the shape `[texts, tokens, hidden]` and are finite.
fn check_states(states: &Value, output: &str, expected: [usize; 3]) -> Result<()> {
    if states.shape() != expected.map(|extent| extent as i64) {
        let found = states.shape();
        let message = format!(
            "the output {output:?} has shape {found:?}, expected {expected:?}: a state for each \
             token of each text"
        );
        return Err(Error::new(Code::GraphUnsupported, message));
    }
    if !states.as_f32()?.iter().all(|value| value.is_finite()) {
        let message = format!("the output {output:?} has values that are no numbers");
        return Err(Error::new(Code::GraphUnsupported, message));
    }
    Ok(())
}
