//! How texts are generated, as long flags. A flag that is not given keeps the library's default.

use polygraft::model::GenerateOptions;

/// The heading of these flags.
pub const GENERATION: &str = "Generation (of tasks that answer with a text)";

#[derive(clap::Args)]
#[command(next_help_heading = GENERATION)]
pub struct GenerateArgs {
    /// Hypotheses that are followed; 1 takes the most probable token at each step
    #[arg(long, value_name = "N")]
    beams: Option<usize>,
    /// The most new tokens, the end included; 0 takes as many as the bundle allows
    #[arg(long, value_name = "N")]
    tokens_max: Option<usize>,
    /// The fewest new tokens
    #[arg(long, value_name = "N")]
    tokens_min: Option<usize>,
    /// Divide the logits of tokens that were there by X, multiply negative ones: above 1 makes
    /// repetition less probable
    #[arg(long, value_name = "X")]
    repetition_penalty: Option<f32>,
    /// Let no sequence of N tokens come twice; 0 allows it
    #[arg(long, value_name = "N")]
    no_repeat: Option<usize>,
    /// Beams compare by log probability / tokens^X: above 0 favours longer texts
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    length_penalty: Option<f32>,
    /// A text that ends the answer and is cut off; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Compute keys and values of all tokens at every step: slower, with the same result
    #[arg(long)]
    no_cache: bool,
}

impl GenerateArgs {
    /// The options of the library with the flags that were given.
    pub fn options(&self) -> GenerateOptions {
        let usual = GenerateOptions::default();
        GenerateOptions {
            beams: self.beams.unwrap_or(usual.beams),
            tokens_max: self.tokens_max.unwrap_or(usual.tokens_max),
            tokens_min: self.tokens_min.unwrap_or(usual.tokens_min),
            repetition_penalty: self.repetition_penalty.unwrap_or(usual.repetition_penalty),
            no_repeat: self.no_repeat.unwrap_or(usual.no_repeat),
            length_penalty: self.length_penalty.unwrap_or(usual.length_penalty),
            stop: self.stop.clone(),
            use_cache: !self.no_cache,
            ..usual
        }
    }
}
